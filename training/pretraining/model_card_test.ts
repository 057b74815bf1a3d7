import { doesNotMatch, match } from "node:assert";
import { pretrainedCard } from "./model_card.ts";
import { PretrainSettings } from "./settings.ts";

const RESULT = {
  model_dir: "bases/titles",
  steps: 12_000,
  epochs: 3,
  device: "wasm" as const,
  tokens_per_second: 1000,
  held_out_loss: 2,
};
const REST = { files: ["a.txt", "b.txt"], size: 20_480 };

Deno.test("pretrainedCard() names base, teacher, texts and figures", () => {
  const settings = PretrainSettings.parse({
    model: "/models/my_bert",
    teacher: "acme/teacher",
    batchSize: 8,
    maxLength: 64,
    heldOut: 0.2,
    maskProbability: 0.3,
  });
  const base = { name: "my_bert", source: "/models/my_bert", license: "mit" };
  const card = pretrainedCard({ result: RESULT, settings, base, ...REST });
  match(card, /^---\nlibrary_name: "transformers"\npipeline_tag: "fill-mask"\n/);
  match(card, /^license: "mit"\nbase_model: "my_bert"\ndatasets: \["a.txt","b.txt"\]\n/m);
  match(card, /^model-index: \[\{"name":"titles",.*"type":"perplexity",.*"value":7.38906\}/m);
  match(card, /^# titles$/m);
  match(card, /pretrained from `my_bert` with Graft/);
  match(card, /guess masked\nwords, and the embeddings that\n`teacher` gives to whole texts;/);
  match(card, /^- Texts: `a\.txt`, `b\.txt`\.$/m);
  match(card, /^- 12,000 steps of 8 rows of at most 64 tokens;/m);
  match(
    card,
    /^- A share of 0\.2 of the texts was held out\. On up to 2,000 rows of these the cross-/m,
  );
  match(card, /tokens \(a share of 0\.3, whole words\) is 2\.000, a perplexity of 7\.389\.$/m);
  match(card, /^- The weights take 21 kB\.$/m);
});

Deno.test("pretrainedCard() tells of no teacher and no loss where there is none", () => {
  const result = { ...RESULT, held_out_loss: null };
  const card = pretrainedCard({ result, settings: PretrainSettings.parse({}), ...REST });
  match(card, /guess masked\nwords; it is a base/);
  match(card, /^- No text was held out\.$/m);
  doesNotMatch(card, /perplexity|embeddings|base_model|model-index/);
  match(card, /^license: "unknown"$/m);
});
