"""Gradient times input of one logit, by PyTorch: python tests/golden/explanation.py

Writes explanation.json: for the batch and the initial weights of full.safetensors what each token
adds to the logit of class LABEL, the sum of its word embedding times that logit's gradient.
"""
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification

LABEL = 2

here = Path(__file__).parent
tensors = load_file(here / "full.safetensors")
config = BertConfig(**json.loads((here / "full.json").read_text())["config"])
model = BertForSequenceClassification(config).eval()
prefix = "initial/"
model.load_state_dict(
    {name[len(prefix):]: tensor for name, tensor in tensors.items() if name.startswith(prefix)},
    strict=False,
)
words = model.bert.embeddings.word_embeddings(tensors["input_ids"].long()).detach()
words.requires_grad_(True)
logits = model(
    inputs_embeds=words,
    attention_mask=tensors["attention_mask"].long(),
    token_type_ids=tensors["token_type_ids"].long(),
).logits
logits[:, LABEL].sum().backward()
contributions = (words.grad * words).sum(-1).detach()
(here / "explanation.json").write_text(
    json.dumps({"label": LABEL, "contributions": contributions.tolist()}) + "\n"
)
