/**
 * Settings are camelCase in code and snake_case in files and requests.
 *
 * @module
 */

/** `learningRate` -> `learning_rate` */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `learning_rate` -> `learningRate` */
export function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** A setting with its value, as JSON has them: `'long_texts': "chunk"` */
export function spellJson(key: string, value: unknown): string {
  return `'${snakeCase(key)}': ${JSON.stringify(value)}`;
}

/** The same values under other keys. */
export function mapKeys<Value>(
  record: Record<string, Value>,
  rename: (key: string) => string,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [rename(key), value]));
}
