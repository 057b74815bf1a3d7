import { deepStrictEqual, throws } from "node:assert";
import { frozenParameters } from "./freeze.ts";

const NAMES = ["bert.a.weight", "bert.a.bias", "bert.b.weight", "classifier.weight"];

Deno.test("frozenParameters() chooses by name and by pattern", () => {
  deepStrictEqual([...frozenParameters("bert.a.bias", NAMES)], ["bert.a.bias"]);
  deepStrictEqual(
    [...frozenParameters("bert.a.*, *.b.weight", NAMES)],
    ["bert.a.weight", "bert.a.bias", "bert.b.weight"],
  );
});

Deno.test("frozenParameters() takes a dot for a dot", () => {
  throws(() => frozenParameters("bert.aXweight,bert?a.bias", NAMES), {
    name: "UserError",
    message:
      "Cannot freeze 'bert.aXweight': no parameter has such a name; there are bert.a.weight, …",
  });
});

Deno.test("frozenParameters() needs each part of a pattern once more", () => {
  deepStrictEqual([...frozenParameters("*a*a*", NAMES)], ["bert.a.bias"]);
  throws(() => frozenParameters("bert.a*a.bias", NAMES), /no parameter has such a name/);
});

Deno.test("frozenParameters() leaves something to train", () => {
  throws(() => frozenParameters("*", NAMES), {
    name: "UserError",
    message: "Cannot freeze '*': nothing would be left to train",
  });
});
