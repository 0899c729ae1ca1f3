"""A workspace whose commands are methods."""

from __future__ import annotations

import json
import keyword
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from typing import Any, Dict, List, Optional, Union

from ._program import end_with_caller, program
from .errors import Error, Interrupted, UsageError

Value = Union[None, bool, int, float, str, "os.PathLike[str]"]
Option = Union[Value, "Iterable[Value]"]

_STOPPED = {129, 130, 143}


class Result(Dict[str, Any]):
    """What a command answered: the JSON object of `--json`, fields as docs/commands.md says."""

    def frame(self, field: Optional[str] = None) -> Any:
        """The rows of `field` as a pandas.DataFrame; without a name the only field that is a list of objects. What lies
        deeper gets a column of its own: "version.ref"."""
        try:
            import pandas  # type: ignore[import-untyped]
        except ImportError:
            raise Error("frames need pandas, which is not there", "pip install pandas") from None
        tables = [name for name, value in self.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
        if field is None:
            if len(tables) != 1:
                raise UsageError(f"this result has {len(tables)} tables", f"name one of: {', '.join(tables) or 'none'}", exit_code=2)
            field = tables[0]
        if not isinstance(self.get(field), list):
            raise UsageError(f"'{field}' is no table of this result", f"tables: {', '.join(tables) or 'none'}", exit_code=2)
        return pandas.json_normalize(self[field])


class Command:
    """A command of a workspace: called, it runs; an attribute is a command of its own ("inspect" has "routing")."""

    def __init__(self, workspace: Workspace, words: List[str]):
        self._workspace = workspace
        self._words = words

    def __getattr__(self, name: str) -> Command:
        if name.startswith("_"):
            raise AttributeError(name)
        return Command(self._workspace, [*self._words, _dashed(name)])

    def __call__(self, *arguments: Value, stdin: str = "", **options: Option) -> Result:
        """Runs it once. `steps=100` is `--steps 100`, `dry_run=True` is `--dry-run`, `from_="x"` is `--from x`; a list gives
        an option several times, None and False leave it out. Raises Error, UsageError or Interrupted."""
        return self._workspace.run([*self._words, *options_of(options), "--", *map(_text, arguments)] if arguments else
                                   [*self._words, *options_of(options)], stdin=stdin)

    def __repr__(self) -> str:
        return f"<mformer {' '.join(self._words)} in {self._workspace.path}>"


class Workspace:
    """The folder that holds .mformer, or will after `init`. `model`, `threads`, `device` and `seed` stand for the options of
    every command; `progress` shows what the program says while it works, on stderr."""

    def __init__(self, path: Union[str, "os.PathLike[str]"] = ".", *, model: Optional[str] = None, threads: Optional[int] = None,
                 device: Optional[str] = None, seed: Optional[int] = None, progress: bool = False):
        self.path = os.path.abspath(os.path.expanduser(os.fspath(path)))
        self.progress = progress
        self._options = options_of({"workspace": self.path, "model": model, "threads": threads, "device": device, "seed": seed})

    def __getattr__(self, name: str) -> Command:
        if name.startswith("_"):
            raise AttributeError(name)
        return Command(self, [_dashed(name)])

    def __dir__(self) -> List[str]:
        """With the commands, for the Tab of a notebook."""
        try:
            found = self.run(["completion", "candidates"], stdin="\n")["candidates"]
        except (Error, OSError):
            found = []
        names = [candidate["text"].replace("-", "_") for candidate in found]
        return [*super().__dir__(), *(name + "_" * keyword.iskeyword(name) for name in names)]

    def __repr__(self) -> str:
        return f"mformer.Workspace({self.path!r})"

    def run(self, arguments: List[str], stdin: str = "") -> Result:
        """The command line `mformer ARGUMENTS`, for what the methods don't reach."""
        quiet = [] if self.progress else ["--quiet"]
        # The program's own process group, so that Ctrl-C reaches it once, from here.
        process = subprocess.Popen([program(), "--json", *quiet, *self._options, *arguments], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=end_with_caller)
        out, err = _communicate(process, stdin.encode(), self.progress)
        # What verify finds is an answer, whichever it is: its exit code is for shells.
        if process.returncode != 0 and not out.startswith(b'{"version":1,"command":"verify"'):
            raise _error(process.returncode, err)
        answer = json.loads(out.partition(b"\n")[0])
        return Result(answer) if isinstance(answer, dict) else Result(answer=answer)


def options_of(options: Dict[str, Option]) -> List[str]:
    """As a command line has them."""
    words: List[str] = []
    for name, value in options.items():
        option = "--" + _dashed(name)
        if value is None or value is False:
            continue
        if value is True:
            words.append(option)
        elif isinstance(value, Iterable) and not isinstance(value, (str, os.PathLike)):
            words.extend(f"{option}={_text(one)}" for one in value)
        else:
            words.append(f"{option}={_text(value)}")
    return words


def _dashed(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _text(value: Any) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _communicate(process: "subprocess.Popen[bytes]", stdin: bytes, progress: bool) -> "tuple[bytes, bytes]":
    """Both outputs. An interrupted cell or Ctrl-C is passed on, and the program then saves what it has."""
    said = bytearray()
    listener = threading.Thread(target=_listen, args=(process.stderr, said, progress), daemon=True)
    listener.start()
    process.stderr, asked = None, False
    while True:
        try:
            out, _ = process.communicate(None if asked else stdin)
            break
        except KeyboardInterrupt:
            asked = True
            process.send_signal(signal.SIGINT)
    listener.join()
    return out, bytes(said)


def _listen(stream: Any, said: bytearray, progress: bool) -> None:
    for piece in iter(lambda: stream.read1(4096), b""):
        said.extend(piece)
        if progress:
            sys.stderr.write(piece.decode("utf-8", "replace"))
            sys.stderr.flush()
    stream.close()


def _error(exit_code: int, err: bytes) -> Error:
    kind = UsageError if exit_code == 2 else Interrupted if exit_code in _STOPPED else Error
    lines = err.decode("utf-8", "replace").splitlines()
    try:
        told = json.loads(lines[-1])["error"]
        return kind(told["message"], told.get("hint") or "", told.get("code"), exit_code)
    except (IndexError, ValueError, KeyError, TypeError):
        pass  # it ended before it could say so in JSON
    message = next((line.split(": ", 1)[1] for line in lines if line.startswith(("error: ", "interrupted: "))), "")
    hint = next((line.split(": ", 1)[1] for line in lines if line.startswith("hint: ")), "")
    if not message:
        message = lines[-1] if lines else f"the program ended with exit code {exit_code}"
    return kind(message, hint, None, exit_code)
