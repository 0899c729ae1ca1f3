"""The program and llama.cpp: GGUF files that `mformer export` writes are run there, and compute and write the same."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import interop
import mformer
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = Path(__file__).resolve().parent
LLAMA = subprocess.run([HERE.parents[1] / "recipes" / "interop" / "llama.sh", "--if-there"], capture_output=True, text=True)
# float32 on both sides, sums in another order.
TOLERANCE = 1e-4
COMMON = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
          "num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0,
          "initializer_range": 0.2}
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2}
LOCAL = {"num_local_experts": 6, "num_experts_per_tok": 2}
LLAMA_31 = {"rope_theta": 10000.0, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16}
FAMILIES = {
    "llama": {"tie_word_embeddings": True},
    "llama stretched": {"rope_parameters": LLAMA_31},
    "llama with biases": {"attention_bias": True, "mlp_bias": True},
    "mixtral": LOCAL,
    "granitemoe": {**LOCAL, "residual_multiplier": 0.5, "embedding_multiplier": 2.0, "logits_scaling": 2.0},
    "granitemoeshared": {**LOCAL, "shared_intermediate_size": 16, "attention_multiplier": 0.3},
    "olmoe": {**EXPERTS, "num_key_value_heads": 4},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "qwen2_moe": {**EXPERTS, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
    "qwen3_moe": {**EXPERTS, "moe_intermediate_size": 16, "head_dim": 16, "norm_topk_prob": True},
}
QUICK = ("--steps", "4", *mformer.QUICK)


@unittest.skipIf(LLAMA.returncode != 0, "there is no Python with llama.cpp; ./recipes/interop/llama.sh makes one")
class LlamaCppTest(mformer.EndToEndTest, interop.InteropTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        interop.InteropTest.setUpClass()

    def started(self, name):
        """A workspace whose model is a checkpoint that transformers wrote, with the workspace's tokenizer."""
        work = self.workspace(name.replace(" ", "-"))
        torch.manual_seed(len(name))
        config = transformers.AutoConfig.for_model(name.split()[0], **{**COMMON, **FAMILIES[name]})
        AutoModelForCausalLM.from_config(config).eval().save_pretrained(work / "published")
        work.run("import", "published", "--name", "m", "--tokenizer", "tokenizer.json")
        work.run("use", "m")
        return work

    def answered(self, work, file, **asked):
        done = subprocess.run([LLAMA.stdout.strip(), HERE / "llama_answers.py"], capture_output=True, text=True,
                              input=json.dumps({"model": str(work / file), **asked}))
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return json.loads(done.stdout)

    def check(self, work, file, *model):
        """Logits, ids of a prompt, and the likeliest text."""
        ids = torch.randint(0, 400, (1, 24), generator=torch.Generator().manual_seed(11))
        save_file({"input_ids": ids}, work / "ids.safetensors")
        work.run("probe", "--input", "ids.safetensors", "--out", "probe.safetensors", *model)
        ours = load_file(work / "probe.safetensors")["logits"][0]
        theirs = torch.tensor(self.answered(work, file, ids=ids[0].tolist())["logits"])
        self.assertAgrees(theirs, ours, file, TOLERANCE)
        prompt = "In the beginning, 123 times: "
        answer = self.answered(work, file, prompt=prompt, tokens=12)
        encoded = work.run("tokenizer", "encode", "--text", prompt, *model).out.split()
        self.assertEqual(answer["ids"], [int(one) for one in encoded])
        written = work.run("generate", "--prompt", prompt, "--temperature", "0", "--max-tokens", "12", "--json", *model).json
        theirs = " ".join(map(str, answer["made"][:written["tokens"]])).encode()
        self.assertGreaterEqual(written["tokens"], 1)
        self.assertEqual(work.run("tokenizer", "decode", *model, stdin=theirs).out.replace("\ufffd", ""),
                         written["text"].replace("\ufffd", ""))

    def test_computes_and_writes_what_the_program_does_with_every_family(self):
        for name in FAMILIES:
            with self.subTest(name):
                work = self.started(name)
                work.run("export", "m.gguf", "--format", "gguf")
                self.check(work, "m.gguf")

    def test_runs_a_model_that_was_pruned_and_one_hypothesis_of_one_that_was_extended(self):
        work = self.started("mixtral")
        work.run("prune", "--keep", "0.5", "--criterion", "random", "--data", "english", "--into", "small")
        work.run("export", "small.gguf", "--format", "gguf", "--model", "small")
        self.check(work, "small.gguf", "--model", "small")
        work.run("extend", "--data", "german", "--experts", "1", *QUICK)
        work.run("export", "german.gguf", "--format", "gguf", "--domain", "german")
        work.run("import", "german.gguf", "--name", "alone")
        self.check(work, "german.gguf", "--model", "alone")


if __name__ == "__main__":
    unittest.main()
