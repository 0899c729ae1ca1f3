#!/usr/bin/env python3
"""Records what the `tokenizers` package makes of a set of texts: tokenizer files and `expected.json` beside this script.

Made with tokenizers 0.23.3, Python 3.11:  pip install tokenizers==0.23.3 && python3 record.py
The vocabulary is learned from the repository's LICENSE and the texts below.
"""
import json
import pathlib
import random

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
LICENSE = (HERE / "../../../LICENSE").read_text(encoding="utf-8")

TEXTS = [
    "", " ", "  ", "a", "Hello, world!", "The quick brown fox jumps over the lazy dog.",
    "I'm sure they've said we'll see; it's Bob's, isn't it? You're right, I'd go. I'M SURE THEY'VE",
    "Größe, Straße, naïve café, Ça va? Żółć, Øre, İstanbul, ﬁn, ſ",
    "Пример текста на русском языке.", "Παράδειγμα κειμένου", "مرحبا بالعالم، كيف حالك؟", "שלום עולם",
    "नमस्ते दुनिया, यह हिन्दी है", "สวัสดีชาวโลก", "こんにちは、世界。日本語のテキスト", "你好，世界！中文字符", "안녕하세요 세계",
    "e\u0301 o\u0308 n\u0303 a\u0300\u0301\u0302", "👍🏽 👩‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "def f(x):\n\tif x > 0:\n\t\treturn x ** 2  # square\n    return None\n",
    "int main() { std::vector<int> v{1, 2, 3}; return v[0]; }", '{"key": [1, 2.5e-3, null], "b": "\\u00e9"}',
    "x²½Ⅷ٣٤ 1234567 3.14159 1,000,000 0xFF", "http://example.org/a?b=c&d=%20#e",
    "\x00\x01\x02\x1b[0m\x7f\x80\x9f", "a\x00b", "line\r\nline\rline\n\n\nline", "\t\ttabs\t\tand    spaces   ",
    "   leading and trailing   ", " \n \n ", "\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000 x", "a\u0085b\u180ec\u200bd\ufeffe",
    "\ufffd\uffff\U0010ffff\ue000", "\U00031350\U0002ebf0\U00011f02\U0001e4f0\U0001d2c0 new",
    "a" * 200, "ab" * 100, "!?" * 60, "-" * 100, " " * 70 + "x", "\n" * 50, "supercalifragilisticexpialidocious" * 10,
    "<|endoftext|>", "a<|endoftext|>b", " <|endoftext|> ", "<|endoftext|><|endoftext|>", "<|endoftext", "<|ENDOFTEXT|>",
    "x  <strip>  y", "<strip><strip>", "a\u3000<strip>\n\n b", "word", "a word here", "swordfish words word's (word)",
    "wordé word\u0301 word\u200d _word word_ 1word", "éword ²word", "end  \n\t\t", "  <strip>word<|endoftext|>   word ",
]  # fmt: skip


def random_texts(count, seed=5):
    draw = random.Random(seed)
    parts = ["<|endoftext|>", "<strip>", "word", " ", "  ", "\n", "\t", "'s", "é", "the", "1", "٣", "中", "👍", "\u0301", "\u200d"]
    ranges = [(32, 127), (0, 0x250), (0x250, 0x3000), (0x3000, 0xD800), (0x10000, 0x32000)]
    for _ in range(count):
        pieces = []
        for _ in range(draw.randrange(1, 12)):
            pieces.append(draw.choice(parts) if draw.random() < 0.5 else chr(draw.randrange(*draw.choice(ranges))))
        yield "".join(pieces)


def trained():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=["<|endoftext|>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([LICENSE, *TEXTS], trainer)
    return tokenizer


def small(tokenizer):
    tokenizer.add_tokens([AddedToken("<strip>", lstrip=True, rstrip=True, normalized=False),
                          AddedToken("word", single_word=True)])


def prefix_space(tokenizer):
    small(tokenizer)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)


def codegen(tokenizer):
    tokenizer.add_tokens([AddedToken(" " * n) for n in range(31, 1, -1)] + [AddedToken("\t" * n) for n in range(9, 1, -1)])


def split_sequence(tokenizer):
    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
               r"|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def main():
    texts = TEXTS + list(random_texts(300))
    expected = {"tokenizers": tokenizers.__version__, "texts": texts, "files": {}}
    for change in (small, prefix_space, codegen, split_sequence):
        tokenizer = trained()
        change(tokenizer)
        content = json.loads(tokenizer.to_str())
        content["model"]["ignore_merges"] = change is split_sequence
        if change is codegen:  # the older way to write merges
            content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
        name = change.__name__ + ".json"
        (HERE / name).write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        tokenizer = Tokenizer.from_file(str(HERE / name))
        record = {"ids": [tokenizer.encode(text).ids for text in texts]}
        record["decoded"] = [tokenizer.decode(ids, skip_special_tokens=False) for ids in record["ids"]]
        record["decoded_without_special"] = [tokenizer.decode(ids, skip_special_tokens=True) for ids in record["ids"]]
        record["decoded_halves"] = [tokenizer.decode(ids[: len(ids) // 2]) for ids in record["ids"]]
        tokenizer.encode_special_tokens = True
        record["ids_special_as_text"] = [tokenizer.encode(text).ids for text in texts]
        expected["files"][name] = record
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
