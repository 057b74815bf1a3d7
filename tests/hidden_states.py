"""Compares what the last layer of a base with real weights gives with transformers: on 200 published
titles, the first of the test file, within 1e-4 of its norm.

    pip install torch transformers safetensors
    GRAFT_MODEL_DIR=all-mpnet-base-v2 GRAFT_YOUTUBE_DIR=youtube python tests/hidden_states.py

The folders are one with the files of a base, as sentence-transformers/all-mpnet-base-v2, and one with
the published CSV files. Deno must be on the path.
"""

import csv
import json
import os
import pathlib
import subprocess
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[1]
TITLES = 200
TOLERANCE = 1e-4

model_dir = pathlib.Path(os.environ["GRAFT_MODEL_DIR"]).resolve()
data_dir = pathlib.Path(os.environ["GRAFT_YOUTUBE_DIR"])
with open(data_dir / "test_simple.csv", newline="", encoding="utf-8") as file:
    titles = [row["text"] for row, _ in zip(csv.DictReader(file), range(TITLES))]

with tempfile.TemporaryDirectory() as place:
    texts, out = pathlib.Path(place) / "titles.json", pathlib.Path(place) / "states.safetensors"
    texts.write_text(json.dumps(titles))
    command = ["deno", "run", "--quiet", "--no-prompt", "--allow-read", "--allow-write", "tests/hidden_states.ts"]
    subprocess.run([*command, str(model_dir), str(texts), str(out)], cwd=ROOT, check=True)
    found = load_file(out)

tokenizer = AutoTokenizer.from_pretrained(model_dir)
model = AutoModel.from_pretrained(model_dir).eval()
worst = 0.0
for i, title in enumerate(titles):
    inputs = tokenizer(title, return_tensors="pt", truncation=True)
    assert inputs["input_ids"][0].tolist() == found[f"ids/{i}"].tolist(), f"other tokens of {title!r}"
    with torch.no_grad():
        expected = model(**inputs).last_hidden_state[0]
    error = ((found[f"states/{i}"] - expected).norm() / expected.norm()).item()
    worst = max(worst, error)
print(f"{len(titles)} titles: the hidden states differ by {worst:.2g} at most")
assert worst < TOLERANCE
