#!/usr/bin/env python3
"""Records what the `tokenizers` package makes of the parts that a tokenizer.json may have: `dialect.json` (ids and decoded
texts of many small changes to small.json) and `unicode.json` (hashes over all code points), beside this script.

Made with tokenizers 0.23.3, Python 3.11:  pip install tokenizers==0.23.3 && python3 record_dialect.py
"""
import hashlib
import json
import pathlib
import random

import tokenizers
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

HERE = pathlib.Path(__file__).parent
SMALL = json.loads((HERE / "small.json").read_text(encoding="utf-8"))
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
CHARACTERS = [c for c in range(1, 0x110000) if not 0xD800 <= c <= 0xDFFF]
ALL = "".join(map(chr, CHARACTERS))

O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
          r"|\s+(?!\S)|\s")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", r"[一-龥\u3040-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
            r"|\s*[\r\n]+|\s+(?!\S)|\s+"]
PATTERNS = {
    "cl100k": CL100K, "o200k": O200K, "llama3": LLAMA3, "qwen2": LLAMA3.replace("{1,3}", ""),
    "possessive": r"\p{N}{1,3}+", "open_interval": r"a{,3}|b{2,}", "inline_m": r"(?m:a.b)", "dot": r"a.b|.",
    "fold_ss": r"(?i:ss)", "fold_sharp": r"(?i:ß|ﬁ|ŉ)", "inline_i": r"a(?i)b|c", "lookahead": r"(?=[A-Z])",
    "lookbehind": r"(?<=\p{L})(?=\p{N})", "empty": "", "word": r"\w+|\W", "bounds": r"\bs|t\b", "posix": r"[[:punct:]]+",
    "intersection": r"[\p{L}&&[^a-z]]+", "garay": r"(?i:𐵐|Ꟛ|ɤ)", "garay_class": r"(?i:[𐵐Ꟛɤ])+", "han": r"\p{Han}+",
    "not": r"\p{^L}+|\P{N}", "absent": r"(?~b)", "lines": r"^.|.$", "keep": r"a\Kb", "hex": r"\h+|\R"}
REFUSED = {
    "perl_s": r"(?s:a.b)|\s+", "python_group": r"(?P<x>ab)|c", "open_group": "(a", "unknown_property": r"\p{Nonsense}",
"open_brackets": "[a"}
NORMALIZERS = {
    "nfc": {"type": "NFC"}, "nfd": {"type": "NFD"}, "nfkc": {"type": "NFKC"}, "nfkd": {"type": "NFKD"},
    "lowercase": {"type": "Lowercase"}, "prepend": {"type": "Prepend", "prepend": "▁"},
    "replace": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    "replace_pattern": {"type": "Replace", "pattern": {"Regex": " {2,}|\\d"}, "content": "_"},
    "strip": {"type": "Strip", "strip_left": True, "strip_right": True},
    "strip_left": {"type": "Strip", "strip_left": True, "strip_right": False},
    "no_accents": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]}}
