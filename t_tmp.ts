import { train } from "./training/train.ts"; import { readDataset, SAMPLE_DIR } from "./data/dataset.ts"; import { TrainSettings } from "./training/settings.ts";
const d = await readDataset(Deno.args[0] ?? SAMPLE_DIR);
const t = performance.now(); let last = 0;
const r = await train(d, { settings: TrainSettings.parse(JSON.parse(Deno.args[1] ?? "{}")), outDir: "/tmp/out", onEvent: (e) => { if (e.type !== "step") console.log(JSON.stringify(e).slice(0,400)); else if (e.step % 50 === 0) { console.log(e.step, e.loss.toFixed(4), e.grad_norm.toFixed(2), e.learning_rate.toExponential(2), e.tokens_per_second | 0); } } });
console.log((performance.now()-t)/1000, r.metrics.accuracy);
