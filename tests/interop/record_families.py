"""Writes folders of tests/data/golden-families: record_families.py FOLDER [CASE ...]. Random weights with fixed seeds."""

import sys
from pathlib import Path

import interop  # first: it says where transformers keeps its files
import reference
import torch
from transformers import AutoConfig, AutoModelForCausalLM

COMMON = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2,
          "max_position_embeddings": 64, "initializer_range": 0.2, "bos_token_id": 1, "eos_token_id": 2}
CASES = {
    "qwen2_moe": {"num_hidden_layers": 3, "hidden_size": 24, "num_experts": 5, "num_experts_per_tok": 2,
                  "moe_intermediate_size": 6, "shared_expert_intermediate_size": 12, "mlp_only_layers": [1],
                  "use_sliding_window": True,
                  "sliding_window": 4, "router_aux_loss_coef": 0.01},
    "mistral": {"num_hidden_layers": 2, "sliding_window": 5, "num_key_value_heads": 1, "head_dim": 12},
    "qwen2": {"num_hidden_layers": 3, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1,
              "tie_word_embeddings": True, "max_position_embeddings": 8,
              "rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 3.0}},
    "qwen3": {"num_hidden_layers": 3, "hidden_size": 24, "head_dim": 8, "attention_bias": True, "use_sliding_window": True,
              "sliding_window": 3,
              "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
              "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "mscale": 1.0,
                                  "mscale_all_dim": 0.8, "original_max_position_embeddings": 16}},
    "llama_biases": {"num_hidden_layers": 2, "attention_bias": True, "mlp_bias": True,
                     "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                                         "high_freq_factor": 4.0, "original_max_position_embeddings": 16}},
}


def make(case, folder):
    torch.manual_seed(sum(map(ord, case)))
    config = AutoConfig.for_model(case.removesuffix("_biases"), **(COMMON | CASES[case]))
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:  # norms and biases too are to matter
                parameter.add_(torch.randn_like(parameter) * 0.3)
    model.save_pretrained(folder)
    return config


def routing(folder, config, ids):
    """Where a layer has a router: its logits, probabilities, choice and gates."""
    if not hasattr(config, "num_experts_per_tok"):
        return {}
    with torch.no_grad():
        all_logits = reference.load(folder)(ids, output_router_logits=True).router_logits
    routed = [layer for layer in range(config.num_hidden_layers) if layer not in config.mlp_only_layers]
    result = {}
    for layer, logits in zip(routed, all_logits, strict=True):
        probs = logits.softmax(-1)
        gates, indices = probs.topk(config.num_experts_per_tok, -1)
        if config.norm_topk_prob:
            gates = gates / gates.sum(-1, keepdim=True)
        parts = {"logits": logits, "probs": probs, "indices": indices, "gates": gates}
        result |= {f"routing.layer.{layer}.mlp.{name}": value for name, value in parts.items()}
    return result


def clear_greedy(folder, generator):
    """Of up to 200 prompts the first of which no choice is close and at least 3 tokens differ."""
    for _ in range(200):
        found = reference.greedy(folder, torch.randint(0, COMMON["vocab_size"], (1, 6), generator=generator))
        best = found["greedy.logits"].topk(2, -1).values
        margin = ((best[..., 0] - best[..., 1]) / found["greedy.logits"].std(-1)).min()
        if margin > 0.013 and found["greedy.tokens"].unique().numel() >= 3:
            return found
    raise RuntimeError("no prompt with clear choices")


def record(case, folder):
    config, generator = make(case, folder), torch.Generator().manual_seed(7)
    draw = lambda *shape: torch.randint(0, config.vocab_size, shape, generator=generator)
    ids = draw(2, 12)
    reference.save(reference.plain(folder, ids) | routing(folder, config, ids) | reference.padded(folder, draw(3, 11))
                   | clear_greedy(folder, generator), folder / "expected.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[2:] or CASES:
        record(name, Path(sys.argv[1]) / name)
