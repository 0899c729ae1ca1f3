"""Articles of any length become documents of 4 to 16 KB, so that a split by document leaves enough on both sides."""

import re

SMALLEST = 4_000
LARGEST = 16_000


def cut(text):
    """Pieces of at most about LARGEST characters, cut at paragraph ends; a longer paragraph stays whole."""
    piece = ""
    for paragraph in re.split(r"\n\n+", text):
        if piece and len(piece) + len(paragraph) > LARGEST:
            yield piece
            piece = ""
        piece = piece + "\n\n" + paragraph if piece else paragraph
    if piece:
        yield piece


class Shelf:
    """Numbered documents in a folder; short articles share one, long ones get several."""

    def __init__(self, folder, prefix, suffix):
        self.folder, self.prefix, self.suffix = folder, prefix, suffix
        self.waiting, self.waiting_size = [], 0
        self.count = self.bytes = 0

    def add(self, article):
        article = article.strip("\n")
        if len(article) >= SMALLEST:
            self._flush()
            for piece in cut(article):
                self._write(piece)
        elif article:
            self.waiting.append(article)
            self.waiting_size += len(article)
            if self.waiting_size >= 2 * SMALLEST:
                self._flush()

    def close(self):
        """Writes what is left; returns the bytes of all documents."""
        self._flush()
        return self.bytes

    def _flush(self):
        if self.waiting:
            self._write("\n\n".join(self.waiting))
        self.waiting, self.waiting_size = [], 0

    def _write(self, text):
        data = (text + "\n").encode()
        self.count += 1
        self.bytes += len(data)
        (self.folder / f"{self.prefix}-{self.count:05}{self.suffix}").write_bytes(data)
