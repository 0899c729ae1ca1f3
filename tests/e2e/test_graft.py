import unittest

import mformer

TUNE = ("finetune", "--task", "german", "--data", "german", "--keep", "0.5", "--steps", "40", "--lr", "3e-3",
        *mformer.QUICK, "--into", "small")


class GraftTest(mformer.EndToEndTest):
    def test_the_full_model_learns_the_task_and_keeps_the_rest(self):
        work = self.workspace()
        small = work.run(*TUNE, "--json").json
        made = work.run("graft", "small", "--onto", "base", "--eval-tokens", "600", "--json").json
        self.assertEqual((made["model"], made["domain"]), ("base@3", "german"))
        kept = {kind: sum(row[kind]["after"] for row in small["kept"]) for kind in ("att", "mlp")}
        self.assertEqual(made["new_modules"], kept)
        change = {task["task"]: task["change"] for task in made["tasks"]}
        self.assertLess(change["german"], 0)
        before, after = work.modules("base@2"), work.modules("base@3")
        self.assertEqual({uid: after[uid] for uid in before}, before)
        losses = {}
        for model, flags in (("small", ()), ("base@3", ("--domain", "german"))):
            result = work.run("eval", "--model", model, "--task", "german", *flags, "--json").json
            losses[model] = result["tasks"][0]["loss"]
        self.assertEqual(losses["small"], losses["base@3"])
        work.check_sound()

    def test_a_dry_run_changes_nothing(self):
        work = self.workspace()
        work.run(*TUNE)
        expected = work.run("graft", "small", "--onto", "base", "--dry-run", "--json").json
        self.assertEqual(work.versions(), ["base@2", "small@1"])
        made = work.run("graft", "small", "--onto", "base", "--eval-tokens", "600", "--json").json
        for key in ("domain", "new_modules", "private_parameters", "parameters"):
            self.assertEqual(made[key], expected[key], key)

    def test_what_does_not_fit_is_refused(self):
        work = self.workspace()
        work.run(*TUNE)
        work.refuses("graft", "smal", "--onto", "base", code=2, says="smal", hint="small")
        work.refuses("graft", "base", "--onto", "small", code=1, says="is not there", hint="prune")
        work.refuses("graft", "small", "--onto", "base", "--domain", "base", code=2, says="'base'", hint="--domain")
        work.refuses("graft", "small", "--onto", "base", "--model", "base", code=2, says="--onto", hint="--onto")


if __name__ == "__main__":
    unittest.main()
