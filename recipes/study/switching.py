"""Documents that change domain half-way, and what a model with several hypotheses loses by not knowing where.

Each has `context` − 1 tokens and with the end-of-text token fills one window of evaluation: the first half are
held-out tokens of one domain, the second half of another. Only documents that the split rule holds out are kept, so
`eval` sees them all.
"""

import array
import itertools
import json
import math
import random
import shutil
import struct
import subprocess

from texts import split_number, take

TRIES = 4000  # of one document; one in 20 is held out, and most of those are encoded as they were cut


def encode(program, tokenizer, text):
    done = subprocess.run([program.path, "tokenizer", "encode", "--tokenizer", tokenizer, "--json"], input=text,
                          check=True, capture_output=True)
    return json.loads(done.stdout)


def held_out_tokens(program, tokenizer, folder, limit=120_000):
    documents = take(folder, limit, lambda document: split_number(document) < 50)
    return [encode(program, tokenizer, file.read_bytes()) for file in documents]


def _piece(source, length, tokens, choose):
    """`length` tokens of one document that begin and end with a word."""
    for _ in range(TRIES):
        ids = choose.choice(source)
        start = choose.randrange(max(1, len(ids) - length))
        if start + length < len(ids) and tokens.begins_word(ids[start]) and tokens.begins_word(ids[start + length]):
            return ids[start:start + length]
    raise ValueError("the held-out documents are too short for one that changes domain")


def _document(program, tokenizer, tokens, sources, context, choose):
    for _ in range(TRIES):
        ids = (_piece(sources[0], context // 2, tokens, choose) +
               _piece(sources[1], context - 1 - context // 2, tokens, choose))
        text = tokens.decode(ids)
        if split_number(text) < 50 and encode(program, tokenizer, text) == ids:
            return text, ids
    raise ValueError("no document that changes domain could be made: there is too little held-out text")


def make(program, tokenizer, tokens, text, domains, context, count, target):
    """Writes `count` documents of each ordered pair of domains; returns [{file, first, second, ids}]."""
    sources = {
        domain: [ids for ids in held_out_tokens(program, tokenizer, text / domain) if len(ids) > context // 2]
        for domain in domains
    }
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    made = []
    for first, second in itertools.permutations(domains, 2):
        choose = random.Random(f"{first} {second}")
        for number in range(count):
            document, ids = _document(program, tokenizer, tokens, (sources[first], sources[second]), context, choose)
            file = target / f"{first}-{second}-{number}.txt"
            file.write_bytes(document)
            made.append({"file": file.name, "first": first, "second": second, "ids": [*ids, tokens.end]})
    return made


def write_ids(file, documents):
    """`input_ids` for probe, one document a row."""
    rows, width = len(documents), len(documents[0]["ids"])
    header = json.dumps({"input_ids": {"dtype": "I64", "shape": [rows, width],
                                       "data_offsets": [0, 8 * rows * width]}}).encode()
    body = array.array("q", itertools.chain.from_iterable(document["ids"] for document in documents))
    file.write_bytes(struct.pack("<Q", len(header)) + header + body.tobytes())


class Logits:
    """The logits that probe wrote, read row by row."""

    def __init__(self, file):
        self.stream = open(file, "rb")
        length = struct.unpack("<Q", self.stream.read(8))[0]
        entry = json.loads(self.stream.read(length))["logits"]
        if entry["dtype"] != "F32":
            raise ValueError(f"probe wrote logits as {entry['dtype']}, not F32")
        self.begin = 8 + length + entry["data_offsets"][0]
        self.rows, self.positions, self.vocabulary = entry["shape"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def loss(self, row, position, target):
        """−ln p(target) at a position, in nats."""
        self.stream.seek(self.begin + 4 * self.vocabulary * (row * self.positions + position))
        values = array.array("f", self.stream.read(4 * self.vocabulary))
        most = max(values)
        return most + math.log(sum(map(math.exp, (value - most for value in values)))) - values[target]

    def losses(self, row, ids, first, last):
        """Of tokens first … last − 1 of the document in this row, each given all before it."""
        return sum(self.loss(row, t - 1, ids[t]) for t in range(first, last))


def regret(documents, domains, probed):
    """Nats per token by which the mixture's loss exceeds that of knowing each document's domains and where they change.

    `probed(domain)` is a context manager for the file that probe wrote for these documents as that domain, or, for
    None, as the mixture of all; a file is needed only while it is looked at.
    """
    tokens = sum(len(document["ids"]) - 2 for document in documents)  # not the first, nor the end of the text
    with probed(None) as file, Logits(file) as logits:
        mixture = sum(logits.losses(row, d["ids"], 1, len(d["ids"]) - 1) for row, d in enumerate(documents)) / tokens
    known = sum(_halves(documents, domain, probed) for domain in domains) / tokens
    return {"mixture": mixture, "known": known, "regret": mixture - known, "tokens": tokens}


def _halves(documents, domain, probed):
    """Summed loss of this domain's halves under its own hypothesis."""
    total = 0.0
    with probed(domain) as file, Logits(file) as logits:
        for row, document in enumerate(documents):
            ids, half = document["ids"], len(document["ids"]) // 2
            if domain == document["first"]:
                total += logits.losses(row, ids, 1, half)
            if domain == document["second"]:
                total += logits.losses(row, ids, half, len(ids) - 1)
    return total
