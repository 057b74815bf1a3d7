/**
 * Numbers, times and shares in the reader's locale.
 *
 * @module
 */
const NUMBER = new Intl.NumberFormat();
const SHORT = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const PERCENT = new Intl.NumberFormat(undefined, {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const DIGITS = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });
const THREE = new Intl.NumberFormat(undefined, {
  minimumFractionDigits: 3,
  maximumFractionDigits: 3,
});
const SCIENTIFIC = new Intl.NumberFormat(undefined, {
  notation: "scientific",
  maximumSignificantDigits: 3,
});
const EPOCH = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });

/** `12,345` */
export function count(value: number): string {
  return NUMBER.format(value);
}

/** `12.3K` */
export function short(value: number): string {
  return SHORT.format(value);
}

/** `91.3 %` of 0.913 */
export function percent(value: number): string {
  return PERCENT.format(value);
}

/** A probability; a tiny one only as less than a limit. */
export function probability(value: number): string {
  return value > 0 && value < 0.001 ? `less than ${percent(0.001)}` : percent(value);
}

/** Three decimals, or four digits for very small and large values. */
export function decimals(value: number): string {
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 1e4)) return THREE.format(value);
  return size < 1e-3 ? SCIENTIFIC.format(value) : DIGITS.format(value);
}

/** `1.96`, `4` */
export function epoch(value: number): string {
  return EPOCH.format(value);
}

/** A number of any size in few characters. */
export function digits(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return SCIENTIFIC.format(value);
  return DIGITS.format(value);
}

/** `2 h 5 min`, `3 min 12 s`, `8 s` */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  if (hours > 0) return `${count(hours)} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${rest} s` : `${rest} s`;
}

/** `Jul 3, 2026, 2:05 PM` */
export function dateTime(iso: string): string {
  return DATE.format(new Date(iso));
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** `5 min. ago` */
export function ago(iso: string, now: number = Date.now()): string {
  const seconds = (new Date(iso).getTime() - now) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return RELATIVE.format(Math.trunc(seconds / size), unit);
}

/** `3.2 MB` */
export function bytes(value: number): string {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const) {
    if (value >= size) return `${DIGITS.format(Number((value / size).toPrecision(3)))} ${unit}`;
  }
  return `${count(value)} bytes`;
}
