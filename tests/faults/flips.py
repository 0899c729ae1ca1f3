"""Single bits of a workspace turned over: flips.py [--flips N] [--loads N]

fsck must find each one that changes anything, and a command that loads an object must refuse one that is damaged. Prints a
table by kind of file; exit code 1 if a flip went unnoticed."""

import argparse
import collections
import contextlib
import random
import shutil
import sqlite3
import sys

import points  # first: it tells where mformer.py lies
import cases
import mformer
import run

# Tokens are read over their checksum, and made anew; of runs a snapshot has one, the rest is only drawn.
NOT_COVERED = ("cache", "runs")
MEASURE = ("eval", "--model", "base@2", "--task", "english", "--max-tokens", "100", "--json")


def kind_of(file):
    return file.parts[file.parts.index(".mformer") + 1]


def flip(file, rolls):
    """Turns a bit over; the byte's place."""
    data = bytearray(file.read_bytes())
    at = rolls.randrange(len(data))
    data[at] ^= 1 << rolls.randrange(8)
    file.unlink()  # objects are shared with the copy
    file.write_bytes(bytes(data))
    return at


def rows_of(database):
    """All that the database says, or why it says nothing."""
    with contextlib.closing(sqlite3.connect(database)) as registry:
        registry.text_factory = bytes
        try:
            tables = registry.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
            return tables, [registry.execute(f"SELECT * FROM \"{name.decode()}\"").fetchall() for name, sql in tables
                            if sql and sql.upper().startswith(b"CREATE TABLE")]
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            return str(error)


def make(path):
    """A workspace whose last commit is in the log still: its process was killed."""
    points.copy(cases.prepared(), path)
    listed = path.parent / "points"
    points.run(path, ("tag", "one", "base@2"), {"BELOW": path, "POINTS": listed})
    lines = [line.split(" ", 2) for line in listed.read_text().splitlines()]
    commit = max(number for number, (_, call, text) in enumerate(lines) if (call, text) == ("sql", "COMMIT"))
    written = next(int(number) for number, call, text in lines[commit:] if text.endswith("/changes"))
    listed.unlink()
    points.run(path, ("tag", "two", "base@2"), {"BELOW": path, "POINTS": listed, "AT": written, "HOW": "kill"})
    assert (path / ".mformer" / "registry.db-wal").stat().st_size > 0


def look_at_flips(flips, seed=1):
    """(kind of file, what became of it) → how often; and the flips that went unnoticed."""
    rolls, found, missed = random.Random(seed), collections.Counter(), []
    with run.scratch_folder() as folder:
        source, work = folder / "source", folder / "work"
        make(source)
        whole = rows_of_copy(source, folder / "rows")
        files = sorted(file for file in (source / ".mformer").rglob("*")
                       if file.is_file() and file.stat().st_size and not file.name.endswith("-shm"))
        kinds = sorted({kind_of(file) for file in files} - set(NOT_COVERED))
        for number in range(flips):
            points.copy(source, work)
            kind = kinds[number % len(kinds)]
            file = work / rolls.choice([file for file in files if kind_of(file) == kind]).relative_to(source)
            at = flip(file, rolls)
            result = points.run(work, ("fsck",))
            if result.code != 0:
                points.check_answer(result)
                found[kind, "found"] += 1
            elif rows_of_copy(work, folder / "rows") == whole and kind != "objects":
                found[kind, "without effect"] += 1
            else:
                found[kind, "missed"] += 1
                missed.append(f"byte {at} of {file.relative_to(work)}")
    return found, missed


def rows_of_copy(work, scratch):
    """Those of a copy, since looking changes the files."""
    mformer.remove_folder(scratch)
    scratch.mkdir()
    for name in ("registry.db", "registry.db-wal"):
        if (work / ".mformer" / name).exists():
            shutil.copy(work / ".mformer" / name, scratch / name)
    return rows_of(scratch / "registry.db")


def look_at_loads(loads, seed=2):
    """Flips in objects of a model that `export` went on with."""
    rolls, missed = random.Random(seed), []
    with run.scratch_folder() as folder:
        source, work = cases.prepared(), folder / "work"
        modules = points.run(source, ("inspect", "modules", "--model", "base", "--json")).json["modules"]
        for _ in range(loads):
            points.copy(source, work)
            name = rolls.choice(modules)["object"]
            at = flip(work / ".mformer" / "objects" / name[:2] / name, rolls)
            result = points.run(work, ("export", "out", "--model", "base"))
            if result.code != 1 or "is damaged" not in result.err or (work / "out").exists():
                missed.append(f"byte {at} of {name}: {result}")
    return missed


def look_at_tokens(times, seed=3):
    """Flips in tokens that are kept in the cache, with which a loss became another one."""
    rolls, missed = random.Random(seed), []
    with run.scratch_folder() as folder:
        source, work = cases.prepared(), folder / "work"

        def losses():
            points.copy(source, work)
            for file in (work / ".mformer" / "cache").glob(hurt) if hurt else ():
                flip(file, rolls)
            result = points.run(work, MEASURE)
            return result.json["tasks"] if result.code == 0 else result

        hurt = ""
        whole = losses()
        hurt = "*.tokens"
        for _ in range(times):
            if (found := losses()) != whole:
                missed.append(f"{found} instead of {whole}")
    return missed


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--flips", type=int, default=1000)
    options.add_argument("--loads", type=int, default=100)
    asked = options.parse_args()
    found, missed = look_at_flips(asked.flips)
    print("| file | flips | found by `fsck` | without effect | missed |", "|---|---|---|---|---|", sep="\n")
    for kind in sorted({kind for kind, _ in found}):
        numbers = [found[kind, what] for what in ("found", "without effect", "missed")]
        print(f"| `{kind}` | {sum(numbers)} | {' | '.join(map(str, numbers))} |")
    unnoticed = look_at_loads(asked.loads)
    print(f"{asked.loads - len(unnoticed)} of {asked.loads} damaged objects refused by a command that loads them")
    misled = look_at_tokens(asked.loads)
    print(f"{asked.loads - len(misled)} of {asked.loads} times damaged tokens in the cache were noticed and made anew")
    print(*missed, *unnoticed, *misled, sep="\n")
    sys.exit(bool(missed or unnoticed or misled))


if __name__ == "__main__":
    main()
