"""The commands that write, each as a Case that works in the folder that prepare() makes."""

import atexit
import functools
import os
import shutil
import tempfile
import unittest
from pathlib import Path

import points  # first: it tells where mformer.py lies
import mformer
import tensors
from points import Case

os.environ["HF_HUB_CACHE"] = "hub"  # in the folder of each trial
TRAIN = ("--steps", "2", *mformer.QUICK)


def prepare(path):
    """A workspace in which every command below finds what it needs."""
    path = Path(path)
    path.mkdir(parents=True)
    for name in ("english", "german"):
        mformer.write_corpus(path / name, mformer.SAMPLE / name)
    shutil.copytree(path / "english", path / "moved")
    shutil.copytree(mformer.SAMPLE / "qa", path / "qa")
    work = mformer.Folder(unittest.TestCase(), path)
    work.run("tokenizer", "train", "--data", "english", "--vocab-size", "400", "--quiet")
    work.run("init", "--preset", "tiny", "--tokenizer", "tokenizer.json")
    work.run("train", "--data", "english", *TRAIN)
    work.run("export", "checkpoint")
    work.run("export", "half", "--dtype", "bfloat16")
    work.run("extend", "--data", "german", "--into", "grown", *TRAIN)
    work.run("extend", "--data", "qa", "--model", "base@2", "--into", "branch", *TRAIN)
    work.run("merge", "grown", "branch", "--into", "both", "--eval-tokens", "100")
    work.run("prune", "--task", "english", "--keep", "0.5", "--model", "base@2", "--into", "small", "--eval-tokens", "600")
    work.make_dense()
    tensors.write(path / "ids.safetensors", {"input_ids": tensors.Tensor([1, 8], range(8))})
    (path / "questions.jsonl").write_text('{"question": "1+1?", "choices": ["1", "2"], "answer": 1}\n{"prompt": "a", "answer": "b"}\n')
    work.run("freeze", "layer=0", "--model", "base")
    work.run("tag", "first", "base@1")
    work.run("fsck")


@functools.cache
def prepared():
    """Such a folder, made once; to be copied."""
    path = Path(tempfile.mkdtemp(prefix="mformer-prepared-"))
    atexit.register(mformer.remove_folder, path)
    prepare(path / "work")
    return path / "work"


def leave_litter(path):
    """What killed commands and removed names leave: a dead operation, files without a name, a model that may go."""
    work = mformer.Folder(unittest.TestCase(), path)
    work.run("model", "remove", "both")
    work.run("task", "remove", "qa")
    made = points.run(path, ("freeze", "layer=1"), {"BELOW": path, "POINTS": path.parent / "spoil", "AT": 40, "HOW": "kill"})
    assert made.code == -9, made
    for name in ("cache/.tmp-1-tokens", "objects/.tmp-2", "running/000000000000"):
        (path / ".mformer" / name).write_text("half")
    (path / ".mformer" / "objects" / "00").mkdir(exist_ok=True)
    (path / ".mformer" / "objects" / "00" / ".tmp-3").write_text("half")


def damage(path):
    """An object that is lost and one that is damaged, with good copies beside, and no count of changes."""
    shutil.copytree(path / ".mformer", path / "good" / ".mformer")
    (path / ".mformer" / "changes").unlink()
    modules = points.run(path, ("inspect", "modules", "--model", "base", "--json")).json["modules"]
    first, second = (path / ".mformer" / "objects" / row["object"][:2] / row["object"] for row in modules[:2])
    first.unlink()
    text = second.read_bytes()
    second.unlink()
    second.write_bytes(text[:-1] + b"?")


def after(*arguments):
    """What makes the folder ready: another command."""
    def spoil(path):
        done = points.run(path, arguments)
        assert done.code == 0, done

    return spoil


THIN = (
    Case("use", ("use", "base@1"), thin=True),
    Case("undo", ("undo",), thin=True),
    Case("redo", ("redo",), thin=True, spoil=after("undo")),
    Case("push", ("push", "copy", "small"), "copy", thin=True, spoil=after("push", "copy", "dense")),
    Case("push --into a new folder", ("push", "new", "small"), "new", thin=True),
    Case("pull", ("--workspace", "copy", "pull", ".", "dense"), "copy", thin=True, spoil=after("push", "copy", "small")),
    Case("move", ("move", "base", "base@1"), thin=True),
    Case("branch", ("branch", "twig", "base@1"), thin=True),
    Case("bundle", ("bundle", "base.bundle", "small"), thin=True),
    Case("tag", ("tag", "second", "base@2"), thin=True),
    Case("tag --remove", ("tag", "--remove", "first"), thin=True),
    Case("model rename", ("model", "rename", "branch", "twig"), thin=True),
    Case("model remove", ("model", "remove", "branch"), thin=True),
    Case("task rename", ("task", "rename", "english", "prose"), thin=True),
    Case("task remove", ("task", "remove", "german"), thin=True),
    Case("gc", ("gc", "--grace", "0"), thin=True, spoil=leave_litter, goes_on=True),
    Case("fsck --repair", ("fsck", "--repair", "--from", "good"), thin=True, spoil=damage, goes_on=True,
         unsound=True),
)
COMPUTING = (
    Case("init", ("--workspace", "new", "init", "--preset", "tiny", "--no-tokenizer"), "new"),
    Case("import", ("import", "half", "--name", "other")),
    Case("export", ("export", "out")),
    Case("export --overwrite", ("export", "checkpoint", "--dtype", "float16", "--overwrite")),
    Case("export --hub-cache", ("export", "some-org/name", "--hub-cache"), spoil=after("export", "some-org/name", "--hub-cache", "--model", "base@1")),
    Case("export --format gguf", ("export", "out.gguf", "--format", "gguf", "--model", "dense")),
    Case("tokenizer train", ("tokenizer", "train", "--data", "qa", "--vocab-size", "300", "--out", "small.json")),
    Case("task add", ("task", "add", "more", "--data", "moved")),
    Case("task add --replace", ("task", "add", "german", "--data", "qa", "--replace")),
    Case("task move", ("task", "move", "english", "--data", "moved")),
    Case("train", ("train", "--task", "english", "--model", "base", "--snapshot-every", "1", *TRAIN)),
    Case("extend", ("extend", "--data", "german", "--model", "base", *TRAIN)),
    Case("finetune", ("finetune", "--task", "german", "--model", "grown", *TRAIN)),
    Case("prune", ("prune", "--task", "english", "--keep", "0.5", "--model", "base", "--eval-tokens", "600")),
    Case("graft", ("graft", "small", "--onto", "base", "--eval-tokens", "600")),
    Case("drop", ("drop", "--born", "extend:qa", "--model", "both", "--eval-tokens", "100")),
    Case("merge", ("merge", "grown", "branch", "--into", "joint", "--eval-tokens", "100")),
    Case("freeze", ("freeze", "layer=1", "--model", "base")),
    Case("unfreeze", ("unfreeze", "layer=0", "--model", "base")),
    Case("upcycle", ("upcycle", "--experts", "2", "--k", "1", "--model", "dense", "--noise", "0.1", "--eval-tokens", "100")),
    Case("eval", ("eval", "--model", "base@2", "--max-tokens", "100", "--csv", "scores.csv", "--matrix")),
    Case("eval --tasks --log", ("eval", "--model", "base@2", "--tasks", "questions.jsonl", "--log", "answers.jsonl")),
    Case("probe", ("probe", "--model", "base@2", "--input", "ids.safetensors", "--out", "logits.safetensors")),
    Case("inspect routing", ("inspect", "routing", "--model", "base", "--max-tokens", "100", "--refresh")),
)
