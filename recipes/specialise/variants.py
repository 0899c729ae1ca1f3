"""Ways to a specialised model, and the steps that make and measure them in the workspace of one task and seed."""

import dataclasses

import bases
import timing

FRACTIONS = "1,0.75,0.5,0.4,0.3,0.25,0.125"


@dataclasses.dataclass(frozen=True)
class Variant:
    key: str
    title: str
    keep: float
    options: tuple = ()  # of prune
    distilled: bool = False  # from the unpruned tuned model
    after_tuning: bool = False  # prune the tuned model instead of the base
    core: bool = True  # made for every task; the others only for settings.full_tasks


VARIANTS = (
    Variant("first-0.3", "chosen first, then tuned", 0.3),
    Variant("first-0.25", "chosen first, then tuned", 0.25),
    Variant("first-0.3-distilled", "chosen first, then tuned, distilled", 0.3, distilled=True),
    Variant("first-0.25-distilled", "chosen first, then tuned, distilled", 0.25, distilled=True, core=False),
    Variant("random-0.3", "chosen at random, then tuned", 0.3, ("--criterion", "random")),
    Variant("random-0.25", "chosen at random, then tuned", 0.25, ("--criterion", "random"), core=False),
    Variant("after-0.3", "tuned first, then pruned", 0.3, after_tuning=True),
    Variant("after-0.3-healed", "tuned first, then pruned, routers healed", 0.3, after_tuning=True, core=False),
)


def steps_of(settings, task):
    return settings.qa_steps if task == "qa" else settings.domain_steps


def tune_whole(chain, settings, task, seed, base):
    """Every parameter on the task, as many steps as the small models get."""
    return chain.step("tuned", "--model", base, "train", "--task", task, "--steps", steps_of(settings, task), "--lr",
                      settings.rates["tune-whole"], "--into", "tuned", *bases.common(settings, seed))


def prune(chain, settings, task, seed, variant, base, tuned):
    """The small model of a variant; `tuned` is the unpruned tuned model."""
    options = ["--task", task, "--keep", variant.keep, "--into", variant.key, *variant.options]
    if variant.key.endswith("-healed"):
        options += ["--heal-steps", settings.heal_steps]
    elif not variant.after_tuning:
        options += ["--tune-steps", steps_of(settings, task), "--lr", settings.rates["tune-small"]]
    if variant.distilled:
        options += ["--distill", settings.distill, "--teacher", tuned]
    return chain.step(variant.key, "--model", tuned if variant.after_tuning else base, "prune", *options,
                      *bases.common(settings, seed))


def curve(chain, settings, name, model, task):
    """Loss against the share kept, nothing trained, on held-out text: every criterion, random three times."""
    chain.step(f"curve-{name}", "--model", model, "inspect", "keep-curve", "--task", task, "--fractions", FRACTIONS,
               "--split", "held-out", "--max-tokens", settings.curve_tokens)


def run_task(study, settings, task, seed):
    """All of one task: the tuned model, curves before and after, every variant, and the graft of the first."""
    parent, base = bases.make_base(study, settings, seed)

    def body(chain):
        chain.step("task", "task", "add", task, "--data", f"text/{task}")
        curve(chain, settings, "base", base, task)
        tuned = tune_whole(chain, settings, task, seed, base)["model"]
        curve(chain, settings, "tuned", tuned, task)
        for variant in VARIANTS:
            if variant.core or task in settings.full_tasks:
                small = prune(chain, settings, task, seed, variant, base, tuned)["model"]
                if variant is VARIANTS[0]:
                    graft(chain, settings, task, base, small)

    study.chain(f"seed{seed}/specialise-{task}", body, parent=parent, keep=False)


def graft(chain, settings, task, base, small):
    """The small model's modules back into the full one, measured on the task and on every other domain."""
    whole = chain.step("graft", "graft", small, "--onto", base, "--into", "grafted")["model"]
    for name in {task: None, **dict.fromkeys(settings.domains)}:
        chain.step(f"graft-{name}", "--model", whole, "eval", "--data", f"text/{name}", "--max-tokens",
                   settings.eval_tokens)


def run_speed(study, settings, seed, tokens, repeats):
    """Time of evaluation of small models over that of the full one. What was tuned and how does not matter for it."""
    parent, base = bases.make_base(study, settings, seed)
    task = settings.full_tasks[0]

    def body(chain):
        chain.step("task", "task", "add", task, "--data", f"text/{task}")
        for variant in VARIANTS[:2]:
            chain.step(variant.key, "--model", base, "prune", "--task", task, "--keep", variant.keep, "--into",
                       variant.key, "--eval-tokens", settings.eval_tokens)
            times = [
                lambda model=model: timing.seconds(chain, settings, tokens, "--model", model, "eval", "--data",
                                             f"text/{task}")
                for model in (base, variant.key)
            ]
            chain.derive(f"speed-{variant.keep:g}", lambda: timing.compare(*times, repeats), tokens, repeats)

    study.chain(f"seed{seed}/specialise-speed", body, parent=parent, keep=False)


def run_pools(study, settings, seed):
    """A base pretrained with document pools: its keep-curve and smallest models beside those of the plain base."""
    name, base = bases.make_base(study, settings, seed, extra=("--pools", settings.pools),
                                 name=f"seed{seed}/base-pools")
    task = settings.full_tasks[0]

    def body(chain):
        chain.step("task", "task", "add", task, "--data", f"text/{task}")
        curve(chain, settings, "base", base, task)
        tuned = tune_whole(chain, settings, task, seed, base)["model"]
        curve(chain, settings, "tuned", tuned, task)
        for variant in VARIANTS[:2]:
            prune(chain, settings, task, seed, variant, base, tuned)

    study.chain(f"seed{seed}/specialise-pools", body, parent=name, keep=False)
