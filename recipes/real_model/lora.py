"""LoRA by PEFT on one domain: lora.py JOB.json, in the Python of recipes/interop with peft beside it.

Takes as many adapter parameters as it is told (by the rank, over all linear maps of the layers), the same training
documents, steps, batch, schedule and clipping as mformer, with products in bfloat16, and writes the merged model in
float32. Prints what it did as JSON."""

import hashlib
import json
import math
import sys
import time
from pathlib import Path

import peft
import torch
import transformers

MAPS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def split_number(document):
    """The rule of docs/data.md: below 50 held out, below 100 for validation, else for training."""
    return int.from_bytes(hashlib.sha256(document).digest()[:8], "big") % 1000


def documents(folder, low, high):
    for file in sorted(Path(folder).iterdir()):
        data = file.read_bytes()
        if low <= split_number(data) < high:
            yield data.decode("utf-8", "replace")


def windows(tokenizer, texts, length):
    ids = []
    for text in texts:
        ids += tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    count = (len(ids) - 1) // length
    return torch.tensor(ids[:count * length]).view(count, length)


def rank_for(model, parameters):
    each = sum(sum(module.weight.shape) for name, module in model.named_modules() if name.split(".")[-1] in MAPS)
    return max(1, round(parameters / each))


def rate_at(step, steps, peak):
    """Linear warm-up over a tenth, then a cosine to a tenth, as docs/training.md says."""
    warmup = max(1, round(0.1 * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    along = (step - warmup) / max(1, steps - warmup)
    return peak * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * along)))


def loss_of(model, batch):
    with torch.autocast("cpu", torch.bfloat16):
        return model(input_ids=batch, labels=batch, use_cache=False).loss


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.manual_seed(job["seed"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["model"])
    base = transformers.AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
    rank = rank_for(base, job["parameters"])
    model = peft.get_peft_model(base, peft.LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=list(MAPS)))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rows = windows(tokenizer, documents(job["text"], 100, 1000), job["context"])
    order = torch.randperm(len(rows))
    optimizer = torch.optim.AdamW(trained, lr=job["rate"], betas=(0.9, 0.95), weight_decay=0.0)
    model.train()
    started = time.monotonic()
    for step in range(job["steps"]):
        chosen = [int(order[(step * job["batch"] + i) % len(order)]) for i in range(job["batch"])]
        loss = loss_of(model, rows[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, job["steps"], job["rate"])
        optimizer.step()
    seconds = time.monotonic() - started
    result = {
        "rank": rank, "parameters": sum(parameter.numel() for parameter in trained), "loss": loss.item(),
        "tokens_per_second": job["steps"] * job["batch"] * job["context"] / seconds
    }
    if job["validate"]:
        model.eval()
        with torch.no_grad():
            rows = windows(tokenizer, documents(job["text"], 50, 100), job["context"])[:16]
            result["validation_loss"] = torch.stack([loss_of(model, row[None]) for row in rows]).mean().item()
    else:
        model.merge_and_unload().save_pretrained(job["out"])
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if (Path(job["model"]) / name).exists():
                (Path(job["out"]) / name).write_bytes((Path(job["model"]) / name).read_bytes())
    print(json.dumps(result))


main()
