import json
import shutil
import unittest
from pathlib import Path

import mformer

MODELING = Path(__file__).resolve().parents[2] / "core" / "checkpoint" / "transformers" / "modeling_mformer.py"


class ModelCardTest(mformer.EndToEndTest):
    def card(self, work, *arguments):
        work.run("export", "out", "--overwrite", *arguments)
        return (work / "out" / "README.md").read_text()

    def test_tells_the_commands_the_births_the_domains_and_what_was_pruned(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--experts", "1", "--steps", "2", *mformer.QUICK)
        card = self.card(work)
        for part in ("`base@1`: `init ", "`base@2`: `train ", "steps=12", "data=english", "`base@3`: `extend ", "data=german",
                     "Trained on `english`, `german`.", "- `german`: ", "| init |  | ", "| extend | `german` | ",
                     "license: to be filled in", "parameters"):
            self.assertIn(part, card)
        self.assertNotIn("pruned", card)
        work.run("prune", "--model", "base@2", "--task", "english", "--keep", "0.5", "--into", "half", "--eval-tokens", "600",
                 "--stat-tokens", "2000")
        card = self.card(work, "--model", "half")
        self.assertIn("50 % were pruned", card)
        self.assertNotIn("## Domains", card)

    def test_tells_no_path_and_no_name_breaks_its_layout(self):
        work = self.workspace()
        shutil.copytree(work / "german", work / "odd `name| of\ta folder")
        work.run("task", "add", "german", "--data", "odd `name| of\ta folder")
        work.run("extend", "--task", "german", "--steps", "2", *mformer.QUICK)
        work.run("train", "--data", "odd `name| of\ta folder", "--into", "x", "--model", "base@2", "--steps", "2", *mformer.QUICK,
                 code=None)
        card = self.card(work)
        self.assertNotIn(str(work.path), card)
        self.assertNotIn(str(work.path.parent), card)
        for line in card.splitlines():
            self.assertEqual(line.count("`") % 2, 0, line)

    def test_one_that_was_filled_in_is_not_overwritten(self):
        work = self.workspace()
        first = self.card(work)
        self.assertEqual(self.card(work), first)
        (work / "out" / "README.md").write_text(first.replace("# license: to be filled in", "license: mit"))
        work.refuses("export", "out", "--overwrite", code=1, says="README.md is not as it was written", hint="another folder")
        (work / "out" / "README.md").unlink()
        work.run("export", "out", "--overwrite")


class ForTransformersTest(mformer.EndToEndTest):
    def test_the_python_file_lies_beside_the_weights_and_the_folder_is_imported_again(self):
        work = self.workspace()
        work.run("extend", "--data", "german", "--steps", "2", *mformer.QUICK)
        made = work.run("export", "ours", "--for", "transformers", "--json").json
        self.assertTrue(made["loadable_by_transformers"])
        self.assertEqual((work / "ours" / "modeling_mformer.py").read_bytes(), MODELING.read_bytes())
        config = json.loads((work / "ours" / "config.json").read_text())
        self.assertEqual(config["auto_map"]["AutoModelForCausalLM"], "modeling_mformer.MformerForCausalLM")
        self.assertIn("from_pretrained", work.run("export", "again", "--for", "transformers").out)
        work.run("import", "ours", "--name", "back")
        for model in ("base", "back"):
            work.run("export", model, "--model", model)
        for file in ("model.safetensors", "mformer_domains.safetensors"):
            self.assertEqual((work / "base" / file).read_bytes(), (work / "back" / file).read_bytes())
        self.assertNotIn("auto_map", json.loads((work / "back" / "config.json").read_text()))
        self.assertFalse((work / "back" / "modeling_mformer.py").exists())

    def test_another_reader_is_refused(self):
        self.workspace().refuses("export", "out", "--for", "others", code=2, says="unknown reader 'others'", hint="transformers")


if __name__ == "__main__":
    unittest.main()
