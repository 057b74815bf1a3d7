import { deepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import type { Problem } from "../../data/labels.ts";
import { UserError } from "../../lib/user_error.ts";
import { argMax } from "../inference/inference.ts";
import { Partner } from "./partner.ts";
import { loadPartner, PARTNER_FILE, PooledPartner, savePartner } from "./partner_file.ts";

const CLASSES: Problem = {
  problemType: "single_label_classification",
  labels: ["food", "sport", "news"],
};
const EXAMPLES = [
  { text: "bake the bread in the oven", label: "food" },
  { text: "a soup of onions", label: "food" },
  { text: "the striker scored twice", label: "sport" },
  { text: "a late goal won the match", label: "sport" },
  { text: "parliament votes on the budget", label: "news" },
  { text: "the minister resigned", label: "news" },
];

Deno.test("Partner.fit() tells classes apart, of misspelt words too", () => {
  const partner = Partner.fit(EXAMPLES, CLASSES);
  const classOf = (text: string) => CLASSES.labels[argMax(partner.logits(text))];
  for (const { text, label } of EXAMPLES) deepStrictEqual(classOf(text), label);
  deepStrictEqual(classOf("breads and onionsoup"), "food");
  deepStrictEqual(classOf("budgets of ministers"), "news");
});

Deno.test("Partner.fit() leaves n-grams of characters out where they are not wanted", () => {
  const partner = Partner.fit(EXAMPLES, CLASSES, { characters: false });
  deepStrictEqual(partner.state.characters, false);
  const knows = (text: string) => partner.logits(text).join() !== partner.state.bias.join();
  deepStrictEqual([knows("bread"), knows("breads")], [true, false]);
});

Deno.test("Partner.fit() takes several labels a text", () => {
  const problem: Problem = { problemType: "multi_label_classification", labels: ["food", "sport"] };
  const partner = Partner.fit([
    { text: "bread before the match", label: "food|sport" },
    { text: "fresh bread", label: "food" },
    { text: "a match at night", label: "sport" },
    { text: "nothing at all", label: "" },
  ], problem);
  const [food, sport] = partner.logits("bread for the match");
  ok(food! > 0 && sport! > 0);
  const [noFood, noSport] = partner.logits("nothing");
  ok(noFood! < 0 && noSport! < 0);
});

Deno.test("Partner.fit() takes numbers, however large", () => {
  const examples = ["bad", "fair", "good"].flatMap((word, i) =>
    Array.from({ length: 20 }, () => ({ text: `a ${word} thing`, label: String(1000 * i + 5000) }))
  );
  const partner = Partner.fit(examples, { problemType: "regression", labels: ["LABEL_0"] });
  const [bad, good] = [partner.logits("bad thing")[0]!, partner.logits("good thing")[0]!];
  ok(Math.abs(bad - 5000) < 300, `${bad}`);
  ok(Math.abs(good - 7000) < 300, `${good}`);
});

Deno.test("a text without a known n-gram gets the constant", () => {
  const partner = Partner.fit(EXAMPLES, CLASSES);
  deepStrictEqual(partner.logits("???"), partner.state.bias);
});

Deno.test("savePartner() and loadPartner() give the same logits", async () => {
  const dir = await Deno.makeTempDir();
  const partner = Partner.fit(EXAMPLES, CLASSES);
  await savePartner(dir, new PooledPartner(partner, { network: 0.5, partner: 1.5 }));
  const loaded = await loadPartner(dir, 3);
  deepStrictEqual(loaded!.scales, { network: 0.5, partner: 1.5 });
  for (const { text } of EXAMPLES) {
    deepStrictEqual(loaded!.partner.logits(text), partner.logits(text));
  }
});

Deno.test("loadPartner() gives nothing where there is no file, and refuses one of other labels", async () => {
  const dir = await Deno.makeTempDir();
  deepStrictEqual(await loadPartner(dir, 3), undefined);
  const partner = Partner.fit(EXAMPLES, CLASSES);
  await savePartner(dir, new PooledPartner(partner, { network: 1, partner: 1 }));
  await rejects(loadPartner(dir, 4), {
    name: "UserError",
    message: new RegExp(`Cannot read '.*${PARTNER_FILE}': expected 'weights' as \\[\\d+,4\\]`),
  });
  await Deno.writeTextFile(join(dir, PARTNER_FILE), "not a safetensors file");
  await rejects(loadPartner(dir, 3), UserError);
});
