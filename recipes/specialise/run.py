"""The study of specialisation; run.sh builds the program and calls this."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "study")]

import bases  # noqa: E402
import command  # noqa: E402
import report  # noqa: E402
import settings as sizes  # noqa: E402
import variants  # noqa: E402

SPEED = {"full": (65536, 5), "quick": (2048, 1)}  # tokens, and how often


def minutes(settings, only):
    """Of one seed, by the speeds in the settings; small models are taken to be as slow as the whole."""
    steps = settings.base_steps
    points = 0
    for task in only:
        if task == "speed":  # seconds
            continue
        made = 2 if task == "pools" else sum(
            v.core or task in settings.full_tasks for v in variants.VARIANTS if not v.after_tuning)
        steps += (1 + made) * variants.steps_of(settings, task) + (settings.base_steps if task == "pools" else 0)
        points += 2 * 7 * 7  # two curves of seven fractions, four criteria and three random draws
    return (steps * settings.step_tokens / settings.tokens_per_second["modular"] +
            points * settings.curve_tokens / settings.tokens_per_second["evaluate"]) / 60


def main():
    names = [*(sizes.QUICK if "--quick" in sys.argv else sizes.FULL).tasks, "pools", "speed"]
    options = command.parse("Small models for one task, and docs/results/specialisation.md.", names)
    settings = options.settings

    def work(study):
        study.say(
            f"about {options.seeds * minutes(settings, options.only):.0f} minutes of training and evaluation in all, "
            "less what is done already")
        bases.get_texts(study, settings, [*settings.domains, "qa"])
        bases.prepare(study, settings)
        for seed in range(options.seeds):
            for name in options.only:
                if name == "pools":
                    variants.run_pools(study, settings, seed)
                elif name == "speed":
                    variants.run_speed(study, settings, seed, *SPEED[settings.name])
                else:
                    variants.run_task(study, settings, name, seed)

    command.run(options, work, report.write)


main()
