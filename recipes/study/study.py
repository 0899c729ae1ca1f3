"""A study on one's own data: tasks in order, ways to learn them, seeds; mean ± standard deviation of what each loses and gains.

    python3 recipes/study/study.py FILE.json         in a clone
    python3 PREFIX/share/mformer/study/study.py FILE.json    installed
    python3 -m mformer.study FILE.json               of the Python package

README.md beside this file says what the file holds. Needs the program and Python's standard library.
"""

import argparse
import hashlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import study_file  # noqa: E402
import study_report  # noqa: E402
from program import Failed, Interrupted, Program  # noqa: E402
from runner import Study, records  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def parse():
    parser = argparse.ArgumentParser(description="Runs the study that FILE describes, and writes its tables and plots.")
    parser.add_argument("file", type=Path, metavar="FILE.json")
    parser.add_argument("--results", type=Path, metavar="DIR", help="folder of workspaces, results, tables and plots; default: FILE without .json, with -results")
    parser.add_argument("--program", type=Path, help="default: the one built or installed here, or else mformer of the PATH")
    parser.add_argument("--report", action="store_true", help="run nothing; tables and plots of what is there")
    parser.add_argument("--dry-run", action="store_true", help="check the file, and say what would be run")
    return parser.parse_args()


def program_path(given):
    here = (ROOT / "build/release/bin/mformer", ROOT.parent / "bin/mformer")  # of a clone; of PREFIX/share/mformer/study
    path = given or next((place for place in here if place.exists()), None) or shutil.which("mformer")
    if path is None or not shutil.which(str(path)):
        raise study_file.Refused(f"there is no program at '{given}'" if given else "mformer is neither built or installed here nor on the PATH",
                                 "say where it is: --program build/release/bin/mformer")
    return Path(path).resolve()


def check_options(path, file):
    """Has the program look at every setting's options before any is run: with --help it checks them and does nothing."""
    settings = [(f"setting '{setting.name}'", setting.command, setting.options) for setting in file.settings]
    if file.base:
        settings.append(("'base'", "train", file.base[1]))
    for name, command, options in settings:
        done = subprocess.run([path, command, *options, "--help"], capture_output=True, text=True, check=False)
        lines = dict(line.split(": ", 1) for line in done.stderr.splitlines() if ": " in line)
        if done.returncode != 0:
            raise study_file.Refused(f"{name}: {lines.get('error', done.stderr.strip())}", lines.get("hint", f"mformer {command} --help lists them"))


def content_of(path):
    """SHA-256 of a file, or of all files of a folder with their names: what decides a result is part of its key."""
    sha = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file()):
        sha.update(f"{file.relative_to(path) if file != path else ''}\0{file.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        with open(file, "rb") as data:
            while block := data.read(1 << 20):
                sha.update(block)
    return sha.hexdigest()


class Run:
    """The chains of a study: for each seed a base, and for each setting what begins with it."""

    def __init__(self, study, file):
        self.study, self.file = study, file
        self.contents = {task.name: content_of(task.data) for task in file.tasks}
        places = [Path(file.model[name]) for name in ("config", "from", "tokenizer") if name in file.model]
        self.model_contents = [content_of(place) for place in places]

    def all(self):
        tokenizer = self._tokenizer()
        for seed in self.file.seeds:
            base = f"seed{seed}/base"
            self.study.chain(base, lambda chain, s=seed: self._base(chain, s, tokenizer))
            for setting in self.file.settings:
                self.study.chain(f"seed{seed}/{setting.name}", lambda chain, s=seed, how=setting: self._learn(chain, s, how),
                                 parent=base, keep=False)

    def _tokenizer(self):
        if "vocabulary" not in self.file.model:
            return self.file.model.get("tokenizer")
        first = self.file.tasks[0]
        path = self.study.folder / "tokenizer.json"
        fields = ("--fields", first.fields) if first.fields else ()

        def body(chain):
            chain.derive("data", lambda: None, self.contents[first.name])
            chain.step("tokenizer", "tokenizer", "train", "--data", first.data, *fields, "--vocab-size", self.file.model["vocabulary"],
                       "--out", path, "--overwrite")

        self.study.chain("tokenizer", body)
        self.model_contents.append(content_of(path))
        return str(path)

    def _base(self, chain, seed, tokenizer):
        model = self.file.model
        chain.derive("data", lambda: None, self.model_contents, *(self.contents[task.name] for task in self.file.tasks))
        source = next(name for name in ("preset", "config", "from") if name in model)
        words = [f"--{source}", model[source]]
        if "slices" in model:
            words += ["--slices", model["slices"]]
        if tokenizer:
            words += ["--tokenizer", tokenizer]
        chain.step("init", "init", *words, "--seed", seed)
        for task in self.file.tasks:
            chain.step(f"task-{task.name}", "task", "add", task.name, "--data", task.data,
                       *(("--fields", task.fields) if task.fields else ()))
        if self.file.base:
            task, options = self.file.base
            self._command(chain, seed, "train", task, options)
        self._measure(chain, "begin")

    def _learn(self, chain, seed, setting):
        for task in self.file.learned:
            self._command(chain, seed, setting.command, task, setting.options)
            self._measure(chain, task.name)

    def _command(self, chain, seed, command, task, options):
        chain.step(f"learn-{task.name}", command, "--task", task.name, *options, "--seed", seed, "--eval-tokens", self.file.eval_tokens)

    def _measure(self, chain, after):
        tokens = ("--max-tokens", self.file.eval_tokens) if self.file.eval_tokens else ()
        chain.step(f"losses-{after}", "eval", *tokens)


def say_plan(file):
    order = ", then ".join(task.name for task in file.learned)
    before = f"{file.base[0].name} first, once for each seed; then " if file.base else ""
    print(f"{file.title}: {before}{order}, by each of {len(file.settings)} settings with {len(file.seeds)} seeds")
    if file.base:
        print(f"  base: train --task {file.base[0].name} {' '.join(file.base[1])}".rstrip())
    for setting in file.settings:
        print(f"  {setting.name}: {setting.command} --task TASK {' '.join(setting.options)}".rstrip())
    runs = len(file.seeds) * (bool(file.base) + len(file.settings) * len(file.learned))
    print(f"{runs} trainings")


def _stop(*_):
    raise Interrupted


def main():
    options = parse()
    signal.signal(signal.SIGTERM, _stop)  # between two calls of the program; during one it is handed on
    try:
        file = study_file.read(options.file)
        folder = (options.results or options.file.resolve().with_name(options.file.stem + "-results")).resolve()
        if options.dry_run:
            say_plan(file)
            return
        if not options.report:
            path = program_path(options.program)
            check_options(path, file)
            folder.mkdir(parents=True, exist_ok=True)
            study = Study(Program(path, folder), folder)
            with study.alone():
                Run(study, file).all()
        for written in study_report.write(records(folder), file, folder):
            print(f"wrote {written}")
        print((folder / "table.md").read_text(encoding="utf-8"), end="")
    except (Interrupted, KeyboardInterrupt):
        print("interrupted: the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except study_file.Refused as refused:
        print(f"error: {refused}\nhint: {refused.hint}", file=sys.stderr)
        sys.exit(2)
    except Failed as failure:
        print(f"error: {failure}\nhint: what was done is kept; the same command goes on from here", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
