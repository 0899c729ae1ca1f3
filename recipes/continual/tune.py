#!/usr/bin/env python3
"""Learning rates, chosen on validation text: for each method the loss on the first new domain after one step.

    python3 recipes/continual/tune.py [--only METHOD,METHOD]      # after ./recipes/build.sh

Uses a seed that no table has, and prints a table; what it says is written into recipes/study/settings.py by hand.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "study")]

import bases  # noqa: E402
import command  # noqa: E402
import methods  # noqa: E402

SEED = 100
RATES = (5e-4, 1e-3, 2e-3, 4e-3)
CHAIN = "tune"  # no chain of a seed, so that reports leave it out


def validation_loss(study, settings, method, rate, parent, base):
    domain = settings.new[0]

    def body(chain):
        return chain.step(domain, "--model", base, *method.command, "--data", f"text/{domain}", "--steps",
                          settings.domain_steps, "--lr", rate,
                          *bases.common(settings, SEED))

    made = study.chain(f"{CHAIN}/{method.key}-{rate:g}", body, parent=parent, keep=False)
    return made["training"]["validation_loss"]


def main():
    tuned = [method for method in methods.METHODS if not method.rate]
    options = command.parse(__doc__.splitlines()[0], [method.key for method in tuned])
    settings = options.settings

    def work(study):
        bases.get_texts(study, settings, settings.domains)
        bases.prepare(study, settings)
        for method in tuned:
            if method.key not in options.only:
                continue
            parent, base = bases.make_base(study, settings, SEED, method.base, name=f"{CHAIN}/base-{method.base}")
            losses = {rate: validation_loss(study, settings, method, rate, parent, base) for rate in RATES}
            print(
                f"{method.key}: " + ", ".join(f"{rate:g} → {loss:.4f}" for rate, loss in losses.items()) +
                f"; best {min(losses, key=losses.get):g}", flush=True)

    command.run(options, work, lambda *_: [])


main()
