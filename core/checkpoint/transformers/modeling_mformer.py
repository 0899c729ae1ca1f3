"""Models of mformer in `transformers`, with nothing but torch beside it:

    model = AutoModelForCausalLM.from_pretrained("checkpoint/", trust_remote_code=True)

`mformer export --for transformers` writes this file beside the weights. A model is blocks of attention and feed-forward,
and each of the two is a *bank* of modules: **routed**, where a router chooses k of them for every token, or
**unrouted**, where every token takes all. What else a block computes (norm, attention, positions, multipliers) says
`config.form`, whatever family the model came from. A model with *domains* stands for several, its hypotheses; it predicts
by their mixture, which a posterior weighs token by token, or as one of them: `model(ids, domain="german")`,
`model.generate(ids, domain="base")`.

Every parameter has the name that it has in `model.safetensors`. The classes are in the order of reading: description,
parameters, router, attention, block, hypotheses, model. They are one file, longer than others of the project, because
`transformers` then needs no package of ours and a reader no other file.

Sources of the formulas: ModuleFormer (arXiv 2306.04640), stick-breaking attention (section 3.2 there), rotary positions
(arXiv 2104.09864), YaRN (arXiv 2309.00071), RMSNorm (arXiv 1910.07467), SwiGLU (arXiv 2002.05202), balance losses of
Switch Transformers (arXiv 2101.03961), fixed share (Herbster and Warmuth, "Tracking the best expert", 1998).
"""

import copy
import math
from dataclasses import dataclass, field
from typing import Optional

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.configuration_utils import PretrainedConfig
from transformers.modeling_outputs import MoeCausalLMOutputWithPast
from transformers.utils import cached_file

KINDS = ("att", "mlp")
BASE = "base"
DOMAINS_FILE = "mformer_domains.safetensors"
ACTIVATIONS = {
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}
# Outputs call the cache so since transformers 5.2x; before that, "past_key_values".
CACHE = "cache" if "cache" in MoeCausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"


# ---------------------------------------------------------------------------------------------------- description


@dataclass
class Form:
    """How a block computes. What is absent from config.json is as in a ModuleFormer."""

    norm: str = "layer"  # or "rms"
    block_eps: float = 1e-5
    final_eps: float = 1e-5
    attention: str = "stick_breaking"  # or "softmax"
    att_routed: bool = True  # False: all attention modules are taken, each with a key/value head of its own
    kv_bias: bool = True  # of the keys and values that routed attention modules share
    unrouted_layers: list = field(default_factory=list)  # whose feed-forward modules are all taken
    slice_hidden: int = 0  # hidden width of those modules
    gated: bool = False  # feed-forward: act(gate) * up instead of act(in)
    choice: str = "softmax_first"  # or "top_k_first": softmax over the k best logits
    renormalise: bool = False  # the gates of the k sum to 1
    qk_norm: str = "none"  # "whole": RMS over the queries of all modules together; "head": of each head
    clip_qkv: float = 0.0
    window: int = 0  # a query sees keys at a smaller distance; 0 = all
    unwindowed_layers: list = field(default_factory=list)  # that see all keys all the same
    rotary: dict = field(default_factory=lambda: {"kind": "none"})  # inverse_frequencies() has its fields
    shared_hidden: int = 0  # width of a feed-forward beside the routed modules, which every token takes
    shared_gate: bool = False
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    logit_divisor: float = 1.0
    attention_scale: float = 0.0  # 0 = size of a head ** -0.5
    in_bias_att: bool = False
    in_bias_mlp: bool = False
    out_bias_att: bool = False
    out_bias_mlp: bool = False


class MformerConfig(PretrainedConfig):
    """config.json as mformer writes it; the fields that its docs/checkpoints.md lists, with the same defaults."""

    model_type = "mformer"
    keys_to_ignore_at_inference = ["past_key_values", "cache"]
    attribute_map = {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "max_position_embeddings": "block_size",
    }

    defaults = {
        "vocab_size": 50295, "block_size": 512, "n_embd": 1024, "n_layer": 24, "n_head": 8, "att_hidden": 512,
        "ffd_hidden": 2048, "n_att_experts": 32, "n_mlp_experts": 32, "n_att_experts_per_layer": None,
        "n_mlp_experts_per_layer": None, "k_att": 2, "k_mlp": 2, "sample_topk": 0, "gate_type": "mlp",
        "gating_size": 256, "aux_loss_type": "mi", "aux_loss_weight": 0.0, "activation_function": "gelu_new",
        "resid_pdrop": 0.0, "embd_pdrop": 0.0, "moe_pdrop": 0.0, "initializer_range": 0.02, "use_cache": True,
        "tie_word_embeddings": False, "bos_token_id": 50256, "eos_token_id": 50256, "form": {},
        "mformer_domains": None, "output_router_logits": False,
    }

    def __init__(self, quantization_config=None, mformer_int8=False, **kwargs):
        fields = {name: kwargs.pop(name, default) for name, default in self.defaults.items()}
        for name in ("layer_types", "sliding_window"):  # of the family: a cache would obey them, `form` has the windows
            kwargs.pop(name, None)
        super().__init__(**kwargs)
        for name, value in fields.items():
            setattr(self, name, value)
        # Under a name of ours: `transformers` would look for a quantiser of its own.
        self.mformer_int8 = mformer_int8 or quantization_config is not None

    def modules_of(self, layer, kind):
        """How many modules the bank has."""
        counts = getattr(self, f"n_{kind}_experts_per_layer")
        return counts[layer] if counts else getattr(self, f"n_{kind}_experts")

    def to_dict(self):
        return _as_mformer_writes(super().to_dict())

    def to_diff_dict(self):
        return _as_mformer_writes(super().to_diff_dict())


