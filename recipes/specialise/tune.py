#!/usr/bin/env python3
"""Learning rates, chosen on validation text: for the whole model and for a small one, on the first task.

    python3 recipes/specialise/tune.py      # after ./recipes/build.sh

Uses a seed that no table has, and prints a table; what it says is written into recipes/study/settings.py by hand.
"""

import dataclasses
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "study")]

import bases  # noqa: E402
import command  # noqa: E402
import variants  # noqa: E402

SEED = 100
RATES = (5e-4, 1e-3, 2e-3, 4e-3)


def losses(study, settings, rate, parent, base):
    """(whole, small) validation losses at this rate."""
    task = settings.tasks[0]
    at_rate = dataclasses.replace(settings, rates={**settings.rates, "tune-whole": rate, "tune-small": rate})

    def body(chain):
        chain.step("task", "task", "add", task, "--data", f"text/{task}")
        whole = variants.tune_whole(chain, at_rate, task, SEED, base)
        small = variants.prune(chain, at_rate, task, SEED, variants.VARIANTS[0], base, whole["model"])
        return [made["training"]["validation_loss"] for made in (whole, small)]

    return study.chain(f"tune/specialise-{rate:g}", body, parent=parent, keep=False)


def main():
    options = command.parse(__doc__.splitlines()[0], ["all"])
    settings = options.settings

    def work(study):
        bases.get_texts(study, settings, [*settings.domains, "qa"])
        bases.prepare(study, settings)
        parent, base = bases.make_base(study, settings, SEED, name="tune/base-modular")
        print("rate: whole, small")
        for rate in RATES:
            print(f"{rate:g}: " + ", ".join(f"{loss:.4f}" for loss in losses(study, settings, rate, parent, base)),
                  flush=True)

    command.run(options, work, lambda *_: [])


main()
