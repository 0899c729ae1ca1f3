"""The start of the program: without LibTorch where nothing is computed; else with threads that sleep, and an environment
that is the user's again."""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

import mformer

PROGRAM = Path(mformer.BINARY).resolve()
PARTS = (Path("bin/mformer"), Path("libexec/mformer/mformer-compute"))
# What needs no tensors, and the exit code. Each line of it finds what the ones before left.
WITHOUT_TENSORS = (
    (0, "--version"), (0, "--help"), (0, "train", "--help"), (0, "inspect", "routing", "--help"), (0, "models"), (0, "log"), (0, "tasks"),
    (0, "log", "--graph"), (0, "show", "base@2"), (0, "diff", "base@1", "base@2"), (0, "inspect", "lineage"),
    (0, "tag", "first", "base@1"), (0, "tag"), (0, "use", "base@1"), (0, "use", "base"), (0, "undo"), (0, "redo"), (0, "branch", "twig"), (0, "push", "pushed"), (0, "pull", "pushed"), (0, "bundle", "all.bundle"), (0, "move", "base", "base@2"), (0, "model", "rename", "base", "other"),
    (0, "undo"), (0, "task", "rename", "english", "prose"), (0, "task", "remove", "prose"), (0, "undo"), (0, "gc", "--dry-run"), (0, "fsck"),
    (0, "task", "add", "qa", "--data", "qa"), (0, "task", "move", "qa", "--data", "qa"), (0, "tokenizer", "encode", "--text", "hello"),
    (0, "tokenizer", "train", "--data", "qa", "--vocab-size", "300", "--out", "learned.json"),
    (2, "eval", "--task", "nosuch"), (2, "train", "--task", "nosuch"), (2, "extend"), (2, "--model", "nosuch", "generate"),
    (2, "verify", "base", "--against", "base@9"), (2, "diff", "base", "nosuch"), (2, "freeze", "layer=x"), (2, "drop", "kind=attn"),
    (2, "finetune", "--task", "qa", "--modules", "share(qa)>=2"), (2, "merge", "base", "nosuch"), (2, "inspect", "routing", "--task", "nosuch"),
    (1, "--workspace", "nowhere", "eval"), (1, "--workspace", "nowhere", "import", "x", "--name", "y"),
    (2,), (2, "trian"), (2, "train", "--steps", "many"), (2, "extend", "--stpes", "3"), (2, "prune", "--task", "qa", "--keep", "30"),
    (2, "prune", "--task", "qa", "--keep", "0.5", "--scope", "nosuch"), (2, "prune", "--task", "qa", "--keep", "0.5", "--criterion", "nosuch"),
    (2, "prune", "--task", "qa", "--keep", "0.5", "--heal-steps", "1", "--tune-steps", "1"), (2, "train", "--task", "qa", "--pools", "1"),
    (2, "train", "--task", "qa", "--keep-best", "--eval-every", "0"), (2, "extend", "--task", "qa", "--start", "nosuch"),
    (2, "extend", "--task", "qa", "--store", "int7"), (2, "extend", "--task", "qa", "--rehearse", "1"),
    (2, "finetune", "--task", "qa", "--scope", "global"), (2, "finetune", "--task", "qa", "--teacher", "base"),
    (2, "upcycle", "--k", "2"), (2, "upcycle", "--experts", "4", "--k", "9"), (2, "upcycle", "--experts", "4", "--k", "2", "--lower", "0.5"),
    (2, "inspect", "keep-curve", "--task", "qa", "--split", "nosuch"), (2, "inspect", "keep-curve", "--task", "qa", "--criteria", "nosuch"),
    (2, "inspect", "posterior"), (2, "export", "out", "--dtype", "nosuch"), (2, "export", "out", "--format", "gguf", "--quantize", "int8"),
    (2, "generate", "--dtype", "nosuch"), (2, "generate", "--system", "be kind"), (2, "eval", "--csv", "x.csv"), (2, "eval", "--shots", "2"),
    (2, "eval", "--matrix", "--context", "9"), (2, "eval", "--tasks", "q.jsonl", "--task", "qa"), (2, "eval", "--matrix", "--csv", "no/x.csv"),
    (2, "--model", "base", "blame", "base", "--task", "qa"), (2, "--model", "base", "graft", "base", "--onto", "base"),
    (2, "merge", "base", "base", "--rename", "x"),
    (2, "inspect", "rooting"), (2, "diff", "base@1"), (2, "generate", "--device", "gpu"), (2, "use", "nothing"))
