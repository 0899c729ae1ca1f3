#!/usr/bin/env python3
"""Writes core/text/unicode_differences.cpp: where the `tokenizers` package and the libraries of Debian 12 disagree about
characters, because they know different versions of Unicode.

Made with tokenizers 0.23.3, libonig5 6.9.8, libutf8proc2 2.8.0; properties.txt is Oniguruma 6.9.8's doc/UNICODE_PROPERTIES:
    pip install tokenizers==0.23.3 && python3 unicode_differences.py properties.txt
"""
import bisect
import ctypes
import pathlib
import sys

from tokenizers import Regex, normalizers, pre_tokenizers

TARGET = pathlib.Path(__file__).resolve().parent / "../../../core/text/unicode_differences.cpp"
CHARACTERS = [c for c in range(1, 0x110000) if not 0xD800 <= c <= 0xDFFF]
TEXT = "".join(map(chr, CHARACTERS))
BYTES = TEXT.encode()
# Properties that no tokenizer is known to use: refused where they differ, which keeps the tables short.
REFUSED = "ci cwcf cwcm cwl cwt cwu dia ebase epres ext gr_base gr_ext gr_link idc ids idsb oalpha ogr_ext oidc olower " \
          "sd sterm term xidc xids zzzz".split()
POSIX = "newline alpha blank cntrl digit graph lower print punct space upper xdigit word alnum ascii".split()

# ---- the libraries, through ctypes ----
onig = ctypes.CDLL("libonig.so.5")
proc = ctypes.CDLL("libutf8proc.so.2")
libc = ctypes.CDLL(None)
libc.free.argtypes = [ctypes.c_void_p]
proc.utf8proc_map.argtypes = [ctypes.c_char_p, ctypes.c_ssize_t, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int]
proc.utf8proc_map.restype = ctypes.c_ssize_t
UTF8 = ctypes.addressof(ctypes.c_char.in_dll(onig, "OnigEncodingUTF8"))
TABLE = ctypes.cast(UTF8, ctypes.POINTER(ctypes.c_void_p))
CATEGORIES = "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co".split()
MAP = {"NFC": 2 | 8, "NFD": 2 | 16, "NFKC": 2 | 8 | 4, "NFKD": 2 | 16 | 4}


def ctype_of(name):
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(TABLE[10])
    text = ctypes.create_string_buffer(name.encode())
    start = ctypes.addressof(text)
    return call(UTF8, start, start + len(name))


def library_class(ctype):
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_uint32),
                            ctypes.POINTER(ctypes.POINTER(ctypes.c_uint32)))(TABLE[12])
    first, ranges = ctypes.c_uint32(), ctypes.POINTER(ctypes.c_uint32)()
    if call(ctype, first, ctypes.byref(ranges)) != 0:
        raise ValueError(ctype)
    found = set()
    for at in range(ranges[0]):
        found.update(range(ranges[2 * at + 1], ranges[2 * at + 2] + 1))
    return found.intersection(CHARACTERS)


def normal_form(text, name):
    out, data = ctypes.c_void_p(), text.encode()
    length = proc.utf8proc_map(data, len(data), ctypes.byref(out), MAP[name])
    result = ctypes.string_at(out.value, length).decode()
    libc.free(out.value)
    return result


CATEGORY = {c: CATEGORIES[proc.utf8proc_category(c)] for c in CHARACTERS}


def category(*names):
    return {c for c, name in CATEGORY.items() if name in names or name[0] in names}


# ---- the package ----
def kept(step):
    found = set()
    for _, (begin, end) in step.pre_tokenize_str(TEXT):
        found.update(CHARACTERS[begin:end])
    return found


def package_class(pattern):
    return kept(pre_tokenizers.Split(Regex(pattern + "+"), "removed", invert=True))


def words():
    """Characters that stay together in the package's own step for words."""
    found = set()
    step = pre_tokenizers.Whitespace()
    for c in CHARACTERS:
        if len(step.pre_tokenize_str("a" + chr(c))) == 1 and not chr(c).isspace():
            found.add(c)
    return found


def inert():
    """Characters that the package's normal forms leave alone and utf8proc's do not."""
    probes = "\u0334\u0327\u0316\u0301\u0345\u05b0\u3099\u093c\u0f71\u302a\u302e\u0315\u035c\u035d\u0591\u064b\u0c55"
    forms = {name: getattr(normalizers, name)() for name in MAP}
    found = set()
    for c in CHARACTERS[0x7F:]:
        letter = chr(c)
        texts = [letter]
        if CATEGORY[c][0] in "MC" and c < 0x20000:
            texts.append("".join("a" + letter + p + "a" + p + letter for p in probes))
        decomposed = normal_form(letter, "NFD")
        if decomposed != letter:
            texts += [decomposed, letter + "\u0301\u0316", decomposed[:-1] + "\u0301" + decomposed[-1:]]
        for text in texts:
            if any(normal_form(text, name) != form.normalize_str(text) for name, form in forms.items()):
                found.add(c)
                assert all(form.normalize_str(letter) == letter for form in forms.values()), hex(c)
    return found


