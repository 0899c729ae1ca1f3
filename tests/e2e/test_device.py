import unittest

import mformer

ITEMS = ("trained_weights", "frozen_weights", "packed_weights", "base_weights", "teacher_weights", "gradients",
         "optimizer", "activations", "working")


class DeviceTest(mformer.EndToEndTest):
    def test_without_a_gpu_commands_that_compute_say_what_is_missing_and_change_nothing(self):
        work = self.workspace()
        if work.run("eval", "--device", "cuda", "--max-tokens", "100", code=None).code == 0:
            self.skipTest("there is a GPU")
        for command in (("train", "--data", "german", "--steps", "1"), ("extend", "--data", "german", "--steps", "1"),
                        ("eval",), ("inspect", "routing"), ("generate", "--prompt", "The")):
            with self.subTest(command=command):
                work.refuses(*command, "--device", "cuda", code=1, says="CUDA library")

    def test_commands_that_compute_nothing_take_any_device(self):
        work = self.workspace()
        for command in (("models",), ("log",), ("freeze", "kind=att"), ("task", "add", "german", "--data", "german")):
            work.run(*command, "--device", "cuda:3")

    def test_the_cpu_may_be_named(self):
        work = self.workspace()
        self.assertEqual(work.run("eval", "--json").json["tasks"],
                         work.run("eval", "--device", "cpu", "--json").json["tasks"])


class MemoryTest(mformer.EndToEndTest):
    def plan(self, *command):
        made = self.work.run(*command, "--data", "german", "--dry-run", "--json", *mformer.QUICK).json
        memory = made["memory"]
        self.assertEqual(memory["total"], sum(memory[item] for item in ITEMS))
        self.assertEqual(memory["device"], "cpu")
        self.assertEqual(memory["optimizer"], 8 * made["trainable_parameters"]["total"])
        self.assertGreater(memory["free"], 0)
        self.assertIsNone(memory["peak"])  # nobody counts on the CPU
        return memory

    def setUp(self):
        super().setUp()
        self.work = self.workspace()

    def test_every_command_that_trains_plans_its_memory_in_a_dry_run(self):
        whole = self.plan("train", "--steps", "1")
        self.assertEqual(whole["frozen_weights"], 0)
        narrow = self.plan("finetune", "--modules", "kind=mlp,layer=1")
        self.assertEqual(narrow["trained_weights"] + narrow["frozen_weights"], whole["trained_weights"])
        self.assertLess(narrow["gradients"], whole["gradients"])
        self.assertGreater(self.plan("extend")["frozen_weights"], 0)
        pruned = self.plan("prune", "--keep", "0.5", "--tune-steps", "3", "--distill", "1")
        self.assertLess(pruned["trained_weights"], whole["trained_weights"])
        self.assertGreater(pruned["teacher_weights"], 0)

    def test_the_text_says_what_is_free(self):
        text = self.work.run("train", "--data", "german", "--dry-run", *mformer.QUICK).out
        self.assertRegex(text, r"optimizer state +\d")
        self.assertRegex(text, r"in all, about +\d")
        self.assertRegex(text, r"\d .B of \d.* are free")


if __name__ == "__main__":
    unittest.main()
