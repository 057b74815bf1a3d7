/**
 * A peer of Graft: a process of its own, which stays between rounds.
 *
 * @module
 */
import { textLines } from "../../orchestration/job.ts";

/** The command of a peer. */
export interface PeerProgram {
  command: "deno" | "python3";
  args: readonly string[];
}

/** The first line of a peer. */
type Greeting = { versions: Record<string, string> } | { missing: string[] };

/** A peer that waits for its next round. */
export class PeerProcess<Round> implements AsyncDisposable {
  /** The versions of its packages, by their names. */
  readonly versions: Record<string, string>;
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  private constructor(
    process: Deno.ChildProcess,
    lines: AsyncIterator<string>,
    versions: Record<string, string>,
  ) {
    this.#process = process;
    this.#input = process.stdin.getWriter();
    this.#lines = lines;
    this.versions = versions;
  }

  /**
   * Starts a peer and waits until it is ready.
   *
   * @returns `undefined` if it is not installed.
   */
  static async start<Round>(
    { command, args }: PeerProgram,
  ): Promise<PeerProcess<Round> | undefined> {
    let process: Deno.ChildProcess;
    try {
      process = new Deno.Command(command, {
        args: [...args],
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
    const lines = textLines(process.stdout)[Symbol.asyncIterator]();
    const greeting = await nextLine(lines) as Greeting;
    if ("versions" in greeting) return new PeerProcess(process, lines, greeting.versions);
    await process.stdin.close();
    await process.status;
    return undefined;
  }

  /** Makes it measure once more. */
  async round(): Promise<Round> {
    await this.#input.write(new TextEncoder().encode("\n"));
    return await nextLine(this.#lines) as Round;
  }

  /** The most resident memory that it has taken, as Linux counts it. */
  async peakBytes(): Promise<number> {
    // Deno reads nothing there itself without all permissions.
    const args = ["VmHWM", `/proc/${this.#process.pid}/status`];
    const { stdout } = await new Deno.Command("grep", { args }).output();
    return 1024 * Number(/\d+/.exec(new TextDecoder().decode(stdout)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A crashed peer does not read.
    await this.#input.close().catch(() => {});
    await this.#process.status;
  }
}

async function nextLine(lines: AsyncIterator<string>): Promise<unknown> {
  const { value, done } = await lines.next();
  if (!done) return JSON.parse(value);
  throw new Error("The peer ended before it had measured; it says above why");
}
