"""Reads the pages: their blocks, and the command lines in them."""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def blocks(page):
    """The indented and fenced blocks of a page, each a list of lines."""
    found, block, fenced = [], [], False
    for line in [*page.read_text().splitlines(), "end"]:
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            block.append(line if fenced else line[4:])
            continue
        elif not line and block and not fenced:
            block.append("")
            continue
        if block:
            found.append(block)
        block = []
    return found


def command_lines(page):
    """The lines that run mformer, without prompt and comment; a synopsis ("[--task NAME…]") is none."""
    lines = []
    for block in blocks(page):
        for line in block:
            line = re.sub(r"^\$ ", "", line)
            line = re.sub(r"\s+# .*$", "", line)
            if re.match(r"(source <\()?mformer ", line) and not re.search(r"\[|…", line):
                lines.append(line)
    return lines


def program():
    return Path(os.environ.get("MFORMER_BIN", ROOT / "build" / "release" / "bin" / "mformer")).resolve()
