"""docs/results/specialisation.md: its tables and plots from the records of run.py."""

from figures import KEEP, Results
from plots import bars, lines
from runner import records, write_whole
from tables import Goal, Sample, fill, goal_table, markdown, shown
from texts import ROOT
from variants import VARIANTS, steps_of

PAGE = ROOT / "docs/results/specialisation.md"
CRITERIA = ("gate-mass", "frequency", "reap", "norm", "random")


def variants_table(r):
    rows = [[
        "all parameters tuned, unpruned", "1",
        *(shown(r.over_seeds(lambda seed, t=t: r.loss(seed, t, "tuned"))) for t in r.settings.tasks)
    ]]
    for variant in VARIANTS:
        cells = []
        for task in r.settings.tasks:
            loss = r.over_seeds(lambda seed, t=task: r.loss(seed, t, variant.key))
            excess = r.over_seeds(lambda seed, t=task: r.excess(seed, t, variant.key))
            cells.append(f"{shown(loss)} ({excess.mean:+.1%})" if loss and excess else "-")
        rows.append([variant.title, f"{variant.keep:g}", *cells])
    return markdown(["model", "kept", *r.settings.tasks], rows)


def size_table(r):
    rows = []
    for step in ("first-0.3", "first-0.25"):
        for field, name in (("parameters", "parameters"), ("disk_bytes", "bytes on disk"),
                            ("memory_bytes", "bytes in memory")):
            rows.append([
                f"{name}, kept {step[6:]}",
                *(shown(r.over_seeds(lambda seed, t=t: r.ratio(seed, t, step, field)), "{:.2f}")
                  for t in r.settings.tasks)
            ])
    return markdown(["small model over the full one", *r.settings.tasks], rows)


def curve_table(r, chain, name):
    rows = []
    for criterion in CRITERIA:
        curves = [curve for seed in r.seeds if (curve := r.curve(seed, chain, name, criterion))]
        if curves:
            rows.append([criterion, *(shown(Sample.of(values)) for values in zip(*curves))])
    return markdown(["criterion", *(f"{keep:g}" for keep in KEEP)], rows) if rows else "-"


def curves_tables(r):
    parts = []
    for task in r.settings.tasks:
        for name, title in (("base", "the base"), ("tuned", "the tuned model")):
            parts.append(f"**{task}, {title}**\n\n{curve_table(r, task, name)}")
    return "\n\n".join(parts)


def pools_table(r):
    rows = []
    for chain, title in ((r.settings.full_tasks[0], "without pools"), ("pools", "with pools")):
        half = r.over_seeds(lambda seed, c=chain: _at(r.curve(seed, c, "base", "gate-mass"), 0.5))
        third = r.over_seeds(lambda seed, c=chain: _at(r.curve(seed, c, "base", "gate-mass"), 0.3))
        rows.append([
            title,
            shown(r.over_seeds(lambda seed, c=chain: r.loss(seed, c, "tuned", "before"))),
            shown(half),
            shown(third), *(shown(r.over_seeds(lambda seed, c=chain, s=step: r.loss(seed, c, s)))
                            for step in ("tuned", "first-0.3", "first-0.25"))
        ])
    return markdown([
        f"base, task {r.settings.full_tasks[0]}", "loss", "0.5 kept, one-shot", "0.3 kept, one-shot", "tuned",
        "0.3 first, then tuned", "0.25 first, then tuned"
    ], rows)


def _at(curve, keep):
    return curve[KEEP.index(keep)] if curve else None


def graft_table(r):
    rows = [[
        title, *(shown(r.over_seeds(lambda seed, t=t: r.grafted(seed, t, own)), "{:+.4f}") for t in r.settings.tasks)
    ] for title, own in (("on the task", True), ("on other tasks, the largest", False))]
    return markdown(["change of the full model's loss by the graft", *r.settings.tasks], rows)