SHOW = {"OMP_DISPLAY_ENV": "verbose"}


def settings(**environment):
    """What the OpenMP runtime says that it was told, in a command that computes and ends at once."""
    done = subprocess.run(mformer.command_line(["init", "--config", "nowhere"]), env={**SHOW, **environment}, capture_output=True,
                          text=True, check=False)
    lines = [line.strip().replace("'", "").split(" = ") for line in done.stderr.splitlines() if " = " in line]
    return {name.removeprefix("[host] "): value for name, value in lines}


class StartTest(mformer.EndToEndTest):
    def loads_torch(self, work, *arguments, code):
        """Whether the dynamic linker, which lists what it loads, lists LibTorch."""
        done = subprocess.run(mformer.command_line(arguments), cwd=work.path, env=mformer.environment(LD_DEBUG="libs"),
                              capture_output=True, text=True, check=False, timeout=mformer.TIMEOUT_S)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr[-2000:]}")
        self.assertIn("libsqlite3", done.stderr, "the linker did not say what it loads")
        return "libtorch" in done.stderr or "libc10" in done.stderr

    @unittest.skipIf("MFORMER_LINKS_TORCH" in os.environ, "in this kind of build the program is linked to LibTorch")
    def test_what_computes_nothing_does_not_load_libtorch(self):
        work = self.workspace()
        for code, *arguments in WITHOUT_TENSORS:
            with self.subTest(command=arguments):
                self.assertFalse(self.loads_torch(work, *arguments, code=code))
        self.assertTrue(self.loads_torch(work, "inspect", "modules", code=0), "what loads it is not noticed")

    def copy_of_the_program(self):
        folder = self.temporary / "installed"
        for part in PARTS:
            (folder / part).parent.mkdir(parents=True)
            shutil.copy2(PROGRAM.parents[1] / part, folder / part)
        return folder

    def test_a_link_to_the_program_finds_the_part_that_computes(self):
        link = self.temporary / "mf"
        link.symlink_to(PROGRAM)
        line = [link, "tokenizer", "encode", "--tokenizer", self.workspace() / "tokenizer.json", "--text", "hello"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        self.assertRegex(done.stdout, r"^\d+( \d+)*\n$", done)

    def test_a_part_that_is_missing_is_one_clear_error(self):
        folder = self.copy_of_the_program()
        (folder / PARTS[1]).unlink()
        done = mformer.Result(subprocess.run([folder / PARTS[0], "doctor"], capture_output=True, check=False))
        self.assertEqual(done.code, 1, done)
        self.folder().check_refusal(done, says="mformer-compute", hint="install mformer anew")
        self.assertEqual(subprocess.run([folder / PARTS[0], "--version"], capture_output=True, check=False).returncode, 0)

    def test_threads_sleep_in_any_environment(self):
        for environment in ({"HOME": "/", "PATH": "/bin"}, {"HOME": "/"}, {}, dict(os.environ)):
            environment.pop("OMP_WAIT_POLICY", None)
            found = settings(**environment)
            self.assertEqual((found["OMP_WAIT_POLICY"], found["GOMP_SPINCOUNT"]), ("PASSIVE", "3000"), environment)

    def test_the_users_own_policy_stays(self):
        self.assertEqual(settings(HOME="/", PATH="/bin", OMP_WAIT_POLICY="active")["OMP_WAIT_POLICY"], "ACTIVE")

    def test_variables_whose_place_was_borrowed_are_there_again(self):
        work = self.workspace()
        terminals = [work.on_terminal("inspect", "lineage", environment={"HOME": "/", "TERM": term, "LANG": "C.UTF-8"}) for term in ("dumb", "xterm")]
        self.assertIn("base@2", terminals[0])
        self.assertNotIn("\u2500", terminals[0], "a terminal that draws no lines")
        self.assertNotEqual(*terminals)


if __name__ == "__main__":
    unittest.main()
