"""Runs the Python of model cards as it stands, and reads their metadata as the Hugging Face hub does.

    python tests/model_cards.py runs/*

needs torch, transformers and, for adapters, peft. Each folder is copied first, to another place.
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

TEXTS = ["a text", "It isn't UNKNOWABLE: naïve 日本語 \U0001f600", "word " * 600]


def check(folder: pathlib.Path) -> None:
    card = ModelCard.load(folder / "README.md")
    data = card.data
    assert data.license and data.datasets and data.eval_results, data
    assert all(isinstance(result.metric_value, float) for result in data.eval_results)
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
        for code in (snippet, snippet.replace('"a text"', repr(TEXTS[2]))):
            done = subprocess.run([sys.executable, "-c", code], cwd=folder, text=True, capture_output=True)
            if done.returncode != 0:
                sys.exit(f"{folder.name}: {done.stderr[-2000:]}")
            print("  ", done.stdout.strip()[:100])


with tempfile.TemporaryDirectory() as elsewhere:
    for name in sys.argv[1:]:
        copy = pathlib.Path(elsewhere) / pathlib.Path(name).name
        shutil.copytree(name, copy)
        check(copy)
