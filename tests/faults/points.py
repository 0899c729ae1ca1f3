"""Runs a command once for each point at which it changes something below its folder (faults.c), makes that call fail or be
the last, and checks what is left. The library is the file that the environment variable MFORMER_FAULTS names."""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import mformer  # noqa: E402

LIBRARY = Path(os.environ.get("MFORMER_FAULTS", "build/release/tests/faults/libfaults.so")).resolve()
TIMEOUT_S = 120
HOWS = ("kill", "eio", "full", "dead", "eintr", "short", "enospc", "kill-after")
NEED_SPACE = {"open", "write", "pwrite", "write-little", "pwrite-little", "fsync", "fdatasync", "syncfs", "sync_file_range", "ftruncate", "fallocate", "mkdir",
              "rename", "symlink", "sendfile", "close", "mmap", "sql"}
MAY_BE_INTERRUPTED = {"open", "write", "pwrite", "write-little", "pwrite-little", "fsync", "fdatasync", "ftruncate", "fallocate", "close", "sendfile"}
LONG_WRITES = {"write", "pwrite"}
TRACE = re.compile(r"terminate called|Exception raised from|frame #\d|\.cpp:\d+|what\(\)|Assertion|Traceback")
# Of a commit, or a file beside the workspace, that failed at its very end, and could not be taken back.
MAY_BE_DONE = re.compile(r"log says whether it was done|is there, but may not outlive a power failure")

Point = collections.namedtuple("Point", "number call path")
# place: the workspace's folder; spoil(folder): called after copying; goes_on: a command that is cut off has done a part of its
# work, and does the rest when it is run again; unsound: what it mends.
Case = collections.namedtuple("Case", "name arguments place thin spoil goes_on unsound",
                              defaults=(".", False, None, False, False))


def applies(how, call):
    """Whether a call can fail in this way."""
    if how in ("full", "enospc"):
        return call in NEED_SPACE
    if how == "eintr":
        return call in MAY_BE_INTERRUPTED
    return call in LONG_WRITES if how == "short" else True


def run(folder, arguments, faults=None):
    """The program's Result in a folder; with `faults` under the library, told by these variables."""
    told = {} if faults is None else {
        "LD_PRELOAD": str(LIBRARY), **{f"MFORMER_FAULTS_{name}": str(value) for name, value in faults.items()}}
    return mformer.Result(subprocess.run(mformer.command_line(arguments), cwd=folder, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=False,
                                         env=mformer.environment(**told)))


def copy(source, target, share=True):
    """A copy of a folder with workspaces. Objects never change in place, so they are shared: but with nobody who reads them at
    the same time, who would see their times change."""
    mformer.remove_folder(target)

    def copy_or_link(file, to):
        return os.link(file, to) if share and "/objects/" in file else shutil.copy2(file, to)

    shutil.copytree(source, target, copy_function=copy_or_link, symlinks=True)


def without_tags(state):
    """What a push has brought when it has brought the model and no tag yet."""
    state = json.loads(json.dumps(state))
    state["tag"]["tags"] = []
    state["log"]["operations"] = [{**operation, "after_tags": []} for operation in state["log"]["operations"]
                                  if not (operation["after"] is None and " = " in operation["message"])]
    return state


class Fault(Exception):
    """What was not as it must be."""


def require(holds, *what):
    if not holds:
        raise Fault(" ".join(map(str, what)))


