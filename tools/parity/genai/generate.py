"""Greedy decoding in ONNX Runtime GenAI, in a virtual environment of its own (../check_genai.py).

usage: generate.py FOLDER NEW_TOKENS PROMPTS    PROMPTS: JSON, rows of tokens of one length, or a text
Prints {"sequences": rows of tokens, "text": what the tokenizer makes of a text's row}.
"""

import json
import sys

import numpy as np
import onnxruntime_genai as og


def main() -> None:
    folder, count, prompts = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    model = og.Model(folder)
    tokenizer = og.Tokenizer(model) if isinstance(prompts, str) else None
    rows = [list(tokenizer.encode(prompts))] if tokenizer else prompts
    parameters = og.GeneratorParams(model)
    parameters.set_search_options(do_sample=False, max_length=len(rows[0]) + count, batch_size=len(rows))
    generator = og.Generator(model, parameters)
    generator.append_tokens(np.array(rows if len(rows) > 1 else rows[0], dtype=np.int32))
    while not generator.is_done():
        generator.generate_next_token()
    sequences = [[int(token) for token in generator.get_sequence(row)] for row in range(len(rows))]
    print(json.dumps({"sequences": sequences, "text": tokenizer.decode(sequences[0]) if tokenizer else ""}))


main()
