"""The study of continual learning; run.sh builds the program and calls this."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "study")]

import bases  # noqa: E402
import command  # noqa: E402
import measure  # noqa: E402
import methods  # noqa: E402
import report  # noqa: E402

COST = {"full": (32768, 3), "quick": (2048, 1)}  # tokens of each domain, and how often


def minutes(settings, only):
    """Of one seed, by the speeds in the settings."""
    speed, step = settings.tokens_per_second, settings.step_tokens
    sequence, seconds = settings.domain_steps * len(settings.new) * step, 0.0
    bases_needed = {"modular"}
    for method in methods.METHODS:
        if method.key in only:
            bases_needed.add(method.base)
            seconds += sequence / speed[method.base]
    seconds += sum(settings.base_steps * step / speed[kind] for kind in bases_needed)
    seconds += sum(
        (settings.base_steps * step + sequence) / speed["modular"] for joint in methods.JOINT if joint in only)
    seconds += 2 * settings.domain_steps * step / speed["modular"] if "merge" in only else 0
    evaluations = 12 * len(only) * settings.eval_tokens  # about two for each of the tasks of a step
    return (seconds + evaluations / speed["evaluate"]) / 60


def run_one(study, settings, name, seed, tokens):
    if name == "merge":
        return methods.run_merge(study, settings, seed)
    if name in methods.JOINT:
        return methods.run_joint(study, settings, seed, name, tokens)
    method = next(method for method in methods.METHODS if method.key == name)
    _, base = bases.make_base(study, settings, seed, method.base)

    def after(chain, domain, model):
        if not method.masked:
            return
        measure.after_step(chain, settings, base, domain, model, method.posterior)
        if method.posterior and domain == settings.new[-1]:
            measure.switches(chain, settings, bases.prepare_switches(study, settings), base, model)
            measure.cost(chain, settings, model, *COST[settings.name])

    methods.run_sequence(study, settings, method, seed, after)


def main():
    names = [method.key for method in methods.METHODS] + ["joint", "merge", "joint-even"]
    options = command.parse("Continual learning by every method, and docs/results/continual.md.", names)
    settings = options.settings
    if options.only == names:
        options.only.remove("joint-even")  # the table's second joint training is for who asks

    def work(study):
        study.say(
            f"about {options.seeds * minutes(settings, options.only):.0f} minutes of training and evaluation in all, "
            "less what is done already")
        bases.get_texts(study, settings, settings.domains)
        tokens = bases.prepare(study, settings)
        for seed in range(options.seeds):
            for name in options.only:
                run_one(study, settings, name, seed, tokens)

    command.run(options, work, report.write)


main()