def _as_mformer_writes(fields):
    if fields.pop("mformer_int8", False):
        fields["quantization_config"] = {"quant_method": "mformer_int8", "weight_dtype": "int8",
                                         "scale": "per output channel"}
    return {name: value for name, value in fields.items()
            if value is not None or not name.startswith(("mformer_", "n_att", "n_mlp"))}


# ----------------------------------------------------------------------------------------------------- parameters


class Tensors(nn.Module):
    """Named tensors that belong together; those whose shape is None are absent. `self["in"]` is a matrix as numbers of
    `dtype`, also where the file has int8 codes beside one scale a column."""

    def __init__(self, int8=(), **shapes):
        super().__init__()
        for name, shape in shapes.items():
            coded = name in int8
            value = None if shape is None else torch.empty(shape, dtype=torch.int8 if coded else None)
            self.register_parameter(name, None if value is None else nn.Parameter(value, requires_grad=not coded))

    def __getitem__(self, name):
        value = getattr(self, name)
        if value is None or value.dtype != torch.int8:
            return value
        return value * getattr(self, name + "_scale")

    def initial(self, std):
        """Values for a model that no file gives."""
        for name, value in self.named_parameters(recurse=False):
            if name.endswith("norm") or name.endswith("scale") or (name == "weight" and isinstance(self, Norm)):
                nn.init.ones_(value)
            elif not value.is_floating_point() or (value.dim() < 2 and name != "row"):
                nn.init.zeros_(value)
            else:
                nn.init.normal_(value, std=std)


class Norm(Tensors):
    def __init__(self, width, kind, eps):
        super().__init__(weight=(width,), bias=(width,) if kind == "layer" else None)
        self.kind, self.eps = kind, eps

    def forward(self, x):
        if self.kind == "layer":
            return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        return rms_norm(x, self.weight, self.eps, (-1,))


def rms_norm(x, weight, eps, dims):
    """weight · x / sqrt(mean x² + eps) over `dims`, in float32 at least."""
    y = x if x.dtype == torch.float64 else x.float()
    y = y * torch.rsqrt(y.square().mean(dims, keepdim=True) + eps)
    return weight * y.to(x.dtype)


def sharing_copy(module):
    """A copy of the tree of modules that holds the same tensors."""
    twin = copy.copy(module)
    twin._parameters = dict(module._parameters)
    twin._buffers = dict(module._buffers)
    twin._modules = {name: sharing_copy(child) for name, child in module._modules.items()}
    return twin


# --------------------------------------------------------------------------------------------------------- router


@dataclass
class Choice:
    """Which modules each of the tokens takes, and the weights of what they give."""

    indices: torch.Tensor  # [tokens, k]
    gates: torch.Tensor  # [tokens, k]
    logits: torch.Tensor  # [tokens, modules]
    probs: torch.Tensor  # [tokens, modules], softmax over all


