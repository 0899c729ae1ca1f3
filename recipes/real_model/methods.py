"""What is run on the real model: chains of commands, each from the version that was imported."""

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

from program import Failed
from runner import records, write_whole

HERE = Path(__file__).resolve().parent
OLD = ("english", "python")  # what the model knows before: prose and code
BASE = "base"


@dataclasses.dataclass(frozen=True)
class Settings:
    name: str
    new: tuple  # domains in the order in which they are learned
    old: tuple  # what must not be forgotten
    batch: int
    context: int  # of training
    steps: int  # of each new domain
    long: int  # tokens of a text, as it is measured
    short: int
    long_tokens: int  # held-out tokens of each domain, in texts of that length
    short_tokens: int
    stat_tokens: int  # training tokens that pruning looks at
    draws: int  # of the random choice that pruning is compared with
    slices: int  # of each feed-forward layer, in the model that is pruned
    keep: tuple
    rates: dict  # peak learning rates; `run.sh --tune` compares some
    seed: int = 0

    @property
    def tokens(self):
        return self.steps * self.batch * self.context

    @property
    def domains(self):
        return (*self.old, *self.new)


FULL = Settings("full", new=("german", "french", "licences"), old=OLD, batch=2, context=256, steps=80, long=512, short=20,
                long_tokens=2048, short_tokens=1000, stat_tokens=4096, draws=5, slices=32, keep=(0.75, 0.5),
                rates={"domains": 2e-4, "everything": 1e-4, "lora": 5e-4})
QUICK = dataclasses.replace(FULL, name="quick", new=("german", "qa"), old=("english", "code"), batch=2, context=32,
                            steps=3, long=32, long_tokens=256, short_tokens=100, stat_tokens=256, draws=2, slices=16)
TUNE = {"domains": (1e-4, 2e-4, 4e-4), "everything": (5e-5, 1e-4, 2e-4), "lora": (2e-4, 5e-4, 1e-3)}
COMMANDS = {"domains": ("extend",), "everything": ("train",)}


def training(settings, rate):
    """Options of every command that trains. What its own report measures is kept small: measure() has the figures."""
    return ("--steps", settings.steps, "--batch", settings.batch, "--context", settings.context, "--lr", rate, "--bf16",
            "--warmup", 0.1, "--seed", settings.seed, "--eval-tokens", 64)


def measure(chain, settings, name, model, tasks, short=False):
    """Held-out losses in texts of the long size, and of the short one."""
    lengths = [(settings.long, settings.long_tokens), *([(settings.short, settings.short_tokens)] if short else [])]
    for length, tokens in lengths:
        chain.step(f"{name}-{length}", "--model", model, "eval", "--task", *tasks, "--context", length, "--max-tokens", tokens)


def make_base(study, settings, model):
    def body(chain):
        made = chain.step("init", "init", "--from", model, "--name", "model")
        for domain in settings.domains:
            chain.step(f"task-{domain}", "task", "add", domain, "--data", f"text/{domain}")
        measure(chain, settings, "loss", "model@1", settings.domains, short=True)
        return made

    study.chain(BASE, body)
    return "model@1"


def learn_in_turn(study, settings, base, method):
    """All new domains one after the other, by `extend` or by tuning all parameters."""

    def body(chain):
        model = base
        for number, domain in enumerate(settings.new, 1):
            made = chain.step(domain, "--model", model, *COMMANDS[method], "--task", domain, "--into", "learned",
                              *training(settings, settings.rates[method]))
            model, last = made["model"], number == len(settings.new)
            tasks = settings.domains if last else (settings.old[0], *settings.new[:number])
            measure(chain, settings, f"after-{domain}", model, tasks, short=last)
        if method == "domains":
            chain.step("domain-base", "--model", model, "eval", "--domain", "base", "--task", *settings.domains, "--context",
                       settings.long, "--max-tokens", settings.long_tokens)

    study.chain(method, body, parent=BASE, keep=False)


def learn_by_lora(study, settings, base, python, domains=None):
    """One adapter a domain, each from the base, merged and measured by this program."""
    folder = study.folder / "lora"

    def body(chain):
        wanted = parameters_of(study, settings)
        chain.step("export", "--model", base, "export", folder / "model", "--dtype", "float32", "--overwrite")
        for domain in domains or settings.new:
            chain.derive(domain, lambda d=domain: run_lora(study, settings, python, folder, d, wanted[d], settings.rates["lora"]),
                         settings, wanted[domain])
            chain.step(f"import-{domain}", "import", folder / domain, "--name", f"lora-{domain}")
            measure(chain, settings, f"after-{domain}", f"lora-{domain}@1", (*settings.old, domain))
            shutil.rmtree(folder / domain, ignore_errors=True)

    study.chain("lora", body, parent=BASE, keep=False)
    shutil.rmtree(folder, ignore_errors=True)


def parameters_of(study, settings):
    """How many parameters `extend` trained for each domain."""
    steps = records(study.folder).get("domains", {})
    missing = [domain for domain in settings.new if domain not in steps]
    if missing:
        raise Failed("lora takes as many parameters as the domains have: run --only domains first")
    return {domain: steps[domain]["result"]["trainable_parameters"]["total"] for domain in settings.new}


def run_lora(study, settings, python, folder, domain, parameters, rate, validate=False):
    job = {
        "model": str(folder / "model"), "text": str(study.folder / "text" / domain), "out": str(folder / domain),
        "parameters": parameters, "rate": rate, "steps": settings.steps, "batch": settings.batch,
        "context": settings.context, "seed": settings.seed, "validate": validate
    }
    file = folder / "job.json"
    write_whole(file, json.dumps(job))
    done = subprocess.run([*python, "-B", HERE / "lora.py", file], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed("lora.py failed: read the lines above")
    return json.loads(done.stdout)


def prune(study, settings, model):
    """Heads and slices chosen by what the task uses, by the size of their weights, and by chance; nothing is trained."""
    task = settings.old[-1]

    def body(chain):
        chain.step("init", "init", "--from", model, "--name", "model", "--slices", settings.slices)
        chain.step("task", "task", "add", task, "--data", f"text/{task}")
        chain.step("curve", "inspect", "keep-curve", "--task", task, "--fractions", ",".join(map(str, settings.keep)), "--criteria",
                   "reap,norm,random", "--seeds", settings.draws, "--split", "held-out", "--stat-tokens", settings.stat_tokens,
                   "--max-tokens", settings.long_tokens)

    study.chain("prune", body, keep=False)
