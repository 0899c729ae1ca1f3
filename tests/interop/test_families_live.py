"""What the golden checkpoints do not have, against transformers' own classes with random weights: scalings of rotary
positions, sliding windows, biases, clipping, layers without modules, Qwen2-MoE."""

import unittest

import interop
import native
import torch
import transformers

COMMON = {"vocab_size": 61, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
          "num_key_value_heads": 2, "max_position_embeddings": 32, "bos_token_id": 1, "eos_token_id": 2,
          "initializer_range": 0.3}
EXPERTS = {"num_experts_per_tok": 2, "num_experts": 6, "moe_intermediate_size": 12}
ROTARY = {
    "linear": {"rope_type": "linear", "factor": 3.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 16},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    "yarn_settings": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 16, "attention_factor": 1.3,
                      "beta_fast": 8.0, "beta_slow": 2.0},
}
CASES = {
    "llama biases": ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False}),
    "mixtral window": ("mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 5}),
    "olmoe clip": ("olmoe", {"num_experts": 6, "num_experts_per_tok": 2, "clip_qkv": 0.4, "norm_topk_prob": True}),
    "granitemoe bias": ("granitemoe", {"num_local_experts": 4, "attention_bias": True, "logits_scaling": 2.0,
                                       "residual_multiplier": 0.5, "embedding_multiplier": 3.0}),
    "qwen3_moe dense layers": ("qwen3_moe", {**EXPERTS, "mlp_only_layers": [1], "head_dim": 16, "sliding_window": 4,
                                             "use_sliding_window": True}),
    "qwen3_moe sparse step": ("qwen3_moe", {**EXPERTS, "decoder_sparse_step": 2, "head_dim": 8}),
    "qwen2_moe": ("qwen2_moe", {**EXPERTS, "shared_expert_intermediate_size": 20, "mlp_only_layers": [2]}),
    **{f"rotary {name}": ("llama", {"rope_parameters": {"rope_theta": 10000.0, **rotary}})
       for name, rotary in ROTARY.items()},
}


class LiveFamiliesTest(interop.InteropTest):
    def each(self):
        for case, (kind, fields) in CASES.items():
            with self.subTest(case), torch.no_grad():
                torch.manual_seed(len(case))
                config = transformers.AutoConfig.for_model(kind, **{**COMMON, **fields})
                theirs = transformers.AutoModelForCausalLM.from_config(config).eval()
                for parameter in theirs.parameters():  # norms and biases too are to matter
                    if parameter.dim() == 1:
                        parameter.add_(torch.randn_like(parameter) * 0.3)
                folder = self.folder()
                theirs.save_pretrained(folder)
                yield case, self.converted(folder), theirs

    def test_logits_and_greedy_tokens_are_those_of_transformers(self):
        for case, model, theirs in self.each():
            ids = torch.randint(3, 61, (2, 40), generator=torch.Generator().manual_seed(5))
            self.assertAgrees(model(ids).logits, theirs(ids).logits, case)
            wanted = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
            self.assertEqual(model.generate(ids[:1, :9], **wanted).tolist(), theirs.generate(ids[:1, :9], **wanted).tolist(),
                             case)

    def test_padded_rows_agree_where_they_are_real(self):
        for case, model, theirs in self.each():
            ids = torch.randint(3, 61, (3, 14), generator=torch.Generator().manual_seed(6))
            mask = torch.ones_like(ids)
            mask[0, :5] = 0
            mask[1, 10:] = 0
            logits = [one(ids, attention_mask=mask).logits[mask.bool()] for one in (model, theirs)]
            self.assertAgrees(*logits, case)


if __name__ == "__main__":
    unittest.main()
