#!/usr/bin/env python3
"""Writes folders of older tokenizer files (no tokenizer.json), tiny ones, with what transformers 4.57.6 makes of each.

usage: make_slow_tokenizers.py tests/data/tokenizers/slow
Each folder has the vocabulary files, tokenizer_config.json, and expected.json: {"tokenizer": the converted tokenizer.json
without its model, "cases": [{"text", "ids", "offsets", "tokens", "type_ids"}]}.
"""

import io
import json
import pathlib
import shutil
import sys
import tempfile

import sentencepiece
import transformers

CORPUS = """The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs, 123 of them!
Don't you think that it's tokenization time? We'll see what they've got, 1,000 times over.
Übergrößenträger straße café naïve résumé. Привет, мир! Как дела сегодня? 今日は良い天気ですね。 北京 天安门 안녕하세요 세계
for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; } // comment <tag attr="x">
the of and to in is you that it he was for on are as with his they at be this have from or one had by word
lower LOWER Lower newest widest low wide new newer lowest hello world Hello World""".split("\n")

TEXTS = ["Hello world", "The quick brown fox, it's Tokenization!", "", " ", "  two  spaces   here ", "Café naïve Übergrößenträger", "今日は良い天気ですね", "Привет, мир!", "emoji 😀 and \u200d zwj",
         "line\nbreak\ttab", "<mask> <s> </s> [MASK] [CLS]", "the <mask>  filled", "1,000 5, 7,", "``quoted'' text", "안녕하세요 세계", "ﬁ ½ ㋿ Å", "x" * 120, "Don't you'll WE'VE", "<extra_id_0> <unk> <pad>", "<|endoftext|> hi <|startoftext|>", "a\u0301e\u0308"]


def wordpiece_vocab():
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<pad>", "<mask>", "<unk>", "<sep>", "<cls>"]
    letters = sorted({c for line in CORPUS for c in line.lower() + line if not c.isspace()})
    words = sorted({w for line in CORPUS for w in line.lower().replace(",", " ").replace(".", " ").split()})
    return specials + letters + ["##" + c for c in letters] + [w for w in words if len(w) > 1] + ["##er", "##est", "##ing", "##ization", "token"]


def write_bert(folder, **config):
    (folder / "vocab.txt").write_text("\n".join(wordpiece_vocab()) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


def write_bpe(folder, suffix="", specials=(), **config):
    import tokenizers
    from tokenizers import models, pre_tokenizers, trainers
    t = tokenizers.Tokenizer(models.BPE(end_of_word_suffix=suffix) if suffix else models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    extra = {"end_of_word_suffix": suffix} if suffix else {}
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False, **extra))
    with tempfile.TemporaryDirectory() as tmp:
        t.model.save(tmp)
        vocab = json.loads((pathlib.Path(tmp) / "vocab.json").read_text(encoding="utf-8"))
        merges = (pathlib.Path(tmp) / "merges.txt").read_text(encoding="utf-8")
    if suffix:
        for c in sorted(pre_tokenizers.ByteLevel.alphabet()):
            vocab.setdefault(c + suffix, len(vocab))
    for s in specials:
        vocab.setdefault(s, len(vocab))
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


