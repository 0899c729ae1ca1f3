"""The texts of a study: domains as folders of documents, text for the vocabulary, mixtures for joint training."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from program import Failed

ROOT = Path(__file__).resolve().parents[2]
FETCH = ROOT / "recipes/corpora/fetch.sh"
SAMPLE = ROOT / "tests/data/sample"


def split_number(document):
    """The rule of docs/data.md: below 50 held out, below 100 for validation, else for training."""
    return int.from_bytes(hashlib.sha256(document).digest()[:8], "big") % 1000


def fetch(folder, domains):
    done = subprocess.run(["bash", FETCH, folder, *domains], check=False)
    if done.returncode != 0:
        raise Failed("the texts can't be fetched; for a trial without a network: --quick")


def copy_sample(folder, domains, characters=500):
    """The sample of the repository as many short documents, so that every split of each domain has some."""
    for domain in domains:
        target = folder / domain
        if target.exists():
            continue
        if domain == "qa":
            shutil.copytree(SAMPLE / "qa", target)
            continue
        text = "\n\n".join(_text_of(file) for file in sorted((SAMPLE / domain).iterdir()))
        temporary = folder / f".{domain}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for start in range(0, len(text), characters):
            (temporary / f"{start:07}.txt").write_text(text[start:start + characters], encoding="utf-8")
        temporary.rename(target)


def _text_of(file):
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".jsonl":
        return text
    return "\n\n".join(json.loads(line)["text"] for line in text.splitlines())


def _in_fixed_order(folder):
    """Files in an order that has nothing to do with their names, the same on every machine."""
    return sorted(folder.iterdir(), key=lambda file: hashlib.sha256(f"order {file.name}".encode()).digest())


def take(folder, limit, keep=lambda document: True):
    """Documents of the folder, as files, until `limit` bytes."""
    taken, used = [], 0
    for file in _in_fixed_order(folder):
        if used >= limit:
            break
        document = file.read_bytes()
        if keep(document):
            taken.append(file)
            used += len(document)
    return taken


def link_all(files, target):
    """A folder of links to documents of several domains; complete or not there."""
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    temporary.mkdir(parents=True)
    for file in files:
        os.link(file, temporary / f"{file.parent.name}-{file.name}")
    temporary.rename(target)


def size_of(folder):
    return sum(file.stat().st_size for file in folder.iterdir())


def vocabulary_text(text, domains, target):
    """As many bytes of every domain, of training documents only."""
    limit = min(size_of(text / domain) for domain in domains)
    files = [file for domain in domains for file in take(text / domain, limit, lambda d: split_number(d) >= 100)]
    link_all(files, target)
    return {"documents": len(files), "bytes_of_each_domain": limit}


def quotas(shares, tokens, sizes):
    """Bytes of each domain such that tokens are in the proportion `shares`, and no domain is used beyond its size.

    shares, tokens (in the whole domain), sizes (its bytes): {domain: number}.
    """
    scale = min(tokens[domain] / shares[domain] for domain in shares)  # tokens for each unit of share
    return {domain: scale * shares[domain] * sizes[domain] / tokens[domain] for domain in shares}


def mixture(text, target, shares, tokens):
    """A folder that holds the domains' documents in these proportions of tokens."""
    bytes_of = quotas(shares, tokens, {domain: size_of(text / domain) for domain in shares})
    files = [file for domain in shares for file in take(text / domain, bytes_of[domain])]
    link_all(files, target)
    return {"documents": len(files), "bytes": {domain: round(size) for domain, size in bytes_of.items()}}
