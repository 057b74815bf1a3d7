"""Writes masked_language_model.safetensors beside this file: a small BertForMaskedLM of transformers
with random weights, a batch with labels at some tokens, the loss of these, and the gradient of
every parameter, that of the tied decoder among them.

    pip install torch transformers safetensors && python make.py
"""

import pathlib

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM

torch.manual_seed(7)
config = BertConfig(
    vocab_size=40,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=12,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    initializer_range=0.2,
)
model = BertForMaskedLM(config).eval()
for name, parameter in model.named_parameters():
    if parameter.dim() == 1:
        parameter.data += 0.1 * torch.randn_like(parameter)

ids = torch.randint(5, 40, (3, 7))
mask = torch.ones_like(ids)
mask[1, 5:] = 0
types = torch.zeros_like(ids)
types[2, 4:] = 1
# Places in the flattened batch that have labels; no id becomes [MASK], which is an id like any other
# here. Two texts have one label in common.
positions = torch.tensor([1, 4, 8, 10, 15, 20])
labels = ids.flatten()[positions].clone()
labels[4] = labels[0]
targets = torch.full((21,), -100)
targets[positions] = labels
output = model(ids, attention_mask=mask, token_type_ids=types, labels=targets.view(3, 7))
output.loss.backward()

tensors = {
    "input_ids": ids.int(),
    "attention_mask": mask.int(),
    "token_type_ids": types.int(),
    "masked_positions": positions.int(),
    "masked_labels": labels.int(),
    "loss": output.loss.detach().reshape(1),
}
for name, parameter in model.named_parameters():
    tensors[f"initial/{name}"] = parameter.data.clone()
    tensors[f"grad/{name}"] = parameter.grad.clone()
path = pathlib.Path(__file__).parent / "masked_language_model.safetensors"
save_file(tensors, path)
