import unittest

import mformer

STEPS = ("--steps", "4", *mformer.QUICK)


class ComposeTest(mformer.EndToEndTest):
    def extended(self):
        work = self.workspace()
        work.run("task", "add", "qa", "--data", "qa")
        self.made = work.run("extend", "--data", "german", *STEPS, "--json").json
        return work

    def test_extend_prune_and_finetune_work_one_after_the_other_without_saying_more(self):
        work = self.extended()
        pruned = work.run("prune", "--task", "qa", "--keep", "0.3", "--json").json
        chosen = pruned["hypothesis"]
        self.assertEqual((pruned["model"], chosen["chosen_by"]), ("base@4", "posterior"))
        self.assertEqual(chosen["name"], max(chosen["shares"], key=chosen["shares"].get))
        self.assertEqual({chosen["name"], *chosen["left_out"]}, {"base", "german"})
        tuned = work.run("finetune", "--task", "qa", "--steps", "4", "--json").json
        self.assertEqual((tuned["model"], tuned["hypothesis"]), ("base@5", None))
        again = work.run("extend", "--data", "german", *STEPS, "--json").json
        self.assertEqual((again["model"], again["domain"]), ("base@6", "german"))

    def test_the_hypothesis_is_named_and_the_hint_that_follows_can_be_followed(self):
        work = self.extended()
        result = work.run("prune", "--task", "qa", "--keep", "0.5")
        self.assertRegex(result.out, r"task qa is read by '(base|german)' \(\d+ %\): working on it; --domain chooses another\n")
        hint = result.out.split("mformer ", 1)[1].split(" puts it back", 1)[0]
        self.assertEqual(hint, "graft base@4 --onto base@3")
        both = work.run(*hint.split(), *mformer.QUICK[4:], "--json").json
        self.assertEqual(both["domain"], "qa")
        named = work.run("prune", "--task", "qa", "--keep", "0.5", "--model", "base@3", "--domain", "german", "--dry-run")
        self.assertNotIn("is read by", named.out)
        curve = work.run("inspect", "keep-curve", "--model", "base@3", "--task", "qa", "--fractions", "0.5", "--criteria", "norm")
        self.assertIn("task qa is read by", curve.out)

    def test_finetune_of_a_domain_leaves_all_else_as_it_was(self):
        work = self.extended()
        before = work.modules("base@3")
        tuned = work.run("finetune", "--task", "german", "--domain", "german", *STEPS, "--json").json
        self.assertEqual((tuned["in_place"], tuned["hypothesis"]["left_out"]), (True, []))
        after = work.modules("base@4")
        changed = {uid for uid in before if before[uid] != after[uid]}
        born = {row["uid"] for row in work.run("inspect", "modules", "domain=german", "--json").json["modules"]}
        self.assertEqual(changed, born)
        self.assertIn("all other hypotheses stay", work.run("finetune", "--task", "german", "--domain", "german", *STEPS, "--dry-run").out)

    def test_extend_says_that_nothing_old_changed_and_so_do_diff_and_lineage(self):
        work = self.extended()
        parts = self.made["private_parts"]
        self.assertEqual((len(parts), parts[0]["domain"]), (1, "german"))
        self.assertEqual((self.made["old"]["unchanged"], self.made["old"]["trunk"]["changed"]), (True, []))
        difference = work.run("diff", "base@2", "base@3", "--json").json
        self.assertEqual((difference["trunk"], difference["private_parts"]), ([], parts))
        self.assertEqual((difference["nothing_old_changed"], difference["old_routers"]), (True, []))
        said = f"{parts[0]['added']} private parts of domain german, "
        self.assertIn("nothing old changed", work.run("diff", "base@2", "base@3").out)
        self.assertIn("trunk: same; " + said, work.run("inspect", "lineage").out)
        self.assertRegex(work.run("extend", "--data", "qa", *STEPS).out,
                         r"old       nothing changed: trunk and \d+ modules are the same objects; \d+ private parts of domain qa, ")
        trained = work.run("diff", "base@1", "base@2")
        self.assertNotIn("nothing old changed", trained.out)

    def test_extend_tells_the_gain_of_modules_from_that_of_private_parts(self):
        work = self.extended()
        gain = self.made["gain"]
        change = {task["task"]: task for task in self.made["tasks"]}["german"]
        self.assertEqual((gain["before"], gain["after"]), (change["before"], change["after"]))
        self.assertAlmostEqual(gain["by_modules"] + gain["by_the_rest"], gain["before"] - gain["after"], places=12)
        self.assertRegex(work.run("extend", "--data", "german", *STEPS).out, r"gain      -?\d.*by private parts \(measured without")

    def test_a_budget_is_kept_or_refused_with_one_that_is_enough(self):
        work = self.workspace()
        refused = work.refuses("extend", "--data", "german", "--budget", "0.05", *STEPS, "--dry-run", code=2,
                               says="--budget 0.05 is too little", hint="give --budget ")
        enough = refused.err.split("give --budget ", 1)[1].split()[0]
        made = work.run("extend", "--data", "german", "--budget", enough, *STEPS, "--dry-run", "--json").json
        self.assertEqual((sum(made["new_modules"].values()), made["budget"]["exceeded"]), (1, False))

    def test_training_the_base_under_its_domains_is_refused_with_what_works(self):
        work = self.extended()
        refused = work.refuses("train", "--task", "english", *STEPS, code=1, says="has domains", hint="--model base@2")
        hint = refused.err.split("mformer train ", 1)[1].split()
        self.assertEqual(work.run("train", *hint, "--task", "english", *STEPS, "--json").json["model"], "base-2@1")
        refused = work.refuses("extend", "--task", "german", "--single-mask", *STEPS, code=1, says="has domains", hint="mformer drop")
        work.run("drop", *refused.err.split("mformer drop ", 1)[1].split(), *mformer.QUICK[4:])
        work.run("extend", "--task", "german", "--single-mask", *STEPS)

    def test_a_typo_is_told_before_anything_else(self):
        work = self.extended()
        work.refuses("finetune", "--task", "nobody", "--modules", "kind=attn", code=2, says="kind=attn")
        work.refuses("drop", "domain=germn", code=2, says="germn", hint="german")
        work.refuses("drop", "--born", "extend:", code=2, says="born=extend:")
        work.refuses("eval", "--as-of", "qa", code=2, says="qa")
        for selector in ("uid=" + 40_000 * "a", "share(" + 40_000 * "a" + ")>=0.1", 3_000 * "share(", "uid=\udcff"):
            result = work.run("freeze", selector, code=None)
            self.assertIn(result.code, (1, 2), result)
            self.assertLess(len(work.check_refusal(result, "")), 600)

    def test_a_context_beyond_the_models_own_is_said(self):
        work = self.workspace()
        said = "--context 128 is longer than the model's own, 64"
        longer = ("--steps", "1", "--batch", "1", "--context", "128")
        self.assertIn(said, work.run("train", "--task", "english", *longer, "--dry-run").err)
        self.assertIn(said, work.run("eval", "--task", "english", "--context", "128", "--max-tokens", "200").err)
        self.assertNotIn(said, work.run("train", "--task", "english", "--steps", "1", "--context", "64", "--dry-run").err)

    def test_routing_is_measured_on_as_many_tokens_as_are_asked_for(self):
        work = self.workspace()
        measure = ("inspect", "routing", "--task", "english", "--json")
        work.run(*measure)
        few = work.run(*measure, "--max-tokens", "100").json["tasks"][0]
        self.assertTrue(few["measured_now"])
        self.assertLess(few["tokens"], 200)
        self.assertFalse(work.run(*measure).json["tasks"][0]["measured_now"])


if __name__ == "__main__":
    unittest.main()