class Trial:
    """Runs of one case, each in a fresh copy of the prepared folder."""

    def __init__(self, case, prepared, scratch):
        self.case = case
        self.work = Path(scratch) / "work"
        self.points_file = Path(scratch) / "points"
        self.prepared = Path(scratch) / "prepared"
        copy(prepared, self.prepared, share=False)
        if case.spoil:
            case.spoil(self.prepared)
        self.known = None  # what is not new in every run
        self.known = set(re.findall(r"[0-9a-f]{12,64}", json.dumps(self.state_of(self.prepared))))
        self.before = self.state_of(self.prepared)
        self.begin()
        self.points = self.count()
        self.after = self.state_of(self.work)
        self.files_after = self.files_after_gc()

    def begin(self):
        copy(self.prepared, self.work)
        self.points_file.unlink(missing_ok=True)

    def count(self):
        result = run(self.work, self.case.arguments, {"BELOW": self.work, "POINTS": self.points_file})
        require(result.code == 0, "without a fault:", result)
        return [Point(int(number), call, path) for number, call, path in
                (line.split(" ", 2) for line in self.points_file.read_text().splitlines())]

    def state_of(self, folder):
        """All that the registry and the files beside it say, without what is new in every run; None without a registry."""
        place = folder / self.case.place
        says = {}
        if (place / ".mformer" / "registry.db").exists():
            for command in ("models", "tasks", "tag", "log"):
                result = run(place, (command, "--json"))
                require(result.code == 0, command, result)
                says[command] = self.masked(result.json, folder)
            says["log"]["operations"].reverse()
        says["files"] = sorted((str(file.relative_to(folder)), file.stat().st_size) for file in folder.rglob("*")
                               if file.is_file() and ".mformer" not in file.parts and not is_temporary(file) and is_found(file))
        return says

    def masked(self, value, folder):
        if isinstance(value, dict):
            if value.get("outcome") == "interrupted":
                value = {**value, "message": ""}  # the next command that writes says so in the log
            return {name: 0 if name.endswith("_ms") or name == "id" else self.masked(inner, folder)
                    for name, inner in value.items()}
        if isinstance(value, list):
            return [self.masked(inner, folder) for inner in value]
        if isinstance(value, str):
            value = value.replace(str(folder), "DIR").replace(str(self.prepared), "DIR")
            return re.sub(r"[0-9a-f]{12,64}", lambda hit: hit[0] if self.known is None or hit[0] in self.known else "NEW", value)
        return value

    def is_after(self, state):
        """Whether the command's work is there, or all is as before. Operations that failed may have come to the log."""
        state = json.loads(json.dumps(state))
        if "log" in state:
            old = len(self.before["log"]["operations"]) if "log" in self.before else 0
            operations = state["log"]["operations"]
            state["log"]["operations"] = operations[:old] + [
                operation for operation in operations[old:]
                if operation["outcome"] not in ("failed", "interrupted") or operation["after"] is not None]
        if same(state, self.after):
            return True
        if "log" not in self.before and "log" in self.after and same(state, without_tags(self.after)):
            return False  # models come before their tags, and the same command again brings these
        empty = {name: value for name, value in state.items() if name in self.before}
        nothing_new = not state.get("models", {}).get("models") or "models" in self.before
        require(same(empty, self.before) and nothing_new, "half a state:", difference(state, self.before), "and",
                difference(state, self.after))
        return False

    def check_sound(self):
        place = self.work / self.case.place
        if (place / ".mformer").exists():
            result = run(place, ("fsck",))
            require(result.code == 0, "fsck:", result)

    def files_after_gc(self):
        """What lies there once garbage was collected: names, with what is new in every run left out."""
        place = self.work / self.case.place
        if (place / ".mformer" / "registry.db").exists():
            result = run(place, ("gc", "--grace", "0"))
            require(result.code == 0, "gc:", result)
        names = collections.Counter()
        for file in self.work.rglob("*"):
            if file.is_file():
                name = re.sub(r"objects/../[0-9a-f]{64}$", "objects/OBJECT", str(file.relative_to(self.work)))
                if not re.search(r"registry\.db-(wal|shm)$", name):
                    names[re.sub(r"runs/[0-9a-f]{16}/", "runs/RUN/", name)] += 1
        return names

    def run_at(self, point, how):
        """Throws Fault if anything is not as it must be. False if the point was not met: a new hash may find its folder there."""
        self.begin()
        result = run(self.work, self.case.arguments,
                     {"BELOW": self.work, "POINTS": self.points_file, "AT": point.number, "HOW": how})
        if len(self.points_file.read_text().splitlines()) < point.number:
            return False
        if how.startswith("kill"):
            require(result.code == -9, "it was not killed:", result)
        else:
            check_answer(result)
        if not self.case.unsound:
            self.check_sound()
        done = self.is_after(self.state_of(self.work))
        if self.before != self.after and not how.startswith("kill") and not self.case.goes_on:
            require(done or result.code != 0, "it said yes but did nothing:", result)
            require(not done or result.code == 0 or MAY_BE_DONE.search(result.err), "it said no but did it:", result)
        again = run(self.work, self.case.arguments)
        check_answer(again)
        if not done or self.case.goes_on:
            require(again.code == 0, "the same again:", again)
            require(self.is_after(self.state_of(self.work)), "the same again did nothing")
        self.check_sound()
        if not done or again.code != 0 or self.case.goes_on:
            left = self.files_after_gc() - self.files_after
            left = {name: number for name, number in left.items() if not is_kept_on_purpose(name)}
            require(not left, "litter:", left)
        return True


def is_found(file):
    """Of a hub's cache what a reader finds that asks for a model by its name: the snapshot that refs/main names."""
    for model in file.parents:
        if model.name.startswith("models--"):
            kind, *rest = file.relative_to(model).parts
            main = model / "refs" / "main"
            return kind == "refs" or (kind == "snapshots" and main.is_file() and rest[0] == main.read_text())
    return True


def is_temporary(file):
    return any(part.startswith(".tmp-") for part in file.parts)


def is_kept_on_purpose(name):
    """Snapshots of an unfinished run are gone on with, tokens that were ready are used again."""
    return ("runs/RUN/" in name or "/cache/" in name) and "/.tmp-" not in name and not name.endswith("/lock")


def same(state, other):
    return json.dumps(state, sort_keys=True) == json.dumps(other, sort_keys=True)


def difference(state, other):
    """The lines by which two states differ, shortened."""
    lines = [set(json.dumps(value, indent=1, sort_keys=True).splitlines()) for value in (state, other)]
    return json.dumps([sorted(lines[0] - lines[1])[:6], sorted(lines[1] - lines[0])[:6]])[:700]


def check_answer(result):
    """The contract of exit codes and errors."""
    require(result.code in (0, 1, 2), "exit code", result)
    require(not TRACE.search(result.err + result.out), "a trace:", result)
    said = [line.split(":")[0] for line in mformer.lines_of_error(result.err)]
    require(said == ([] if result.code == 0 else ["error", "hint"]), "no sentence with a hint:", result)
    require(all(line.split(":", 1)[1].strip() for line in mformer.lines_of_error(result.err)), "an empty sentence:", result)
