"""Writes lora_*.json and lora_*.safetensors beside this file: small classifiers of transformers with
random weights and PEFT's LoRA on them, whose second matrices are random too, a batch of unequal
lengths, logits, loss, the gradients of what is trained, and the weights after three AdamW steps.
Also writes ../peft/lora, ../peft/lora_all and ../peft/lora_pooler, and their logits into
../peft/logits.json.

    pip install torch transformers peft safetensors && python make_lora.py
"""

import copy
import json
import pathlib
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForSequenceClassification, get_linear_schedule_with_warmup

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "families"))
from make import DEBERTA, DISTILBERT, MODERNBERT, SIZES as SMALL

PEFT = HERE.parent / "peft"
LABELS = 6
SIZES = dict(
    vocab_size=120,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=48,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
CASES = {
    # name: (model_type, sizes, settings of LoRA)
    "lora": ("bert", SIZES, dict(r=4, lora_alpha=8, target_modules=["query", "value"])),
    "lora_all": ("bert", SIZES, dict(r=3, lora_alpha=5, target_modules="all-linear")),
    "lora_roberta": (
        "roberta",
        dict(SMALL, pad_token_id=1, type_vocab_size=1),
        dict(r=2, lora_alpha=3, target_modules=["query", "value"]),
    ),
    # PEFT's "all-linear" would change a layer of the head that is trained itself.
    "lora_distilbert": (
        "distilbert",
        DISTILBERT,
        dict(r=3, lora_alpha=4, target_modules=["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"]),
    ),
    "lora_deberta_v2": (
        "deberta-v2",
        DEBERTA,
        dict(r=2, lora_alpha=5, target_modules=["query_proj", "value_proj"], use_rslora=True),
    ),
    # "dense" also ends the pooler's layer, which is trained whole.
    "lora_pooler": (
        "deberta-v2",
        DEBERTA,
        dict(r=2, lora_alpha=3, target_modules=["query_proj", "dense"], modules_to_save=["classifier", "pooler"]),
    ),
    "lora_modernbert": ("modernbert", dict(MODERNBERT, num_hidden_layers=3), dict(r=2, lora_alpha=4, target_modules="all-linear")),
}
FOLDERS = {
    **{name: settings for name, (model_type, _, settings) in CASES.items() if model_type == "bert"},
    "lora_pooler": dict(r=2, lora_alpha=3, target_modules=["query", "dense"], modules_to_save=["classifier", "pooler"]),
}


def with_lora(model, settings):
    # PEFT adds to the list of modules.
    model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", lora_dropout=0.0, **copy.deepcopy(settings)))
    for name, parameter in model.named_parameters():
        # PEFT begins with zeros, which would hide the first matrix from the logits, and with the
        # base's pooler.
        if "lora_B" in name or "pooler.modules_to_save" in name:
            parameter.data.normal_(std=0.2)
    return model


def plain(settings, config):
    """LoRA's settings as adapter_config.json has them."""
    targets = config.target_modules
    return {**settings, "target_modules": targets if isinstance(targets, str) else sorted(targets)}


def golden(name, model_type, sizes, settings):
    torch.manual_seed(13)
    config = AutoConfig.for_model(model_type, **sizes)
    config.num_labels = LABELS
    config.problem_type = "single_label_classification"
    model = AutoModelForSequenceClassification.from_config(config)
    for parameter_name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model = with_lora(model, settings).train()

    lengths = [9, 3, 7, 5, 8]
    ids = torch.randint(5, sizes["vocab_size"], (len(lengths), max(lengths)))
    mask = torch.zeros_like(ids)
    types = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
        ids[row, length:] = config.pad_token_id
    types[2, 4:7] = 1
    labels = torch.randint(LABELS, (len(lengths),))
    batch = dict(input_ids=ids, attention_mask=mask, labels=labels)
    if getattr(config, "type_vocab_size", 1) > 1:
        batch["token_type_ids"] = types

    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    tensors = {
        "input_ids": ids.int(),
        "attention_mask": mask.int(),
        "token_type_ids": types.int(),
        "labels": labels.int(),
    }
    for parameter_name, parameter in model.named_parameters():
        tensors[f"initial/{parameter_name}"] = parameter.data.clone()
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=1e-3, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, 4)
    losses, norms, rates = [], [], []
    for step in range(3):
        output = model(**batch)
        output.loss.backward()
        if step == 0:
            tensors["logits"] = output.logits.detach().clone()
            tensors["loss"] = output.loss.detach().reshape(1)
            for parameter_name, parameter in trained:
                tensors[f"grad/{parameter_name}"] = parameter.grad.clone()
        norms.append(float(torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)))
        losses.append(float(output.loss))
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    for parameter_name, parameter in trained:
        tensors[f"after3/{parameter_name}"] = parameter.data.clone()
    save_file(tensors, HERE / f"{name}.safetensors")
    golden = {
        "config": config.to_dict(),
        "step_losses": losses,
        "step_grad_norms": norms,
        "step_lrs": rates,
        "lora": plain(settings, model.peft_config["default"]),
    }
    (HERE / f"{name}.json").write_text(json.dumps(golden, indent=2) + "\n")


def folders():
    logits = json.loads((PEFT / "logits.json").read_text())
    for name, settings in FOLDERS.items():
        torch.manual_seed(17)
        base = AutoModelForSequenceClassification.from_pretrained(PEFT / "base")
        model = with_lora(base, settings).eval()
        with torch.no_grad():
            output = model(
                input_ids=torch.tensor(logits["input_ids"]),
                attention_mask=torch.tensor(logits["attention_mask"]),
            )
        logits["logits"][name] = output.logits.tolist()
        model.peft_config["default"].base_model_name_or_path = "base"
        model.save_pretrained(PEFT / name)
        (PEFT / name / "README.md").unlink()
    (PEFT / "logits.json").write_text(json.dumps(logits, indent=2) + "\n")


for name, case in CASES.items():
    golden(name, *case)
folders()
