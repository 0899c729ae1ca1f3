"""One reader per package: each takes the folder where the package was unpacked and yields articles (plain text)."""

import gzip
import re
import struct
import zlib

from markup import html_paragraphs, rst_paragraphs


def _read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def anarchism(package):
    """Essays as HTML."""
    for path in sorted((package / "usr/share/doc/anarchism/html").glob("*.html")):
        paragraphs = html_paragraphs(_read(path))
        if sum(map(len, paragraphs)) > 2_000:  # shorter pages are lists of links
            yield "\n\n".join(paragraphs)


def gcide(package):
    """A dictionary; only entries with enough prose around the definition."""
    with gzip.open(package / "usr/share/dictd/gcide.dict.dz", "rt", encoding="utf-8", errors="replace") as file:
        text = file.read()
    for entry in re.split(r"\n\n(?=\S)", text)[1:]:
        entry = re.sub(r"\\[^\\\n]*\\,?", "", entry)                              # pronunciation
        entry = re.sub(r"\s*\[(1913 Webster|Webster 1913|PJC|WordNet|Century)[^\]]*\][^\n]*", "", entry)
        entry = re.sub(r"[{}]", "", entry)
        paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", entry)]
        article = "\n\n".join(part for part in paragraphs if part)
        if len(article) >= 700 and "\N{REPLACEMENT CHARACTER}" not in article:
            yield article


def python_manual(package):
    """The prose of Python's manual, without its FAQ (those are questions of another domain) and change logs."""
    sources = package / "usr/share/doc/python3.11/html/_sources"
    for part in ("c-api", "extending", "howto", "library", "reference", "tutorial", "using"):
        for path in sorted((sources / part).glob("*.rst.txt")):
            yield "\n\n".join(rst_paragraphs(_read(path), min_length=20))


def bible(package):
    """The World English Bible in Sword's compressed format: a 12-byte index entry per block (offset, length, size)."""
    folder = package / "usr/share/sword/modules/texts/ztext/engWEB2015eb"
    for testament in ("ot", "nt"):
        index = (folder / f"{testament}.bzs").read_bytes()
        blocks = (folder / f"{testament}.bzz").read_bytes()
        for offset, length, _ in struct.iter_unpack("<III", index):
            if length:
                yield _osis_text(zlib.decompress(blocks[offset:offset + length]).decode("utf-8", "replace"))


def _osis_text(osis):
    osis = re.sub(r"<note\b.*?</note>|<title\b[^>]*>.*?</title>", " ", osis, flags=re.S)
    osis = re.sub(r'<div\b[^>]*type="x-p"[^>]*>|<(lg|/lg|chapter)\b[^>]*>', "\n\n", osis)
    text = re.sub(r"<[^>]*>", "", osis)
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return "\n\n".join(re.sub(r" ([,.;:?!])", r"\1", part) for part in paragraphs if part)


def libreoffice_help(package):
    """Help pages; passages that many pages repeat are kept once."""
    seen = set()
    for path in sorted((package / "usr/share/libreoffice/help").glob("*/text/**/*.html")):
        page = _read(path)
        start, end = page.find('id="DisplayArea"'), page.find('id="SearchFrame"')
        if start < 0:
            continue
        paragraphs = html_paragraphs("<div " + page[start:end if end > start else None].rsplit("<", 1)[0])
        new = [text for text in paragraphs if text not in seen and not text.startswith(("/text/", "Title is:"))]
        seen.update(new)
        if sum(map(len, new)) > 300:
            yield "\n\n".join(new)


def _unseen(paragraphs, seen):
    """Those that no document before had: what two licences or pages share is a text once."""
    new = [text for text in paragraphs if text not in seen]
    seen.update(new)
    return new


def licence_texts(package):
    """The wording of free licences, from the XML of SPDX's list; a licence in another language is left out."""
    seen = set()
    for path in sorted((package / "usr/share/rubygems-integration").glob("**/license-list-XML/src/*.xml")):
        text = re.search(r"<text>(.*)</text>", _read(path), flags=re.S)
        paragraphs = _unseen(html_paragraphs(text[1]), seen) if text else []
        if sum(map(len, paragraphs)) > 1_000:
            yield "\n\n".join(paragraphs)


def debian_policy(package):
    """The rules that Debian's packages obey, and those of the file system, as HTML."""
    seen = set()
    for path in sorted((package / "usr/share/doc/debian-policy").rglob("*.html")):
        if not path.is_file() or path.stem in ("genindex", "search"):
            continue
        page = _read(path)
        start = page.find('<div class="body"')
        paragraphs = _unseen([text for text in html_paragraphs(page[max(start, 0):]) if len(text) > 20], seen)
        if sum(map(len, paragraphs)) > 1_000:
            yield "\n\n".join(paragraphs)


def debian_constitution(package):
    """Constitution, social contract and manifesto as wrapped text; earlier versions say nearly the same."""
    for name in ("constitution.txt.gz", "social-contract.txt.gz", "debian-manifesto.gz"):
        with gzip.open(package / "usr/share/doc/debian" / name, "rt", encoding="utf-8", errors="replace") as file:
            yield "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", file.read()))


def debian_reference(package):
    """A handbook as wrapped text: paragraphs are joined to lines, commands stay as they are, tables go."""
    (path,) = (package / "usr/share/debian-reference").glob("debian-reference.*.txt.gz")
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
        text = file.read()
    for chapter in re.split(r"\n(?=Kapitel \d+\. )", text[text.find("\nKapitel 1. "):]):
        parts = re.split(r"\n\s*\n", chapter)
        yield "\n\n".join(part.strip("\n") if re.search(r"^\s*[$#] ", part) else " ".join(part.split())
                          for part in parts if part.strip() and "--+" not in part)


FORTUNES = ("anekdoten", "gedichte", "mathematiker", "murphy", "regeln", "sprichworte", "sprueche", "wusstensie", "zitate")


def fortunes(package):
    """Quotations and proverbs, a paragraph each."""
    for name in FORTUNES:
        for quotation in re.split(r"\n%\n", _read(package / "usr/share/games/fortunes/de" / name)):
            yield "\n".join(line.strip() for line in quotation.strip("%\n").split("\n"))


GENERATED = ("encodings", "pydoc_data", "lib2to3/pgen2", "test", "tests")  # tables rather than programs


def python_sources(package):
    """Modules of the standard library."""
    root = package / "usr/lib/python3.11"
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not any(f"/{part}/" in "/" + name for part in GENERATED):  # one link dangles
            yield f"# {name}\n" + _read(path)
