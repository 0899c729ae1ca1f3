#!/usr/bin/env python3
"""Records what the `tokenizers` package makes of texts with files built as those of known families are: `families.json`
beside this script. The families with byte letters have the vocabulary of small.json; the others a small one of the
sentencepiece kind, which is learned here.

Made with tokenizers 0.23.3, Python 3.11:  pip install tokenizers==0.23.3 && python3 record_families.py
"""
import copy
import json
import random

import tokenizers
from record import HERE, LICENSE, random_texts
from record import TEXTS as MANY
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

SMALL = json.loads((HERE / "small.json").read_text(encoding="utf-8"))
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
LETTERS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
WORDS = {**LETTERS, "use_regex": True}
SPACES_TO_MARKS = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
MARKS_TO_SPACES = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
PREPEND = {"type": "Prepend", "prepend": "▁"}
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
TEXTS = [text for text in MANY if len(text) <= 60][::2] + list(random_texts(8, seed=8)) + [
    "<s>", "</s> a", "Hello <s>world</s>  again", "▁a ▁▁b", "_a", " <unk> ", "<0x41>", "x<|user|>  y", "été e\u0301te\u0301",
    "   ", "\n▁\n", "12345 1 23", "文字 中 𐍈", "a\u0000b"]


def learned():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=names, limit_alphabet=80, show_progress=False)
    tokenizer.train_from_iterator([LICENSE, *MANY], trainer)
    return json.loads(tokenizer.to_str())["model"]


PIECES = learned()


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def split(pattern, behavior="Isolated"):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": False}


def metaspace(scheme, whole=True, mark="▁"):
    return {"type": "Metaspace", "replacement": mark, "prepend_scheme": scheme, "split": not whole}


def added(content, token, **flags):
    return {"id": token, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **flags}


def specials(**flags):
    return [added(name, at, **flags) for at, name in enumerate(["<unk>", "<s>", "</s>"])]


