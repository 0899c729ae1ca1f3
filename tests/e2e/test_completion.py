"""Completion in the shells that are installed, as they load and run it."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
import unittest
from pathlib import Path

import mformer

PROGRAM = Path(mformer.BINARY).resolve()

# Sources the script and asks for the candidates of one line, as bash itself does after Tab.
BASH = r"""
source <("$1" completion bash)
PATH=${1%/*}:$PATH
COMP_LINE=$2 COMP_POINT=${#2}
shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_mformer
if ((${#COMPREPLY[@]})); then printf '%s\n' "${COMPREPLY[@]}"; fi
"""


def on_screen(data):
    """What a terminal shows of it, as one text: no colours, and what is written over is gone."""
    lines, column = [[]], 0
    for letter in re.sub(rb"\x1b(\[[0-9;?]*[A-Za-z]|[=>])", b"", data).decode("utf-8", "replace"):
        if letter in "\b\r\n\a":
            column = max(column - 1, 0) if letter == "\b" else column if letter == "\a" else 0
            if letter == "\n":
                lines.append([])
            continue
        lines[-1][column:column + 1] = letter
        column += 1
    return "\n".join(map("".join, lines))


def memory(work):
    """Every file of the workspace, but for what SQLite keeps while it reads."""
    return {path: path.read_bytes() for path in (work / ".mformer").rglob("*") if path.is_file() and not path.name.startswith("registry.db-")}


class CompletionTest(mformer.EndToEndTest):
    def in_bash(self, work, line, *words):
        """The candidates; `words`: as bash cuts the line, at '@', '=' and ':' too."""
        done = subprocess.run(["bash", "-c", BASH, "bash", str(PROGRAM), line, *words], cwd=work.path, text=True, capture_output=True,
                              env=mformer.environment(), timeout=mformer.TIMEOUT_S, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout.split("\n")[:-1]

    def test_bash_completes_commands_options_words_and_names(self):
        work = self.workspace()
        work.run("tag", "first", "base@1")
        before = memory(work)
        self.assertEqual(self.in_bash(work, "mformer ext", "mformer", "ext"), ["extend"])
        self.assertEqual(self.in_bash(work, "mformer inspect l", "mformer", "inspect", "l"), ["lineage"])
        self.assertEqual(self.in_bash(work, "mformer prune --sco", "mformer", "prune", "--sco"), ["--scope"])
        self.assertEqual(self.in_bash(work, "mformer prune --scope ", "mformer", "prune", "--scope", ""), ["layer", "global"])
        self.assertEqual(self.in_bash(work, "mformer prune --scope=g", "mformer", "prune", "--scope", "=", "g"), ["global"])
        self.assertEqual(self.in_bash(work, "mformer use ", "mformer", "use", ""), ["base", "first"])
        self.assertEqual(self.in_bash(work, "mformer use base@", "mformer", "use", "base", "@"), ["2", "1"])
        self.assertEqual(self.in_bash(work, "mformer use base@1", "mformer", "use", "base", "@", "1"), ["1"])
        self.assertEqual(self.in_bash(work, "mformer eval --task ", "mformer", "eval", "--task", ""), ["english"])
        self.assertEqual(memory(work), before, "completion wrote into the workspace")

    def test_bash_completes_names_with_spaces_and_workspaces_elsewhere(self):
        work = self.workspace("a b")
        work.run("task", "rename", "english", "plain english")
        outside = self.folder("outside")
        folder = f"'{work.path}'"
        line = f"mformer --workspace {folder} eval --task pl"
        self.assertEqual(self.in_bash(outside, line, "mformer", "--workspace", folder, "eval", "--task", "pl"), [r"plain\ english"])
        self.assertEqual(self.in_bash(outside, "mformer eval --task ", "mformer", "eval", "--task", ""), [], "no workspace: no names, no error")

    def type(self, shell, work, typed, start, wanted):
        """What an interactive shell shows once `typed` was typed, until `wanted` is among it."""
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(work.path)
            os.execvpe(shell[0], shell, {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "TERM": "xterm", "HOME": str(work.path), "PS1": "ready> ",
                                         "LANG": "C.UTF-8"})
        shown = b""
        try:
            for text, until in ((start, "ready>"), (typed, wanted)):
                deadline = time.monotonic() + 60
                os.write(terminal, text)
                while until not in on_screen(shown) and time.monotonic() < deadline:
                    if select.select([terminal], [], [], 0.2)[0]:
                        shown += os.read(terminal, 4096)
        except OSError:  # the shell has ended
            pass
        finally:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            os.close(terminal)
        return on_screen(shown)

    def test_bash_completes_at_the_keyboard(self):
        work = self.workspace()
        start = b"PS1='rea''dy> '; source <(mformer completion bash)\n"
        for typed, wanted in ((b"mformer diff base@1 --wor\t", "--workspace"), (b"mformer extend --data germ\t", "--data german"),
                              (b"mformer eval --task engl\t--max-t\t", "--task english --max-tokens"),
                              (b'mformer eval --task "engl\t--max-t\t', '--task "english" --max-tokens')):
            with self.subTest(typed=typed):
                self.assertIn(wanted, self.type(["bash", "--norc", "--noprofile", "-i"], work, typed, start, wanted))

    @unittest.skipUnless(shutil.which("zsh"), "no zsh here")
    def test_zsh_completes_at_the_keyboard(self):
        work = self.workspace()
        start = b"PS1='rea''dy> '; autoload -Uz compinit; compinit -u; source <(mformer completion zsh)\n"
        for typed, wanted in ((b"mformer prune --sco\tgl\t", "--scope global"), (b"mformer use base@1 --wor\t", "--workspace"),
                              (b"mformer extend --data germ\t", "--data german"), (b"mformer eval --task engl\t", "--task english")):
            with self.subTest(typed=typed):
                self.assertIn(wanted, self.type(["zsh", "-f", "-i"], work, typed, start, wanted))
        (work / "_mformer").write_text(work.run("completion", "zsh").out)  # as it is installed: read at the first Tab
        start = b"PS1='rea''dy> '; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u\n"
        self.assertIn("--scope global", self.type(["zsh", "-f", "-i"], work, b"mformer prune --sco\tgl\t", start, "--scope global"))

    @unittest.skipUnless(shutil.which("fish"), "no fish here")
    def test_fish_completes(self):
        work = self.workspace()
        for line, wanted in (("mformer ext", "extend\tAdd"), ("mformer prune --scope ", "layer\nglobal"), ("mformer use base@", "base@2\t"),
                             ("mformer eval --task ", "english\t"), ("mformer extend --data germ", "german/")):
            with self.subTest(line=line):
                done = subprocess.run(["fish", "--no-config", "-c", 'mformer completion fish | source; complete -C "$argv[1]"', line], cwd=work.path,
                                      env={"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(work.path)}, capture_output=True, text=True,
                                      timeout=mformer.TIMEOUT_S, check=False)
                self.assertIn(wanted, done.stdout, done)

    def candidates(self, work, *words):
        """What the program offers for the last of the words, without names of files."""
        rows = work.run("completion", "candidates", stdin="".join(word + "\n" for word in words).encode()).out.split("\n")[1:-1]
        return [row.split("\t")[0] for row in rows]

    def test_names_of_domains_and_operations_are_those_of_the_model_that_is_meant(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--into", "grown", "--steps", "1", *mformer.QUICK)
        self.assertEqual(self.candidates(work, "eval", "--domain", ""), [])
        self.assertEqual(self.candidates(work, "--model", "grown", "eval", "--domain", ""), ["base", "german"])
        self.assertEqual(self.in_bash(work, "mformer --model grown freeze domain=g", "mformer", "--model", "grown", "freeze", "domain", "=", "g"), ["german"])
        for word in self.candidates(work, "--model", "grown", "eval", "--domain", ""):
            work.run("eval", "--model", "grown", "--domain", word, "--max-tokens", "60")
        for selector in self.candidates(work, "--model", "grown", "inspect", "modules", ""):
            if selector != "frozen":  # nothing is
                self.assertNotEqual(work.run("inspect", "modules", selector, "--model", "grown", "--json").json["modules"], [], selector)
        numbers = self.candidates(work, "log", "")
        self.assertIn(str(work.run("log", "--json").json["operations"][0]["id"]), numbers)
        work.run("log", numbers[0])

    def test_candidates_answer_any_line(self):
        work = self.workspace()
        for words in (b"", b"\n", b"\n" * 5000, b"\xff\x00\xfe\n--model\n\xff", b"--workspace\n/dev/null\nuse\n", b"--workspace\n\nuse\n", b"x" * 200000):
            with self.subTest(words=words[:20]):
                self.assertEqual(work.run("completion", "candidates", stdin=words).err, "")
        (work / ".mformer" / "registry.db").write_bytes(b"no database")
        self.assertEqual(work.run("completion", "candidates", stdin=b"use\n\n").out.split("\n")[0], "words")
        self.workspaces.remove(work)


if __name__ == "__main__":
    unittest.main()