def write_sentencepiece(folder, file, model_type, options=None, **config):
    out = io.BytesIO()
    options = {"vocab_size": 200, "normalization_rule_name": "nmt_nfkc", **(options or {})}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS * 3), model_writer=out, model_type=model_type, hard_vocab_limit=False, minloglevel=2, character_coverage=1.0, **options)
    data = out.getvalue()
    if config.pop("drop_charsmap", False):
        from sentencepiece import sentencepiece_model_pb2
        m = sentencepiece_model_pb2.ModelProto.FromString(data)
        m.normalizer_spec.precompiled_charsmap = b""
        data = m.SerializeToString()
    (folder / file).write_bytes(data)
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
IDENTITY = {"normalization_rule_name": "identity"}
BYTES = {"byte_fallback": True, "vocab_size": 440, "normalization_rule_name": "identity", "pad_id": -1}
FOLDERS = {
    "bert": lambda f: write_bert(f, tokenizer_class="BertTokenizer", model_max_length=512),
    "bert-cased": lambda f: write_bert(f, tokenizer_class="BertTokenizer", do_lower_case=False, tokenize_chinese_chars=False),
    "bert-accents": lambda f: write_bert(f, tokenizer_class="DistilBertTokenizer", do_lower_case=True, strip_accents=False),
    "mpnet": lambda f: write_bert(f, tokenizer_class="MPNetTokenizer"),
    "funnel": lambda f: write_bert(f, tokenizer_class="FunnelTokenizer"),
    "gpt2": lambda f: write_bpe(f, specials=["<|endoftext|>"], tokenizer_class="GPT2Tokenizer"),
    "gpt2-bos": lambda f: write_bpe(f, specials=["<|endoftext|>"], tokenizer_class="GPT2Tokenizer", add_bos_token=True, add_prefix_space=True),
    "roberta": lambda f: write_bpe(f, specials=ROBERTA, tokenizer_class="RobertaTokenizer"),
    "bart": lambda f: write_bpe(f, specials=ROBERTA, tokenizer_class="BartTokenizer", add_prefix_space=True),
    "clip": lambda f: write_bpe(f, suffix="</w>", specials=["<|startoftext|>", "<|endoftext|>"], tokenizer_class="CLIPTokenizer"),
    "qwen2": lambda f: write_bpe(f, specials=["<|endoftext|>"], tokenizer_class="Qwen2Tokenizer"),
    "deberta": lambda f: write_bpe(f, specials=["[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"], tokenizer_class="DebertaTokenizer"),
    "t5": lambda f: write_sentencepiece(f, "spiece.model", "unigram", {**IDENTITY, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}, tokenizer_class="T5Tokenizer"),
    "albert": lambda f: write_sentencepiece(f, "spiece.model", "unigram", {**IDENTITY, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"], "pad_id": 3}, tokenizer_class="AlbertTokenizer"),
    "xlm-roberta": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "unigram", IDENTITY, tokenizer_class="XLMRobertaTokenizer"),
    "camembert": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "unigram", IDENTITY, tokenizer_class="CamembertTokenizer"),
    "deberta-v2": lambda f: write_sentencepiece(f, "spm.model", "unigram", {**IDENTITY, "user_defined_symbols": ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]}, tokenizer_class="DebertaV2Tokenizer"),
    "pegasus": lambda f: write_sentencepiece(f, "spiece.model", "unigram", {**IDENTITY, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}, tokenizer_class="PegasusTokenizer"),
    "xlnet": lambda f: write_sentencepiece(f, "spiece.model", "unigram", {**IDENTITY, "control_symbols": ["<sep>", "<cls>", "<mask>"], "pad_id": 3}, tokenizer_class="XLNetTokenizer"),
    "rembert": lambda f: write_sentencepiece(f, "sentencepiece.model", "unigram", {**IDENTITY, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"], "pad_id": 3}, tokenizer_class="RemBertTokenizer"),
    "big-bird": lambda f: write_sentencepiece(f, "spiece.model", "unigram", {**IDENTITY, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"], "pad_id": 3}, tokenizer_class="BigBirdTokenizer"),
    "llama": lambda f: write_sentencepiece(f, "tokenizer.model", "bpe", BYTES, tokenizer_class="LlamaTokenizer"),
    "llama-new": lambda f: write_sentencepiece(f, "tokenizer.model", "bpe", BYTES, tokenizer_class="LlamaTokenizer", legacy=False, add_eos_token=True),
    "llama-unigram": lambda f: write_sentencepiece(f, "tokenizer.model", "unigram", {**BYTES, "vocab_size": 420}, tokenizer_class="LlamaTokenizer", add_prefix_space=False),
    "gemma": lambda f: write_sentencepiece(f, "tokenizer.model", "bpe", {**BYTES, "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>", "user_defined_symbols": ["<start_of_turn>", "<end_of_turn>", "\n\n"]}, tokenizer_class="GemmaTokenizer"),
    "mbart": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "unigram", IDENTITY, tokenizer_class="MBartTokenizer", src_lang="ro_RO", additional_special_tokens=["<new>"]),
    "mbart-bpe": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "bpe", IDENTITY, tokenizer_class="MBartTokenizer"),
    "mbart50": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "unigram", tokenizer_class="MBart50Tokenizer", additional_special_tokens=["<new>", "fr_XX"]),
    "nllb": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "bpe", tokenizer_class="NllbTokenizer"),
    "nllb-legacy": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "unigram", IDENTITY, tokenizer_class="NllbTokenizer", src_lang="fra_Latn", legacy_behaviour=True),
    "nllb-few": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "unigram", IDENTITY, tokenizer_class="NllbTokenizer", src_lang="xyz_Latn", additional_special_tokens=["fra_Latn", "abc"]),
    "xglm": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "unigram", IDENTITY, tokenizer_class="XGLMTokenizer"),
    "seamless": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "bpe", IDENTITY, tokenizer_class="SeamlessM4TTokenizer", src_lang="fra", additional_special_tokens=["__eng__", "__fra__"]),
    "seamless-unknown": lambda f: write_sentencepiece(f, "sentencepiece.bpe.model", "unigram", IDENTITY, tokenizer_class="SeamlessM4TTokenizer", add_prefix_space=False),
    "bert-generation": lambda f: write_sentencepiece(f, "spiece.model", "unigram", {**IDENTITY, "user_defined_symbols": ["<::::>"]}, tokenizer_class="BertGenerationTokenizer"),
}