def template(name, token, *after):
    single = [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
              *({"SpecialToken": {"id": each, "type_id": 0}} for each in after)]
    tokens = {name: {"id": name, "ids": [token], "tokens": [name]}}
    tokens.update({each: {"id": each, "ids": [2], "tokens": [each]} for each in after})
    return {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": tokens}


def bytes_file(model=None, **fields):
    return {"base": "small", "model": model or {}, "fields": fields}


def pieces_file(model=None, **fields):
    decoder = sequence("decoders", MARKS_TO_SPACES, {"type": "ByteFallback"}, {"type": "Fuse"}, STRIP)
    return {"base": "pieces", "model": model or {}, "fields": {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": specials(), "normalizer": None,
        "pre_tokenizer": None, "post_processor": None, "decoder": decoder, **fields}}


def families():
    small = SMALL["added_tokens"]
    end = len(SMALL["model"]["vocab"]) + 1
    digits = {"type": "Digits", "individual_digits": True}
    yield "smollm", bytes_file(pre_tokenizer=sequence("pretokenizers", digits, WORDS), normalizer=None)
    yield "granite", bytes_file(pre_tokenizer=sequence("pretokenizers", digits, {**WORDS, "add_prefix_space": False}),
                                post_processor={**WORDS, "trim_offsets": False})
    yield "olmoe", bytes_file(normalizer={"type": "NFC"}, added_tokens=small + [
        added(" " * (10 - at), end + at, normalized=True, special=False) for at in range(9)], post_processor=template("<|endoftext|>", 0))
    yield "qwen2", bytes_file(normalizer={"type": "NFC"}, pre_tokenizer=sequence(
        "pretokenizers", split({"Regex": QWEN}), LETTERS), added_tokens=small + [added("<|user|>", end)])
    llama3 = sequence("pretokenizers", split({"Regex": QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")}), LETTERS)
    yield "llama3", bytes_file(pre_tokenizer=llama3, model={"ignore_merges": True}, post_processor=sequence(
        "processors", LETTERS, template("<|endoftext|>", 0)))
    old = {"normalizer": sequence("normalizers", PREPEND, SPACES_TO_MARKS), "post_processor": template("<s>", 1)}
    yield "llama2_old", pieces_file(**old)
    yield "llama2_new", pieces_file(pre_tokenizer=metaspace("first"), post_processor=template("<s>", 1))
    yield "llama2_normalized_specials", pieces_file(**{**old, "added_tokens": specials(normalized=True)})
    yield "mixtral", pieces_file(**{**old, "post_processor": template("<s>", 1, "</s>")})
    yield "phi3", pieces_file(**{**old, "added_tokens": specials() + [
        added("<|user|>", 700, rstrip=True), added("<|end|>", 701, special=False, lstrip=True)]})
    yield "gemma", pieces_file(normalizer=SPACES_TO_MARKS, pre_tokenizer=split({"String": " "}, "MergedWithPrevious"),
                               decoder=sequence("decoders", MARKS_TO_SPACES, {"type": "ByteFallback"}, {"type": "Fuse"}))
    yield "words", pieces_file(pre_tokenizer=metaspace("always", False), decoder=metaspace("always"))
    yield "words_never", pieces_file(pre_tokenizer=metaspace("never", False), decoder=metaspace("never"), post_processor={
        "type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": True})
    yield "first_after_split", pieces_file(pre_tokenizer=sequence("pretokenizers", digits, metaspace("first", False)),
                                           normalizer={"type": "Replace", "pattern": {"String": "e"}, "content": "a"})
    yield "no_decoder", pieces_file(pre_tokenizer=metaspace("always", True, "_"), decoder=None, post_processor={
        "type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]})
    renamed = {"<0xE2>": None, "<0xF0>": None}  # removes them from the vocabulary
    yield "few_bytes", pieces_file(model={"vocab": renamed}, **old)
    yield "few_bytes_single", pieces_file(model={"vocab": renamed, "fuse_unk": False}, **old)
    yield "unknown_fused", pieces_file(model={"byte_fallback": False}, **old)
    yield "unknown_single", pieces_file(model={"byte_fallback": False, "fuse_unk": False}, **old)
    yield "unknown_left_out", pieces_file(model={"byte_fallback": False, "unk_token": None}, **old)
    yield "ignore_merges", pieces_file(model={"ignore_merges": True}, pre_tokenizer=metaspace("always", False))
    drawn = list(PIECES["merges"])
    random.Random(4).shuffle(drawn)
    yield "merges_in_another_order", pieces_file(model={"merges": drawn[:200]}, **old)


def patched(target, patch):
    """RFC 7396: null removes a field."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            target[name] = patched(target.get(name, {}), value)
        else:
            target[name] = value
    return target


def file_of(family):
    base = copy.deepcopy(SMALL) if family["base"] == "small" else {"model": copy.deepcopy(PIECES)}
    base.update(family["fields"])
    patched(base["model"], family["model"])
    return json.dumps(base)


def record(name, family):
    tokenizer = Tokenizer.from_str(file_of(family))
    framed = [tokenizer.encode(text).ids for text in TEXTS]
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    decoded = [tokenizer.decode(each, skip_special_tokens=False) for each in ids]
    skipped = [tokenizer.decode(each) for each in ids]
    tokenizer.encode_special_tokens = True
    as_text = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    same = lambda other, first: None if other == first else other  # noqa: E731
    return {"name": name, **family, "ids": ids, "framed": same(framed, ids), "as_text": same(as_text, ids), "decoded": decoded,
            "skipped": same(skipped, decoded)}


def main():
    out = {"tokenizers": tokenizers.__version__, "texts": TEXTS, "pieces": PIECES,
           "files": [record(name, family) for name, family in families()]}
    text = json.dumps(out, ensure_ascii=True, separators=(",", ":"))
    (HERE / "families.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