# ---- the file ----
def ranges(characters):
    out = []
    for c in sorted(characters):
        following = bisect.bisect_right(CHARACTERS, out[-1][1]) if out else 0
        if out and following < len(CHARACTERS) and CHARACTERS[following] == c:
            out[-1][1] = c
        else:
            out.append([c, c])
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in out)


def literal(text, indent):
    """A C++ string, broken where a line would be longer than 120 columns."""
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) + indent + (24 if not lines else 6) > 120:
            lines.append(line)
            line = ""
        line += word + " "
    lines.append(line.rstrip())
    return ("\n" + " " * indent).join(f'"{each}"' for each in lines)


def entry(name, package, library):
    return f'    {{"{name}", {literal(ranges(package - library), 5)},\n     {literal(ranges(library - package), 5)}}},\n'


def oniguruma_entries(names):
    by_ctype = {}
    for name in names:
        by_ctype.setdefault(ctype_of(name), []).append(name)
    out = ""
    for number in sorted(by_ctype):
        shortest = min(by_ctype[number], key=lambda each: (len(each), each))
        package, library = package_class(r"\p{%s}" % shortest), library_class(number)
        for alias in by_ctype[number]:
            assert alias == shortest or package_class(r"\p{%s}" % alias) == package, alias
        if package != library and shortest.lower() not in REFUSED:
            out += entry(shortest.lower(), package, library)
    return out


def pair_lines(pairs):
    return "\n".join("    " + ", ".join(pairs[at:at + 5]) + "," for at in range(0, len(pairs), 6))


def main():
    lines = pathlib.Path(sys.argv[1]).read_text().splitlines()
    names = [line.strip() for line in lines[1:] if line.strip() and "Unicode Prop" not in line]
    names = [name for name in names if not name.startswith(("*", "In_", "Age"))]
    posix = ""
    for number, name in enumerate(POSIX):
        if number == 0:
            continue
        package, library = package_class(f"[[:{name}:]]"), library_class(number)
        if package != library:
            posix += entry(name, package, library)
    lower = normalizers.Lowercase()
    pairs = []
    for c in CHARACTERS:
        small = lower.normalize_str(chr(c))
        if small != chr(proc.utf8proc_tolower(c)) and len(small) == 1:
            pairs.append(f"{{0x{c:x}, 0x{ord(small):x}}}")
    without_marks = set(map(ord, normalizers.StripAccents().normalize_str(TEXT)))
    punctuation = set(CHARACTERS) - kept(pre_tokenizers.Punctuation("removed"))
    digits = pre_tokenizers.Digits(individual_digits=True)
    numeric = {c for c in CHARACTERS if len(digits.pre_tokenize_str("a" + chr(c))) == 2}
    library_words = category("L", "M", "Nd", "Nl", "Pc")
    classes = (entry("numeric", numeric, category("N")) + entry("word", words(), library_words) +
               entry("punctuation", punctuation, category("P")) +
               entry("mark", set(CHARACTERS) - without_marks, category("M")) + entry("inert", inert(), set()))
    TARGET.write_text(f"""// Made by tests/data/tokenizer/unicode_differences.py; not to be edited by hand.
#include "core/text/unicode_differences.h"

namespace mformer {{
namespace {{

// clang-format off
constexpr ClassDifference kPosix[] = {{
{posix}}};

constexpr ClassDifference kProperties[] = {{
{oniguruma_entries(names)}}};

constexpr ClassDifference kClasses[] = {{
{classes}}};

constexpr LetterPair kLowercase[] = {{
{pair_lines(pairs)}}};
// clang-format on

}}  // namespace

std::span<const ClassDifference> posix_differences() {{
  return kPosix;
}}

std::span<const ClassDifference> property_differences() {{
  return kProperties;
}}

std::string_view refused_properties() {{
  return "{" ".join(REFUSED)}";
}}

const ClassDifference& class_difference(std::string_view name) {{
  for (const ClassDifference& each : kClasses) {{
    if (each.name == name) return each;
  }}
  return kClasses[0];
}}

std::span<const LetterPair> lowercase_differences() {{
  return kLowercase;
}}

}}  // namespace mformer
""")


if __name__ == "__main__":
    main()
