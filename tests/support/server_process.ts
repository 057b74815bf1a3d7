/**
 * Starts a server as a process of its own, asks it and ends it.
 *
 * @module
 */

/** The address that a server prints when it listens. */
export async function address(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let printed = "";
  for await (const text of stderr.pipeThrough(new TextDecoderStream())) {
    printed += text;
    const [url] = /http:\/\/\S+/.exec(printed) ?? [];
    if (url !== undefined) return url;
  }
  throw new Error(`no address in '${printed}'`);
}
