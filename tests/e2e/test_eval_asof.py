import math
import unittest

import mformer
import tensors

EXTEND = ("extend", "--data", "german", "--single-mask", "--rehearse", "0", "--experts", "4", "--heads", "2", "--steps", "4", *mformer.QUICK)


class EvalTest(mformer.EndToEndTest):
    def extended(self):
        """A workspace whose base@3 has new modules for German."""
        work = self.workspace()
        work.run(*EXTEND)
        return work

    def losses(self, work, *arguments):
        rows = work.run("eval", "--json", "--max-tokens", "600", *arguments).json["tasks"]
        return {row["task"]: row["loss"] for row in rows}

    def test_as_of_gives_the_older_versions_losses_to_the_last_bit(self):
        work = self.extended()
        old = self.losses(work, "--model", "base@2")
        self.assertEqual(set(old), {"english", "german"})
        self.assertEqual(self.losses(work, "--model", "base@3", "--as-of", "base@2"), old)
        self.assertNotEqual(self.losses(work, "--model", "base@3"), old)  # the mask is what does it

    def test_as_of_gives_the_older_versions_logits_to_the_last_bit(self):
        work = self.extended()
        tensors.write(work / "ids.safetensors", {"input_ids": tensors.Tensor([2, 24], [i % 397 for i in range(48)])})
        options = ("--input", "ids.safetensors")
        work.run("probe", *options, "--out", "old.safetensors", "--model", "base@2")
        work.run("probe", *options, "--out", "masked.safetensors", "--model", "base@3", "--as-of", "base@2")
        work.run("probe", *options, "--out", "new.safetensors", "--model", "base@3")
        old, masked, new = (tensors.read(work / f"{name}.safetensors") for name in ("old", "masked", "new"))
        self.assertEqual(old["logits"].values.tobytes(), masked["logits"].values.tobytes())
        self.assertNotEqual(old["logits"].values.tobytes(), new["logits"].values.tobytes())

    def test_as_of_says_how_many_modules_are_masked(self):
        work = self.extended()
        result = work.run("eval", "--json", "--as-of", "base@2", "--max-tokens", "100").json
        added = len(work.modules("base@3")) - len(work.modules("base@2"))
        self.assertEqual(result["masked_modules"], added)
        self.assertEqual(result["as_of"]["ref"], "base@2")

    def test_as_of_refuses_a_version_that_a_mask_cannot_bring_back(self):
        work = self.extended()
        work.refuses("eval", "--as-of", "base@1", code=1, says="changed", hint="--model base@1")
        work.refuses("eval", "--model", "base@2", "--as-of", "base@3", code=1, says="no ancestor")

    def test_chosen_tasks_and_folders(self):
        work = self.workspace()
        self.assertEqual(list(self.losses(work, "--task", "english")), ["english"])
        self.assertEqual(list(self.losses(work, "--data", "german")), ["german"])
        self.assertEqual([task["task"] for task in work.run("tasks", "--json").json["tasks"]], ["english"])
        work.refuses("eval", "--task", "engish", code=2, says="engish", hint="english")
        work.refuses("eval", "--task", "english", "--data", "german", code=2, says="--task and --data")

    def test_loss_and_perplexity_agree_and_tokens_are_counted(self):
        row = self.workspace().run("eval", "--json", "--max-tokens", "300").json["tasks"][0]
        self.assertAlmostEqual(row["perplexity"], math.exp(row["loss"]), places=6)
        self.assertGreater(row["tokens"], 0)


if __name__ == "__main__":
    unittest.main()
