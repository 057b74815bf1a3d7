"""Times training steps of a BERT classifier in PyTorch, in rounds that the caller asks for.

The model is transformers' BertForSequenceClassification with PyTorch's fused attention, random
weights and six classes; a step is forward, backward, clipping of the gradient's norm to
1.0 and fused AdamW. Prints a line of JSON with the versions, then for each line of standard input
one with the milliseconds of the steps of that round. Needs the packages torch and transformers.

    echo | python bench/peers/programs/pytorch_step.py --layers 6 --hidden 384 --heads 12 --words 30522
"""

import argparse
import os
import time

from peer import run_peer

WARM_UP_STEPS = 2


def step_timer(args):
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    torch.set_num_threads(args.threads)
    config = BertConfig(
        vocab_size=args.words, hidden_size=args.hidden, num_hidden_layers=args.layers,
        num_attention_heads=args.heads, intermediate_size=4 * args.hidden, num_labels=6,
        attn_implementation="sdpa",
        hidden_dropout_prob=args.dropout, attention_probs_dropout_prob=args.dropout,
    )
    model = BertForSequenceClassification(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    shape = (args.batch_size, args.length)
    inputs = {
        "input_ids": torch.randint(args.words, shape),
        "attention_mask": (torch.arange(args.length) < args.tokens).long().expand(shape),
        "labels": torch.randint(6, shape[:1]),
    }

    def step_ms():
        started = time.perf_counter()
        loss = model(**inputs).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        return 1000 * (time.perf_counter() - started)

    return step_ms


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("layers", "hidden", "heads", "words"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--tokens", type=int, help="the rest of the length is padding")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=5, help="in a round")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    args.tokens = args.tokens or args.length

    def rounds():
        step_ms = step_timer(args)
        for _ in range(WARM_UP_STEPS):
            step_ms()
        return lambda: [step_ms() for _ in range(args.steps)]

    run_peer(["torch", "transformers"], rounds)


if __name__ == "__main__":
    main()
