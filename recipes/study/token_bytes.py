"""What each token of a byte-level BPE tokenizer.json stands for."""

import json


def _byte_of_letter():
    """The inverse of the byte-level alphabet of GPT-2: printable bytes are themselves, others follow from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    letters.update({chr(256 + i): byte for i, byte in enumerate(others)})
    return letters


class TokenBytes:

    def __init__(self, file):
        document = json.loads(file.read_text(encoding="utf-8"))
        letters = _byte_of_letter()
        special = {token["id"]: token["content"] for token in document["added_tokens"]}
        self.end = next(number for number, name in special.items() if name == "<|endoftext|>")
        self.of = {
            number: bytes(letters[letter] for letter in name)
            for name, number in document["model"]["vocab"].items()
            if number not in special
        }

    def decode(self, ids):
        return b"".join(self.of[number] for number in ids)

    def begins_word(self, number):
        """Whether the token is a space and (the beginning of) a word: text cut here is encoded as it was before."""
        text = self.of[number]
        return text[:1] == b" " and len(text) > 1 and not text[1:].isspace()
