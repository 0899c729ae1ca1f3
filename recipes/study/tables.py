"""Means with spread, Markdown tables, and the pages whose tables stand between markers."""

import dataclasses
import re
import statistics


@dataclasses.dataclass(frozen=True)
class Sample:
    """One number for each seed."""

    values: tuple

    @staticmethod
    def of(values):
        """Of what was measured; None where nothing was."""
        known = tuple(value for value in values if value is not None)
        return Sample(known) if known else None

    @property
    def mean(self):
        return statistics.fmean(self.values)

    @property
    def spread(self):
        """Standard deviation over the seeds (n − 1); 0 for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def most(self):
        return max(self.values)

    @property
    def least(self):
        return min(self.values)


def shown(sample, form="{:.3f}"):
    """Mean ± standard deviation, in the form of the numbers; without ± for one seed; - for nothing."""
    if sample is None:
        return "-"
    text = form.format(sample.mean)
    if len(sample.values) == 1:
        return text
    return f"{text} ± {form.replace('+', '').format(sample.spread)}"


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a mean must reach: `sense` is "≤", "≥" or "="."""

    claim: str
    sense: str
    limit: float
    sample: Sample
    form: str = "{:.3f}"

    @property
    def met(self):
        if self.sample is None:
            return None
        if self.sense == "=":
            return all(value == self.limit for value in self.sample.values)
        return self.sample.mean <= self.limit if self.sense == "≤" else self.sample.mean >= self.limit

    def row(self):
        seeds = len(self.sample.values) if self.sample else 0
        verdict = {True: "yes", False: "**no**", None: "-"}[self.met]
        return [
            self.claim, f"{self.sense} {self.form.format(self.limit)}",
            shown(self.sample, self.form), seeds, verdict
        ]


def goal_table(goals):
    return markdown(["claim", "goal", "measured, mean ± standard deviation", "seeds", "reached"],
                    [goal.row() for goal in goals])


def fill(page, tables):
    """The page's text with each `<!-- NAME -->` … `<!-- /NAME -->` block replaced by tables[NAME]. A page that lacks
    the markers of a table is an error."""
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"the page needs one pair of markers {begin} … {end}")
        page = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: f"{begin}\n{table}\n{end}", page, flags=re.S)
    return page
