#!/usr/bin/env python3
"""Compares calls with padding, truncation, overflow and pairs, decoding and chat templates with transformers' AutoTokenizer.

usage: tokenizer_calls.py TOKENIZE_JSONL FOLDER... [--calls N]
"""

import json
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != HERE]
import transformers  # noqa: E402

sys.path.append(HERE)
import tokenizer_lines as generator  # noqa: E402

CHATS = [[{"role": "user", "content": "Hello, how are you?"}],
         [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": "  Hi <b>there</b> \n"}, {"role": "assistant", "content": "Hello!\n"}, {"role": "user", "content": "Bye 'now' \"é\""}]]


def main():
    binary, folders = sys.argv[1], sys.argv[2:]
    failed = 0
    for folder in folders:
        tok = transformers.AutoTokenizer.from_pretrained(folder)
        r = random.Random(folder)
        lines = [x if isinstance(x, str) else x[0] for x in generator.lines(4000, folder)]
        requests, expected = [], []
        for _ in range(600):
            n = r.randint(1, 4)
            request = {"text": r.sample(lines, n), "padding": r.choice(["", "longest", "max_length"]), "stride": r.choice([0, 0, 1, 3]), "add_special_tokens": r.random() < 0.8,
                       "return_overflowing_tokens": r.random() < 0.5}
            if r.random() < 0.5:
                request["text_pair"] = r.sample(lines, n)
            if r.random() < 0.8:
                request["truncation"] = r.choice(["longest_first", "longest_first", "only_first", "only_second"])
            if r.random() < 0.8:
                request["max_length"] = r.randint(8, 40)
            elif tok.model_max_length > 4096:
                request.pop("truncation", None)
                request["padding"] = request["padding"].replace("max_length", "longest")
            if r.random() < 0.2 and "max_length" not in request:
                request["pad_to_multiple_of"] = r.choice([4, 8])
            if tok.pad_token is None:
                request["padding"] = ""
            try:
                e = tok(request["text"], request.get("text_pair"), padding={"": False}.get(request["padding"], request["padding"]), truncation=request.get("truncation"), max_length=request.get("max_length"),
                        stride=request["stride"], add_special_tokens=request["add_special_tokens"], pad_to_multiple_of=request.get("pad_to_multiple_of"),
                        return_overflowing_tokens=request["return_overflowing_tokens"], return_offsets_mapping=True, return_special_tokens_mask=True, return_token_type_ids=True, return_attention_mask=True)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                expected.append(None)
                requests.append(request)
                continue
            expected.append([{"input_ids": e["input_ids"][i], "token_type_ids": e["token_type_ids"][i], "attention_mask": e["attention_mask"][i], "offsets": [list(o) for o in e["offset_mapping"][i]],
                              "special_tokens_mask": e["special_tokens_mask"][i], "sequence_ids": [-1 if s is None else s for s in e.sequence_ids(i)]} for i in range(len(e["input_ids"]))])
            requests.append(request)
        for line in lines[:300]:
            ids = tok(line)["input_ids"]
            skip = r.random() < 0.5
            requests.append({"decode": ids, "skip_special_tokens": skip})
            expected.append(tok.decode(ids, skip_special_tokens=skip))
        if tok.chat_template:
            for chat in CHATS:
                for prompt in (False, True):
                    try:
                        want = tok.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt)
                    except Exception:
                        want = None
                    requests.append({"chat": chat, "add_generation_prompt": prompt})
                    expected.append(want)
        out = subprocess.run([binary, folder], input="".join(json.dumps(q) + "\n" for q in requests).encode(), stdout=subprocess.PIPE, check=True).stdout
        bad = refused = 0
        for q, want, line in zip(requests, expected, out.splitlines(), strict=True):
            got = json.loads(line)
            if want is None:
                refused += 1
                continue
            if isinstance(want, list) and "encodings" in got:
                got = [{k: e[k] for k in want[0]} for e in got["encodings"]]
            if got != want:
                bad += 1
                if bad <= 3:
                    print(f"  {json.dumps(q)[:400]}\n    expected {json.dumps(want)[:500]}\n    got      {json.dumps(got)[:500]}")
        print(f"{folder}: {len(requests)} requests, {bad} differ ({refused} that the reference refuses)")
        failed += bad > 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
