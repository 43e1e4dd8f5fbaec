#!/usr/bin/env python3
"""Writes checkpoints with random weights in the shapes of well-known models, for measurements.

    VENV/bin/python bench/make_shapes.py FOLDER [t5-small whisper-tiny vit-base clip]

Each becomes FOLDER/NAME. Biases and scales of norms are moved off 0 and 1: equal tensors would be merged.
"""

import pathlib
import sys

import torch
import transformers as t

SHAPES = {
    "t5-small": lambda: t.T5ForConditionalGeneration(t.T5Config(decoder_start_token_id=0)),
    "whisper-tiny": lambda: t.WhisperForConditionalGeneration(
        t.WhisperConfig(d_model=384, encoder_layers=4, decoder_layers=4, encoder_attention_heads=6,
                        decoder_attention_heads=6, encoder_ffn_dim=1536, decoder_ffn_dim=1536,
                        suppress_tokens=None, begin_suppress_tokens=None)),
    "vit-base": lambda: t.ViTForImageClassification(t.ViTConfig(num_labels=1000)),
    "clip": lambda: t.CLIPModel(t.CLIPConfig()),
}  # fmt: skip


def main(folder, names):
    for name in names or SHAPES:
        torch.manual_seed(1234)
        model = SHAPES[name]().eval()
        with torch.no_grad():
            for key, value in model.named_parameters():
                if value.dim() == 1:
                    value.add_(torch.randn_like(value) * 0.02)
        model.save_pretrained(pathlib.Path(folder) / name)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
