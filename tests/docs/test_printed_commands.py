"""Every command line that README and docs print, as it is printed, in a workspace that has what the pages speak of.

Lines in LONG would train for minutes: they are run with --dry-run behind them, which checks everything but the training.
"""

import functools
import os
import shutil
import unittest
from pathlib import Path

import pages
import mformer  # noqa: E402  the helper of the end-to-end tests
import tensors  # noqa: E402

os.environ["HF_HUB_CACHE"] = "hub"  # in the workspace: what whoever runs this has downloaded is not touched
LONG = ("mformer train ", "mformer upcycle --slices", "mformer extend ", "mformer finetune ", "mformer prune ", "mformer --model base@2 prune ")
ELSEWHERE = {
    "mformer manifest 1",  # a line of a file, no command
    "mformer push me@host:work base", "mformer pull host:work base", "mformer pull ssh://host:2222/home/me/work",  # no host is there
}
# What has to be done to the workspace first, by a shell.
BEFORE = {
    "mformer init --preset small --tokenizer tokenizer.json": "rm -r .mformer",
    "mformer tokenizer train --data english/ --vocab-size 4096": "rm tokenizer.json",
    "mformer train --data english/ --steps 2000": "mformer move base base@2",  # before its first domain
    "mformer train --data german/ --batch 2 --context 32 --dry-run": "mformer move base base@2",
    "mformer upcycle --experts 4 --k 2 --into modular": "mformer use llama",  # a dense model
    "mformer upcycle --slices 8 --k 6 --data english/ --steps 200 --into sparse": "mformer use llama",
    "mformer redo": "mformer undo",
    "mformer pull base.bundle": "mformer bundle base.bundle base",
    "mformer import checkpoint/ --name other": "mformer export checkpoint --domain base",
}
QUICK = ("--steps", "1", "--batch", "1", "--context", "16", "--eval-tokens", "50")


@functools.cache
def prepared():
    """A workspace with all that the pages name."""
    test = unittest.TestCase()
    path = Path(mformer.tempfile.mkdtemp(prefix="mformer-docs-"))
    unittest.addModuleCleanup(mformer.remove_folder, path)
    work = mformer.Folder(test, path)
    for name in ("english", "german", "newdomain", "french"):
        mformer.write_corpus(path / name, mformer.SAMPLE / ("german" if name in ("german", "newdomain") else "english"), characters=300 + len(name))
    shutil.copytree(mformer.SAMPLE / "qa", path / "qa")
    shutil.copytree(mformer.SAMPLE / "qa", path / "elsewhere" / "qa")
    work.run("tokenizer", "train", "--data", "english", "--vocab-size", "400")
    (path / "chat_template.jinja").write_text("{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}")
    work.run("init", "--preset", "tiny", "--tokenizer", "tokenizer.json")
    for task in ("qa", "german"):
        work.run("task", "add", task, "--data", task)
    work.run("train", "--data", "english", *QUICK)
    work.run("--model", "base@2", "extend", "--data", "french", "--into", "french", *QUICK)
    work.run("--model", "base@2", "prune", "--task", "qa", "--keep", "0.3", "--stat-tokens", "500", "--eval-tokens", "50", "--into", "qa-small")
    work.run("extend", "--task", "german", *QUICK)
    work.make_dense()
    work.run("model", "rename", "dense", "llama")
    work.run("use", "base")
    for task in ("qa", "german"):
        work.run("inspect", "routing", "--task", task)
    tensors.write(path / "ids.safetensors", {"input_ids": tensors.Tensor([1, 8], range(8))})
    (path / "token").write_text("s3cret")
    (path / "ids.txt").write_text("17 4 2\n")
    (path / "chat.json").write_text('[{"role": "user", "content": "Hello"}]')
    for name in ("questions", "examples"):
        question = '{"question": "What falls from clouds?", "choices": ["rain", "stones"], "answer": "rain"}\n'
        (path / f"{name}.jsonl").write_text(question * 5)
    return path


def long_as_dry(line):
    if line.startswith("mformer serve"):  # which ends in good order when it is told to
        return f"timeout --foreground --preserve-status -s INT 3 {line} --port 0"
    return line + " --dry-run" if line.startswith(LONG) and "--dry-run" not in line else line


class PrintedCommandsTest(mformer.EndToEndTest):
    def run_line(self, line):
        """In a copy of the workspace, by a shell that finds the program."""
        path = self.temporary / f"copy{len(list(self.temporary.iterdir()))}"
        shutil.copytree(prepared(), path)
        environment = mformer.environment(PATH=f"{pages.program().parent}:{mformer.os.environ['PATH']}", OMP_NUM_THREADS="1")
        done = mformer.Result(mformer.subprocess.run(["bash", "-euc", f"{{ {BEFORE.get(line, ':')}; }} >&2\n{long_as_dry(line)}"], cwd=path, capture_output=True, env=environment, stdin=mformer.subprocess.DEVNULL,
                                                     timeout=mformer.TIMEOUT_S, check=False))
        mformer.remove_folder(path)
        return done

    def check_page(self, page):
        lines = [line for line in pages.command_lines(page) if line not in ELSEWHERE]
        for line in lines:
            with self.subTest(page=page.name, line=line):
                done = self.run_line(line)
                self.assertEqual(done.code, 0, done)
        return len(lines)

    def test_lines_of_the_readme(self):
        self.assertGreaterEqual(self.check_page(pages.ROOT / "README.md"), 3)

    def test_lines_of_the_page_on_commands(self):
        self.assertGreater(self.check_page(pages.ROOT / "docs" / "commands.md"), 40)

    def test_lines_of_all_other_pages(self):
        others = [page for page in pages.PAGES if page.name not in ("README.md", "commands.md", "your-data.md")]
        self.assertGreater(sum(map(self.check_page, others)), 4)

    def test_what_is_left_out_is_still_printed_somewhere(self):
        printed = {line for page in pages.PAGES for line in pages.command_lines(page)}
        self.assertLessEqual(ELSEWHERE | set(BEFORE), printed)


if __name__ == "__main__":
    unittest.main()
