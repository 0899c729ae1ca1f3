#!/usr/bin/env python3
"""Records what sentencepiece makes of texts with two small models that it learns here: `plain.model`, made as Llama 2's is,
and `named.model`, which removes spaces and has pieces named by users; both in `sentencepiece.json`, beside this script.

Made with sentencepiece 0.2.3, Python 3.11:  pip install sentencepiece==0.2.3 && python3 record_sentencepiece.py
"""
import io
import json
import pathlib
import random

import sentencepiece

HERE = pathlib.Path(__file__).parent
LICENSE = (HERE / "../../../LICENSE").read_text(encoding="utf-8")
TEXTS = [
    "", " ", "  ", "a", "Hello, world!", " leading", "trailing ", "two  spaces   three", "line\nline\n\n\tline", "I'm sure they've said we'll see",
    "Größe, Straße, naïve café", "Пример текста", "こんにちは、世界", "你好，世界！", "안녕하세요", "e\u0301 o\u0308", "👍🏽 👩‍👩‍👧", "def f(x):\n    return x ** 2",
    "1234567 3.14159", "▁", "a ▁ ", "ab▁▁c", "_a", "the licence of the licensor", "aaaaaaaa", "abababab", "<0x41>", "USERUSER a USER", "x USER", "[x][x] [x]",
    "\u00a0\u3000\u200d", "\x01\x7f", "copyright copyrights copy", "THE WORK", "a.b.c.d", "a" * 70]


def random_texts(count):
    draw = random.Random(6)
    parts = [" ", "  ", "\n", "▁", "the", " of", "USER", "[x]", "é", "中", "👍", "1", "ing", "tion"]
    ranges = [(97, 123), (97, 123), (0x20, 0x3b), (0xa0, 0x250), (0x250, 0x3000), (0x10000, 0x1F000)]
    for _ in range(count):
        yield "".join(draw.choice(parts) if draw.random() < 0.5 else chr(draw.randrange(*draw.choice(ranges)))
                      for _ in range(draw.randrange(1, 30)))


def learned(name, **options):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*LICENSE.split("\n"), *TEXTS]), model_writer=out, vocab_size=520, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", character_coverage=0.98, hard_vocab_limit=False, num_threads=1, minloglevel=4, **options)
    (HERE / name).write_bytes(out.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())


def main():
    texts = TEXTS + list(random_texts(60))
    out = {"sentencepiece": sentencepiece.__version__, "texts": texts, "files": {}}
    for name, options in {"plain.model": {"remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True, "split_digits": True},
                          "named.model": {"remove_extra_whitespaces": True, "user_defined_symbols": ["USER", "[x]"],
                                          "control_symbols": ["<ctl>"]}}.items():
        model = learned(name, **options)
        ids = [model.encode(text) for text in texts]
        out["files"][name] = {"ids": ids, "decoded": [model.decode(each) for each in ids]}
    (HERE / "sentencepiece.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
