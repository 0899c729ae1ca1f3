"""Steps that are done once. A study is a set of chains; a chain is a workspace and the commands that are run in it.

    RESULTS/results/CHAIN/STEP.json   what a step was and gave
    RESULTS/workspaces/CHAIN/         the chain's workspace

A step's key is a hash of the program (its version and its bytes), its command line and the key of the step before it. A step whose
result has its key is not run again, so a recipe that was stopped goes on where it was; where a command line changed,
the chain is made anew from its beginning. So it is where a step was done but we were killed before it was recorded: a step is
never done twice in one workspace.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time

from program import Failed


class Stale(Exception):
    """The chain's workspace is not in the state that the next step needs."""


def write_whole(path, text):
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def is_own(entry):
    """What is in a workspace whose making was stopped before it had a state."""
    return entry.name == "..state.tmp"


def remove(work):
    """The state goes last, so that what is left where this is stopped is still known as made here."""
    if not work.exists():
        return
    for entry in work.iterdir():
        if entry.name != ".state":
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    shutil.rmtree(work)


def _hash(*parts):
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Chain:
    """Given to the function that names a chain's steps."""

    def __init__(self, study, name, parent):
        self.study, self.name, self.parent = study, name, parent
        self.work = study.folder / "workspaces" / name
        self.results = study.folder / "results" / name
        self.start = self.key = _hash(study.program.identity, study.keys[parent] if parent else None)

    def step(self, name, *arguments):
        """Runs `mformer ARGUMENTS --json` in the chain's workspace, once; returns its JSON."""
        return self._once(name, list(map(str, arguments)),
                          lambda: self.study.program.call("--workspace", self.work, *arguments))

    def derive(self, name, compute, *inputs):
        """The same for a function that returns what JSON can hold; `inputs` are what decides it, for the key."""

        def timed():
            started = time.monotonic()
            return compute(), time.monotonic() - started

        return self._once(name, list(map(str, inputs)), timed)

    def _once(self, name, arguments, run):
        key = _hash(self.key, name, arguments)
        file = self.results / f"{name}.json"
        record = json.loads(file.read_text()) if file.exists() else {}
        if record.get("key") != key:
            self._prepare()
            write_whole(self.work / ".state", f"{self.key} {self._last_done()}")
            result, seconds = run()
            record = {
                "key": key, "chain": self.name, "step": name, "arguments": arguments, "seconds": seconds,
                "program": self.study.program.version, "result": result
            }
            self.results.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps(record, indent=1) + "\n")
            write_whole(self.work / ".state", key)
            self.study.say(f"{self.name}/{name}: {seconds:.1f} s")
            self.study.program.go_on()
        self.key = key
        return record["result"]

    def _state(self):
        file = self.work / ".state"
        return file.read_text() if file.exists() else None

    def _last_done(self):
        """The number of the last operation in the workspace that ended well; 0 for none."""
        if not (self.work / ".mformer").exists():
            return 0
        log, _ = self.study.program.call("--workspace", self.work, "log")
        return max((operation["id"] for operation in log["operations"] if operation["outcome"] == "done"), default=0)

    def _prepare(self):
        """The workspace as the steps so far left it: made at the first one, and else there, or the chain is stale."""
        state, _, done_before = (self._state() or "").partition(" ")
        if state == self.key:
            if done_before and int(done_before) != self._last_done():
                raise Stale(self.name)
            return
        if self.key != self.start:
            raise Stale(self.name)
        if self._state() is None and self.work.exists() and any(not is_own(entry) for entry in self.work.iterdir()):
            raise Failed(f"{self.work} was made by no recipe: move it away, or choose another folder")
        remove(self.work)
        self.work.mkdir(parents=True)
        write_whole(self.work / ".state", "begun")
        if self.parent:
            self._copy_parent()
        write_whole(self.work / ".state", self.key)

    def _copy_parent(self):
        parent = self.study.folder / "workspaces" / self.parent
        state = parent / ".state"
        if not state.exists() or state.read_text() != self.study.keys[self.parent]:
            raise Failed(
                f"the workspace of {self.parent} is not what it was; to have it made again, remove "
                f"{self.study.folder / 'results' / self.parent}")
        # Objects are never written to, so links do; the database must be a copy.
        shutil.copytree(parent, self.work, copy_function=_link_objects, dirs_exist_ok=True)


def _link_objects(source, target):
    if "/objects/" in os.fspath(source):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


class Study:
    """All chains of one folder of results."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.keys = {}
        self.began = time.monotonic()

    def say(self, text):
        print(f"[{time.monotonic() - self.began:6.0f} s] {text}", flush=True)

    @contextlib.contextmanager
    def alone(self):
        """Refuses a second recipe in the same folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failed(f"another recipe is at work in {self.folder}") from None
            yield

    def chain(self, name, body, parent=None, keep=True):
        """Runs body(chain), which calls step(); returns what it returns. Without `keep` the workspace is removed at the
        end: only results are needed. A parent is another chain, of whose workspace this one begins with a copy."""
        for last_try in (False, True):
            chain = Chain(self, name, parent)
            try:
                result = body(chain)
                break
            except Stale:
                if last_try:
                    raise
                remove(chain.work)
                shutil.rmtree(chain.results, ignore_errors=True)
        self.keys[name] = chain.key
        if not keep:
            remove(chain.work)
        return result


def records(folder):
    """{chain: {step: record}} of everything done under a folder of results."""
    found = {}
    for file in sorted((folder / "results").rglob("*.json")):
        record = json.loads(file.read_text())
        found.setdefault(record["chain"], {})[record["step"]] = record
    return found
