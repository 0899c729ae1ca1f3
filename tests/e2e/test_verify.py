import json
import math
import os
import subprocess
import unittest
from pathlib import Path

import mformer

EXTEND = ("extend", "--data", "german", "--steps", "6", *mformer.QUICK)
GATE = Path(__file__).resolve().parents[2] / "recipes/gate/gate.sh"


class VerifyTest(mformer.EndToEndTest):
    def extended(self):
        """base@2, and base@3 with a domain for German."""
        work = self.workspace()
        work.run(*EXTEND)
        return work

    def fails(self, work, *arguments, says):
        """Does not hold: exit code 1, the figures on stdout, one error with a hint; and nothing changed."""
        before = work.state()
        result = work.run("verify", *arguments, code=1)
        work.check_refusal(result, says, hint="mformer diff")
        self.assertEqual(work.state(), before)
        self.assertIn("does not hold: ", result.out.splitlines()[-1])
        data = work.run("verify", *arguments, "--json", code=1).json
        self.assertFalse(data["holds"])
        return data

    def test_an_extension_holds_by_its_own_bound_and_its_last_line_says_so(self):
        work = self.extended()
        shown = work.run("verify", "base@3", "--against", "base@2", "--unchanged").out.splitlines()[-1]
        self.assertTrue(shown.startswith("holds: base@3 against base@2: 2 tasks, "), shown)
        self.assertIn("nothing old changed; logits as of base@2 bit for bit", shown)

    def test_json_has_the_losses_that_eval_measures_and_the_bound(self):
        work = self.extended()
        data = work.run("verify", "base@3", "--against", "base@2", "--json").json
        self.assertTrue(data["holds"])
        self.assertEqual((data["model"], data["against"]["ref"]), ("base@3", "base@2"))
        self.assertTrue(data["as_of"]["bit_for_bit"])
        self.assertTrue(data["objects"]["nothing_old_changed"])
        self.assertEqual(data["objects"]["same_modules"], len(work.modules("base@2")))
        losses = {ref: {row["task"]: row["loss"] for row in work.run("eval", "--json", "--model", ref).json["tasks"]}
                  for ref in ("base@2", "base@3")}
        for row in data["tasks"]:
            self.assertEqual(row["against_loss"], losses["base@2"][row["task"]])
            self.assertEqual(row["loss"], losses["base@3"][row["task"]])
            self.assertEqual(row["limit"], row["bound"])
            self.assertLessEqual(row["rise"], row["bound"])

    def test_what_was_lost_shuts_the_gate_and_leaves_the_figures(self):
        work = self.workspace()
        work.run("train", "--data", "german", "--steps", "20", "--lr", "0.02", *mformer.QUICK)
        self.fails(work, "base@3", "--against", "base@2", "--task", "english", says="'english' rises by")
        rise = self.fails(work, "base@3", "--against", "base@2", "--task", "english", says="more than 0")["tasks"][0]["rise"]
        self.assertTrue(math.isfinite(rise) and rise > 0)
        above, below = str(rise * 1.001), str(rise * 0.999)
        work.run("verify", "base@3", "--against", "base@2", "--task", "english", "--max-rise", above)
        self.fails(work, "base@3", "--against", "base@2", "--task", "english", "--max-rise", below, says="'english' rises")
        self.fails(work, "base@3", "--against", "base@2", "--max-rise", "99", "--unchanged", says="changed")

    def test_a_version_against_itself_says_that_it_is_the_same(self):
        work = self.workspace()
        data = work.run("verify", "base", "--against", "base@2", "--json", "--max-rise", "0").json
        self.assertTrue(data["holds"] and data["same_version"])
        self.assertEqual([row["rise"] for row in data["tasks"]], [0.0])
        self.assertIn("the same version", work.run("verify", "base", "--against", "base@2").out)

    def test_losses_that_are_no_numbers_never_pass(self):
        work = self.workspace()
        header, body = mformer.read_safetensors(next((work / "checkpoint").glob("*.safetensors")))
        start, end = header["transformer.ln_f.weight"]["data_offsets"]
        nan = b"\x00\x00\xc0\x7f" * ((end - start) // 4)
        mformer.write_safetensors(next((work / "checkpoint").glob("*.safetensors")), header, body[:start] + nan + body[end:])
        work.run("import", "checkpoint", "--name", "broken", "--allow-not-finite")
        for pair in (("broken", "base"), ("base", "broken"), ("broken", "broken")):
            with self.subTest(pair=pair):
                data = self.fails(work, pair[0], "--against", pair[1], "--max-rise", "1000000", says="not a finite number")
                self.assertIn(None, (data["tasks"][0]["loss"], data["tasks"][0]["against_loss"]))

    def test_what_can_t_be_verified_is_an_error_and_no_figures(self):
        work = self.extended()
        verify = ("verify", "base@3", "--against", "base@2")
        work.refuses("verify", "base@3", code=2, says="--against")
        work.refuses("verify", "base@9", "--against", "base@2", code=2, says="no version '9'")
        work.refuses("verify", "base@3", "--against", "nobody", code=2, says="nobody")
        work.refuses(*verify, "--task", "engish", code=2, says="engish", hint="english")
        for number in ("nan", "-1", "inf", "a lot"):
            work.refuses(*verify, "--max-rise", number, code=2, says="--max-rise")
        work.run("tokenizer", "train", "--data", "german", "--vocab-size", "300", "--out", "other.json", "--quiet")
        work.run("init", "--preset", "tiny", "--tokenizer", "other.json", "--name", "other")
        work.refuses("verify", "other", "--against", "base@2", code=2, says="different tokenizers")
        (work / "german" / "text.jsonl").write_text('{"text": "changed"}\n')
        work.refuses(*verify, code=1, says="not what is recorded as task 'german'")

    def test_without_any_task_nothing_passes(self):
        work = self.workspace()
        work.run("task", "remove", "english")
        work.refuses("verify", "base@2", "--against", "base@1", code=2, says="no task with held-out text", hint="task add")

    def gate(self, work, *arguments, code, **variables):
        environment = mformer.environment(MFORMER=str(Path(mformer.BINARY).resolve()), **variables)
        done = subprocess.run([GATE, *map(str, arguments)], cwd=work.path, env=environment, capture_output=True, text=True,
                              check=False, timeout=mformer.TIMEOUT_S)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_the_recipe_exports_what_holds_and_nothing_else(self):
        work = self.workspace()
        extension = ("--steps", "6", *mformer.QUICK)
        self.gate(work, ".", "german", "candidate", "release", *extension, code=0, REPORT="gate.json")
        self.assertTrue((work / "release" / "config.json").exists())
        self.assertTrue(json.loads((work / "gate.json").read_text())["holds"])
        self.assertEqual(work.run("models", "--json").json["models"][0]["version"]["ref"], "base@2")
        shut = self.gate(work, ".", "qa", "second", "refused", *extension, "--single-mask", "--rehearse", "0", "--lr", "0.05", code=1,
                         MAX_RISE="0.0000001")
        self.assertIn("does not hold", shut.stderr)
        self.assertFalse((work / "refused").exists())
        self.gate(work, ".", "qa", code=2)
        self.gate(work, ".", "qa", "base", "release", code=2)

    def test_the_recipe_again_trains_nothing_twice(self):
        work = self.workspace()
        line = (".", "german", "candidate", "release", "--steps", "2", *mformer.QUICK)
        work.run("tag", "before-candidate", "base@2")  # as one that was stopped leaves it
        self.gate(work, *line, code=0)
        made = work.versions()
        operations = [one["command"] for one in work.run("log", "--json").json["operations"]]
        (work / "release" / "config.json").write_text("{}")
        work.run("use", "candidate")  # what the candidate is held against stays what it came from
        self.gate(work, *line, code=0)
        self.assertEqual(work.versions(), made)
        self.assertEqual([one["command"] for one in work.run("log", "--json").json["operations"]], ["use", *operations])
        self.assertNotEqual((work / "release" / "config.json").read_text(), "{}")


if __name__ == "__main__":
    unittest.main()
