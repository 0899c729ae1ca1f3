"""Every command that the README names, on a small model of one family: python3 family_commands.py FAMILY.

CMakeLists.txt makes a test of each family. Fresh weights stand for a checkpoint: what commands do depends on the form."""

import json
import os
import sys
import unittest

import mformer

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "mixtral", "granitemoe", "granitemoeshared", "olmoe", "qwen2_moe", "qwen3_moe", "jetmoe")
FAMILY = os.environ.get("MFORMER_FAMILY", "llama")
STEPS = ("--steps", "2", *mformer.QUICK)
LLAMA = {"architectures": ["X"], "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2,
         "max_position_embeddings": 64, "initializer_range": 0.1, "rms_norm_eps": 1e-5, "tie_word_embeddings": True, "vocab_size": 1}
SPARSE = {"num_experts_per_tok": 2}
# What each family has beside that; heads as many as a pruned model may lose and still be one of the family.
OWN = {
    "llama": {"hidden_size": 48, "intermediate_size": 48, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                                        "original_max_position_embeddings": 32}},
    "mistral": {"intermediate_size": 48, "sliding_window": 16},
    "qwen2": {"intermediate_size": 48, "use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1},
    "qwen3": {"intermediate_size": 48, "head_dim": 16, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}},
    "mixtral": {"intermediate_size": 24, "num_local_experts": 4, **SPARSE},
    "granitemoe": {"intermediate_size": 16, "num_local_experts": 4, "attention_multiplier": 0.1, "embedding_multiplier": 12.0,
                   "residual_multiplier": 0.22, "logits_scaling": 6.0, **SPARSE},
    "granitemoeshared": {"intermediate_size": 16, "num_local_experts": 4, "shared_intermediate_size": 20, **SPARSE},
    "olmoe": {"intermediate_size": 16, "num_experts": 4, "clip_qkv": 2.0, **SPARSE},
    "qwen2_moe": {"intermediate_size": 48, "moe_intermediate_size": 16, "num_experts": 4, "shared_expert_intermediate_size": 24, **SPARSE},
    "qwen3_moe": {"intermediate_size": 48, "moe_intermediate_size": 16, "num_experts": 4, "norm_topk_prob": True, "mlp_only_layers": [0], **SPARSE},
    "jetmoe": {"intermediate_size": 24, "num_local_experts": 4, "kv_channels": 8, **SPARSE},
}


class FamilyCommandsTest(mformer.EndToEndTest):
    @classmethod
    def setUpClass(cls):
        cls.config = {**LLAMA, "model_type": FAMILY, **OWN[FAMILY]}

    def start(self):
        """A model of the family, trained for two steps on English."""
        work = self.workspace()
        (work / "config.json").write_text(json.dumps(self.config))
        work.run("init", "--config", "config.json", "--tokenizer", "tokenizer.json", "--name", "small")
        work.run("use", "small")
        work.run("train", "--task", "english", *STEPS)
        return work

    def losses(self, work, *arguments):
        return {row["task"]: row["loss"] for row in work.run("eval", *arguments, "--json").json["tasks"]}

    def test_a_domain_is_added_looked_at_and_taken_away_again(self):
        work = self.start()
        before = self.losses(work, "--model", "small@2")
        made = work.run("extend", "--data", "german", *STEPS, "--json").json
        self.assertTrue(made["old"]["unchanged"])
        self.assertEqual(self.losses(work, "--domain", "base", "--task", "english")["english"], before["english"])
        picture = work.run("inspect", "routing").out
        self.assertIn("german", picture)
        self.assertEqual("all are taken" in picture, FAMILY != "jetmoe")
        self.assertEqual("90 % of the slots" in picture, "num_experts_per_tok" in self.config)
        self.check_shares(work)
        work.run("inspect", "modules", "domain=german")
        work.run("eval", "--matrix")
        work.run("diff", "small@2", "small@3")
        said = [work.run("generate", "--prompt", "The", "--max-tokens", "4", "--seed", "1").out for _ in range(2)]
        self.assertTrue(said[0].strip())
        self.assertEqual(said[0], said[1])
        work.run("export", "plain", "--domain", "german")
        self.assertEqual(json.loads((work / "plain" / "config.json").read_text())["model_type"], FAMILY)
        work.run("drop", "--born", "extend:german")
        self.assertEqual(self.losses(work, "--task", "english")["english"], before["english"])
        work.run("undo")

    def check_shares(self, work):
        """Where a router chooses shares are of slots, elsewhere of the output norm."""
        kinds = {}
        for module in work.run("inspect", "routing", "--json").json["tasks"][0]["modules"]:
            kinds.setdefault((module["layer"], module["kind"]), []).append(module)
        for bank in kinds.values():
            self.assertAlmostEqual(sum(module["share"] for module in bank), 1, places=9)
            if bank[0]["share_of"] == "slots":
                self.assertNotEqual([module["mean_gate"] for module in bank], [1] * len(bank))
            else:
                self.assertEqual({module["share_of"] for module in bank}, {"output norm"})
                self.assertGreater(len({round(module["share"], 6) for module in bank}), 1, "equal shares say nothing")
        said = {module["share_of"] for bank in kinds.values() for module in bank}
        self.assertEqual("share of the output norm" in work.run("inspect", "routing").out, "output norm" in said)
        self.assertEqual(said, {"jetmoe": {"slots"}, "moduleformer": {"slots"}}.get(
            FAMILY, {"output norm"} if "num_experts_per_tok" not in self.config else {"slots", "output norm"}))

    def test_a_task_keeps_what_it_uses_and_goes_back_into_the_full_model(self):
        work = self.start()
        work.run("task", "add", "qa", "--data", "qa")
        pruned = work.run("prune", "--task", "qa", "--keep", "0.5", "--tune-steps", "2", "--into", "qa-small", *mformer.QUICK, "--json").json
        self.assertEqual(pruned["model"], "qa-small@1")
        if FAMILY == "llama":  # two layers that keep as many share a row
            self.assertRegex(work.run("prune", "--task", "qa", "--keep", "0.5", "--dry-run", *mformer.QUICK[4:]).out, r"\n0-1 +1 of 2 +4 of 8\n")
        self.assertLess(pruned["parameters"]["after"], pruned["parameters"]["before"])
        work.run("graft", "qa-small", "--onto", "small", *mformer.QUICK[4:])
        work.run("finetune", "--task", "qa", "--keep", "0.5", *STEPS)
        work.run("inspect", "keep-curve", "--model", "small@2", "--task", "qa", "--fractions", "0.5", "--criteria", "reap")
        work.run("freeze", "all")

    def test_what_two_people_extended_apart_is_joined(self):
        work = self.start()
        work.run("extend", "--data", "german", *STEPS)
        work.run("task", "add", "qa", "--data", "qa")
        work.run("extend", "--task", "qa", "--model", "small@2", "--into", "other", *STEPS)
        joined = work.run("merge", "small@3", "other@1", *mformer.QUICK[4:], "--json").json
        self.assertEqual(set(joined["domains"]), {"german", "qa"})

    def test_its_checkpoint_comes_back_the_same(self):
        work = self.start()
        work.run("export", "written")
        work.run("import", "written", "--name", "again")
        self.assertEqual(self.losses(work, "--model", "again", "--task", "english"), self.losses(work, "--model", "small", "--task", "english"))


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in FAMILIES:
        FAMILY = sys.argv.pop(1)
    unittest.main()
