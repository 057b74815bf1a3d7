import { deepStrictEqual, match } from "node:assert";
import { lengthPicture } from "./length_picture.ts";

Deno.test("lengthPicture() places measures between zero and a round number", () => {
  const picture = lengthPicture("Steps", [
    { name: "ours", results: [{ length: 256, stepMs: 500, peakBytes: 1e9 }] },
    { name: "theirs", results: [{ length: 512, stepMs: 1000, peakBytes: 2e9 }] },
  ]);
  const dots = [...picture.matchAll(/<circle cx="(\d+)" cy="(\d+)"/g)].map(([, x, y]) => [x, y]);
  // The largest lies in the upper right corner of each panel, the other in its middle.
  deepStrictEqual(dots, [["210", "185"], ["360", "70"], ["610", "185"], ["760", "70"]]);
  match(picture, />theirs<\/text>/);
});
