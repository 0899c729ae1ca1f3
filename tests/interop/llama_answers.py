"""What llama.cpp makes of a GGUF file, for test_llama_cpp.py, in the Python that has it. JSON in, JSON out:
{"model": FILE, "ids": [...]}        the logits after each of the tokens
{"model": FILE, "prompt": TEXT, "tokens": N}    the likeliest continuation, and the ids of the prompt"""

import json
import sys

import llama_cpp

F32 = 0  # of keys and values; by itself it would round them to 16 bits


def main():
    asked = json.load(sys.stdin)
    model = llama_cpp.Llama(asked["model"], n_ctx=64, n_threads=1, logits_all=True, type_k=F32, type_v=F32, verbose=False)
    if "ids" in asked:
        model.eval(asked["ids"])
        answer = {"logits": model.scores[: len(asked["ids"])].tolist()}
    else:
        made = model.create_completion(asked["prompt"], max_tokens=asked["tokens"], temperature=0.0)
        answer = {"text": made["choices"][0]["text"], "ids": model.tokenize(asked["prompt"].encode(), special=True)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
