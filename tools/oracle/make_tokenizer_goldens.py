#!/usr/bin/env python3
"""Writes tests/data/tokenizers/pipelines.jsonl: small tokenizers, one for each component and option, with what the package
tokenizers 0.22.2 makes of some texts.

usage: make_tokenizer_goldens.py tests/data/tokenizers
"""

import json
import pathlib
import random
import sys

import tokenizers

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "parity"))
assert tokenizers.__version__ == "0.22.2"

VOCAB = {t: i for i, t in enumerate(["<unk>", "[CLS]", "[SEP]"] + sorted(set("abcdefghijklmnopqrstuvwxyzABCDHTW0123456789.,!?'\"-_ éüß▁Ġ你好世界привет가각Ã©<>")) +
                                    ["he", "ll", "hell", "hello", "wor", "ld", "world", "▁he", "▁wor", "##ld", "##l", "##o", "##e", "##r", "Ġw", "▁▁", "<0xE2>", "<0x98>", "<0x83>", "<0x0A>"])}
UNIGRAM = [[t, -1.0 - 0.25 * (i % 17) - (0 if len(t) > 1 else 3)] for t, i in VOCAB.items()]
BPE = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
       "vocab": VOCAB, "merges": [["h", "e"], ["l", "l"], ["he", "ll"], ["hell", "o"], ["w", "o"] if "wo" in VOCAB else ["l", "d"], ["▁", "▁"], ["▁", "he"], ["Ġ", "w"]]}
WORDPIECE = {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##", "max_input_chars_per_word": 20, "vocab": VOCAB}
TEXTS = ["hello world", "Hello, WORLD! it's 12 345", "  two  spaces\n\tend ", "héllo Übung ßé ﬁ½ Å e\u0301", "你好世界，hello", "привет мир", "가각 한국", "a\u200d👩‍👩‍👧☃ \u0000\u00a0x", "▁he ▁▁ld", "", "<s>hello</s> [CLS]ab c", "helloworldhelloworldhello", "'re don't", "ABCtheDEF the the,the"]


def tok(normalizer=None, pre_tokenizer=None, model=None, post_processor=None, decoder=None, added=()):
    tokens = [{"id": 1000 + i, "content": c, "single_word": "w" in f, "lstrip": "l" in f, "rstrip": "r" in f, "normalized": "n" in f, "special": "s" in f} for i, (c, f) in enumerate(added)]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": post_processor,
            "decoder": decoder, "model": model or WORDPIECE}


