import json
import signal
import unittest

import mformer

COPIES = ("upcycle", "--experts", "3", "--k", "2", "--eval-tokens", "600")
SLICES = ("upcycle", "--slices", "4", "--k", "2", "--task", "english", "--stat-tokens", "500", *mformer.QUICK)
STEPS = 16


class UpcycleTest(mformer.EndToEndTest):
    def dense(self, name="work", **changes):
        """A workspace whose current model `dense` is a small Llama, trained for two steps as dense@2."""
        work = self.workspace(name)
        work.make_dense(**changes)
        work.run("use", "dense")
        work.run("train", "--task", "english", "--steps", "2", *mformer.QUICK)
        mformer.remove_folder(work / ".mformer" / "runs")
        return work

    def test_copies_keep_the_loss_at_once_and_know_what_they_are_made_of(self):
        work = self.dense()
        made = work.run(*COPIES, "--json").json
        self.assertEqual((made["model"], made["form"], made["family"], made["k"]), ("dense@3", "copies", "mixtral", 2))
        self.assertLess(made["logit_difference"], 1e-5 * made["largest_logit"])
        self.assertEqual(made["modules"], {"before": 16, "after": 6})
        english = next(task for task in made["tasks"] if task["task"] == "english")
        self.assertAlmostEqual(english["before"], english["after"], delta=1e-5)
        rows = work.run("inspect", "modules", "kind=mlp", "--json").json["modules"]
        self.assertEqual({row["born_by"] for row in rows}, {"upcycle"})
        before = work.run("inspect", "modules", "kind=mlp,layer=0", "--model", "dense@2", "--json").json["modules"]
        self.assertEqual(rows[0]["copied_from"].split(","), [row["uid"] for row in before])
        self.assertIn("and 7 more", work.run("inspect", "modules", "born=upcycle").out)
        life = work.run("inspect", "lineage", rows[0]["uid"]).out
        self.assertIn("born by upcycle", life)
        self.assertIn("made of " + before[0]["uid"], life)
        self.assertIn("upcycle", work.run("inspect", "lineage").out)
        difference = work.run("diff", "dense@2", "dense@3", "--json").json
        self.assertEqual((difference["added"], difference["removed"], difference["trunk"]), (6, 16, []))

    def test_undo_takes_it_back(self):
        work = self.dense()
        before = work.modules("dense")
        work.run(*COPIES)
        work.run("undo")
        self.assertEqual(work.modules("dense"), before)

    def test_slices_are_lowered_and_learn_and_the_losses_of_all_stages_are_said(self):
        work = self.dense()
        made = work.run(*SLICES, "--steps", STEPS, "--into", "sparse", "--json").json
        self.assertEqual(made["model"], "sparse@1")
        self.assertAlmostEqual(made["exact"]["loss"], made["dense"]["loss"], delta=1e-5)
        for stage in ("dense", "exact", "told_apart", "after"):
            self.assertGreater(made[stage]["tokens_per_second"], 0)
        self.assertLess(made["active_parameters"]["after"], made["active_parameters"]["before"])
        self.assertEqual(len(work.metrics()), STEPS)
        work.run("upcycle", "--slices", "4", "--k", "4", "--into", "all", "--eval-tokens", "600")
        rows = work.run("inspect", "modules", "kind=mlp,layer=1", "--model", "all", "--json").json["modules"]
        before = work.run("inspect", "modules", "kind=mlp,layer=1", "--model", "dense", "--json").json["modules"]
        self.assertEqual([row["copied_from"] for row in rows],
                         [",".join(one["uid"] for one in before[i:i + 2]) for i in (0, 2, 4, 6)])
        told = work.run(*SLICES, "--steps", "2").out
        for line in ("dense ", "in modules, exact", "told apart", "after 128 tokens"):
            self.assertIn(line, told)

    def test_a_dry_run_says_what_it_would_be_and_changes_nothing(self):
        work = self.dense()
        before = work.state()
        plan = work.run(*SLICES, "--steps", STEPS, "--dry-run", "--json").json
        self.assertTrue(plan["dry_run"])
        self.assertGreater(plan["memory"]["total"], 0)
        self.assertIn("would upcycle dense@2", work.run(*COPIES, "--dry-run").out)
        self.assertEqual(work.state(), before)

    def test_killed_or_interrupted_and_run_again_it_is_the_same(self):
        line = (*SLICES, "--k", "1", "--steps", STEPS, "--lower", "1", "--snapshot-every", "4", "--eval-every", "6")
        line = tuple(word for at, word in enumerate(line) if at not in (3, 4))  # the first --k
        whole, cut = self.dense("whole"), self.dense("cut")
        whole.run(*line)
        process = cut.start(*line)
        cut.wait_for_steps(process, 6)
        process.kill()
        process.communicate()
        process = cut.start(*line)
        cut.wait_for_steps(process, 9)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=mformer.TIMEOUT_S)
        self.assertEqual(process.returncode, 130)
        made = cut.run(*line, "--json").json
        self.assertGreaterEqual(made["training"]["first_step"], 8)
        self.assertEqual(cut.metrics(), whole.metrics())
        self.assertEqual(sorted(cut.modules("dense").values()), sorted(whole.modules("dense").values()))

    def test_every_flag_that_decides_the_result_is_a_run_of_its_own(self):
        work = self.dense()
        line = {"--steps": 2, "--lower": 0.5, "--stat-tokens": 500, "--balance": 0, "--distill": 1, "--distill-temperature": 1, "--lr": 3e-4}
        other = {"--lower": 1, "--stat-tokens": 400, "--balance": 0.1, "--distill": 2, "--distill-temperature": 2, "--lr": 1e-3}
        folders = set()
        for name, value in [("--lower", 0.5), *other.items()]:
            flags = [word for pair in {**line, name: value}.items() for word in pair]
            made = work.run("upcycle", "--slices", 4, "--k", 2, "--task", "english", "--model", "dense@2", "--into", "other", *flags, *mformer.QUICK, "--json").json
            folders.add(made["run_folder"])
        for noise in ("0", "0.1"):
            made = work.run(*COPIES[:-2], "--noise", noise, "--task", "english", "--model", "dense@2", "--into", "other", "--steps", 2, *mformer.QUICK, "--json").json
            folders.add(made["run_folder"])
        self.assertEqual(len(folders), 9)

    def test_what_it_makes_is_a_model_like_any_other(self):
        for name, line in (("copies", COPIES), ("slices", SLICES)):
            work = self.dense(name)
            work.run(*line)
            losses = work.run("eval", "--task", "english", "--json").json["tasks"][0]["loss"]
            work.run("inspect", "routing", "--task", "english")
            self.assertTrue(work.run("generate", "--prompt", "The", "--max-tokens", "4").out.strip())
            work.run("export", "written")
            self.assertEqual(json.loads((work / "written" / "config.json").read_text())["model_type"], "mixtral")
            work.run("import", "written", "--name", "again")
            self.assertAlmostEqual(work.run("eval", "--task", "english", "--model", "again", "--json").json["tasks"][0]["loss"], losses, delta=1e-6)
            work.run("export", "any", "--for", "transformers")
            work.run("export", "int8", "--quantize", "int8", "--for", "transformers", "--max-tokens", "100")
            work.run("prune", "--task", "english", "--keep", "0.7", "--tune-steps", "2", "--into", "small", *mformer.QUICK)
            work.run("graft", "small", "--onto", "dense", "--eval-tokens", "600")
            work.run("undo")
            work.run("extend", "--data", "german", "--steps", "2", *mformer.QUICK)
            work.run("finetune", "--task", "german", "--steps", "2", *mformer.QUICK)
            work.run("drop", "--born", "extend:german")
            work.run("train", "--task", "english", "--steps", "2", *mformer.QUICK)

    def test_what_no_published_family_holds_goes_to_transformers_by_our_own_file(self):
        work = self.dense(attention_bias=True)
        made = work.run(*COPIES, "--json").json
        self.assertIsNone(made["family"])
        work.refuses("export", "plain", code=1, says="its feed-forward layers have routers", hint="--for transformers")
        work.run("export", "any", "--for", "transformers")
        work.run("import", "any", "--name", "again")

    def test_refuses_hostile_flags_with_a_hint(self):
        work = self.dense()
        for flags, says, hint in (
                (("--experts", "4", "--k", "5"), "--k is 5", "--k 2"),
                (("--experts", "1", "--k", "1"), "between 2 and 1024", "--experts 8"),
                (("--experts", "9" * 15, "--k", "1"), "between 2 and 1024", "--experts 8"),
                (("--experts", "0", "--k", "1"), "--experts", ""),
                (("--slices", "7", "--k", "2"), "can't be cut into 7", "--slices 6"),
                (("--slices", "2000", "--k", "2"), "between 2 and 1024", "--slices 8"),
                (("--k", "2"), "one of the two", "--experts"),
                (("--experts", "4", "--slices", "4", "--k", "2"), "one of the two", "--experts"),
                (("--experts", "4"), "--k", ""),
                (("--slices", "4", "--k", "2"), "learned from text", "--k 4"),
                (("--experts", "4", "--k", "2", "--steps", "3"), "none is named", "--task"),
                (("--experts", "4", "--k", "2", "--lower", "0.5"), "--lower", "--slices"),
                (("--slices", "4", "--k", "4", "--stat-tokens", "500"), "--stat-tokens", "smaller --k"),
                (("--experts", "4", "--k", "2", "--stat-tokens", "500"), "--stat-tokens", "--slices"),
                (("--slices", "4", "--k", "4", "--noise", "0.1"), "--noise is for copies", "leave"),
                (("--experts", "4", "--k", "2", "--noise", "nan"), "--noise", ""),
                (("--experts", "4", "--k", "2", "--distill", "1"), "--distill needs steps", "--steps")):
            with self.subTest(flags=flags):
                work.refuses("upcycle", *flags, code=2, says=says, hint=hint)
        work.refuses(*COPIES, "--model", "base", code=1, says="has a router already", hint="mformer extend")
        work.run("freeze", "kind=mlp,layer=1")
        work.refuses(*COPIES, code=1, says="layer 1 of dense@3 has frozen modules", hint="mformer unfreeze kind=mlp")
        work.run("unfreeze", "kind=mlp")
        work.run("extend", "--data", "german", "--steps", "2", *mformer.QUICK)
        work.refuses(*COPIES, code=1, says="has domains", hint="mformer drop domain=german")
        work.run("drop", "domain=german")
        work.run(*COPIES)
        biased = self.dense("biased", mlp_bias=True, attention_bias=True)
        biased.refuses(*COPIES, code=1, says="have biases", hint="mlp_bias")


if __name__ == "__main__":
    unittest.main()
