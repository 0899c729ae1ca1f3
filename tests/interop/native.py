"""Checkpoints of other families, and of the ModuleFormer reference, in mformer's own layout, by plain tensor code: what the
modelling file is tested with, independent of the program that converts for users."""

import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
MODELING = ROOT / "core" / "checkpoint" / "transformers" / "modeling_mformer.py"
AUTO = {"AutoConfig": "modeling_mformer.MformerConfig", "AutoModelForCausalLM": "modeling_mformer.MformerForCausalLM"}


def write(folder, config, tensors, domains=None):
    """A folder that `from_pretrained` can load."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "mformer", "architectures": ["MformerForCausalLM"], "auto_map": AUTO, "torch_dtype": "float32",
              **config}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})
    if domains is not None:
        save_file({name: value.contiguous() for name, value in domains.items()}, folder / "mformer_domains.safetensors")
    shutil.copy(MODELING, folder)
    return folder


def convert(source, folder):
    """The checkpoint folder `source` in our layout, in `folder`."""
    config = json.loads((source / "config.json").read_text())
    tensors = load_file(source / "model.safetensors")
    if config["model_type"] == "moduleformer":
        return write(folder, *_from_reference(config, tensors))
    return write(folder, *_Family(config, tensors).converted())


def _from_reference(config, tensors):
    """docs/model.md, "Names"."""
    plain = {"transformer.wte.weight": "wte", "lm_head.weight": "lm_head"}
    parts = {"attn.q_proj.experts.weight": "att.{}.in", "attn.q_proj.output_experts.weight": "att.{}.out",
             "mlpf.experts.weight": "mlp.{}.in", "mlpf.output_experts.weight": "mlp.{}.out"}
    gates = {"attn.q_proj.gate.": "att.", "mlpf.gate.": "mlp."}
    rows = {"mlp": "w_gate.3.weight", "linear": "w_gate.0.weight", "gmm": "expert_centroids"}[config["gate_type"]]
    router = {"w_gate.0.weight": "router.weight", "w_gate.0.bias": "router.bias", "w_gate.weight": "router.weight",
              "temperature": "router.temperature", rows: "{}.row"}
    result = {}
    for name, value in tensors.items():
        if name in plain:
            result[plain[name]] = value
            continue
        layer = re.match(r"transformer\.(h\.\d+\.)?(.*)", name)
        prefix, rest = layer[1] or "", layer[2]
        if rest in ("attn.mask", "attn.cum_weight"):
            continue
        gate = next((gate for gate in gates if rest.startswith(gate)), None)
        target = gates[gate] + router[rest[len(gate):]] if gate else parts.get(rest, rest.replace("attn.", ""))
        for i, one in enumerate(value) if "{}" in target else [(None, value)]:
            result[prefix + target.format(i)] = one
    return {key: value for key, value in config.items() if key not in ("model_type", "architectures")}, result


class _Family:
    """FAMILY's tensors under our names. Linear weights are [out, in]; ours are [in, out]."""

    def __init__(self, config, tensors):
        self.hub, self.tensors, self.kind = config, tensors, config["model_type"]
        self.layers = config["num_hidden_layers"]
        self.heads, self.groups = config["num_attention_heads"], config["num_key_value_heads"]
        self.size = config.get("head_dim") or config.get("kv_channels") or config["hidden_size"] // self.heads
        self.jetmoe = self.kind == "jetmoe"
        self.per_module = self.groups if self.jetmoe else self.heads // self.groups
        self.experts = config.get("num_local_experts") or config.get("num_experts") or 0
        self.dense = [] if self.experts else list(range(self.layers))
        if self.kind in ("qwen2_moe", "qwen3_moe"):
            self.dense = [layer for layer in range(self.layers) if layer in config["mlp_only_layers"]
                          or (layer + 1) % config["decoder_sparse_step"]]
        self.result = {}

    def converted(self):
        self.put("wte", "model.embed_tokens.weight")
        self.put("ln_f.weight", "model.norm.weight")
        if not self.hub["tie_word_embeddings"]:
            self.put("lm_head", "lm_head.weight")
        for layer in range(self.layers):
            self.hub_prefix, self.prefix = f"model.layers.{layer}.", f"h.{layer}."
            self.put(self.prefix + "ln_1.weight", self.hub_prefix + "input_layernorm.weight")
            self.put(self.prefix + "ln_2.weight", self.hub_prefix + "post_attention_layernorm.weight")
            self.routed_attention() if self.jetmoe else self.attention()
            self.dense_mlp() if layer in self.dense else self.routed_mlp()
        return self.config(), self.result

    def put(self, name, hub_name):
        self.result[name] = self.tensors[hub_name]

    def get(self, name):
        return self.tensors.get(self.hub_prefix + name)

    def attention(self):
        whole, size = self.per_module * self.size, self.size
        for m in range(self.groups):
            query, key = slice(m * whole, (m + 1) * whole), slice(m * size, (m + 1) * size)
            places = (("q_proj", query), ("k_proj", key), ("v_proj", key))
            name = f"{self.prefix}att.{m}."
            self.result[name + "in"] = torch.cat([self.get(f"self_attn.{one}.weight")[rows] for one, rows in places]).T
            self.result[name + "out"] = self.get("self_attn.o_proj.weight")[:, query].T
            if self.get("self_attn.q_proj.bias") is not None:
                self.result[name + "in_bias"] = torch.cat([self.get(f"self_attn.{one}.bias")[rows] for one, rows in places])
            if self.kind == "olmoe":
                self.result[name + "head_norm"] = torch.cat([self.get("self_attn.q_norm.weight")[query],
                                                             self.get("self_attn.k_norm.weight")[key]])
        if self.get("self_attn.o_proj.bias") is not None:
            self.result[self.prefix + "att_bias"] = self.get("self_attn.o_proj.bias")
        if self.kind == "qwen3_moe":
            self.result[self.prefix + "q_norm"] = self.get("self_attn.q_norm.weight")
            self.result[self.prefix + "k_norm"] = self.get("self_attn.k_norm.weight")

    def routed_attention(self):
        key, value = self.get("self_attention.kv_proj.weight").chunk(2)
        self.result[self.prefix + "k_proj.weight"], self.result[self.prefix + "v_proj.weight"] = key, value
        self.result[self.prefix + "att_bias"] = self.get("self_attention.experts.bias")
        for m in range(self.experts):
            name = f"{self.prefix}att.{m}."
            self.result[name + "in"] = self.get("self_attention.experts.input_linear.weight")[m].T
            self.result[name + "out"] = self.get("self_attention.experts.output_linear.weight")[m].T
            self.result[name + "row"] = self.get("self_attention.experts.router.layer.weight")[m]

    def dense_mlp(self):
        width = self.slice_hidden()
        gate, up, down = (self.get(f"mlp.{one}_proj.weight") for one in ("gate", "up", "down"))
        biased = self.hub.get("mlp_bias")
        for m in range(self.hub["intermediate_size"] // width):
            rows, name = slice(m * width, (m + 1) * width), f"{self.prefix}mlp.{m}."
            self.result[name + "in"] = torch.cat([gate[rows], up[rows]]).T
            self.result[name + "out"] = down[:, rows].T
            if biased:
                self.result[name + "in_bias"] = torch.cat([self.get(f"mlp.{one}_proj.bias")[rows] for one in ("gate", "up")])
        if biased:
            self.result[self.prefix + "mlp_bias"] = self.get("mlp.down_proj.bias")

    def slice_hidden(self):
        """Any divisor will do: the sum over slices is the whole."""
        return self.hub["intermediate_size"] // 4 if self.dense else 0

    def routed_mlp(self):
        if self.jetmoe or self.kind.startswith("granite"):
            base = "mlp." if self.jetmoe else "block_sparse_moe."
            into, out = self.get(base + "input_linear.weight"), self.get(base + "output_linear.weight")
            rows = self.get(base + "router.layer.weight")
            if self.jetmoe:
                self.result[self.prefix + "mlp_bias"] = self.get("mlp.bias")
        else:
            base, (gate, up, down) = ("block_sparse_moe.", ("w1", "w3", "w2")) if self.kind == "mixtral" else (
                "mlp.", ("gate_proj", "up_proj", "down_proj"))
            weight = lambda m, one: self.get(f"{base}experts.{m}.{one}.weight")
            into = [torch.cat([weight(m, gate), weight(m, up)]) for m in range(self.experts)]
            out = [weight(m, down) for m in range(self.experts)]
            rows = self.get(base + "gate.weight")
        for m in range(self.experts):
            name = f"{self.prefix}mlp.{m}."
            self.result[name + "in"], self.result[name + "out"], self.result[name + "row"] = into[m].T, out[m].T, rows[m]
        self.shared_mlp()

    def shared_mlp(self):
        if self.hub.get("shared_intermediate_size"):
            into, out = (self.get(f"shared_mlp.{one}_linear.weight") for one in ("input", "output"))
        elif self.kind == "qwen2_moe":
            into = torch.cat([self.get(f"mlp.shared_expert.{one}_proj.weight") for one in ("gate", "up")])
            out = self.get("mlp.shared_expert.down_proj.weight")
            self.result[self.prefix + "shared.gate"] = self.get("mlp.shared_expert_gate.weight")[0]
        else:
            return
        self.result[self.prefix + "shared.in"], self.result[self.prefix + "shared.out"] = into.T, out.T

    def config(self):
        hub = self.hub
        sliced = hub["intermediate_size"] // self.slice_hidden() if self.dense else 0
        hidden = hub.get("moe_intermediate_size") or hub["intermediate_size"]
        mlp_counts = [sliced if layer in self.dense else self.experts for layer in range(self.layers)]
        att = self.experts if self.jetmoe else self.groups
        return {
            "family": self.kind, "vocab_size": hub["vocab_size"], "block_size": hub["max_position_embeddings"],
            "n_embd": hub["hidden_size"], "n_layer": self.layers, "n_head": self.per_module,
            "att_hidden": self.per_module * self.size, "ffd_hidden": hidden,
            "n_att_experts": att, "n_mlp_experts": max(mlp_counts), "n_mlp_experts_per_layer": mlp_counts,
            "k_att": hub["num_experts_per_tok"] if self.jetmoe else att, "k_mlp": hub.get("num_experts_per_tok") or 1,
            "gate_type": "linear", "aux_loss_type": "joint",
            "aux_loss_weight": hub.get("router_aux_loss_coef") or hub.get("aux_loss_coef") or 0,
            "activation_function": hub.get("hidden_act") or hub["activation_function"],
            "tie_word_embeddings": hub["tie_word_embeddings"], "bos_token_id": hub["bos_token_id"],
            "eos_token_id": hub["eos_token_id"], "form": self.form(),
        }

    def form(self):
        hub, granite = self.hub, self.kind.startswith("granite")
        qwen2 = self.kind == "qwen2_moe"
        window = hub.get("sliding_window") if hub.get("use_sliding_window", True) else None
        form = {
            "norm": "rms", "block_eps": 1e-6 if self.jetmoe else hub["rms_norm_eps"], "final_eps": hub["rms_norm_eps"],
            "attention": "softmax", "att_routed": self.jetmoe, "kv_bias": False, "gated": True, "unrouted_layers": self.dense,
            "slice_hidden": self.slice_hidden(), "choice": "top_k_first" if self.jetmoe or granite else "softmax_first",
            "renormalise": self.kind == "mixtral" or bool(hub.get("norm_topk_prob")),
            "qk_norm": {"olmoe": "whole", "qwen3_moe": "head"}.get(self.kind, "none"),
            "clip_qkv": hub.get("clip_qkv") or 0, "window": window or 0, "rotary": self.rotary(),
            "shared_hidden": hub.get("shared_intermediate_size") or hub.get("shared_expert_intermediate_size") or 0,
            "shared_gate": qwen2, "in_bias_att": bool(hub.get("attention_bias") or hub.get("qkv_bias")),
            "in_bias_mlp": bool(hub.get("mlp_bias")), "out_bias_att": self.jetmoe or bool(hub.get("attention_bias")),
            "out_bias_mlp": self.jetmoe or bool(hub.get("mlp_bias")),
        }
        if granite:
            form.update(embedding_scale=hub["embedding_multiplier"], residual_scale=hub["residual_multiplier"],
                        logit_divisor=hub["logits_scaling"], attention_scale=hub["attention_multiplier"])
        return form

    def rotary(self):
        names = {"rope_theta": "theta", "rope_type": "kind", "original_max_position_embeddings": "original_context"}
        rotary = {names.get(name, name): value for name, value in self.hub["rope_parameters"].items()}
        return {**rotary, **({"original_context": self.hub["max_position_embeddings"]} if rotary["kind"] == "dynamic" else {})}
