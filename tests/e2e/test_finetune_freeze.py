import unittest

import mformer

FINETUNE = ("finetune", "--task", "qa", "--data", "qa", "--steps", "3", *mformer.QUICK)


def changed(before, after):
    return {uid for uid in before if before[uid] != after[uid]}


class FinetuneTest(mformer.EndToEndTest):
    def selected(self, work, selector):
        """The modules that a selector names, as inspect modules lists them."""
        return {row["uid"] for row in work.run("inspect", "modules", selector, "--json").json["modules"]}

    def test_only_the_chosen_modules_change(self):
        work = self.workspace()
        made = work.run(*FINETUNE, "--modules", "kind=mlp,layer=1", "--json").json
        self.assertEqual(made["trainable_parameters"]["att_modules"], 0)
        self.assertEqual(made["trainable_parameters"]["trunk"], 0)
        self.assertGreater(made["trainable_parameters"]["mlp_modules"], 0)
        moved = changed(work.modules("base@2"), work.modules("base@3"))
        self.assertEqual(moved, self.selected(work, "kind=mlp,layer=1"))

    def test_frozen_modules_stay_whatever_is_chosen(self):
        work = self.workspace()
        made = work.run("freeze", "kind=mlp", "--json").json
        self.assertEqual((made["selected"], made["changed"], made["model"]), (16, 16, "base@3"))
        work.run(*FINETUNE)
        moved = changed(work.modules("base@3"), work.modules("base@4"))
        self.assertTrue(moved)
        self.assertEqual(moved, self.selected(work, "kind=att"))
        work.refuses(*FINETUNE, "--modules", "frozen", code=1, says="nothing to train", hint="unfreeze")

    def test_pretraining_obeys_the_flag_too(self):
        work = self.workspace()
        work.run("freeze", "layer=0")
        work.run("train", "--task", "english", "--steps", "2", *mformer.QUICK)
        moved = changed(work.modules("base@3"), work.modules("base@4"))
        self.assertEqual(moved, self.selected(work, "layer=1"))

    def test_freezing_shares_every_object_and_unfreezing_brings_it_back(self):
        work = self.workspace()
        work.run("freeze", "all")
        self.assertEqual(work.modules("base@3"), work.modules("base@2"))
        self.assertEqual(work.run("freeze", "all", "--json").json["changed"], 0)
        self.assertEqual(work.versions(), ["base@3"])
        self.assertEqual(work.run("unfreeze", "layer=0", "--dry-run", "--json").json["changed"], 12)
        self.assertEqual(work.versions(), ["base@3"])
        work.run("unfreeze", "layer=0")
        self.assertEqual(len(self.selected(work, "frozen")), 12)

    def test_concentration_is_part_of_the_loss(self):
        results = []
        for name, flags in (("a", ()), ("b", ("--concentrate", "5", "--sharpen", "1"))):
            work = self.workspace(name)
            work.run(*FINETUNE, *flags)
            results.append(work.modules("base@3"))
        self.assertNotEqual(*results)

    def test_selectors_that_name_nothing_known_are_refused(self):
        work = self.workspace()
        work.refuses("freeze", "knd=mlp", code=2, says="knd=mlp", hint="kind=mlp")
        work.refuses("freeze", "kind=foo", code=2, says="kind=foo", hint="att, mlp")
        work.refuses("freeze", "layer=7", code=1, says="layer=7")
        work.refuses("freeze", "share(qq)>=0.1", code=2, says="qq")
        work.refuses("freeze", "share(english)>=0.1", code=1, says="no routing statistics", hint="inspect routing")
        work.refuses("finetune", "--task", "english", "--modules", "lyer=1", "--steps", "1", code=2, says="lyer=1")


if __name__ == "__main__":
    unittest.main()
