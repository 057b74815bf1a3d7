"""Writes NAME.safetensors and NAME.json beside this file for a small classifier of each family, with
random weights, as ../golden/README.md describes: logits, loss, gradients, and the weights after
three steps of AdamW. Batches have texts of 3 to 14 tokens, so that distances fall into buckets and
local attention does not see whole texts.

    pip install torch transformers safetensors && python make.py
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForSequenceClassification

HERE = pathlib.Path(__file__).parent
LABELS = 3
LENGTHS = [14, 9, 3, 5]
LEARNING_RATES = [1e-3, 7.5e-4, 5e-4]
SIZES = dict(
    vocab_size=30,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=20,
    max_position_embeddings=24,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    initializer_range=0.3,
    num_labels=LABELS,
)
DEBERTA = dict(
    SIZES,
    relative_attention=True,
    position_buckets=6,
    pos_att_type=["p2c", "c2p"],
    share_att_key=True,
    norm_rel_ebd="layer_norm",
    position_biased_input=False,
    type_vocab_size=0,
)
MODERNBERT = dict(
    {key: value for key, value in SIZES.items() if "dropout" not in key},
    num_hidden_layers=4,
    local_attention=4,
    global_attn_every_n_layers=3,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
    cls_token_id=1,
    sep_token_id=2,
)
DISTILBERT = dict(
    vocab_size=30,
    dim=16,
    n_layers=2,
    n_heads=2,
    hidden_dim=20,
    max_position_embeddings=24,
    dropout=0.0,
    attention_dropout=0.0,
    seq_classif_dropout=0.0,
    initializer_range=0.3,
    num_labels=LABELS,
)
FAMILIES = {
    "roberta": ("roberta", dict(SIZES, pad_token_id=1, type_vocab_size=1)),
    "xlm_roberta": ("xlm-roberta", dict(SIZES, pad_token_id=1, type_vocab_size=1)),
    "camembert": ("camembert", dict(SIZES, pad_token_id=1, type_vocab_size=1)),
    "electra": ("electra", dict(SIZES, embedding_size=12)),
    "distilbert": ("distilbert", DISTILBERT),
    "mpnet": ("mpnet", dict(SIZES, pad_token_id=1)),
    "deberta_v2": ("deberta-v2", DEBERTA),
    "modernbert": ("modernbert", MODERNBERT),
    "modernbert_mean": ("modernbert", dict(MODERNBERT, classifier_pooling="mean", norm_bias=True)),
}


def make(name, model_type, settings):
    torch.manual_seed(3)
    config = AutoConfig.for_model(model_type, **settings)
    config._attn_implementation = "eager"
    model = AutoModelForSequenceClassification.from_config(config).eval()
    padding = config.pad_token_id
    for parameter_name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    ids = torch.full((len(LENGTHS), max(LENGTHS)), padding)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(3, 30, (length,))
        mask[row, :length] = 1
    batch = {"input_ids": ids, "attention_mask": mask}
    if getattr(config, "type_vocab_size", 0) > 1 and model_type != "mpnet":
        types = torch.zeros_like(ids)
        types[0, 6:] = types[1, 4:9] = 1
        batch["token_type_ids"] = types
    labels = torch.tensor([0, 2, 1, 2])
    tensors = {key: value.int() for key, value in batch.items()}
    tensors["labels"] = labels.int()
    for parameter_name, parameter in model.named_parameters():
        tensors[f"initial/{parameter_name}"] = parameter.data.clone()
    output = model(**batch, labels=labels)
    output.loss.backward()
    tensors["logits"] = output.logits.detach()
    tensors["loss"] = output.loss.detach().reshape(1)
    for parameter_name, parameter in model.named_parameters():
        tensors[f"grad/{parameter_name}"] = (
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    losses, norms = [], []
    for rate in LEARNING_RATES:
        optimizer.zero_grad()
        loss = model(**batch, labels=labels).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        losses.append(loss.item())
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    for parameter_name, parameter in model.named_parameters():
        tensors[f"after3/{parameter_name}"] = parameter.data.clone()
    save_file(tensors, HERE / f"{name}.safetensors")
    golden = {
        "config": config.to_dict(),
        "step_losses": losses,
        "step_grad_norms": norms,
        "step_lrs": LEARNING_RATES,
    }
    (HERE / f"{name}.json").write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    for name, (model_type, settings) in FAMILIES.items():
        make(name, model_type, settings)
