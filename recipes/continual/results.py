"""From the records of the steps to the numbers of the tables; nothing here runs anything."""

import statistics

import methods
from tables import Sample


class Results:
    """What is there of a study: every figure is None where its steps were not run."""

    def __init__(self, records, settings):
        self.records, self.settings = records, settings
        self.seeds = sorted({int(chain[4:chain.index("/")]) for chain in records if chain.startswith("seed")})

    def record(self, seed, chain, step):
        return self.records.get(f"seed{seed}/{chain}", {}).get(step)

    def result(self, seed, chain, step):
        record = self.record(seed, chain, step)
        return record["result"] if record else None

    def base_losses(self, seed, kind="modular"):
        """{domain: loss} of the base, on domains that it never saw too."""
        chain = "base" if kind == "modular" else f"base-{kind}"
        losses = {}
        trained = self.result(seed, chain, self.settings.base)
        if trained:
            losses[self.settings.base] = _after(trained)[self.settings.base]
        for domain in self.settings.new:
            unseen = self.result(seed, chain, f"unseen-{domain}")
            if unseen:
                losses[domain] = unseen["tasks"][0]["loss"]
        return losses

    def matrix(self, seed, method):
        """Row 0 is the base, row i after the i-th new domain: {domain: loss}. None unless the sequence is complete."""
        rows = [self.base_losses(seed, method.base)]
        for domain in self.settings.new:
            result = self.result(seed, method.key, domain)
            if not result or not rows[0]:
                return None
            rows.append(_after(result))
        return rows

    def over_seeds(self, figure):
        return Sample.of([figure(seed) for seed in self.seeds])

    # ---- Figures of one seed ---------------------------------------------------------------------------------------

    def final(self, seed, key, domain):
        """Loss on a domain at the end: of a method, or of joint training."""
        if key in methods.JOINT:
            result = self.result(seed, key, key)
            return _after(result).get(domain) if result else None
        rows = self.matrix(seed, by_key(key))
        return rows[-1].get(domain) if rows else None

    def average(self, seed, key):
        losses = [self.final(seed, key, domain) for domain in self.settings.domains]
        return None if None in losses else statistics.fmean(losses)

    def rise(self, seed, method, domain):
        """Loss at the end less the loss when the domain was just learned."""
        rows = self.matrix(seed, method)
        return rows[-1][domain] - rows[self.settings.domains.index(domain)][domain] if rows else None

    def rises(self, seed, method):
        """Of every domain but the last, which nothing came after."""
        all_of_them = [self.rise(seed, method, domain) for domain in self.settings.domains[:-1]]
        return None if None in all_of_them else all_of_them

    def most_rise(self, seed, method):
        rises = self.rises(seed, method)
        return max(rises) if rises else None

    def mean_rise(self, seed, method):
        rises = self.rises(seed, method)
        return statistics.fmean(rises) if rises else None

    def improvement(self, seed, method, domain):
        """The base's loss on a new domain less the loss right after it was learned."""
        rows = self.matrix(seed, method)
        return rows[0][domain] - rows[self.settings.domains.index(domain)][domain] if rows else None

    def share_of_naive(self, seed, method):
        """Mean over new domains of the improvement, as a share of what tuning all parameters reaches."""
        shares = []
        for domain in self.settings.new:
            ours, naive = self.improvement(seed, method, domain), self.improvement(seed, by_key("naive"), domain)
            if ours is None or naive is None:
                return None
            shares.append(ours / naive)
        return statistics.fmean(shares)

    def trained(self, seed, method):
        """Parameters trained in a step, the most of all steps."""
        results = [self.result(seed, method.key, domain) for domain in self.settings.new]
        return None if None in results else max(result["trainable_parameters"]["total"] for result in results)

    def added_share(self, seed, method):
        """Bytes that a step added, the most of all steps, relative to the base's weights."""
        base = self.result(seed, "base", self.settings.base)
        results = [self.result(seed, method.key, domain) for domain in self.settings.new]
        if not base or None in results:
            return None
        return max(result["added_bytes"] for result in results) / base["weight_bytes"]

    def added_parameters(self, seed, method):
        """The same of parameters, for methods that extend."""
        results = [self.result(seed, method.key, domain) for domain in self.settings.new]
        if None in results:
            return None
        base = results[0]["parameters"]["before"]
        return max(r["parameters"]["after"] - r["parameters"]["before"] for r in results) / base

    def leak_of_base(self, seed, method, ways):
        """The largest |loss − base's loss| on the first domain with all new modules out of sight, over all steps and
        `ways` to say so; 0 is equality to the last bit."""
        base, most = self.base_losses(seed).get(self.settings.base), None
        for domain in self.settings.new:
            for way in ways:
                result = self.result(seed, method.key, f"{domain}-{way}")
                if result and base is not None:
                    loss = next(row["loss"] for row in result["tasks"] if row["task"] == self.settings.base)
                    most = max(most or 0.0, abs(loss - base))
        return most

    def rise_over_bound(self, seed, method):
        """On the first domain after the last step: the rise less the sum of the bounds that the extensions printed, each
        against the model before it."""
        bounds = []
        for domain in self.settings.new:
            result = self.result(seed, method.key, domain)
            task = next((task for task in result["tasks"] if task["task"] == self.settings.base), {}) if result else {}
            bounds.append(task.get("bound"))
        return None if None in bounds else self.rise(seed, method, self.settings.base) - sum(bounds)

    def merged(self, seed, name):
        """Loss of the merged model on a domain less that of its own branch; on the base's domain, less the base's."""
        merged = self.result(seed, "merge", "eval-merged")
        if not merged:
            return None
        before = (self.base_losses(seed) if name == self.settings.base else _losses(
            self.result(seed, "merge", f"eval-{name}")))
        return _losses(merged)[name] - before[name]

    def rise_over_hundredth(self, seed):
        """The posterior's mean rise less a hundredth of that of the finetuned dense model of equal active size. A ratio
        of the two says nothing where the posterior's is 0 or a fall."""
        ours, dense = (self.mean_rise(seed, by_key(key)) for key in ("posterior", "dense-active"))
        return None if ours is None or dense is None else ours - dense / 100


def _after(result):
    return {task["task"]: task["after"] for task in result["tasks"]}


def _losses(result):
    return {task["task"]: task["loss"] for task in result["tasks"]}


def by_key(key):
    return next(method for method in methods.METHODS if method.key == key)
