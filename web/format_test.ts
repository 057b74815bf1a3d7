import { strictEqual } from "node:assert";
import { ago, bytes, decimals, duration, probability } from "./format.ts";

Deno.test("duration() tells hours and minutes, minutes and seconds, or seconds", () => {
  strictEqual(duration(7500), "2 h 5 min");
  strictEqual(duration(192), "3 min 12 s");
  strictEqual(duration(7.6), "8 s");
  strictEqual(duration(-1), "0 s");
});

Deno.test("ago() takes the largest unit that is reached", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
  strictEqual(ago("2026-01-01T00:00:00Z", now), format.format(-1, "day"));
  strictEqual(ago("2026-01-01T23:55:30Z", now), format.format(-4, "minute"));
  strictEqual(ago("2026-01-02T00:00:00Z", now), format.format(0, "second"));
});

Deno.test("decimals() shows what is very small or large with its size", () => {
  const three = new Intl.NumberFormat(undefined, {
    minimumFractionDigits: 3,
    maximumFractionDigits: 3,
  });
  strictEqual(decimals(0.9344), three.format(0.934));
  strictEqual(decimals(0), three.format(0));
  strictEqual(/E/.test(decimals(2e-5)), true);
});

Deno.test("bytes() and probability() say little of what is small", () => {
  strictEqual(bytes(12), "12 bytes");
  strictEqual(bytes(2_530_000).endsWith(" MB"), true);
  strictEqual(probability(1e-9).startsWith("less than"), true);
});
