"""recipes/real_model and the quickstart's part on a real model, on a Llama of random weights and the sample text."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("MFORMER_BIN", ROOT / "build/release/bin/mformer")
TIMEOUT_S = 240
sys.path[:0] = [str(ROOT / "recipes/real_model"), str(ROOT / "recipes/study")]

import methods  # noqa: E402
import report  # noqa: E402

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "num_attention_heads": 4,
         "num_key_value_heads": 2, "num_hidden_layers": 2, "intermediate_size": 64, "max_position_embeddings": 64,
         "initializer_range": 0.1, "rms_norm_eps": 1e-5, "tie_word_embeddings": True, "vocab_size": 1}


def run(*arguments, **options):
    return subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, timeout=TIMEOUT_S,
                          check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}, **options)


class Recipe(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mformer-real-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        (cls.folder / "config.json").write_text(json.dumps(LLAMA))
        made = cls.folder / "made"
        for step in (["tokenizer", "train", "--data", ROOT / "tests/data/sample/english", "--vocab-size", "400", "--out",
                      cls.folder / "tokenizer.json"],
                     ["init", "--config", cls.folder / "config.json", "--tokenizer", cls.folder / "tokenizer.json"],
                     ["export", cls.folder / "model"]):
            done = run(PROGRAM, "--workspace", made, *step)
            assert done.returncode == 0, done.stderr

    def assertDone(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_its_page_has_every_table_and_a_second_run_does_nothing(self):
        results = self.folder / "study"
        command = (sys.executable, "-B", ROOT / "recipes/real_model/run.py", "--quick", "--model", self.folder / "model", "--program",
                   PROGRAM, "--results", results, "--only", "domains,everything,prune")
        self.assertDone(run(*command))
        page = (results / "docs/smollm2.md").read_text(encoding="utf-8")
        for line in page.splitlines():
            if line.startswith(("| extend", "| all parameters", "| 50% kept", "| nothing pruned")):
                self.assertNotIn(" - |", line.replace("| - |", "", line.count("by the size")))
        self.assertNotIn(": domains/", run(*command).stdout)

    def quickstart(self, part, settings):
        """What run.sh does after set-up, build and download, with other settings; what it printed."""
        here = self.folder / part
        script = f"""
            set -euo pipefail
            cd '{ROOT}'
            here=recipes/quickstart program='{PROGRAM}' model='{self.folder}/model'
            folder='{here}' text='{here}/text' work='{here}/work' results='{here}/results'
            mkdir -p $text $results
            source $here/settings.sh
            {settings}
            source $here/steps.sh
            recipes/corpora/fetch.sh --sample $text english german qa
            source $here/{part}
            """
        done = run("bash", "-c", script)
        self.assertDone(done)
        return done.stdout

    def test_the_quickstart_on_a_small_model_ends_with_its_tables(self):
        out = self.quickstart("small_model.sh", "preset=tiny vocabulary=400 base_steps=2 extend_steps=2 tune_steps=2")
        self.assertRegex(out, r"\ngerman +\S+ +\S+ \(\S+\) +\S+ \(\+0\.000\) +\S+ \(\S+\)\n")  # masked it is the base
        self.assertRegex(out, r"\nqa-small@1 +\S+ \(\S+\) ")

    def test_the_quickstart_on_a_real_model_ends_with_its_table(self):
        out = self.quickstart("real_model.sh", "eval_tokens=256 german_steps=2 qa_steps=2 stat_tokens=256")
        self.assertEqual(out.count("generate --prompt"), 4)
        table = out[out.index("== what came out"):]
        self.assertRegex(table, r"held-out loss, nats per token +published +smollm2@2 +at most +smollm2-qa@1\n")
        for task in ("english", "german", "qa"):
            before, after, change, bound = re.search(rf"\n{task} +(\S+) +(\S+) \((\S+)\) +(\S+) +\S+ \(\S+\)\n", table).groups()
            self.assertAlmostEqual(float(before) + float(change), float(after), delta=2e-4)  # four digits each
            self.assertLessEqual(float(change), float(bound))
        self.assertRegex(table, r"on disk +\S+ kB +\S+ kB more +\S+ kB\n")


class Arguments(unittest.TestCase):

    def test_a_misspelt_option_of_the_quickstart_is_refused_before_anything_is_built(self):
        done = run("bash", ROOT / "recipes/quickstart/run.sh", "--smaple")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr, "error: unknown argument: --smaple\nhint: known: --sample; without it, a real model is downloaded\n")


class Figures(unittest.TestCase):

    def test_a_share_is_of_what_tuning_everything_improves_and_a_rise_of_what_was_just_learned(self):
        s = methods.QUICK

        def losses(**of):
            return {"result": {"tasks": [{"task": task, "loss": loss} for task, loss in of.items()]}}

        last = f"after-qa-{s.long}"
        found = {
            "base": {f"loss-{s.long}": losses(english=3.0, code=2.0, german=8.0, qa=6.0)},
            "domains": {f"after-german-{s.long}": losses(german=5.0), last: losses(english=3.01, german=5.02, qa=5.0)},
            "everything": {f"after-german-{s.long}": losses(german=4.0), last: losses(english=4.0, german=7.0, qa=4.0)}
        }
        measured = report.Measured(found, s)
        self.assertAlmostEqual(measured.rise("domains", "english", s.long), 0.01)
        self.assertAlmostEqual(measured.rise("domains", "german", s.long), 0.02)
        self.assertIsNone(measured.rise("domains", "code", s.long))
        self.assertIsNone(measured.rise("domains", "qa", s.long))  # nothing came after it
        self.assertIn("| 62% |", report.learning(measured))  # 3 of 4 of German, 1 of 2 of questions


if __name__ == "__main__":
    unittest.main()