def cases():
    bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    for name, n in {"bert": bert, "bert cased": {**bert, "lowercase": False}, "bert accents": {**bert, "strip_accents": False}, "bert dirty": {**bert, "clean_text": False, "handle_chinese_chars": False},
                    **{k: {"type": k} for k in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Nmt", "StripAccents", "ByteLevel")},
                    "Strip": {"type": "Strip", "strip_left": True, "strip_right": True}, "Strip right": {"type": "Strip", "strip_left": False, "strip_right": True},
                    "Replace": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, "Replace regex": {"type": "Replace", "pattern": {"Regex": "\\s+|l{2}"}, "content": "wor"},
                    "Prepend": {"type": "Prepend", "prepend": "▁"}, "Sequence": {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]}}.items():
        yield f"normalizer {name}", tok(normalizer=n, pre_tokenizer={"type": "Whitespace"})
    byte = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    for name, p in {**{k: {"type": k} for k in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts")},
                    **{f"Punctuation {b}": {"type": "Punctuation", "behavior": b} for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")},
                    **{f"Split {b} {i}": {"type": "Split", "pattern": {"Regex": "l+|\\d"}, "behavior": b, "invert": i} for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous") for i in (False, True)},
                    "Split string": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithNext", "invert": False}, "Digits": {"type": "Digits", "individual_digits": False},
                    "Digits alone": {"type": "Digits", "individual_digits": True}, "CharDelimiterSplit": {"type": "CharDelimiterSplit", "delimiter": "l"}, "FixedLength": {"type": "FixedLength", "length": 3},
                    **{f"Metaspace {s} {q}": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": s, "split": q} for s in ("always", "first", "never") for q in (True, False)}}.items():
        yield f"pre_tokenizer {name}", tok(pre_tokenizer=p)
    for name, change in {"": {}, "no unk": {"unk_token": None}, "fuse": {"fuse_unk": True}, "bytes": {"byte_fallback": True}, "whole": {"ignore_merges": True},
                         "legacy": {"merges": [" ".join(m) for m in BPE["merges"]]}}.items():
        yield f"bpe {name}", tok(model={**BPE, **change}, pre_tokenizer={"type": "WhitespaceSplit"})
        yield f"byte-level bpe {name}", tok(model={**BPE, **change}, pre_tokenizer=byte, post_processor=byte, decoder=byte)
        yield f"metaspace bpe {name}", tok(model={**BPE, **change}, normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]})
    for name, change in {"": {}, "bytes": {"byte_fallback": True}}.items():
        for split in (True, False):
            yield f"unigram {name} {split}", tok(model={"type": "Unigram", "unk_id": 0, "vocab": UNIGRAM, "byte_fallback": False, **change}, pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": split}, decoder={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True})
    yield "wordlevel", tok(model={"type": "WordLevel", "vocab": VOCAB, "unk_token": "<unk>"}, pre_tokenizer={"type": "Whitespace"})
    piece = lambda s: {"Sequence": {"id": s[0], "type_id": s[1]}} if s[0] in "AB" else {"SpecialToken": {"id": s[0], "type_id": s[1]}}
    template = {"type": "TemplateProcessing", "single": [piece(x) for x in (("[CLS]", 0), ("A", 0), ("[SEP]", 0))], "pair": [piece(x) for x in (("[CLS]", 0), ("A", 0), ("[SEP]", 0), ("B", 1), ("[SEP]", 1))],
                "special_tokens": {t: {"id": t, "ids": [VOCAB[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}}
    for name, p in {"bert": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}, "roberta": {"type": "RobertaProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1], "trim_offsets": True, "add_prefix_space": True},
                    "template": template, "sequence": {"type": "Sequence", "processors": [byte, template]}}.items():
        yield f"post_processor {name}", tok(post_processor=p, pre_tokenizer=byte if name != "template" else {"type": "Whitespace"}, model=BPE)
    for flags in ("", "n", "s", "l", "r", "lr", "w", "wn", "nlr", "sn"):
        yield f"added tokens {flags}", tok(added=[("the", flags), ("<s>", "s"), ("ab c", flags), ("É", flags + "n")], normalizer={"type": "Lowercase"}, pre_tokenizer={"type": "Whitespace"})
    for d in ({"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "BPEDecoder", "suffix": "o"}, {"type": "CTC", "pad_token": "<unk>", "word_delimiter_token": "l", "cleanup": True}, {"type": "Fuse"},
              {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}):
        yield f"decoder {d['type']}", tok(decoder=d, model={**BPE, "byte_fallback": True}, normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "▁"})


def main():
    out = pathlib.Path(sys.argv[1])
    models = []
    with open(out / "pipelines.jsonl", "w", encoding="utf-8") as f:
        for index, (name, spec) in enumerate(cases()):
            t = tokenizers.Tokenizer.from_str(json.dumps(spec))
            r = random.Random(index)
            got = []
            for i, text in enumerate(r.sample(TEXTS, 7)):
                pair = "hello" if name.startswith("post_processor") and i % 2 else None
                e = t.encode(text, pair) if pair else t.encode(text)
                got.append({"text": text, "ids": e.ids, "type_ids": e.type_ids, "tokens": e.tokens, "offsets": [x for o in e.offsets for x in o], "words": [-1 if w is None else w for w in e.word_ids],
                            "special": e.special_tokens_mask, "decoded": t.decode(e.ids, skip_special_tokens=False), **({"pair": pair} if pair else {})})
            # Models are long and few: written once.
            if spec["model"] not in models:
                models.append(spec["model"])
            spec["model"] = models.index(spec["model"])
            f.write(json.dumps({"name": name, "tokenizer": spec, "cases": got}, ensure_ascii=False, separators=(",", ":")) + "\n")
    (out / "models.json").write_text(json.dumps(models, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


main()
