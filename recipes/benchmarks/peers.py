"""Times what mformer is compared with: the reference implementation and dense models of Hugging Face transformers.

    peers.py reference train --clone CLONE --context 512 --bfloat16 --steps 3
    peers.py dense-1.4b prefill --batch 4 --tokens 512
    peers.py reference decode --clone CLONE --batch 1 --tokens 32
    peers.py pretrained train --folder CHECKPOINT --weights bfloat16 [--lora 32]

Needs torch and transformers, for the reference a clone of https://github.com/IBM/ModuleFormer, for --lora PEFT. Weights
are random, but for "pretrained".
Prints one JSON line with the fields of model_benchmark.cpp: each sample is the seconds of one step, pass or token.
The environment (allocator, OpenMP) is the caller's: contenders.py has the settings that were best.
"""

import argparse
import contextlib
import json
import statistics
import sys
import time

import torch
from torch.overrides import TorchFunctionMode

BASE = dict(vocab_size=8192, n_embd=256, n_layer=6, n_head=4, att_hidden=256, ffd_hidden=512, gating_size=128,
            n_att_experts=16, n_mlp_experts=32, k_att=2, k_mlp=2, aux_loss_weight=0.01)
MOLM_350M_4B = dict(vocab_size=50295, n_embd=1024, n_layer=24, n_head=1, att_hidden=1024, ffd_hidden=2048,
                    gating_size=256, n_att_experts=16, n_mlp_experts=32, k_att=2, k_mlp=2)
# Pythia's geometries (arXiv 2304.01373) with MoLM's vocabulary.
DENSE = {"dense-350m": dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
         "dense-1.4b": dict(hidden_size=2048, num_hidden_layers=24, num_attention_heads=16, intermediate_size=8192)}


def peak_memory():
    """Bytes of the largest resident set so far."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


class QuickRandom(TorchFunctionMode):
    """Draws only the first million numbers of a large tensor and repeats them: speed doesn't depend on the values."""

    DRAWN = 1_000_003  # a prime, so that rows differ

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function not in (torch.Tensor.normal_, torch.Tensor.uniform_) or args[0].numel() <= self.DRAWN:
            return function(*args, **(kwargs or {}))
        flat = args[0].view(-1)
        function(flat[:self.DRAWN], *args[1:], **(kwargs or {}))
        done = self.DRAWN
        while done < flat.numel():
            more = min(done, flat.numel() - done)
            flat[done:done + more] = flat[:more]
            done += more
        return args[0]


def make_reference(options):
    sys.path.insert(0, options.clone)
    from moduleformer.configuration_moduleformer import ModuleFormerConfig
    from moduleformer.modeling_moduleformer import ModuleFormerForCausalLM

    geometry = dict(BASE if options.work == "train" else MOLM_350M_4B)
    geometry["n_layer"] = options.layers or geometry["n_layer"]
    # The class allocates two [context, context] buffers a layer that it never reads: as small as it takes.
    return ModuleFormerForCausalLM(ModuleFormerConfig(block_size=64, history_length=64, **geometry))


def make_dense(options):
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    geometry = dict(DENSE[options.model])
    geometry["num_hidden_layers"] = options.layers or geometry["num_hidden_layers"]
    return GPTNeoXForCausalLM._from_config(GPTNeoXConfig(vocab_size=50295, **geometry),
                                           attn_implementation=options.attention)