class BertGeneration(transformers.PreTrainedTokenizerFast):
    """transformers has a conversion of BertGenerationTokenizer, but no fast class that would use it."""

    model_input_names = ["input_ids", "attention_mask"]

    @classmethod
    def from_pretrained(cls, folder):
        slow = transformers.BertGenerationTokenizer.from_pretrained(folder)
        tokens = {role: getattr(slow, role) for role in ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token")}
        fast = cls(tokenizer_object=transformers.convert_slow_tokenizer.BertGenerationConverter(slow).converted(), **tokens)
        for text in TEXTS:
            if fast(text)["input_ids"] != slow(text)["input_ids"]:
                print("bert-generation: slow and fast differ on", repr(text), slow(text)["input_ids"], fast(text)["input_ids"])
        return fast


# What is committed; the others are alike, and "all" as the second argument writes them too.
COMMITTED = ["bert", "bert-accents", "mpnet", "gpt2-bos", "roberta", "clip", "qwen2", "t5", "albert", "xlm-roberta", "llama", "llama-new", "gemma", "mbart", "nllb-few", "xglm", "seamless", "bert-generation"]


def main():
    out = pathlib.Path(sys.argv[1])
    for name, write in FOLDERS.items():
        if name not in COMMITTED and "all" not in sys.argv[2:]:
            continue
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            write(folder)
            auto = BertGeneration if name == "bert-generation" else transformers.AutoTokenizer
            tok = auto.from_pretrained(str(folder))
        except Exception as error:
            print(name, "failed:", repr(error)[:300], file=sys.stderr)
            shutil.rmtree(folder)
            continue
        padding = {"padding": False} if name.startswith("seamless") else {}  # it would pad to an even length
        tok("", **padding)  # SeamlessM4T starts as if for the target language, until it is called
        tokenizer = json.loads(tok.backend_tokenizer.to_str())
        del tokenizer["model"], tokenizer["truncation"], tokenizer["padding"], tokenizer["version"]
        cases = []
        for i, text in enumerate(TEXTS):
            pair = TEXTS[(i * 7 + 1) % len(TEXTS)] if i % 5 == 4 else None
            e = tok(text, pair, return_offsets_mapping=True, return_token_type_ids=True, **padding)
            case = {"text": text, "ids": e["input_ids"], "offsets": [list(o) for o in e["offset_mapping"]], "type_ids": e["token_type_ids"]}
            if pair is not None:
                case["text_pair"] = pair
            case["decoded"] = tok.decode(e["input_ids"], skip_special_tokens=True)
            cases.append(case)
        expected = {"tokenizer": tokenizer, "padding_side": tok.padding_side, "model_input_names": tok.model_input_names, "cases": cases}
        (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


main()
