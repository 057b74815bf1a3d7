"""Runs the Python of model cards as it stands, and reads their metadata as the Hugging Face hub does.

    pip install -r tests/model_cards.txt
    python tests/model_cards.py          # of a model of each mode, and of a pretrained base, trained for it
    python tests/model_cards.py runs/*   # of folders

needs torch, and Deno on the path. Each folder is copied first, to another place.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from huggingface_hub import ModelCard
from transformers import AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXTS = ["a text", "It isn't UNKNOWABLE: naïve 日本語 \U0001f600", "word " * 600]
GRAFT = ["deno", "run", "--quiet", "--no-prompt", "--allow-read", "--allow-write", "--allow-sys", "main.ts"]
COMMON = ["--device", "wasm", "--epochs", "1"]


def train_all(folder: pathlib.Path) -> list[pathlib.Path]:
    """Trains a model of each mode on the bundled base for a step or two, and goes on with pretraining it."""
    rows = [f"{word} number {i},{label}" for i in range(20) for word, label in (("soup", "food"), ("goal", "sport"))]
    data = folder / "rows.csv"
    data.write_text("\n".join(["text,label", *rows]))
    texts = folder / "texts.txt"
    texts.write_text("\n".join(rows))
    made = [folder / mode for mode in ("full", "prefix", "prompt", "lora")]
    commands = [["train", "--mode", out.name, "--data", str(data), "--out", str(out)] for out in made]
    base = folder / "pretrained"
    commands.append(["pretrain", "--model", "models/bundled", "--texts", str(texts), "--out", str(base)])
    for command in commands:
        subprocess.run([*GRAFT, *command, *COMMON], cwd=ROOT, check=True, capture_output=True)
    return [*made, base]


def check(folder: pathlib.Path) -> None:
    card = ModelCard.load(folder / "README.md")
    data = card.data
    assert data.license and data.datasets and data.eval_results, data
    assert all(isinstance(result.metric_value, (int, float)) for result in data.eval_results)
    lengths = [len(ids) for ids in AutoTokenizer.from_pretrained(folder)(TEXTS, truncation=True).input_ids]
    print(folder.name, "license", data.license, "base", data.base_model, "tokens", lengths)
    base = re.search(r"^BASE = (.*)$", card.text, re.MULTILINE)
    if base is not None:
        tokenizers = [AutoTokenizer.from_pretrained(place) for place in (folder, json.loads(base[1]))]
        tokens = [tokenizer(TEXTS).input_ids for tokenizer in tokenizers]
        assert tokens[0] == tokens[1], "the tokenizer is not the base's"
    snippets = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    assert snippets, "the card has no Python"
    for snippet in snippets:
        # A long text is what a snippet without truncation fails on.
        for code in {snippet, snippet.replace('"a text"', repr(TEXTS[2]))}:
            done = subprocess.run([sys.executable, "-c", code], cwd=folder, text=True, capture_output=True)
            if done.returncode != 0:
                sys.exit(f"{folder.name}: {done.stderr[-2000:]}")
            print("  ", done.stdout.strip()[:100])


with tempfile.TemporaryDirectory() as place:
    names = [pathlib.Path(name) for name in sys.argv[1:]] or train_all(pathlib.Path(place))
    for name in names:
        check(pathlib.Path(shutil.copytree(name, pathlib.Path(place) / "elsewhere" / name.name)))
