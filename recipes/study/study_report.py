"""Tables (Markdown, LaTeX, CSV) and plots of a study on one's own data."""

import csv
import io

import plots
from program import Failed
from runner import write_whole
from tables import Sample, markdown, shown

NOTE = ("Held-out loss in nats per token after the last task: less is better. *mean*: over the tasks. *forgetting*: how much a task's loss rose from "
        "when it was learned{base} until the end, mean over all tasks but the last. Mean ± standard deviation over {seeds} seeds.\n")


class Losses:
    """What the steps of a study measured."""

    def __init__(self, done, file):
        self.done, self.file = done, file

    def steps(self):
        """The names of the measurements along one setting."""
        return ["begin", *(task.name for task in self.file.learned)]

    def rows(self, seed, setting, step):
        """[{task, loss, tokens, …}], or None where that was not run yet. The beginning is the base's."""
        chain = f"seed{seed}/{'base' if step == 'begin' else setting}"
        record = self.done.get(chain, {}).get(f"losses-{step}")
        return record["result"]["tasks"] if record else None

    def loss(self, seed, setting, step, task):
        for row in self.rows(seed, setting, step) or ():
            if row["task"] == task:
                return row["loss"]
        return None

    def final(self, seed, setting, task):
        return self.loss(seed, setting, self.steps()[-1], task)

    def mean(self, seed, setting):
        values = [self.final(seed, setting, task.name) for task in self.file.tasks]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    def forgetting(self, seed, setting):
        """None with one task, of which nothing can be forgotten."""
        rises = []
        for task in self.file.tasks[:-1]:
            learned = "begin" if self.file.base and task == self.file.base[0] else task.name
            before, after = self.loss(seed, setting, learned, task.name), self.final(seed, setting, task.name)
            if before is not None and after is not None:
                rises.append(after - before)
        return sum(rises) / len(rises) if rises else None

    def sample(self, value):
        """Over the seeds."""
        return Sample.of([value(seed) for seed in self.file.seeds])


def _measures(losses, setting):
    """(name, Sample or None) of one setting: each task's final loss, then what is over all."""
    for task in losses.file.tasks:
        yield task.name, losses.sample(lambda seed, t=task: losses.final(seed, setting, t.name))
    yield "mean", losses.sample(lambda seed: losses.mean(seed, setting))
    yield "forgetting", losses.sample(lambda seed: losses.forgetting(seed, setting))


def _form(name):
    return "{:+.4f}" if name == "forgetting" else "{:.4f}"


def _cells(losses):
    """The header, and for each setting the texts of its row."""
    rows = []
    for setting in losses.file.settings:
        rows.append([setting.name, *(shown(sample, _form(name)) for name, sample in _measures(losses, setting.name))])
    header = ["setting", *(task.name for task in losses.file.tasks), "mean", "forgetting"]
    return header, rows


def _latex(text):
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
    special.update({c: "\\" + c for c in "&%$#_{}"})
    return "".join(special.get(c, c) for c in text)


def latex(header, rows):
    """A tabular of booktabs."""
    lines = [r"\begin{tabular}{l" + "r" * (len(header) - 1) + "}", r"\toprule"]
    lines.append(" & ".join(map(_latex, header)) + r" \\")
    lines.append(r"\midrule")
    lines += [" & ".join(map(_latex, row)) + r" \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _csv(header, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _every_loss(losses):
    for seed in losses.file.seeds:
        for setting in losses.file.settings:
            for number, step in enumerate(losses.steps()):
                for row in losses.rows(seed, setting.name, step) or ():
                    loss = "" if row["loss"] is None else repr(row["loss"])
                    yield [setting.name, seed, number, "" if step == "begin" else step, row["task"], loss, row["tokens"]]


def _summary(losses):
    for setting in losses.file.settings:
        for name, sample in _measures(losses, setting.name):
            if sample:
                yield [setting.name, name, repr(sample.mean), repr(sample.spread), len(sample.values)]


def _plots(losses):
    """(file name, SVG): the loss of each task along the steps."""
    for task in losses.file.tasks:
        series = {}
        for setting in losses.file.settings:
            series[setting.name] = [losses.sample(lambda seed, s=setting.name, at=step: losses.loss(seed, s, at, task.name))
                                    for step in losses.steps()]
        if any(sample for row in series.values() for sample in row):
            names = ["begin", *("after " + name for name in losses.steps()[1:])]
            yield f"loss-{task.name}.svg", plots.lines(f"{losses.file.title}: {task.name}", "held-out loss, nats per token; bars: least to most over seeds", names, series)


def write(done, file, folder):
    """Writes what `done` gives so far into `folder`; returns the files."""
    losses = Losses(done, file)
    every = list(_every_loss(losses))
    if not every:
        raise Failed(f"nothing was measured yet in {folder}")
    header, rows = _cells(losses)
    base = f" ({file.base[0].name}: from the beginning)" if file.base else ""
    note = NOTE.format(base=base, seeds=len(file.seeds))
    texts = {
        "table.md": f"# {file.title}\n\n{markdown(header, rows)}\n\n{note}",
        "table.tex": latex(header, rows),
        "losses.csv": _csv(["setting", "seed", "step", "learned", "task", "loss", "tokens"], every),
        "summary.csv": _csv(["setting", "measure", "mean", "sd", "seeds"], _summary(losses)),
        **dict(_plots(losses)),
    }
    for name, text in texts.items():
        write_whole(folder / name, text)
    return [folder / name for name in texts]
