"""The commands of mformer in Python: each runs the program once and returns what `--json` prints.

    import mformer

    workspace = mformer.Workspace("ws")
    workspace.init(preset="tiny", tokenizer="tokenizer.json")
    workspace.train(data="english/", steps=200)
    report = workspace.extend(data="german/", steps=100)
    report["model"]
    workspace.eval().frame()        # with pandas: one row a task

docs/python.md says more.
"""

from ._program import program, version
from .errors import Error, Interrupted, UsageError
from .workspace import Command, Result, Workspace

__all__ = ["Command", "Error", "Interrupted", "Result", "UsageError", "Workspace", "program", "version"]