def make_pretrained(options):
    """A checkpoint of any family, with LoRA matrices on all its linear maps if asked for."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(options.folder, dtype=getattr(torch, options.weights),
                                                 attn_implementation=options.attention)
    if options.lora == 0:
        return model
    from peft import LoraConfig, get_peft_model
    return get_peft_model(model, LoraConfig(r=options.lora, lora_alpha=2 * options.lora, target_modules="all-linear",
                                            task_type="CAUSAL_LM"))


def make_model(options):
    torch.manual_seed(1)
    if options.model == "pretrained":
        return make_pretrained(options)
    dtype = torch.bfloat16 if options.bfloat16 and options.work != "train" else torch.float32
    torch.set_default_dtype(dtype)
    with QuickRandom():
        model = make_reference(options) if options.model == "reference" else make_dense(options)
    torch.set_default_dtype(torch.float32)
    return model


def timed(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def train(model, options):
    """AdamW and gradient clipping as `mformer train` does them; bfloat16 by autocast. One sample a step."""
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    rows = options.tokens_per_step // options.context
    mixed = torch.autocast("cpu", torch.bfloat16) if options.bfloat16 else contextlib.nullcontext()

    def step():
        ids = torch.randint(0, model.config.vocab_size, (rows, options.context))
        with mixed:
            loss = model(ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())

    losses = []
    samples = [timed(step) for _ in range(options.warm_up + options.steps)]
    return samples[options.warm_up:], options.tokens_per_step, {
        "losses": losses, "trained_parameters": sum(p.numel() for p in trained)}


@torch.inference_mode()
def prefill(model, options):
    """All logits of a batch of prompts. One sample a pass."""
    model.eval()
    ids = torch.randint(0, model.config.vocab_size, (options.batch, options.tokens))
    samples = [timed(lambda: model(ids, use_cache=False)) for _ in range(options.warm_up + options.steps)]
    return samples[options.warm_up:], options.batch * options.tokens, {}


@torch.inference_mode()
def decode(model, options):
    """The likeliest token after a prompt, `tokens` times, keys and values kept. One sample a token (of each row)."""
    model.eval()
    ids = torch.randint(0, model.config.vocab_size, (options.batch, options.prompt))
    state = {"out": model(ids, use_cache=True)}

    def step():
        ids = state["out"].logits[:, -1:].argmax(-1)
        state["out"] = model(ids, past_key_values=state["out"].past_key_values, use_cache=True)

    samples = [timed(step) for _ in range(options.warm_up + options.tokens)]
    return samples[options.warm_up:], options.batch, {}


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["reference", "pretrained", *DENSE])
    parser.add_argument("work", choices=["train", "prefill", "decode"])
    parser.add_argument("--clone", help="folder of the reference's clone")
    parser.add_argument("--folder", help="checkpoint folder of the pretrained model")
    parser.add_argument("--weights", choices=["float32", "bfloat16"], default="float32", help="of the pretrained model")
    parser.add_argument("--lora", type=int, default=0, metavar="RANK", help="train LoRA matrices of the pretrained model")
    parser.add_argument("--bfloat16", action="store_true", help="autocast in training, the weights otherwise")
    parser.add_argument("--context", type=int, default=512, help="tokens of a training sequence")
    parser.add_argument("--tokens-per-step", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--prompt", type=int, default=64, help="tokens before decoding starts")
    parser.add_argument("--tokens", type=int, default=32, help="tokens of each prompt (prefill) or to decode")
    parser.add_argument("--steps", type=int, default=3, help="training steps, or passes of prefill")
    parser.add_argument("--warm-up", type=int, default=1, help="steps, passes or tokens before the clock counts")
    parser.add_argument("--layers", type=int, default=0, help="of the model; 0 = all")
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="eager",
                        help="of the dense models (eager was the faster one in bfloat16 on the machine of README.md) and of the "
                             "pretrained one")
    options = parser.parse_args(arguments)
    if options.model == "reference" and not options.clone:
        parser.error("the reference needs --clone")
    if options.model == "pretrained" and (not options.folder or options.work != "train"):
        parser.error("the pretrained model needs --folder, and is only trained")
    return options


def main():
    options = parse(sys.argv[1:])
    model = make_model(options)
    samples, tokens, more = {"train": train, "prefill": prefill, "decode": decode}[options.work](model, options)
    seconds = statistics.median(samples)
    print(json.dumps({"model": options.model, "work": options.work, "seconds": seconds, "samples": samples,
                      "tokens_per_second": tokens / seconds, "peak_memory": peak_memory(),
                      "parameters": sum(p.numel() for p in model.parameters()),
                      "threads": torch.get_num_threads(), "torch": torch.__version__, **more}))


if __name__ == "__main__":
    main()
