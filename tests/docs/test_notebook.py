"""The cells of recipes/notebook/own_data.ipynb, run one after the other as a notebook's kernel runs them."""

import json
import os
import subprocess
import sys
import unittest

import pages

# Each cell in the same names; what the last line of a cell is worth would be shown, so it has to be worth something.
RUNNER = r"""
import ast, json, sys
names = {}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] != "code":
        continue
    tree = ast.parse("".join(cell["source"]))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        print(repr(value)[:300])
names["shutil"].rmtree(names["work"])
"""


class NotebookTest(unittest.TestCase):
    NOTEBOOK = pages.ROOT / "recipes" / "notebook" / "own_data.ipynb"

    def test_its_cells_run_in_order(self):
        environment = {**os.environ, "PYTHONPATH": str(pages.ROOT / "python"), "MFORMER_BIN": str(pages.program())}
        done = subprocess.run([sys.executable, "-B", "-c", RUNNER, str(self.NOTEBOOK)], cwd=pages.ROOT, env=environment, capture_output=True,
                              text=True, timeout=500, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("there is no task 'question'", done.stdout)
        self.assertIn("'small'", done.stdout)

    def test_it_is_kept_without_results(self):
        for cell in json.loads(self.NOTEBOOK.read_text())["cells"]:
            self.assertFalse(cell.get("outputs"), "results of one machine")


if __name__ == "__main__":
    unittest.main()
