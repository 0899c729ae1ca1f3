"""Configs of every family drawn at random, with all that changes what is computed."""

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "mixtral", "granitemoe", "granitemoeshared", "olmoe", "qwen2_moe",
            "qwen3_moe", "jetmoe")
DENSE = FAMILIES[:4]
WITH_BIAS = ("llama", "qwen3", "granitemoe", "granitemoeshared", "olmoe", "qwen3_moe")
LOCAL = ("mixtral", "granitemoe", "granitemoeshared", "jetmoe")
ACTIVATIONS = ("silu", "silu", "silu", "gelu", "gelu_new", "relu", "tanh", "gelu_pytorch_tanh", "swish", "gelu_fast")


def draw(family, random):
    """Fields for AutoConfig.for_model."""
    keys = random.choice([1, 1, 2, 3, 4])
    heads = keys * random.choice([1, 1, 2, 3])
    size = random.choice([4, 6, 8, 10, 16])
    layers, context = random.choice([1, 2, 2, 3, 4]), random.choice([8, 16, 32, 64, 512])
    config = {
        "vocab_size": random.choice([61, 97, 100, 128]), "num_hidden_layers": layers, "num_key_value_heads": keys,
        "hidden_size": heads * size, "max_position_embeddings": context, "rms_norm_eps": random.choice([1e-5, 1e-6, 1e-3]),
        "initializer_range": random.choice([0.1, 0.3]), "tie_word_embeddings": random.random() < 0.5, "bos_token_id": 1,
        "eos_token_id": random.choice([2, [2, 5], None]), "intermediate_size": random.choice([8, 12, 20, 24, 30, 37]),
        "rope_parameters": rotary(random),
    }
    if family == "jetmoe":
        config |= {"kv_channels": size, "hidden_size": random.choice([16, 20, 36]),
                   "activation_function": random.choice(ACTIVATIONS)}
    else:
        config |= {"num_attention_heads": heads, "hidden_act": random.choice(ACTIVATIONS)}
        if family != "olmoe":
            config["head_dim"] = size
            config["hidden_size"] = heads * random.choice([4, 6, 8])
    if family not in DENSE:
        config |= modules(family, random, layers)
    if family in WITH_BIAS:
        config["attention_bias"] = random.random() < 0.5
    if family == "llama":
        config["mlp_bias"] = random.random() < 0.5
    if family == "olmoe":
        config["clip_qkv"] = random.choice([None, 0.2, 1.0])
    if family.startswith("granite"):
        config |= {"embedding_multiplier": random.choice([1.0, 12.0]), "residual_multiplier": random.choice([1.0, 0.22]),
                   "attention_multiplier": random.choice([1.0, 0.125]), "logits_scaling": random.choice([1.0, 6.0])}
    return config | windows(family, random, layers)


def rotary(random):
    kind = random.choice(["default", "default", "linear", "dynamic", "llama3", "yarn"])
    fields = {"rope_type": kind, "rope_theta": random.choice([10000.0, 1e6, 500.0, 123456])}
    if kind != "default":
        fields["factor"] = random.choice([1.5, 2.0, 4.0, 8, 32.0])
    if kind in ("llama3", "yarn"):
        fields["original_max_position_embeddings"] = random.choice([8, 16, 64])
    if kind == "llama3":
        fields["low_freq_factor"], fields["high_freq_factor"] = random.choice([(1.0, 4.0), (1, 2), (0.5, 8.0)])
    if kind == "yarn":
        fields |= random.choice([{}, {"attention_factor": 1.3}, {"beta_fast": 8.0, "beta_slow": 2.0}, {"truncate": False},
                                 {"mscale": 1.0, "mscale_all_dim": 0.8}])
    return fields


def modules(family, random, layers):
    count = random.choice([1, 2, 3, 4, 6, 9])
    config = {"num_experts_per_tok": random.randint(1, min(count, 4)),
              "num_local_experts" if family in LOCAL else "num_experts": count,
              "aux_loss_coef" if family == "jetmoe" else "router_aux_loss_coef": random.choice([0.01, 0.5])}
    if family in ("olmoe", "qwen2_moe", "qwen3_moe"):
        config["norm_topk_prob"] = random.random() < 0.5
    if family == "granitemoeshared":
        config["shared_intermediate_size"] = random.choice([0, 12, 20])
    if family == "qwen2_moe":
        config |= {"qkv_bias": random.random() < 0.5, "shared_expert_intermediate_size": random.choice([8, 31])}
    if family in ("qwen2_moe", "qwen3_moe"):
        config |= {"moe_intermediate_size": random.choice([6, 12, 17]),
                   "mlp_only_layers": random.choice([[], list(range(1, layers))]),
                   "decoder_sparse_step": random.choice([1, 1, 2]) if layers > 1 else 1}
    return config


def windows(family, random, layers):
    # Not 1: there the cache of transformers 5.24 keeps other keys than the whole pass sees.
    if family in ("mistral", "mixtral"):
        return {"sliding_window": random.choice([None, 3, 5, 100])}
    if not family.startswith("qwen"):
        return {}
    config = {"use_sliding_window": random.random() < 0.7, "sliding_window": random.choice([2, 4, 7, 100]),
              "max_window_layers": random.choice([0, 1, 2, 28])}
    if family != "qwen3_moe" and config["use_sliding_window"] and random.random() < 0.4:
        config["layer_types"] = [random.choice(["full_attention", "sliding_attention"]) for _ in range(layers)]
    return config


def older_spelling(config):
    """A saved config.json as transformers 4 would have written it."""
    config = dict(config)
    fields = config.pop("rope_parameters")
    config["rope_theta"], kind = fields.pop("rope_theta"), fields.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else {"type": kind, **fields}
    config["torch_dtype"] = config.pop("dtype", "float32")
    if config["model_type"] in ("olmoe", "qwen2_moe", "qwen3_moe") and "num_local_experts" in config:
        config["num_experts"] = config.pop("num_local_experts")
    return config
