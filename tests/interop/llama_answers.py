"""What llama.cpp makes of a GGUF file, for test_llama_cpp.py, in the Python that has it. JSON in, JSON out:
{"model": FILE, "ids": [...]}        the logits after each of the tokens
{"model": FILE, "prompt": TEXT, "tokens": N}    the ids of the prompt and of the likeliest continuation"""

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
        prompt = model.tokenize(asked["prompt"].encode(), special=True)
        made = [token for token, _ in zip(model.generate(prompt, temp=0.0, repeat_penalty=1.0), range(asked["tokens"]))]
        answer = {"ids": prompt, "made": made}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
