"""docs/results/smollm2.md: its tables, from the records of run.py."""

import statistics

import methods
from runner import records, write_whole
from tables import fill, markdown
from texts import ROOT

PAGE = ROOT / "docs/results/smollm2.md"
TITLES = {
    "domains": "extend: a domain each, posterior over births",
    "everything": "all parameters tuned",
    "lora": "LoRA, one adapter a domain"
}


def number(value, form="{:.3f}"):
    return "-" if value is None else form.format(value)


class Measured:
    """What was measured, None where it was not."""

    def __init__(self, found, settings):
        self.found, self.settings = found, settings

    def step(self, chain, step):
        return self.found.get(chain, {}).get(step, {}).get("result")

    def row(self, chain, step, task):
        rows = (self.step(chain, step) or {}).get("tasks", [])
        return next((row for row in rows if row["task"] == task), None)

    def loss(self, chain, step, task):
        row = self.row(chain, step, task)
        return row and row["loss"]

    def base(self, task, length):
        return self.loss(methods.BASE, f"loss-{length}", task)

    def last(self, method):
        """The last step that was measured."""
        known = [domain for domain in self.settings.new if self.step(method, f"after-{domain}-{self.settings.long}")]
        return f"after-{known[-1]}" if known else "after-none"

    def learned(self, method, domain):
        return self.loss(method, f"after-{domain}-{self.settings.long}", domain)

    def improvement(self, method, domain):
        base, after = self.base(domain, self.settings.long), self.learned(method, domain)
        return None if base is None or after is None else base - after

    def rise(self, method, task, length):
        """At the end of the sequence: of what the model knew over the base, of a new domain since it was learned."""
        after = self.loss(method, f"{self.last(method)}-{length}", task)
        if self.last(method) == f"after-{task}":
            return None  # nothing came after it
        before = self.base(task, length) if task in self.settings.old else self.learned(method, task)
        return None if after is None or before is None else after - before

    def bound(self, task, length):
        row = self.row("domains", f"{self.last('domains')}-{length}", task)
        return row and row.get("bound")


def forgetting(r):
    s = r.settings
    header = ["rise at the end, nats per token", *(f"{task}, {s.long}" for task in (*s.old, *s.new[:-1])),
              *(f"{task}, {s.short}" for task in s.old)]
    rows = []
    for method in ("domains", "everything"):
        rows.append([TITLES[method], *(number(r.rise(method, task, s.long), "{:+.4f}") for task in (*s.old, *s.new[:-1])),
                     *(number(r.rise(method, task, s.short), "{:+.4f}") for task in s.old)])
        if method == "domains":
            rows.append(["its bound, over the base alone", *(number(r.bound(task, s.long), "{:+.4f}") for task in s.old),
                         *("" for _ in s.new[:-1]), *(number(r.bound(task, s.short), "{:+.4f}") for task in s.old)])
    lora = [r.loss("lora", f"after-{s.new[0]}-{s.long}", task) for task in s.old]
    bases = [r.base(task, s.long) for task in s.old]
    shown = [number(None if a is None or b is None else a - b, "{:+.4f}") for a, b in zip(lora, bases)]
    rows.append([f"LoRA, while the adapter of {s.new[0]} is on", *shown, *("" for _ in (*s.new[:-1], *s.old))])
    return markdown(header, rows)


def learning(r):
    s = r.settings
    rows = [["the model as it was published", *(number(r.base(domain, s.long)) for domain in s.new), ""]]
    for method, title in TITLES.items():
        shares = [(r.improvement(method, domain), r.improvement("everything", domain)) for domain in s.new]
        known = [a / b for a, b in shares if a is not None and b]
        share = f"{statistics.fmean(known):.0%}" if known else "-"
        rows.append([title, *(number(r.learned(method, domain)) for domain in s.new), share])
    return markdown(["loss when just learned", *s.new, "share of tuning everything"], rows)


def cost(r):
    s, rows = r.settings, []
    for method in ("domains", "everything"):
        steps = [r.step(method, domain) for domain in s.new]
        rows.append([TITLES[method], *(f"{made['trainable_parameters']['total']:,}" if made else "-" for made in steps),
                     *(f"{made['added_bytes'] / 1e6:.0f} MB" if made else "-" for made in steps)])
    steps = [r.step("lora", domain) for domain in s.new]
    rows.append([TITLES["lora"], *(f"{made['parameters']:,}" if made else "-" for made in steps),
                 *(f"{4 * made['parameters'] / 1e6:.0f} MB" if made else "-" for made in steps)])
    return markdown(["", *(f"parameters, {domain}" for domain in s.new), *(f"bytes, {domain}" for domain in s.new)], rows)


def pruning(r):
    s, curve = r.settings, r.step("prune", "curve")
    if curve is None:
        return "-"
    names = {"reap": "by what their outputs weigh on the task", "norm": "by the size of their weights", "random": "at random"}
    rows = [["nothing pruned", number(curve["full_loss"]), ""]]
    for point in curve["points"]:
        draws = ", ".join(f"{loss:.2f}" for loss in point["losses"]) if len(point["losses"]) > 1 else ""
        rows.append([f"{point['keep']:.0%} kept, {names[point['criterion']]}", number(point["mean"]), draws])
    return markdown([f"held-out loss of {curve['task']}", "mean", "each draw"], rows)


def settings_table(r):
    s = r.settings
    lengths = f"at most {s.long_tokens:,} in texts of {s.long}, {s.short_tokens:,} in texts of {s.short}"
    return markdown(["setting", "value"], [
        ["seed", s.seed], ["domains", ", then ".join(s.new)],
        ["slices of a feed-forward layer where heads and slices are pruned", s.slices], ["tokens of each new domain", f"{s.tokens:,} ({s.steps} steps of {s.batch} × {s.context})"],
        ["held-out tokens of each loss", lengths],
        ["peak learning rates", ", ".join(f"{name} {rate:g}" for name, rate in s.rates.items())]
    ])


def write(folder, docs, settings):
    r = Measured(records(folder), settings)
    tables = {"forgetting": forgetting(r), "learning": learning(r), "cost": cost(r), "pruning": pruning(r),
              "settings": settings_table(r)}
    docs.mkdir(parents=True, exist_ok=True)
    page = docs / PAGE.name
    write_whole(page, fill(PAGE.read_text(encoding="utf-8"), tables))
    return [page]
