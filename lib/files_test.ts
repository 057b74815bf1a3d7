import { deepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { z } from "zod";
import { exists, readJson, writeFileAtomically, writeJson } from "./files.ts";
import { withFolder } from "../tests/support/with_folder.ts";

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
}

Deno.test("readJson() takes a file with a byte-order mark", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "config.json");
    await Deno.writeTextFile(path, '\uFEFF{"a": 1}');
    deepStrictEqual(await readJson(path, z.looseObject({})), { a: 1 });
  });
});

for (
  const [kind, content, fault] of [
    [
      "a pointer of Git LFS",
      "version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
      "git lfs",
    ],
    ["a web page", "<!DOCTYPE html>\n<html>", "it is a web page; download the file itself"],
    ["half a file", '{"a": ', "it is not JSON"],
  ] as const
) {
  Deno.test(`readJson() says that it was given ${kind}`, async () => {
    await withFolder({}, async (dir) => {
      const path = join(dir, "tokenizer.json");
      await Deno.writeTextFile(path, content);
      await rejects(readJson(path, z.looseObject({})), (error: Error) => {
        ok(error.message.startsWith(`Cannot read '${path}': it is `), error.message);
        ok(error.message.includes(fault), error.message);
        return true;
      });
    });
  });
}

Deno.test("readJson() says which values are taken, and which one was given", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "config.json");
    const schema = z.object({ act: z.literal("gelu"), kind: z.enum(["a", "b"]).optional() });
    for (
      const [json, rule] of [
        [{ act: "mish" }, `'act' must be "gelu", got "mish"`],
        [{}, `'act' must be "gelu", got nothing`],
        [{ act: "gelu", kind: [1] }, `'kind' must be "a" or "b", got [1]`],
      ] as const
    ) {
      await writeJson(path, json);
      await rejects(readJson(path, schema), { message: `Cannot read '${path}': ${rule}` });
    }
  });
});

Deno.test("writeFileAtomically() replaces what was there, with text or bytes", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "model");
    await writeFileAtomically(path, "a longer text, é");
    deepStrictEqual(await Deno.readTextFile(path), "a longer text, é");
    await writeFileAtomically(path, Uint8Array.of(0, 255, 7));
    deepStrictEqual(await Deno.readFile(path), Uint8Array.of(0, 255, 7));
    await writeFileAtomically(path, "");
    deepStrictEqual(await Deno.readTextFile(path), "");
    deepStrictEqual(await namesIn(dir), ["model"]);
  });
});

Deno.test("writeFileAtomically() writes all of a large file", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "model");
    const content = Uint8Array.from({ length: 5_000_001 }, (_, i) => i % 251);
    await writeFileAtomically(path, content);
    deepStrictEqual(await Deno.readFile(path), content);
  });
});

Deno.test("writeFileAtomically() starts anew after a run that was killed", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "model");
    await Deno.writeTextFile(`${path}.partial`, "half of something much longer");
    await writeFileAtomically(path, "whole");
    deepStrictEqual(await Deno.readTextFile(path), "whole");
    deepStrictEqual(await namesIn(dir), ["model"]);
  });
});

Deno.test("writeFileAtomically() shows a reader the old content until the new is whole", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "model");
    await Deno.writeTextFile(path, "old");
    using old = await Deno.open(path);
    await writeFileAtomically(path, "new");
    deepStrictEqual(await new Response(old.readable).text(), "old");
    deepStrictEqual(await Deno.readTextFile(path), "new");
  });
});

Deno.test("writeFileAtomically() leaves the old content when the disk is full", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "model");
    await Deno.writeTextFile(path, "old");
    const { write } = Deno.FsFile.prototype;
    let calls = 0;
    Deno.FsFile.prototype.write = function (bytes) {
      if (calls++ > 0) throw new Error("No space left on device");
      return write.call(this, bytes.subarray(0, 2));
    };
    try {
      await rejects(writeFileAtomically(path, "new content"), /No space left/);
    } finally {
      Deno.FsFile.prototype.write = write;
    }
    deepStrictEqual(await Deno.readTextFile(path), "old");
    deepStrictEqual(await namesIn(dir), ["model"]);
  });
});

Deno.test("writeFileAtomically() writes parts as they come, and nothing if one fails", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "model");
    async function* parts(fails: boolean) {
      yield new TextEncoder().encode("one ");
      deepStrictEqual(await namesIn(dir), ["aside"]);
      if (fails) throw new Error("the source is gone");
      yield new TextEncoder().encode("two");
    }
    await rejects(writeFileAtomically(path, parts(true), join(dir, "aside")), /the source is gone/);
    deepStrictEqual(await namesIn(dir), []);
    await writeFileAtomically(path, parts(false), join(dir, "aside"));
    deepStrictEqual(await Deno.readTextFile(path), "one two");
    deepStrictEqual(await namesIn(dir), ["model"]);
  });
});

Deno.test("writeFileAtomically() names the file that the system does not let it write", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "none", "model");
    await rejects(writeFileAtomically(path, "new"), {
      name: "UserError",
      message: new RegExp(`^Cannot write '${path}': No such file or directory`),
    });
    deepStrictEqual(await namesIn(dir), []);
  });
});

Deno.test("writeJson() writes indented JSON with a line's end", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "metrics.json");
    await writeJson(path, { accuracy: 0.5, labels: ["a"] });
    deepStrictEqual(
      await Deno.readTextFile(path),
      '{\n  "accuracy": 0.5,\n  "labels": [\n    "a"\n  ]\n}\n',
    );
  });
});

Deno.test("exists() tells files and folders from nothing", async () => {
  await withFolder({}, async (dir) => {
    const path = join(dir, "model");
    await Deno.writeTextFile(path, "");
    deepStrictEqual(await exists(path), true);
    deepStrictEqual(await exists(dir), true);
    deepStrictEqual(await exists(join(dir, "none")), false);
    deepStrictEqual(await exists(join(path, "below a file")), false);
  });
});
