"""Turns unpacked Debian packages into documents: extract.py DOMAIN WORK DEST (called by fetch.sh).

WORK/debs holds the .deb files, WORK/unpacked/PACKAGE their contents. Writes DEST/DOMAIN, complete or not at all, and its
entry in DEST/manifest.json. Only the standard library is used.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import questions
import readers
from documents import Shelf

LICENCES = {
    "anarchism": "GPL-2",
    "bsdgames": "BSD-3-Clause",
    "debian-policy": "GPL-2+",
    "debian-reference-de": "GPL-2+",
    "dict-gcide": "GPL-2+",
    "doc-debian": "public domain, OPL-1.0 and others",
    "fortunes-de": "GPL-2+",
    "libpython3.11-stdlib": "PSF-2.0",
    "libreoffice-help-de": "MPL-2.0",
    "libreoffice-help-fr": "MPL-2.0",
    "perl-doc": "GPL-1+ or Artistic-1.0-Perl",
    "python3.11-doc": "PSF-2.0",
    "ruby-licensee": "MIT; the texts of the licences CC0-1.0",
    "sword-text-web": "public domain",
}

# Domain -> suffix of its documents, and (package, reader) pairs; a reader yields articles.
TEXTS = {
    "english": (".txt", [("anarchism", readers.anarchism), ("dict-gcide", readers.gcide),
                         ("python3.11-doc", readers.python_manual), ("sword-text-web", readers.bible)]),
    "german": (".txt", [("libreoffice-help-de", readers.libreoffice_help),
                        ("debian-reference-de", readers.debian_reference),
                        ("fortunes-de", readers.fortunes)]),
    "french": (".txt", [("libreoffice-help-fr", readers.libreoffice_help)]),
    "licences": (".txt", [("ruby-licensee", readers.licence_texts), ("debian-policy", readers.debian_policy),
                          ("doc-debian", readers.debian_constitution)]),
    "python": (".py", [("libpython3.11-stdlib", readers.python_sources)]),
}
QUESTIONS = [("bsdgames", questions.quiz), ("perl-doc", questions.perl_faq), ("python3.11-doc", questions.python_faq)]


def write_texts(domain, unpacked, folder):
    """Documents of a text domain; returns the bytes of text per package."""
    suffix, sources = TEXTS[domain]
    sizes = {}
    for package, read in sources:
        shelf = Shelf(folder, package, suffix)
        for article in read(unpacked / package):
            shelf.add(article)
        sizes[package] = shelf.close()
    return sizes


def write_questions(unpacked, folder):
    """One pair a line; a question that was asked before is left out. Returns the bytes of text per package."""
    sizes, asked = {}, set()
    with open(folder / "pairs.jsonl", "w", encoding="utf-8") as out:
        for package, read in QUESTIONS:
            sizes[package] = 0
            for question, answer in read(unpacked / package):
                if question in asked:
                    continue
                asked.add(question)
                out.write(json.dumps({"question": question, "answer": answer}, ensure_ascii=False) + "\n")
                sizes[package] += len((question + answer).encode())
    return sizes


def describe(package, debs, size):
    deb = next(debs.glob(package + "_*.deb"))
    version = subprocess.run(["dpkg-deb", "-f", deb, "Version"], check=True, capture_output=True, text=True)
    return {"package": package, "version": version.stdout.strip(),
            "sha256": hashlib.sha256(deb.read_bytes()).hexdigest(),
            "licence": LICENCES[package], "bytes_of_text": size}


def update_manifest(path, domain, entry):
    manifest = json.loads(path.read_text()) if path.exists() else {}
    manifest[domain] = entry
    temporary = path.with_name(".manifest.json.tmp")
    temporary.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    os.replace(temporary, path)


def main():
    domain, work, dest = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    folder = dest / ("." + domain + ".tmp")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    unpacked = work / "unpacked"
    sizes = write_questions(unpacked, folder) if domain == "qa" else write_texts(domain, unpacked, folder)

    shutil.rmtree(dest / domain, ignore_errors=True)
    folder.rename(dest / domain)
    documents = sum(1 for _ in (dest / domain).iterdir())
    update_manifest(dest / "manifest.json", domain, {
        "documents": documents, "bytes_of_text": sum(sizes.values()),
        "packages": [describe(package, work / "debs", size) for package, size in sizes.items()]})
    print(f"corpora: {domain}: {documents} files, {sum(sizes.values()) / 1e6:.1f} MB of text")


main()
