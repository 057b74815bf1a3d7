import { deepStrictEqual, ok, throws } from "node:assert";
import { CLASS_WEIGHTS, classWeights } from "./class_weights.ts";

const LABELS = ["common", "rare", "rarer"];
const CLASSES = [...new Array<number>(16).fill(0), ...new Array<number>(4).fill(1), 2];

function sums(setting: string): number[] {
  const weights = classWeights(setting, CLASSES, LABELS);
  return LABELS.map((_, label) => weights[label]! * CLASSES.filter((at) => at === label).length);
}

Deno.test("classWeights() gives all classes together the same where they are balanced", () => {
  for (const sum of sums("balanced")) ok(Math.abs(sum - CLASSES.length / 3) < 1e-9);
});

Deno.test("classWeights() goes half-way by the square root", () => {
  const [common, rare, rarer] = sums("sqrt");
  ok(Math.abs(common! / rare! - 2) < 1e-9 && Math.abs(rare! / rarer! - 2) < 1e-9);
});

Deno.test("classWeights() takes named weights, the others 1, and keeps the mean at 1", () => {
  const weights = classWeights("rare=2, rarer = 0.5", CLASSES, LABELS);
  ok(Math.abs(weights[1]! / weights[0]! - 2) < 1e-9);
  ok(Math.abs(weights[2]! / weights[0]! - 0.5) < 1e-9);
  const mean = CLASSES.reduce((sum, at) => sum + weights[at]!, 0) / CLASSES.length;
  ok(Math.abs(mean - 1) < 1e-9);
});

Deno.test("classWeights() is finite for a class without a text", () => {
  ok(classWeights("balanced", [0, 0, 1], LABELS).every(Number.isFinite));
});

Deno.test("classWeights() names a class that is not there", () => {
  throws(() => classWeights("rarest=2", CLASSES, LABELS), {
    name: "UserError",
    message: "Cannot weigh class 'rarest': there are common, rare, rarer",
  });
});

Deno.test("CLASS_WEIGHTS takes names with signs in them, and refuses what is no weight", () => {
  const takes = (text: string) => CLASS_WEIGHTS.safeParse(text).success;
  const good = ["balanced", "sqrt", "a=1", "a=b=0.5,c=1e3", "two words=2"];
  const bad = [
    "",
    "equal",
    "a",
    "=1",
    "a=",
    "a=0",
    "a=-1",
    "a=x",
    "a=1,,b=2",
    "a=1,a=2",
    "a=1e999",
  ];
  deepStrictEqual([...good, ...bad].filter(takes), good);
});