class Bank(nn.Module):
    """The modules "0", "1", … of one layer and kind, and their router."""

    def __init__(self, config, form, layer, kind):
        super().__init__()
        self.kind, self.config, self.form = kind, config, form
        self.routed = form.att_routed if kind == "att" else layer not in form.unrouted_layers
        self.k = config.k_att if kind == "att" else config.k_mlp
        self.numbers = list(range(config.modules_of(layer, kind)))  # of the modules that are seen
        self.base = set()  # of a hypothesis: those of them that are the base's
        self.private_rows = None  # of a hypothesis: rows of the router for them
        width, narrow = config.n_embd, config.gating_size
        into, out = self._widths()
        biased = form.in_bias_att if kind == "att" else form.in_bias_mlp
        whole = kind == "att" and form.qk_norm == "whole"
        row = (width if config.gate_type == "linear" else narrow,)
        int8 = config.mformer_int8
        for number in self.numbers:
            self.add_module(str(number), Tensors(
                int8=("in", "out") if int8 else (),
                row=row if self.routed else None,
                in_bias=(into,) if biased and not self.routed else None,
                head_norm=(out + out // config.n_head,) if whole else None,
                **{"in": (width, into), "out": (out, width)},
                **({"in_scale": (into,), "out_scale": (width,)} if int8 else {})))
        if self.routed and config.gate_type != "linear":
            mlp = config.gate_type == "mlp"
            self.router = Tensors(weight=(narrow, width), bias=(narrow,) if mlp else None,
                                  temperature=None if mlp else (1,))

    def _widths(self):
        """Columns of `in` and rows of `out`."""
        if self.kind == "att":
            hidden = self.config.att_hidden
            return (hidden, hidden) if self.routed else (hidden + 2 * hidden // self.config.n_head, hidden)
        hidden = self.config.ffd_hidden if self.routed else self.form.slice_hidden
        return (2 * hidden if self.form.gated else hidden), hidden

    def seen(self):
        return [getattr(self, str(number)) for number in self.numbers]

    def rows(self):
        if self.private_rows is None:
            return torch.stack([module.row for module in self.seen()])
        own = iter(self.private_rows)
        return torch.stack([next(own) if number in self.base else module.row
                            for number, module in zip(self.numbers, self.seen())])

    def logits(self, x):
        """[tokens, width] → [tokens, modules]; docs/model.md, "Router"."""
        rows, gate = self.rows(), self.config.gate_type
        if gate == "linear":
            return F.linear(x, rows)
        z = F.linear(x, self.router.weight, self.router.bias)
        if gate == "gmm":
            return F.linear(F.normalize(z), F.normalize(rows)) * self.router.temperature.exp()
        return F.linear(F.dropout(F.gelu(z), self.config.moe_pdrop, self.training), rows)

    def choose(self, x):
        logits = self.logits(x)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        probs = logits.softmax(-1)
        drawn = self.config.sample_topk if self.training else 0
        if self.form.choice == "top_k_first":
            best, indices = logits.topk(self.k, -1)
            return Choice(indices, best.softmax(-1), logits, probs)
        gates, indices = probs.topk(self.k - drawn, -1)
        if drawn:  # the last of the k, at random
            others = (probs.detach() + 1e-6).scatter(1, indices, 0.0)
            indices = torch.cat([indices, torch.multinomial(others, drawn)], 1)
            gates = probs.gather(1, indices)
        if self.form.renormalise:
            gates = gates / gates.sum(-1, keepdim=True)
        return Choice(indices, gates, logits, probs)

    def through(self, name, x, choice):
        """x [tokens, k or 1, a] · the matrix `name` [a, b] of each chosen module → [tokens, k, b]."""
        modules, slots = self.seen(), choice.indices.flatten()
        order = slots.argsort(stable=True)
        counts = slots.bincount(minlength=len(modules)).tolist()
        rows = x.expand(-1, self.k, -1).flatten(0, 1)[order].split(counts)
        done = torch.cat([part @ module[name].to(x.dtype) for part, module in zip(rows, modules) if len(part)])
        return done[order.argsort()].unflatten(0, (-1, self.k))

    def combined(self, x, choice):
        """x [tokens, k, hidden] through `out`, weighed by the gates and summed → [tokens, width]."""
        return (self.through("out", x, choice) * choice.gates.unsqueeze(-1).to(x.dtype)).sum(1)

    def through_all(self, x):
        """x [tokens, width] through `in` of every module → [tokens, modules, columns]; for unrouted banks."""
        parts = [x @ module["in"].to(x.dtype) for module in self.seen()]
        biases = [module.in_bias for module in self.seen()]
        return torch.stack([part if bias is None else part + bias for part, bias in zip(parts, biases)], 1)

    def summed(self, x):
        """x [tokens, modules, hidden] through `out` and summed → [tokens, width]; for unrouted banks."""
        return sum(x[:, i] @ module["out"].to(x.dtype) for i, module in enumerate(self.seen()))


def balance_loss(config, choices, mask):
    """What keeps routers from using few modules. `choices`: of all routers; `mask` [tokens] bool or None. "joint" is one
    number over all routers together (or, where they differ in size, a sum over them), without padding; "mi" and "switch"
    are sums over routers."""
    if config.aux_loss_type == "joint":
        together = len({choice.probs.shape[1] for choice in choices}) == 1
        return _joint(choices, mask) if together else sum(_joint([choice], mask) for choice in choices)
    one = _mutual_information if config.aux_loss_type == "mi" else _switch
    return sum(one(choice) for choice in choices)


def _joint(choices, mask):
    """E · Σ_e f_e p_e: f_e the share of (token, router) pairs that chose module e, p_e its mean probability there."""
    kept = slice(None) if mask is None else mask
    probs = torch.cat([choice.probs[kept] for choice in choices])
    chosen = torch.cat([choice.indices[kept].flatten() for choice in choices])
    share = chosen.bincount(minlength=probs.shape[1]) / len(probs)
    return probs.shape[1] * (share * probs.mean(0)).sum()


def _mutual_information(choice):
    mean = choice.probs.mean(0)
    conditional = -(choice.probs * choice.logits.log_softmax(-1)).sum(-1).mean()
    return conditional + (mean * (mean + 1e-8).log()).sum()


def _switch(choice):
    hits = choice.indices.flatten().bincount(minlength=choice.probs.shape[1]).to(choice.probs.dtype)
    shares = choice.probs.sum(0) / choice.probs.sum().clamp_min(1e-12)
    size = choice.logits.logsumexp(-1).square().mean()
    return len(hits) * (shares * hits / hits.sum()).sum() + 0.1 * size


# ------------------------------------------------------------------------------------------------------ attention


def inverse_frequencies(rotary, size, length):
    """[size / 2] of rotary positions, and the factor of cosine and sine. All kinds but "default" stretch a model beyond the
    context that it was first trained on, `original_context`. `length`: tokens so far, for "dynamic"."""
    kind, theta, factor = rotary.get("kind", "default"), rotary.get("theta", 10000.0), rotary.get("factor", 1.0)
    original = rotary.get("original_context", 0)
    if kind == "dynamic" and length > original and size > 2:
        theta = theta * (factor * length / original - (factor - 1)) ** (size / (size - 2))
    plain = theta ** (torch.arange(0, size, 2, dtype=torch.float32) / -size)
    if kind == "linear":
        return plain / factor, 1.0
    if kind == "llama3":  # long waves are stretched, short ones kept, those between blended
        low, high = rotary.get("low_freq_factor", 1.0), rotary.get("high_freq_factor", 4.0)
        kept = ((original * plain / (2 * math.pi) - low) / (high - low)).clamp(0, 1)
        return kept * plain + (1 - kept) * plain / factor, 1.0
    if kind == "yarn":  # the same, blended between the dimensions that turn so many times within the context
        first, last = (size * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))
                       for turns in (rotary.get("beta_fast", 32.0), rotary.get("beta_slow", 1.0)))
        if rotary.get("truncate", True):
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, size - 1)
        kept = 1 - ((torch.arange(size // 2) - first) / (last - first or 0.001)).clamp(0, 1)
        default = 0.1 * math.log(factor) + 1 if factor > 1 else 1.0
        return kept * plain + (1 - kept) * plain / factor, rotary.get("attention_factor") or default
    return plain, 1.0


def rotate(x, table):
    """Dimension i is paired with i + size / 2. `table`: cosine and sine [tokens, size / 2]."""
    cos, sin = (part.to(x.dtype) for part in table)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def stick_breaking(query, key, value, seen, scale):
    """w_ij = β_ij Π_{j<m≤i} (1 − β_im) with β = σ(z): the nearest key breaks the stick first. Unseen keys have β = 0."""
    z = (query @ key.transpose(-1, -2) * scale).masked_fill(~seen, -math.inf)
    rest = F.logsigmoid(-z)
    after = rest.flip(-1).cumsum(-1).flip(-1) - rest  # Σ over the keys between j and i, and i itself
    return (F.logsigmoid(z) + after).exp() @ value


class Attention:
    """The attention of a block: what its module bank is for. No tensors of its own."""

    def __init__(self, block, step):
        self.block, self.bank, self.form, self.config = block, block.att, block.form, block.config
        self.step = step
        self.size = self.config.att_hidden // self.config.n_head

    def __call__(self, x):
        """x [batch, tokens, width] → the same."""
        shape, bank = x.shape, self.bank
        flat = x.flatten(0, 1)
        if bank.routed:
            choice = self.step.note(bank.choose(flat))
            query, key, value = self._routed(x, choice)
        else:
            query, key, value = self._unrouted(x)
        read = self._read(*self._placed(query, key, value))  # [batch, groups, share, tokens, size]
        if bank.routed:
            slots = read.permute(0, 3, 2, 1, 4).reshape(-1, bank.k, self.config.att_hidden)
            y = bank.combined(slots, choice)
        else:
            y = bank.summed(read.permute(0, 3, 1, 2, 4).reshape(-1, len(bank.numbers), self.config.att_hidden))
        return y.view(shape) if self.block.att_bias is None else y.view(shape) + self.block.att_bias

    def _routed(self, x, choice):
        """Modules have queries, the block keys and values: head h of all k modules reads key head h."""
        batch, tokens, _ = x.shape
        heads = (batch, tokens, self.config.n_head, self.size)
        query = self.bank.through("in", x.flatten(0, 1).unsqueeze(1), choice)
        query = query.view(batch, tokens, self.bank.k, *heads[2:]).permute(0, 3, 2, 1, 4)
        key, value = (x if projection is None else projection(x)
                      for projection in (self.block.k_proj, self.block.v_proj))
        return query, key.view(heads).transpose(1, 2), value.view(heads).transpose(1, 2)

    def _unrouted(self, x):
        """Each module has n_head query heads and one key/value head: columns queries, key, value."""
        batch, tokens, _ = x.shape
        columns = self.bank.through_all(x.flatten(0, 1)).view(batch, tokens, len(self.bank.numbers), -1)
        query, key, value = columns.split([self.config.att_hidden, self.size, self.size], -1)
        if self.form.qk_norm == "whole":
            weights = torch.stack([module.head_norm for module in self.bank.seen()])
            query = rms_norm(query, weights[:, : -self.size], self.form.block_eps, (-2, -1))
            key = rms_norm(key, weights[:, -self.size :], self.form.block_eps, (-2, -1))
        query = query.unflatten(-1, (-1, self.size)).permute(0, 2, 3, 1, 4)
        return query, key.transpose(1, 2), value.transpose(1, 2)

    def _placed(self, query, key, value):
        """Normed, clipped, at their positions, and after what the cache has."""
        if self.block.q_norm is not None:
            query = rms_norm(query, self.block.q_norm, self.form.block_eps, (-1,))
            key = rms_norm(key, self.block.k_norm, self.form.block_eps, (-1,))
        if self.form.clip_qkv:
            limit = self.form.clip_qkv
            query, key, value = (part.clamp(-limit, limit) for part in (query, key, value))
        if self.step.rotary is not None:
            query, key = rotate(query, self.step.rotary), rotate(key, self.step.rotary)
        if self.step.cache is not None:
            key, value = self.step.cache.update(key, value, self.step.first_layer + self.block.layer)
        return query, key, value

    def _read(self, query, key, value):
        """query [batch, groups, share, tokens, size], key and value [batch, groups, keys, size]."""
        scale = self.form.attention_scale or self.size**-0.5
        if self.form.attention == "stick_breaking":
            seen = self.step.seen_keys(own=False)
            return stick_breaking(query, key.unsqueeze(2), value.unsqueeze(2), seen.unsqueeze(-4), scale)
        window = 0 if self.block.layer in self.form.unwindowed_layers else self.form.window
        plain = self.step.past == 0 and self.step.mask is None and not window
        read = F.scaled_dot_product_attention(
            query.flatten(1, 2), key, value, attn_mask=None if plain else self.step.seen_keys(window=window),
            is_causal=plain, scale=scale, enable_gqa=True)
        return read.unflatten(1, query.shape[1:3])


# ---------------------------------------------------------------------------------------------------------- block


class Step:
    """What one forward pass of one hypothesis hands from block to block."""

    def __init__(self, config, form, ids, mask, cache, first_layer, device):
        self.tokens, self.cache, self.first_layer = ids.shape[1], cache, first_layer
        self.past = 0 if cache is None else cache.get_seq_length(first_layer)
        self.mask, self.device = mask, device  # [batch, past + tokens] bool, None where nothing is padded
        self.choices = []
        self.rotary = None
        if form.rotary.get("kind") != "none":
            length = self.past + self.tokens
            inverse, factor = inverse_frequencies(form.rotary, config.att_hidden // config.n_head, length)
            angles = torch.arange(self.past, length, dtype=torch.float32)[:, None] * inverse
            self.rotary = (factor * angles.cos()).to(device), (factor * angles.sin()).to(device)

    def note(self, choice):
        self.choices.append(choice)
        return choice

    def seen_keys(self, window=0, own=True):
        """[batch or 1, 1, tokens, keys] bool. `own`: a padded token sees itself, so that no softmax is over nothing."""
        key = torch.arange(self.past + self.tokens, device=self.device)
        distance = key[self.past :, None] - key
        seen = (distance >= 0) & (distance < window if window else True)
        seen = seen[None, None]
        if self.mask is not None:
            seen = seen & (self.mask[:, None, None] | (distance == 0 if own else False))
        return seen


class Block(Tensors):
    """x ← x + s · Att(norm x); x ← x + s · Mlp(norm x)."""

    def __init__(self, config, form, layer):
        width, size = config.n_embd, config.att_hidden // config.n_head
        head = (size,) if form.qk_norm == "head" else None
        super().__init__(q_norm=head, k_norm=head, att_bias=(width,) if form.out_bias_att else None,
                         mlp_bias=(width,) if form.out_bias_mlp else None)
        self.config, self.form, self.layer = config, form, layer
        self.ln_1 = Norm(width, form.norm, form.block_eps)
        self.ln_2 = Norm(width, form.norm, form.block_eps)
        self.att = Bank(config, form, layer, "att")
        self.mlp = Bank(config, form, layer, "mlp")
        # Keys and values that routed modules share; the input itself where it is one head of that width.
        projected = form.att_routed and (config.att_hidden != width or config.n_head != 1)
        self.k_proj = nn.Linear(width, config.att_hidden, bias=form.kv_bias) if projected else None
        self.v_proj = nn.Linear(width, config.att_hidden, bias=form.kv_bias) if projected else None
        shared = form.shared_hidden if self.mlp.routed else 0
        self.shared = Tensors(gate=(width,) if form.shared_gate else None, **{
            "in": (width, 2 * shared if form.gated else shared), "out": (shared, width)}) if shared else None

    def forward(self, x, step):
        for norm, part in ((self.ln_1, Attention(self, step)), (self.ln_2, lambda y: self._feed_forward(y, step))):
            y = F.dropout(part(norm(x)), self.config.resid_pdrop, self.training)
            x = x + (y if self.form.residual_scale == 1 else y * self.form.residual_scale)
        return x

    def _activated(self, x):
        act = ACTIVATIONS[self.config.activation_function]
        if not self.form.gated:
            return act(x)
        gate, up = x.chunk(2, -1)
        return act(gate) * up

    def _feed_forward(self, x, step):
        flat = x.flatten(0, 1)
        if self.mlp.routed:
            choice = step.note(self.mlp.choose(flat))
            hidden = self.mlp.through("in", flat.unsqueeze(1), choice)
            y = self.mlp.combined(self._activated(hidden), choice)
        else:
            y = self.mlp.summed(self._activated(self.mlp.through_all(flat)))
        if self.shared is not None:
            always = self._activated(flat @ self.shared["in"]) @ self.shared["out"]
            gate = self.shared.gate
            y = y + (always if gate is None else always * torch.sigmoid(flat @ gate).unsqueeze(-1))
        return y.view_as(x) if self.mlp_bias is None else y.view_as(x) + self.mlp_bias


# ----------------------------------------------------------------------------------------------------- hypotheses


BASE_PRIOR, SWITCHING = 0.5, 1 / 2048  # as in mformer's core/model/posterior.h


class Posterior:
    """Which hypothesis a document is of, by what each gave to its tokens so far: the fixed-share rule

        w_h ← (1 − Σ r) · w_h p_h(x) / Σ_g w_g p_g(x)  +  r_h

    from the prior π on; docs/domains.md of mformer has the bounds that follow."""

    def __init__(self, domains, device):
        prior = [BASE_PRIOR] + [(1 - BASE_PRIOR) / domains] * domains
        rates = [SWITCHING * BASE_PRIOR] + [2 * SWITCHING * (1 - BASE_PRIOR) / (d * (d + 1)) for d in range(1, domains + 1)]
        self.prior, self.rates = (torch.tensor(one, dtype=torch.float64, device=device) for one in (prior, rates))

    def along(self, weights, given, counts):
        """Weights [batch, hypotheses] after each of some tokens, the first before all of them. `given` [batch, tokens,
        hypotheses]: the log-probabilities that they had; `counts` [batch, tokens] bool or None: which are evidence."""
        result = [weights]
        for t in range(given.shape[1]):
            moved = (1 - self.rates.sum()) * (result[-1].log() + given[:, t]).softmax(-1) + self.rates
            result.append(moved if counts is None else torch.where(counts[:, t, None], moved, result[-1]))
        return result


class PosteriorLayer(DynamicLayer):
    """The posterior's place in a key/value cache, so that it follows where rows are reordered or repeated: weights
    [batch, 1, hypotheses] and what was predicted last, [batch, hypotheses, vocab]."""

    is_croppable = False

    def hold(self, weights, predicted):
        self.keys, self.values, self.is_initialized = weights.unsqueeze(1), predicted, True
        self.device, self.dtype = predicted.device, predicted.dtype

    def crop(self, *_):
        raise NotImplementedError("the posterior of a model with domains can't be taken back by some tokens: name one "
                                  "hypothesis (domain=...) for decoding that drafts tokens")


@dataclass
class MformerOutput(MoeCausalLMOutputWithPast):
    """`weights` [batch, tokens, hypotheses]: with which each predicted the next token, of a model with domains."""

    weights: Optional[torch.Tensor] = None


# ---------------------------------------------------------------------------------------------------------- model


class MformerForCausalLM(PreTrainedModel, GenerationMixin):
    """`forward` and `generate` as of any causal language model of `transformers`. Positions are counted from the first
    column: `position_ids` change nothing, as only differences matter. `loss` is the cross-entropy of the next token; with
    `output_router_logits` it also has the balance loss, times `config.aux_loss_weight`."""

    config_class = MformerConfig
    base_model_prefix = ""
    supports_gradient_checkpointing = False
    _supports_sdpa = True
    _no_split_modules = ["Block"]

    def __init__(self, config):
        super().__init__(config)
        form = Form(**config.form)
        vocabulary = (config.vocab_size, config.n_embd)
        self.form = form
        self.wte = nn.Parameter(torch.empty(vocabulary))
        self.lm_head = None if config.tie_word_embeddings else nn.Parameter(torch.empty(vocabulary))
        self.h = nn.ModuleList(Block(config, form, layer) for layer in range(config.n_layer))
        self.ln_f = Norm(config.n_embd, form.norm, form.final_eps)
        self.domains = nn.ModuleList()  # private parts, one entry a domain
        self.replaced = {}  # of a hypothesis: rows of "wte" and "lm_head" that it has its own of
        self._views = {}
        if config.mformer_int8:  # transformers 4 refuses names that no parameter has
            self._keep_in_fp32_modules_strict = ["in_scale", "out_scale"]
        self.post_init()

    def _init_weights(self, module):
        std = self.config.initializer_range
        if isinstance(module, Tensors):
            module.initial(std)
        elif module is self:
            for table in (self.wte, self.lm_head):
                if table is not None:
                    nn.init.normal_(table, std=std)
        else:
            super()._init_weights(module)

    def get_input_embeddings(self):
        embedding = nn.Embedding.from_pretrained(self.wte, freeze=False)
        embedding.weight = self.wte
        return embedding

    def set_input_embeddings(self, value):
        raise NotImplementedError("the vocabulary of an mformer model is not changed by transformers")

    def get_output_embeddings(self):
        return None

    # Domains ------------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, **kwargs):
        loaded = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        if model.config.mformer_domains:
            where = {name: kwargs[name] for name in ("cache_dir", "revision", "token", "subfolder", "local_files_only",
                                                     "force_download", "proxies") if kwargs.get(name) is not None}
            model._take_private_parts(load_file(cached_file(pretrained_model_name_or_path, DOMAINS_FILE, **where)))
        return loaded

    def save_pretrained(self, save_directory, *args, state_dict=None, **kwargs):
        state = dict(self.state_dict() if state_dict is None else state_dict)
        parts = {}
        for key in [key for key in state if key.startswith("domains.")]:
            _, number, name = key.split(".", 2)
            parts[f"{self.config.mformer_domains[int(number)]['name']}/{name.replace(':', '.')}"] = state.pop(key)
        super().save_pretrained(save_directory, *args, state_dict=state, **kwargs)
        if self.config.mformer_domains:
            save_file({name: value.contiguous() for name, value in parts.items()}, f"{save_directory}/{DOMAINS_FILE}",
                      metadata={"format": "pt"})

    def _take_private_parts(self, parts):
        """`parts`: "german/h.0.ln_1.weight" and so on, as DOMAINS_FILE has them. Names of parameters can't have dots."""
        for domain in self.config.mformer_domains:
            own = nn.Module()
            for name, value in parts.items():
                if not name.startswith(domain["name"] + "/"):
                    continue
                name, value = name.split("/", 1)[1].replace(".", ":"), value.to(self.wte.device)
                if value.is_floating_point():
                    own.register_parameter(name, nn.Parameter(value.to(self.wte.dtype)))
                else:
                    own.register_buffer(name, value)
            self.domains.append(own)
        self._views = {}

    def hypotheses(self):
        return [BASE] + [domain["name"] for domain in self.config.mformer_domains or []]

    def _view(self, name):
        """The hypothesis as a model that shares all tensors with this one: fewer modules, private parts in place."""
        if not self.config.mformer_domains:
            return self
        if name not in self._views:
            self._views[name] = self._make_view(self.hypotheses().index(name))
        view = self._views[name]
        return view if view.training == self.training else view.train(self.training)

    def _make_view(self, number):
        view = sharing_copy(self)
        view.domains, view.replaced, view._views = nn.ModuleList(), {}, {}
        domains = self.config.mformer_domains
        own = domains[number - 1] if number else None
        for layer, block in enumerate(view.h):
            for kind in KINDS:
                bank = getattr(block, kind)
                taken = {module for domain in domains for module in domain[kind][layer]}
                base = set(bank.numbers) - taken - set(own["hidden_" + kind][layer] if own else ())
                base = set() if own and own["alone"] else base
                bank.numbers = [one for one in bank.numbers if one in base or (own and one in own[kind][layer])]
                bank.base = base
        if own and len(self.domains):
            view._put_in_place(self.domains[number - 1])
        return view

    def _put_in_place(self, parts):
        buffers = dict(parts.named_buffers())
        for key, value in parts.named_parameters():
            *path, name = key.split(":")
            if key + ":rows_replaced" in buffers:
                self.replaced[key] = (buffers[key + ":rows_replaced"], value)
            elif name == "rows":
                self.get_submodule(".".join(path)).private_rows = value
            else:
                self.get_submodule(".".join(path))._parameters[name] = value

    # Computation --------------------------------------------------------------------------------------------

    def _embedded(self, ids):
        x = F.embedding(ids, self.wte)
        if "wte" in self.replaced:
            rows, values = self.replaced["wte"]
            place = ids.new_full((len(self.wte),), -1)
            place[rows] = torch.arange(len(rows), device=ids.device)
            place = place[ids].unsqueeze(-1)
            x = torch.where(place >= 0, F.embedding(place.squeeze(-1).clamp_min(0), values), x)
        return F.dropout(x * self.form.embedding_scale, self.config.embd_pdrop, self.training)

    def _logits(self, x):
        name = "wte" if self.lm_head is None else "lm_head"
        y = F.linear(x, getattr(self, name))
        if name in self.replaced:
            rows, values = self.replaced[name]
            y = y.index_copy(-1, rows, F.linear(x, values))
        return y / self.form.logit_divisor

    def _hidden(self, ids, mask, cache, number=0):
        """As one plain model: hidden states before each block and after the last norm, and the pass's notes. Of the
        cache, hypothesis `number` has layers of its own."""
        step = Step(self.config, self.form, ids, mask, cache, number * self.config.n_layer, ids.device)
        states = [self._embedded(ids)]
        for block in self.h:
            states.append(block(states[-1], step))
        states[-1] = self.ln_f(states[-1])
        return states, step

    def _mixture(self, ids, mask, cache):
        """Log-probabilities [batch, tokens, vocab] of the mixture of all hypotheses, and their weights."""
        names = self.hypotheses()
        memory = _posterior_layer(cache, len(names) * self.config.n_layer)
        log_probs = []
        for number, name in enumerate(names):
            view = self._view(name)
            log_probs.append(_log_probs(view._logits(view._hidden(ids, mask, cache, number)[0][-1])))
        log_probs = torch.stack(log_probs, 2)  # [batch, tokens, hypotheses, vocab]
        posterior = Posterior(len(names) - 1, ids.device)
        weights, before = posterior.prior.expand(len(ids), -1), log_probs[:, :-1]
        if memory is not None and memory.is_initialized:
            weights, before = memory.keys.squeeze(1), torch.cat([memory.values.unsqueeze(1), before], 1)
        tokens = before.shape[1]  # the last so many were predicted
        known = ids[:, ids.shape[1] - tokens :, None, None].expand(-1, -1, len(names), 1)
        given = before.gather(-1, known).squeeze(-1).double()
        # Padding is no evidence, and nothing predicted the first token after it.
        counts = None if mask is None else mask[:, mask.shape[1] - tokens :] & mask[:, -tokens - 1 : -1]
        along = posterior.along(weights, given, counts)[-ids.shape[1] :]
        weights = torch.stack(along, 1)
        if memory is not None:
            memory.hold(weights[:, -1], log_probs[:, -1])
        return (weights.log().to(log_probs.dtype).unsqueeze(-1) + log_probs).logsumexp(2), weights

    def forward(self, input_ids, attention_mask=None, labels=None, cache=None, past_key_values=None, use_cache=None,
                output_hidden_states=None, output_router_logits=None, logits_to_keep=0, domain=None,
                num_items_in_batch=None, return_dict=None, **kwargs):
        """`input_ids` [batch, tokens]; `attention_mask` [batch, tokens so far], 0 at padding on either side; `labels`
        [batch, tokens], −100 where there is no loss. `domain`: one hypothesis alone. Of a model with domains, `logits` are
        log-probabilities of the mixture."""
        config = self.config
        cache = past_key_values if cache is None else cache
        use_cache = config.use_cache and not self.training if use_cache is None else use_cache
        cache = DynamicCache() if cache is None and use_cache else cache
        mask = self._checked(input_ids, attention_mask, cache, domain)
        aux_loss = router_logits = states = weights = None
        if domain is None and len(self.hypotheses()) > 1:
            logits, weights = self._mixture(input_ids, mask, cache)
        else:
            view = self._view(domain or BASE)
            states, step = view._hidden(input_ids, mask, cache)
            last = states[-1] if labels is not None else _kept(states[-1], logits_to_keep)
            logits = view._logits(last)
            notes = config.output_router_logits if output_router_logits is None else output_router_logits
            if notes and step.choices:
                real = None if mask is None else mask[:, -input_ids.shape[1] :].flatten()
                aux_loss = balance_loss(config, step.choices, real)
                router_logits = tuple(choice.logits for choice in step.choices)
        loss = None
        if labels is not None:
            loss = next_token_loss(logits, labels, num_items_in_batch)
            loss = loss if aux_loss is None else loss + config.aux_loss_weight * aux_loss
        if labels is not None or weights is not None:
            logits = _kept(logits, logits_to_keep)
        wanted = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        result = MformerOutput(
            loss=loss, aux_loss=aux_loss, logits=logits, **{CACHE: cache}, router_logits=router_logits, weights=weights,
            hidden_states=tuple(states) if wanted and states else None)
        return result if return_dict is not False else result.to_tuple()

    def _checked(self, ids, mask, cache, domain):
        """The mask as [batch, past + tokens] bool, or None where nothing is padded."""
        if domain is not None and domain not in self.hypotheses():
            raise ValueError(f"the model has no domain {domain!r}: it has {', '.join(self.hypotheses())}")
        if cache is not None and getattr(cache, "is_compileable", False):
            raise ValueError("this model keeps keys and values in a DynamicCache, not in one of fixed size")
        length = ids.shape[1] + (0 if cache is None else cache.get_seq_length())
        if mask is None:
            return None
        if mask.shape != (len(ids), length):
            raise ValueError(f"attention_mask must be [batch, tokens so far] = {[len(ids), length]}, not {list(mask.shape)}")
        mask = mask.bool()
        return None if mask.all() else mask


def _kept(x, tokens):
    """The last `tokens` of x [batch, tokens, …], 0 = all; or those of these numbers."""
    return x[:, -tokens if tokens else None :] if isinstance(tokens, int) else x[:, tokens]


def _log_probs(logits):
    return (logits if logits.dtype == torch.float64 else logits.float()).log_softmax(-1)


def _posterior_layer(cache, layers):
    """The layer after the `layers` of all hypotheses, which are made if they are not there."""
    if cache is None:
        return None
    while len(cache.layers) < layers:
        cache.layers.append(DynamicLayer())
    if len(cache.layers) == layers:
        cache.layers.append(PosteriorLayer())
    return cache.layers[layers]


def next_token_loss(logits, labels, count=None):
    """Mean over the labels that are not −100 (of `count` labels, where a batch is a part of a larger one), in float32."""
    logits, targets = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten().to(logits.device)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    total = F.cross_entropy(logits, targets, ignore_index=-100, reduction="sum")
    return total / ((targets != -100).sum().clamp_min(1) if count is None else count)
