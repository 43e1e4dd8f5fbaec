"""Makes tests/data/pipelines: tiny random models with a tokenizer, and what transformers' pipelines answer with them.

python tools/oracle/make_pipeline_goldens.py    (packages: tools/oracle/requirements.txt)
"""

import json
import pathlib
import string

import torch
from sentence_transformers import CrossEncoder
from transformers import (BertConfig, BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification,
                          BertForTokenClassification, BertModel, BertTokenizerFast, pipeline)

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "pipelines"
WORDS = """the a cat dog house sat on mat who what where is in of and paris france lives works john mary at acme
corporation blue red sky good bad film movie great terrible this example about sports politics science not""".split()
TEXTS = ["The cat sat on the mat.", "John lives in Paris and works at Acme Corporation", "a terrible, TERRIBLE movie!",
         "Élan vital — naïve café 漢字 😀 unknownish words", "mary"]
CONTEXT = ("John lives in Paris, France. Mary works at Acme Corporation, and the sky is blue. " * 9).strip()


def make_tokenizer():
    letters = list(string.ascii_lowercase + string.digits + ".,!?'-")
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *["##" + c for c in letters], *WORDS, "##s", "##ed"]
    vocab = list(dict.fromkeys(vocab))
    file = ROOT / "vocab.txt"
    file.write_text("\n".join(vocab) + "\n")
    tokenizer = BertTokenizerFast(vocab_file=str(file), do_lower_case=True, model_max_length=64)
    file.unlink()
    return tokenizer


def make_model(kind, tokenizer, seed, **settings):
    torch.manual_seed(seed)
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
                        intermediate_size=29, max_position_embeddings=64, **settings)
    model = kind(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1)
    return model


def plain(value):
    return json.loads(json.dumps(value, default=float))


def write(name, task, model, tokenizer, calls):
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)
    pipe = pipeline(task, model=model, tokenizer=tokenizer)
    cases = []
    for inputs, options in calls:
        if task == "question-answering":
            output = pipe(question=inputs["question"], context=inputs["context"], **options)
        elif task == "zero-shot-classification":
            output = pipe(inputs, **options)
        else:
            output = pipe(inputs, **options)
        # A single text in, a list of one out: ferry gives the one.
        if task == "text-classification" and isinstance(output, list) and "top_k" not in options:
            output = output[0]
        cases.append({"input": inputs, "options": options, "output": plain(output)})
    (folder / "expected.json").write_text(json.dumps({"task": task, "cases": cases}, indent=1, ensure_ascii=False) + "\n")


def write_ranking(name, model, tokenizer, calls, activation=None, whole=False):
    """What CrossEncoder.rank() answers. `whole`: the folder as sentence-transformers saves it."""
    folder = ROOT / name
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    encoder = CrossEncoder(str(folder), activation_fn=activation)
    if whole:
        encoder.save_pretrained(str(folder))
        encoder = CrossEncoder(str(folder))
    cases = [{"input": {"query": query, "documents": documents}, "options": options,
              "output": plain(encoder.rank(query, documents, **options))} for query, documents, options in calls]
    for left_over in ("vocab.txt", "README.md"):
        (folder / left_over).unlink(missing_ok=True)
    (folder / "expected.json").write_text(json.dumps({"task": "text-ranking", "cases": cases}, indent=1, ensure_ascii=False) + "\n")


def main():
    ROOT.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    labels = {0: "contradiction", 1: "neutral", 2: "ENTAILMENT"}
    nli = make_model(BertForSequenceClassification, tokenizer, 1, id2label=labels, label2id={v: k for k, v in labels.items()})
    pairs = [({"text": t, "text_pair": "the dog"}, {}) for t in TEXTS[:2]]
    write("text-classification", "text-classification", nli, tokenizer,
          [(t, {}) for t in TEXTS] + [(t, {"top_k": None}) for t in TEXTS] + [(TEXTS[0], {"top_k": 2})] +
          [(TEXTS[1], {"function_to_apply": f, "top_k": 3}) for f in ("sigmoid", "none", "softmax")] + pairs)
    write("zero-shot-classification", "zero-shot-classification", nli, tokenizer,
          [(t, {"candidate_labels": ["sports", "politics", "science"], **extra}) for t in TEXTS[:3]
           for extra in ({}, {"multi_label": True}, {"hypothesis_template": "It is about {}!"})] +
          [(TEXTS[0], {"candidate_labels": ["sports"]})])
    multi = make_model(BertForSequenceClassification, tokenizer, 2, num_labels=4, problem_type="multi_label_classification")
    write("multi-label", "text-classification", multi, tokenizer, [(t, {"top_k": None}) for t in TEXTS])
    regression = make_model(BertForSequenceClassification, tokenizer, 3, num_labels=1, problem_type="regression")
    write("regression", "text-classification", regression, tokenizer, [(t, {}) for t in TEXTS])
    tags = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
    ner = make_model(BertForTokenClassification, tokenizer, 4, id2label=tags, label2id={v: k for k, v in tags.items()})
    write("token-classification", "token-classification", ner, tokenizer,
          [(t, {"aggregation_strategy": s}) for t in TEXTS for s in ("none", "simple", "first", "average", "max")] +
          [(CONTEXT, {"aggregation_strategy": "first", "stride": 9}), (TEXTS[1], {"ignore_labels": ["B-PER"]})])
    mlm = make_model(BertForMaskedLM, tokenizer, 5)
    write("fill-mask", "fill-mask", mlm, tokenizer,
          [("the [MASK] sat on the mat.", {}), ("the [MASK] sat on the [MASK].", {"top_k": 2}),
           ("john lives in [MASK]", {"targets": ["paris", "france", "john"]})])
    qa = make_model(BertForQuestionAnswering, tokenizer, 6)
    questions = [{"question": "Who works at Acme?", "context": c} for c in (TEXTS[1], TEXTS[3], CONTEXT)]
    write("question-answering", "question-answering", qa, tokenizer,
          [(q, o) for q in questions for o in ({}, {"top_k": 3}, {"handle_impossible_answer": True}, {"max_answer_len": 3},
                                               {"align_to_words": False}, {"max_seq_len": 40, "doc_stride": 12})])
    body = make_model(BertModel, tokenizer, 7)
    write("feature-extraction", "feature-extraction", body, tokenizer, [(t, {}) for t in TEXTS[:2]])
    documents = [*TEXTS, CONTEXT, "", TEXTS[0]]  # one longer than the model takes, one that comes twice
    rankings = [(q, documents, o) for q, o in ((TEXTS[0], {}), ("Who works at Acme?", {"top_k": 3, "return_documents": True}),
                                               (CONTEXT, {}))] + [(TEXTS[0], [], {})]
    judge = make_model(BertForSequenceClassification, tokenizer, 8, num_labels=1)
    write_ranking("text-ranking", judge, tokenizer, rankings, torch.nn.Identity(), whole=True)
    judge.config.sbert_ce_default_activation_function = "torch.nn.modules.activation.Tanh"
    tokenizer.model_max_length = int(1e30)  # the number of positions is what cuts
    write_ranking("text-ranking-old", judge, tokenizer, rankings[1:2])


if __name__ == "__main__":
    main()