STEPS = {
    "digits": [{"type": "Digits", "individual_digits": True}], "numbers": [{"type": "Digits", "individual_digits": False}],
    "whitespace": [{"type": "Whitespace"}], "whitespace_split": [{"type": "WhitespaceSplit"}],
    "punctuation": [{"type": "Punctuation", "behavior": "Contiguous"}], "bert": [{"type": "BertPreTokenizer"}],
    "delimiter": [{"type": "CharDelimiterSplit", "delimiter": "s"}],
    "deepseek": [{"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in DEEPSEEK]}
TEXTS = [
    "", " ", "aaabbb ab Abc aB AB c C", "123456789 12 3", "a\nb a b", "Straße STRASSE ss SS sS ſs ﬆ ﬁ ŉ ǰ İı ẞ",
    "It's 'S x'LL’s HelloWorld fooBar1Baz\r\n\n  ok ", "e\u0301 é \u1e69 s\u0323\u0307 s\u0307\u0323 가 각 각 Å Å ① ﬀ ㍿ \u0344",
    "日本語のテキスト、カタカナ。中文123字", "Ᲊᲊ Ꟛꟛ Ɤɤ 𐵐𐵰 𑷠𑷩 𑯰 \u0897 \u1c89", "«¡!?…—$+<=>^`|~» x_y-z", "\u0336a\u0334\u0301 \U00011938 ₂² Ⅷ",
    "  two  spaces\tand\u00a0more\u3000 ", "word <strip> word. <|endoftext|>a b", "ΌΣΟΣ Σίσυφος Ǆǅǆ", "👩‍👩‍👧 🇩🇪 x\u200dy"]


def change(**fields):
    return {**SMALL, **fields}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": [*steps, BYTE_LEVEL]}


def template(*pieces):
    tokens = {name: {"id": name, "ids": [SMALL["added_tokens"][0]["id"]], "tokens": [name]} for name in ("<s>", "</s>")}
    single = [{"Sequence": {"id": "A", "type_id": 0}} if p == "A" else {"SpecialToken": {"id": p, "type_id": 0}} for p in pieces]
    return {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": tokens}


def random_pattern(rng, depth=2):
    atoms = [r"\p{L}", r"\p{Lu}", r"\p{Ll}", r"\p{N}", r"\P{M}", r"\s", r"\S", r"\w", r"\W", r"\d", ".", "a", "b", "s", "ß", "K", "ſ",
             "1", "'", " ", r"\n", "é", "[a-s]", "[^\\s\\p{L}]", "[[:alpha:]&&[^s]]", "[ßk]", r"\b", "^", "$"]
    groups = ["(?:", "(?i:", "(?m:", "(", "(?>", "(?=", "(?!", "(?<=", "(?<!", "(?-i:", "(?i)(?:"]
    marks = ["", "", "", "*", "+", "?", "+?", "*+", "++", "{1,3}", "{1,3}+", "{,2}", "{2}", "{2,}?"]

    def item():
        if depth > 0 and rng.random() < 0.25:
            group = rng.choice(groups)
            return group + random_pattern(rng, depth - 1) + ")" + ("" if group[2:3] in "=!<" else rng.choice(marks))
        atom = rng.choice(atoms)
        return atom + ("" if atom in (r"\b", "^", "$") else rng.choice(marks))

    return "|".join("".join(item() for _ in range(rng.randint(1, 3))) for _ in range(rng.randint(1, 3)))


def variants():
    for name, pattern in PATTERNS.items():
        yield "pattern_" + name, {"pre_tokenizer": sequence(split({"Regex": pattern}))}
    for behavior in ("Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            yield f"{behavior}_{invert}", {"pre_tokenizer": sequence(split({"Regex": r"s*|\d"}, behavior, invert))}
    yield "string", {"pre_tokenizer": sequence(split({"String": "a."}), split({"String": " "}, "MergedWithNext"))}
    for name, steps in STEPS.items():
        yield "step_" + name, {"pre_tokenizer": sequence(*steps)}
    vocabulary = SMALL["model"]["vocab"]
    added = SMALL["added_tokens"] + [
        {"id": vocabulary.get(content, 1001 + at), "content": content, "single_word": at == 2, "lstrip": at == 1, "rstrip": False, "normalized": at != 3,
         "special": at == 1} for at, content in enumerate(["SS", "ÉÉ", "Wurf", "Åb"])]
    for name, normalizer in NORMALIZERS.items():
        fields = {"normalizer": normalizer, "added_tokens": added}
        yield "normalizer_" + name, fields
    yield "template", {"post_processor": template("<s>", "A")}
    yield "template_both", {"post_processor": {"type": "Sequence", "processors": [
        {**BYTE_LEVEL, "type": "ByteLevel"}, template("<s>", "A", "</s>")]}}
    yield "batches", {"truncation": {"direction": "Right", "max_length": 512, "strategy": "LongestFirst", "stride": 0},
                      "padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                                  "pad_type_id": 0, "pad_token": "<|endoftext|>"}}


def record(name, fields, texts):
    try:
        tokenizer = Tokenizer.from_str(json.dumps(change(**fields)))
    except Exception:
        return {"name": name, "fields": fields}
    ids = [tokenizer.encode(text).ids for text in texts]
    decoded = [tokenizer.decode(each, skip_special_tokens=False) for each in ids]
    skipped = [tokenizer.decode(each) for each in ids]
    return {"name": name, "fields": fields, "ids": ids, "decoded": decoded, "skipped": skipped if skipped != decoded else [],
            "bare": [tokenizer.encode(text, add_special_tokens=False).ids for text in texts] if "post_processor" in fields else []}


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def unicode_hashes():
    names = ("L Lu Ll Lt Lm Lo LC M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs C Cc Cf Cn Alphabetic Uppercase "
             "Lowercase Han Latin Cyrillic Hiragana Arabic Emoji Assigned Punct Letter").split()
    patterns = [r"\p{%s}" % name for name in names] + [r"\w", r"\W", r"\d", r"\s", r"\S", ".", r"[\w]"] + [
        f"[[:{name}:]]" for name in "alnum alpha digit graph lower print punct space upper word".split()] + [
        r"(?i:[a-zß])", r"(?i:[\p{Ll}])"]
    classes = {}
    for pattern in patterns:
        pieces = pre_tokenizers.Split(Regex(pattern + "+"), "removed", invert=True).pre_tokenize_str(ALL)
        classes[pattern] = digest("".join(piece for piece, _ in pieces))
    each = " ".join(ALL)
    probed = "".join(f"a{c}\u0316\u0301 \u0301{c}\u0316" for c in ALL)
    forms = {}
    for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"):
        step = getattr(normalizers, name)()
        forms[name] = [digest(step.normalize_str(each)), digest(step.normalize_str(probed))]
    steps = {}
    for name, step in (("Digits", pre_tokenizers.Digits(True)), ("Punctuation", pre_tokenizers.Punctuation("isolated")),
                       ("Whitespace", pre_tokenizers.Whitespace()), ("WhitespaceSplit", pre_tokenizers.WhitespaceSplit())):
        steps[name] = digest("\0".join(piece for piece, _ in step.pre_tokenize_str(ALL)))
    return {"classes": classes, "forms": forms, "steps": steps}


def main():
    rng = random.Random(20)
    files = [record(name, fields, TEXTS) for name, fields in variants()]
    files += [record("refused_" + name, {"pre_tokenizer": sequence(split({"Regex": pattern}))}, [])
              for name, pattern in REFUSED.items()]
    short = [TEXTS[at] for at in (2, 4, 5, 6, 12)]
    patterns = [random_pattern(rng) for _ in range(120)]
    drawn = []
    for pattern in list(patterns):
        try:
            drawn.append(record("random", {"pre_tokenizer": sequence(split({"Regex": pattern}))}, short))
        except BaseException:  # the package panics where a pattern needs too many steps
            patterns.remove(pattern)
    out = {"tokenizers": tokenizers.__version__, "texts": TEXTS, "files": files, "short_texts": short,
           "random": [{"pattern": pattern, "ids": each.get("ids")} for pattern, each in zip(patterns, drawn)]}
    (HERE / "dialect.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
    hashes = {"tokenizers": tokenizers.__version__, **unicode_hashes()}
    (HERE / "unicode.json").write_text(json.dumps(hashes, indent=1) + "\n")


if __name__ == "__main__":
    main()
