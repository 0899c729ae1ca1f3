"""From the records of the steps to the numbers of the tables; nothing here runs anything."""

from tables import Sample
from variants import FRACTIONS

KEEP = [float(text) for text in FRACTIONS.split(",")]


class Results:
    """What is there of a study: every figure is None where its steps were not run."""

    def __init__(self, found, settings):
        self.records, self.settings = found, settings
        self.seeds = sorted(
            {int(chain[4:chain.index("/")]) for chain in found if "/specialise-" in chain and chain.startswith("seed")})

    def result(self, seed, task, step):
        record = self.records.get(f"seed{seed}/specialise-{task}", {}).get(step)
        return record["result"] if record else None

    def over_seeds(self, figure):
        return Sample.of([figure(seed) for seed in self.seeds])

    def task_of(self, chain):
        return self.settings.full_tasks[0] if chain == "pools" else chain

    def loss(self, seed, chain, step, when="after"):
        result = self.result(seed, chain, step)
        return next((t[when] for t in result["tasks"] if t["task"] == self.task_of(chain)), None) if result else None

    def excess(self, seed, chain, step):
        """Loss of a small model over that of the unpruned tuned one, as a share of it."""
        small, whole = self.loss(seed, chain, step), self.loss(seed, chain, "tuned")
        return small / whole - 1 if small is not None and whole is not None else None

    def ratio(self, seed, chain, step, field):
        """After over before, of a pair in prune's report."""
        result = self.result(seed, chain, step)
        pair = result[field] if result else None
        return pair["after"] / pair["before"] if pair and pair["before"] else None

    def time_ratio(self, seed, keep):
        """Time of evaluation of the small model over the full one's."""
        found = self.result(seed, "speed", f"speed-{keep}")
        return found["ratio"] if found else None

    def kept_share(self, seed, chain, step):
        """Modules kept, of both kinds and all layers."""
        result = self.result(seed, chain, step)
        if not result:
            return None
        pairs = [row[kind] for row in result["kept"] for kind in ("att", "mlp")]
        return sum(pair["after"] for pair in pairs) / sum(pair["before"] for pair in pairs)

    def curve(self, seed, chain, name, criterion):
        """[loss at each fraction], the mean of the draws of the random criterion."""
        result = self.result(seed, chain, f"curve-{name}")
        if not result:
            return None
        points = {point["keep"]: point["mean"] for point in result["points"] if point["criterion"] == criterion}
        return [points[keep] for keep in KEEP]

    def grafted(self, seed, task, own):
        """Change of the full model's loss by the graft: on the task, or the largest rise on other domains."""
        changes = {name: self._change(seed, task, name) for name in {task, *self.settings.domains}}
        if None in changes.values():
            return None
        return changes[task] if own else max(change for name, change in changes.items() if name != task)

    def _change(self, seed, task, name):
        grafted = self.result(seed, task, f"graft-{name}")
        before = self.loss(seed, task, "tuned", "before") if name == task else self._base_loss(seed, name)
        return grafted["tasks"][0]["loss"] - before if grafted and before is not None else None

    def _base_loss(self, seed, domain):
        steps = self.records.get(f"seed{seed}/base", {})
        if domain == self.settings.base:
            return steps[domain]["result"]["tasks"][0]["after"] if domain in steps else None
        return steps[f"unseen-{domain}"]["result"]["tasks"][0]["loss"] if f"unseen-{domain}" in steps else None
