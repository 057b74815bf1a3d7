/**
 * The commands as a person runs them.
 *
 * @module
 */
import { deepStrictEqual, match } from "node:assert";
import { fileURLToPath } from "node:url";
import { permissionsOf } from "../../cli/least_privilege.ts";
import { graft, inEmptyFolder, MAIN } from "../support/graft.ts";

Deno.test("a user's mistake is one line and a non-zero exit", async () => {
  await inEmptyFolder(async (dir) => {
    for (
      const [args, message] of [
        [
          ["train", "--epochs", "0"],
          /^error: Cannot use --epochs 0: must be a whole number from 1 to 1000\n$/,
        ],
        [
          ["train", "--epoch", "3"],
          /^error: unknown option '--epoch'\n\(Did you mean --epochs\?\)/,
        ],
        [
          ["train", "--device", "wsm"],
          /^error: option '--device <name>' argument 'wsm' is invalid. Allowed choices are auto, webgpu, wasm, native.\n\(Did you mean wasm\?\)\n$/,
        ],
        [["train", "--seed", "x"], /^error: option '--seed <number>' argument 'x' is invalid/],
        [
          ["train", "--model", "./no"],
          /^error: Cannot read a model from '.\/no': there is no such folder\n$/,
        ],
        [
          ["train", "--mode", "prefix", "--model", "scratch:tiny"],
          /^error: Cannot use --mode prefix: .*random weights/,
        ],
        [
          ["train", "--problem-type", "regression"],
          /^error: Cannot read '.*train_simple.csv' line 2: expected a number as the label, got '/,
        ],
        // A refusal that needs no data comes before the data are read.
        [
          ["train", "--data", "no", "--device", "native"],
          /^error: Cannot use device 'native': it is not installed, or/,
        ],
        [
          ["train", "--data", "no", "--model", "./no"],
          /^error: Cannot read a model from '.\/no': there is no such folder\n$/,
        ],
        [
          ["train", "--data", "no", "--stride", "8"],
          /^error: Cannot use --stride 8: goes with --long-texts chunk\n$/,
        ],
        [["train", "--data", "no"], /^error: Cannot read 'no': no such file or folder\n$/],
        [["eval"], /^error: Cannot find a finished run in 'runs': train first, or use --model\n$/],
        [
          ["eval", "--model", "no"],
          /^error: Cannot read a model from 'no': there is no such folder\n$/,
        ],
        [["predict", "--model", "no", "x"], /^error: Cannot read a model from 'no': /],
        [["predict", "--top-k", "0", "x"], /^error: option '--top-k <number>' argument '0' is/],
        [["predict", "--mixed", "x"], /^error: Cannot use --mixed with texts or --model: /],
        // A server gives its own workers a job in standard input, which is empty here.
        [
          ["worker"],
          /^error: Cannot start a worker without --cluster: its jobs come from the server .* use --cluster nats:/,
        ],
        [["trian"], /^error: unknown command 'trian'\n\(Did you mean train\?\)/],
      ] as const
    ) {
      const { code, stdout, stderr } = await graft(dir, [...args]);
      deepStrictEqual([code, stdout], [1, ""], args.join(" "));
      match(stderr, message);
    }
  });
});

Deno.test("predict takes several models, and lines that name theirs", async () => {
  await inEmptyFolder(async (dir) => {
    const base = fileURLToPath(new URL("../peft/base", import.meta.url));
    // PEFT takes a base's folder as relative to where it runs, too.
    await Deno.symlink(base, `${dir}/base`);
    const prefix = fileURLToPath(new URL("../peft/prefix", import.meta.url));
    const prompt = fileURLToPath(new URL("../peft/prompt", import.meta.url));
    const several = await graft(dir, [
      ...["predict", "--model", prefix, "--model", prompt, "--model", base, "--json"],
      ...["a bread", "a song"],
    ]);
    deepStrictEqual(several.code, 0, several.stderr);
    const answers: { model: string; scores: unknown[] }[][] = JSON.parse(several.stdout);
    deepStrictEqual(
      answers.map((row) => row.map(({ model, scores }) => [model, scores.length])),
      Array(2).fill([[prefix, 3], [prompt, 3], [base, 3]]),
    );
    const input = `${prompt}\ta song\n${prefix}\ta bread\n`;
    const mixed = await graft(dir, ["predict", "--mixed", "--json"], { input });
    deepStrictEqual(JSON.parse(mixed.stdout), [answers[1]![1]!, answers[0]![0]!]);

    const untold = await graft(dir, ["predict", "--mixed"], { input: "a song\n" });
    deepStrictEqual(
      untold.stderr,
      "error: Cannot read standard input line 1: expected a model's folder, a tab and a text\n",
    );
  });
});

