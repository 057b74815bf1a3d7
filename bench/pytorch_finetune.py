"""Fine-tunes a BERT with PyTorch and transformers by the recipe of `train --mode full`.

For comparison of accuracy: same data files, tokenizer, batch size, schedule, AdamW, clipping,
dropout, evaluation after each epoch and choice of the best by validation accuracy. Needs the
packages torch, transformers and scikit-learn.

    python bench/pytorch_finetune.py MODEL_DIR DATA_DIR --seed 11
"""

import argparse
import csv
import json
import os
import time

import torch
from sklearn.metrics import accuracy_score, f1_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    get_linear_schedule_with_warmup,
)


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def predict(model, batches):
    model.eval()
    predicted, labels = [], []
    with torch.no_grad():
        for inputs, targets in batches:
            predicted += model(**inputs).logits.argmax(-1).tolist()
            labels += targets.tolist()
    return labels, predicted


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)

    splits = {
        name: read(os.path.join(args.data, f"{name}_simple.csv"))
        for name in ("train", "val", "test")
    }
    classes = sorted({label for _, label in splits["train"]})
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForSequenceClassification.from_pretrained(
        args.model, num_labels=len(classes), hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
    )

    def batches(rows, order):
        for start in range(0, len(order), args.batch_size):
            batch = [rows[i] for i in order[start:start + args.batch_size]]
            inputs = tokenizer(
                [text for text, _ in batch], padding=True, truncation=True,
                max_length=args.max_length, return_tensors="pt",
            )
            yield inputs, torch.tensor([classes.index(label) for _, label in batch])

    def evaluate(name):
        rows = splits[name]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
        labels, predicted = predict(model, batches(rows, order))
        return accuracy_score(labels, predicted), f1_score(labels, predicted, average="macro")

    rows = splits["train"]
    steps = args.epochs * -(-len(rows) // args.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimizer, -(-steps // 10), steps)
    best, best_weights, started = -1.0, None, time.time()
    for epoch in range(args.epochs):
        model.train()
        for inputs, targets in batches(rows, torch.randperm(len(rows)).tolist()):
            loss = model(**inputs, labels=targets).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        accuracy, f1_macro = evaluate("val")
        print(f"epoch {epoch + 1}: validation accuracy {accuracy:.4f}, macro-F1 {f1_macro:.4f}")
        if accuracy > best:
            best = accuracy
            best_weights = {name: value.clone() for name, value in model.state_dict().items()}

    model.load_state_dict(best_weights)
    accuracy, f1_macro = evaluate("test")
    print(json.dumps({
        "accuracy": accuracy, "f1_macro": f1_macro, "seconds": time.time() - started,
    }))


if __name__ == "__main__":
    main()