def goals(r):

    def most(figure):
        """The worst of the tasks, for each seed."""

        def of_seed(seed):
            values = [value for task in r.settings.tasks if (value := figure(seed, task)) is not None]
            return max(values) if values else None

        return r.over_seeds(of_seed)

    small, smaller = "first-0.3", "first-0.25"
    rows = []
    for keep, limit in ((0.3, 0.01), (0.25, 0.02)):
        for variant in (v for v in VARIANTS if v.keep == keep and not v.after_tuning and not v.options):
            rows += [
                Goal(f"{task}: `prune --keep {keep:g}`, {variant.title}: loss over the unpruned tuned model's", "≤",
                     limit, r.over_seeds(lambda seed, t=task, k=variant.key: r.excess(seed, t, k)), "{:+.2%}")
                for task in r.settings.tasks
                if variant.core or task in r.settings.full_tasks
            ]
    for step in (small, smaller):
        rows.append(
            Goal(f"{step[6:]} kept: share of bytes in memory less share of modules kept, the worst task", "≤", 0.15,
                 most(lambda seed, t, s=step: _less(r.ratio(seed, t, s, "memory_bytes"), r.kept_share(seed, t, s))),
                 "{:.2f}"))
        rows.append(
            Goal(f"{step[6:]} kept: time of evaluation over the full model's", "≤", 1.0,
                 r.over_seeds(lambda seed, s=step: r.time_ratio(seed, s[6:])), "{:.2f}"))
    rows.append(
        Goal("graft: change on the task, the worst task", "≤", 0, most(lambda seed, t: r.grafted(seed, t, True)),
             "{:+.4f}"))
    rows.append(
        Goal("graft: largest rise elsewhere", "≤", 0.01, most(lambda seed, t: r.grafted(seed, t, False)), "{:.4f}"))
    return rows


def _less(a, b):
    return None if a is None or b is None else a - b


def curve_plot(r, task, name):
    series = {}
    for criterion in CRITERIA:
        curves = [curve for seed in r.seeds if (curve := r.curve(seed, task, name, criterion))]
        if curves:
            series[criterion] = [Sample.of(values) for values in zip(*curves)]
    return lines(f"{task}: loss against the share of modules kept, nothing trained ({name})",
                 "nats per token; bars: range over the seeds", [f"{keep:g}" for keep in KEEP],
                 series) if series else None


def excess_plot(r):
    series = {
        f"{v.title}, {v.keep:g}": [
            _percent(r.over_seeds(lambda seed, t=t: r.excess(seed, t, v.key))) for t in r.settings.tasks
        ] for v in VARIANTS if not v.after_tuning
    }
    series = {name: row for name, row in series.items() if any(row)}
    return bars("Loss of the small model over the unpruned tuned one", "percent; lines: range over the seeds",
                r.settings.tasks, series) if series else None


def _percent(sample):
    return Sample(tuple(100 * value for value in sample.values)) if sample else None


def settings_table(r):
    s = r.settings
    return markdown(
        ["setting", "value"],
        [["seeds", ", ".join(map(str, r.seeds)) or "-"],
         *([f"tokens of tuning on {task}", f"{steps_of(s, task) * s.step_tokens:,}"] for task in s.tasks),
         ["peak learning rate of tuning", f"{s.rates['tune-whole']:g}; of small models {s.rates['tune-small']:g}"],
         ["steps of healing", s.heal_steps],
         ["held-out tokens of each loss", f"at most {s.eval_tokens:,}; of each point of a curve {s.curve_tokens:,}"]])


def write(results, docs, settings):
    """Writes the page and its plots; returns the files."""
    r = Results(records(results), settings)
    docs.mkdir(parents=True, exist_ok=True)
    tables = {
        "goals": goal_table(goals(r)), "settings": settings_table(r), "variants": variants_table(r),
        "sizes": size_table(r), "curves": curves_tables(r), "pools": pools_table(r), "graft": graft_table(r)
    }
    written = [docs / PAGE.name]
    write_whole(written[0], fill(PAGE.read_text(encoding="utf-8"), tables))
    task = settings.full_tasks[0]
    for name, plot in (("specialisation-excess.svg", excess_plot(r)), ("specialisation-curve-base.svg",
                                                                       curve_plot(r, task, "base")),
                       ("specialisation-curve-tuned.svg", curve_plot(r, task, "tuned"))):
        if plot:
            write_whole(docs / name, plot)
            written.append(docs / name)
    return written
