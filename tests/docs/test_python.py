"""The Python of docs/python.md, block by block in one interpreter."""

import os
import shutil
import subprocess
import sys
import unittest

import pages
import mformer  # noqa: E402  the helper of the end-to-end tests


class PythonPageTest(mformer.EndToEndTest):
    def test_its_blocks_run_one_after_the_other(self):
        work = self.folder()
        for name, folder in (("general", "english"), ("newdomain", "german")):
            shutil.copytree(mformer.SAMPLE / folder, work / name)
        work.run("tokenizer", "train", "--data", "general", "--vocab-size", "400")
        text = "\n".join(line for block in pages.blocks(pages.ROOT / "docs" / "python.md") for line in block)
        text = text.replace("workspace.eval(task=[\"general\", \"newdomain\"]).frame()", "workspace.eval(task=[\"general\", \"newdomain\"])")
        text = text.replace("steps=60", "steps=2").replace("steps=40", "steps=2")  # what it learns is no matter here
        environment = {**os.environ, "PYTHONPATH": str(pages.ROOT / "python"), "MFORMER_BIN": str(pages.program())}
        done = subprocess.run([sys.executable, "-B", "-c", text], cwd=work.path, env=environment, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertIn("there is no task 'qu'", done.stdout)


if __name__ == "__main__":
    unittest.main()
