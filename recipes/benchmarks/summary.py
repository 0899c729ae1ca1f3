"""From samples to the table: medians, spreads, ratios, goals. Nothing here runs or reads anything."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is to be reached: `at_least` or `at_most` so much, of the ratio or of mformer's own value."""

    sense: str  # "at_least" or "at_most"
    number: float
    of: str = "ratio"  # or "value"

    def met(self, ratio, value):
        """None where there is nothing to compare with."""
        reached = ratio if self.of == "ratio" else value
        if reached is None:
            return None
        return reached >= self.number if self.sense == "at_least" else reached <= self.number

    def text(self, unit):
        sign = "≥" if self.sense == "at_least" else "≤"
        return f"{sign} {self.number:g}×" if self.of == "ratio" else f"{sign} {shown(self.number, unit)}"


def shown(value, unit):
    """A value with its unit, with about three digits."""
    if unit == "tokens/s":
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    if unit == "bytes":
        return f"{value / 1e9:.2f} GB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.1f} ms"


@dataclasses.dataclass(frozen=True)
class Spread:
    """Median and range of what several processes measured."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values):
        return Spread(statistics.median(values), min(values), max(values)) if values else None

    def text(self, unit):
        if self.low == self.high:
            return shown(self.median, unit)
        return f"{shown(self.median, unit)} ({shown(self.low, unit)} – {shown(self.high, unit)})"


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table. `peer` is empty, and `theirs` without values, where there is nothing to compare with."""

    row: str
    what: str
    unit: str  # "tokens/s", "bytes" or "seconds"
    ours: tuple
    peer: str = ""
    theirs: tuple = ()
    goal: Goal = None

    @property
    def ratio(self):
        """Median over median, mformer's first."""
        return statistics.median(self.ours) / statistics.median(self.theirs) if self.theirs else None

    @property
    def met(self):
        return self.goal.met(self.ratio, statistics.median(self.ours)) if self.goal else None

    def cells(self):
        theirs = Spread.of(self.theirs)
        return [self.what + (", tokens/s" if self.unit == "tokens/s" else ""), Spread.of(self.ours).text(self.unit),
                self.peer if theirs else "-", theirs.text(self.unit) if theirs else "-",
                f"{self.ratio:.2f}×" if theirs else "-", self.goal.text(self.unit) if self.goal else "-",
                {True: "yes", False: "no", None: "-"}[self.met]]

    def record(self):
        return {"row": self.row, "what": self.what, "unit": self.unit, "mformer": list(self.ours), "peer": self.peer,
                "theirs": list(self.theirs), "ratio": self.ratio, "goal": dataclasses.asdict(self.goal) if self.goal else None,
                "met": self.met}


HEADINGS = ["", "mformer", "against", "its value", "ratio", "goal", "met"]


def text_table(lines):
    rows = [HEADINGS] + [line.cells() for line in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def markdown_table(lines):
    rows = [HEADINGS, ["---"] * len(HEADINGS)] + [line.cells() for line in lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
