"""Exports a folder's model to ONNX with PyTorch, as models on the hub are for transformers.js.

Writes FOLDER/onnx/model.onnx and, with onnxruntime's dynamic quantisation, model_quantized.onnx,
when a line comes on standard input. Needs the packages torch, transformers, onnx and onnxruntime.

    echo | python bench/peers/programs/export_onnx.py FOLDER
"""

import contextlib
import logging
import pathlib
import sys
import warnings

from peer import run_peer

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def exporter():
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging as transformers_logging

    logging.disable(logging.WARNING)
    transformers_logging.disable_progress_bar()

    class Logits(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, *inputs):
            return self.model(**dict(zip(INPUTS, inputs, strict=True))).logits

    def export():
        folder = pathlib.Path(sys.argv[1])
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, attn_implementation="eager"
        ).eval()
        onnx = folder / "onnx"
        onnx.mkdir(exist_ok=True)
        ids = torch.ones((2, 8), dtype=torch.int64)
        rows = {0: "batch", 1: "length"}
        # What PyTorch says of its export would stand among the answers.
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Logits(model), (ids, ids, torch.zeros_like(ids)), onnx / "model.onnx", dynamo=False,
                input_names=INPUTS, output_names=["logits"],
                dynamic_axes=dict.fromkeys(INPUTS, rows) | {"logits": {0: "batch"}},
            )
            quantize_dynamic(
                onnx / "model.onnx", onnx / "model_quantized.onnx", weight_type=QuantType.QInt8
            )
        return "exported"

    return export


if __name__ == "__main__":
    run_peer(["torch", "transformers", "onnx", "onnxruntime"], exporter)
