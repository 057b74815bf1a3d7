/**
 * The commands that pages of documentation show.
 *
 * @module
 */

/** A command of a page. */
export interface Command {
  line: number;
  text: string;
  /** The output, as the page shows it. */
  printed: string[];
  /** Whether it is looked at only, as what it needs or takes is too much for a test. */
  isOnlyChecked: boolean;
}

/**
 * The lines of a page's blocks of `sh`; of those of `sh check`, which are not to be run, too. A line
 * that begins with `#` is what the command before it prints.
 */
export function commandsOf(page: string): Command[] {
  const commands: Command[] = [];
  let fence: string | undefined;
  for (const [index, line] of page.split("\n").entries()) {
    const [, info] = /^```(.*)$/.exec(line) ?? [];
    if (info !== undefined) fence = fence === undefined ? info : undefined;
    else if (fence === "sh" || fence === "sh check") {
      const last = commands.at(-1);
      if (line.startsWith("#")) last?.printed.push(line.slice(1).trim());
      else if (last?.text.endsWith("\\")) last.text = last.text.slice(0, -1) + line.trim();
      else if (line.trim() !== "") {
        const text = line.replace(/ +# .*$/, "");
        commands.push({ line: index + 1, text, printed: [], isOnlyChecked: fence !== "sh" });
      }
    }
  }
  return commands;
}