Deno.test("predict gives a result for each line, or names the line that has none", async () => {
  await inEmptyFolder(async (dir) => {
    const model = ["--model", fileURLToPath(new URL("../peft/base", import.meta.url))];
    const predict = (input: string | Uint8Array) =>
      graft(dir, ["predict", ...model, "--json"], { input });
    for (
      const input of [
        "a bread\na song",
        "a bread\r\na song\r\n",
        "a bread\ra song",
        "\uFEFFa bread\na song\n",
      ]
    ) {
      const { code, stdout, stderr } = await predict(input);
      deepStrictEqual([code, JSON.parse(stdout).length], [0, 2], stderr);
    }
    const notUtf8 = Uint8Array.of(0x61, 0x0a, 0x62, 0xe9, 0x0a);
    for (
      const [input, message] of [
        ["a bread\n\na song\n", "line 2: it is blank, and each line is a text"],
        ["\n", "line 1: it is blank, and each line is a text"],
        ["a\n \t\n", "line 2: it is blank, and each line is a text"],
        ["a\r\n\rb", "line 2: it is blank, and each line is a text"],
        ["a\nb\0\n", "line 2: it holds a NUL character, which is no text"],
        [notUtf8, "line 2: it is not UTF-8 text"],
      ] as [string | Uint8Array, string][]
    ) {
      const { code, stdout, stderr } = await predict(input);
      deepStrictEqual([code, stdout], [1, ""]);
      deepStrictEqual(stderr, `error: Cannot read standard input ${message}\n`);
    }
    const unreadable = await predict("日本\n");
    match(unreadable.stderr, /^100\.0 % of the word pieces are unknown to the model: /);
    const nothing = await predict("");
    deepStrictEqual(nothing.stderr, "error: Cannot predict: no text was given\n");
  });
});

Deno.test("predict takes a table and writes it with what it predicts", async () => {
  await inEmptyFolder(async (dir) => {
    const model = fileURLToPath(new URL("../peft/base", import.meta.url));
    await Deno.writeTextFile(`${dir}/in.csv`, "id;Title\n7;a bread\n8;a song\n");
    const args = ["predict", "--model", model, "--file", "in.csv"];
    const written = await graft(dir, [...args, "--text", "Title", "--out", "out.csv"]);
    deepStrictEqual([written.code, written.stdout], [0, ""], written.stderr);
    match(written.stderr, /^2 rows are in out\.csv$/m);
    const rows = await Deno.readTextFile(`${dir}/out.csv`);
    match(rows, /^id,Title,predicted,score\n7,a bread,\w+,0\.\d+\n8,a song,\w+,0\.\d+\n$/);
    const unsure = await graft(dir, ["predict", "--model", model, "--abstain", "1", "--json", "x"]);
    deepStrictEqual(unsure.stdout, "[null]\n");
    const shown = await graft(dir, args);
    deepStrictEqual([shown.code, shown.stdout], [0, rows]);

    for (
      const [flags, message] of [
        [["--out", "out.csv", "x"], /^error: Cannot use --file with texts/],
        [["--text", "Titel"], /^error: Cannot read 'in\.csv': expected a column 'Titel', found/m],
      ] as [string[], RegExp][]
    ) {
      const { code, stdout, stderr } = await graft(dir, [...args, ...flags]);
      deepStrictEqual([code, stdout], [1, ""]);
      match(stderr, message);
    }
    const none = await graft(dir, ["predict", "--out", "out.csv", "x"]);
    deepStrictEqual(none.stderr, "error: Cannot use --out without --file\n");
  });
});

Deno.test("a command says in one line what it may not use, and how it might", async () => {
  await inEmptyFolder(async (dir) => {
    const flags = await permissionsOf([], { environment: { get: () => undefined } });
    const { code, stdout, stderr } = await new Deno.Command("deno", {
      args: ["run", "--no-prompt", ...flags, MAIN, "predict", "--model", dir, "text"],
      env: { NO_COLOR: "1", XDG_RUNTIME_DIR: dir },
    }).output();
    deepStrictEqual([code, stdout.length], [1, 0]);
    match(
      new TextDecoder().decode(stderr),
      /^error: Cannot go on: Requires read access to "[^"\n]+", and a task [^\n]+ with permissions\n$/,
    );
  });
});
