"""What the classes of transformers compute on a checkpoint, under the names of tests/data/golden-families/README.md."""

import tempfile
from pathlib import Path

import interop
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

STEPS = 16


def load(folder):
    """In float64. Anew for each use: dynamic rotary positions keep the length that they once grew to."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="sdpa",
                                                experts_implementation="eager").eval()


def next_token_loss(logits, labels):
    return cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=-100)


def coefficient(config):
    return getattr(config, "router_aux_loss_coef", getattr(config, "aux_loss_coef", 0.0))


def with_routing(config):
    """Arguments of a pass. Models without modules have no such output, and some with nothing but dense layers fail."""
    return {"output_router_logits": True} if hasattr(config, "num_experts_per_tok") else {}


def plain(folder, ids):
    """The whole pass with the gradients of its loss."""
    model = load(folder)
    output = model(ids, labels=ids, output_hidden_states=True, **with_routing(model.config))
    cross = next_token_loss(output.logits, ids)
    aux = getattr(output, "aux_loss", None)
    loss = cross if aux is None else cross + coefficient(model.config) * aux
    loss.backward()
    result = {"input_ids": ids, "logits": output.logits, "cross_entropy": cross.reshape(1), "loss": loss.reshape(1)}
    if aux is not None:
        result["aux_loss"] = aux.reshape(1)
    result |= {f"hidden.{i}": hidden for i, hidden in enumerate(output.hidden_states)}
    return result | {f"grad.{name}": value for name, value in _stored_gradients(model).items()}


def _stored_gradients(model):
    """Gradients take the weights' place, and save_pretrained gives them the names that tensors have in files."""
    for parameter in model.parameters():
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach().clone()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


@torch.no_grad()
def padded(folder, ids):
    """ids [3, tokens]: the second row is padded left by 4, the third right by 3."""
    mask = torch.ones_like(ids)
    mask[1, :4], mask[2, -3:] = 0, 0
    labels = ids.masked_fill(mask == 0, -100)
    labels[1, 4] = -100
    model = load(folder)
    output = model(ids, attention_mask=mask, labels=labels, **with_routing(model.config))
    result = {"input_ids": ids, "attention_mask": mask, "labels": labels, "logits": output.logits,
              "cross_entropy": next_token_loss(output.logits, labels).reshape(1)}
    if getattr(output, "aux_loss", None) is not None:
        result["aux_loss"] = output.aux_loss.reshape(1)
        result["loss"] = result["cross_entropy"] + coefficient(model.config) * output.aux_loss
    else:
        result["loss"] = result["cross_entropy"]
    return {f"padded.{name}": value for name, value in result.items()}


@torch.no_grad()
def greedy(folder, prompt):
    """The prompt in one pass, then token after token through the cache."""
    model, tokens, cache, chosen, logits = load(folder), prompt, None, [], []
    for _ in range(STEPS):
        output = model(tokens, **{interop.CACHE: cache}, use_cache=True)
        cache = getattr(output, interop.CACHE)
        logits.append(output.logits[:, -1:])
        tokens = output.logits[:, -1].argmax(-1, keepdim=True)
        chosen.append(tokens)
    return {"greedy.prompt": prompt, "greedy.tokens": torch.cat(chosen, 1), "greedy.logits": torch.cat(logits, 1)}


def save(result, file):
    save_file({name: (value.detach().float() if value.is_floating_point() else value).contiguous().clone()
               for name, value in result.items()}, file)
