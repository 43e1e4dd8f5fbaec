"""Every golden case: exported by ferry, loaded by optimum.onnxruntime, compared with what transformers computed."""

import pathlib

import torch
from common import (
    EXAMPLE, Ferry, Golden, Table, compare_folders, config_difference, expect, goldens, optimum_export,
)  # fmt: skip
from optimum import onnxruntime as optimum_onnxruntime

CLASSES = {
    "feature-extraction": "ORTModelForFeatureExtraction",
    "fill-mask": "ORTModelForMaskedLM",
    "question-answering": "ORTModelForQuestionAnswering",
    "text-classification": "ORTModelForSequenceClassification",
    "token-classification": "ORTModelForTokenClassification",
    "multiple-choice": "ORTModelForMultipleChoice",
    "image-classification": "ORTModelForImageClassification",
    "semantic-segmentation": "ORTModelForSemanticSegmentation",
    "zero-shot-image-classification": "ORTModelForZeroShotImageClassification",
    "audio-classification": "ORTModelForAudioClassification",
    "audio-frame-classification": "ORTModelForAudioFrameClassification",
    "audio-xvector": "ORTModelForAudioXVector",
    "automatic-speech-recognition": "ORTModelForCTC",
}

# transformers of today does not read their configuration, which is one of its older versions.
UNREADABLE = ["phi3-text-generation-with-past-su"]

# Optimum's own export takes seconds, so its folder is compared for these only: every task, and what changes a folder.
COMPARED = [
    *(f"{model_type}-{task}" for model_type in ("bert", "distilbert") for task in CLASSES),
    "bert-feature-extraction-from-head",
    "bert-feature-extraction-relative-key-query",
    "bert-fill-mask-untied",
    "bert-fill-mask-old-names",
    "bert-question-answering-sharded",
    "st-bert-mean-normalize",
    "st-bert-cls",
    "st-bert-weightedmean",
    "st-bert-dense-tanh",
    "st-distilbert-mean-normalize",
]


def class_name(golden: Golden) -> str:
    inputs, outputs = golden.runs[0]
    # Optimum's classes of a task take the inputs and give the outputs that most models have, and drop others.
    unusual = {"bbox", "decoder_input_ids"} & inputs.keys()
    if unusual or (golden.task == "feature-extraction" and list(outputs) != ["last_hidden_state"]):
        return "ORTModelForCustomTasks"
    return CLASSES.get(golden.task, "ORTModelForCustomTasks")


def run_ort_model(golden: Golden, folder: pathlib.Path) -> list[dict]:
    model = getattr(optimum_onnxruntime, class_name(golden)).from_pretrained(folder)
    outputs = []
    for inputs, _ in golden.runs:
        result = model(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        outputs.append({name: value.numpy() for name, value in result.items()})
    return outputs


def check(ferry: Ferry, table: Table, scratch: pathlib.Path) -> None:
    for golden in goldens():
        source, ours = golden.materialize(scratch / "source"), scratch / "ours"
        with table.row("golden", golden.name) as notes:
            ferry.export(source, ours, *golden.flags)
            notes.append(f"max difference {golden.compare_folder(ours):.1e}")
            # Several files: check_generation.py.
            if list(golden.parts) == ["model.onnx"] and golden.name not in UNREADABLE:
                golden.compare(golden.runs, run_ort_model(golden, ours))
                notes.append(class_name(golden))
        if golden.name in COMPARED and (ours / "model.onnx").exists():
            with table.row("folder as Optimum's", golden.name) as notes:
                theirs = optimum_export(source, scratch / "theirs", "--task", golden.task)
                notes.append(compare_folders(source, ours, theirs))
                difference = config_difference(ours, theirs)
                notes += [difference] if difference else []


def check_example(ferry: Ferry, table: Table, scratch: pathlib.Path) -> None:
    from make_example import MUST_ANSWER
    from transformers import AutoTokenizer
    from transformers import pipeline as transformers_pipeline

    ours = scratch / "example"
    with table.row("example export", "task inferred from config.json") as notes:
        ferry.export(EXAMPLE, ours)
    if not (ours / "model.onnx").exists():
        return

    with table.row("example answers", f"{len(MUST_ANSWER)} questions") as notes:
        model = optimum_onnxruntime.ORTModelForQuestionAnswering.from_pretrained(ours)
        tokenizer = AutoTokenizer.from_pretrained(ours)
        answerer = optimum_onnxruntime.pipeline("question-answering", model=model, tokenizer=tokenizer)
        reference = transformers_pipeline("question-answering", model=str(EXAMPLE), tokenizer=str(EXAMPLE), device="cpu")
        worst = 0.0
        for question, context, right in MUST_ANSWER:
            got, wanted = (ask(question=question, context=context) for ask in (answerer, reference))
            # What the small model gets wrong it must get wrong alike; the question of the documents it answers.
            expect(got["answer"] == wanted["answer"], f"{question} -> {got['answer']}, not {wanted['answer']}")
            expect(question != "What am I using?" or got["answer"] == right, f"{question} -> {got['answer']}")
            expect((got["start"], got["end"]) == (wanted["start"], wanted["end"]), f"{question}: {got}, not {wanted}")
            worst = max(worst, abs(got["score"] - wanted["score"]))
        notes.append(f"scores differ by {worst:.1e}")
        expect(worst < 1e-4, "too much")

    with table.row("folder as Optimum's", EXAMPLE.name) as notes:
        theirs = optimum_export(EXAMPLE, scratch / "example-optimum", "--task", "question-answering")
        notes.append(compare_folders(EXAMPLE, ours, theirs))
        difference = config_difference(ours, theirs)
        notes += [difference] if difference else []
