"""docs/results/continual.md: its tables and plots from the records of run.py."""

import methods
from plots import bars, lines
from results import Results, by_key
from runner import records, write_whole
from tables import Goal, Sample, fill, goal_table, markdown, shown
from texts import ROOT

PAGE = ROOT / "docs/results/continual.md"


def losses_table(r):
    domains = r.settings.domains
    rows = []
    for method in methods.METHODS:
        cells = [shown(r.over_seeds(lambda seed, d=d: r.final(seed, method.key, d))) for d in domains]
        rows.append([method.title, *cells, shown(r.over_seeds(lambda seed: r.average(seed, method.key)))])
    for key, title in methods.JOINT.items():
        if r.over_seeds(lambda seed: r.average(seed, key)):
            cells = [shown(r.over_seeds(lambda seed, d=d: r.final(seed, key, d))) for d in domains]
            rows.append([title, *cells, shown(r.over_seeds(lambda seed: r.average(seed, key)))])
    base = [shown(r.over_seeds(lambda seed, d=d: r.base_losses(seed).get(d))) for d in domains]
    rows.insert(0, ["the base, before", *base, "-"])
    return markdown(["loss at the end", *domains, "average"], rows)


def forgetting_table(r):
    rows = []
    for method in methods.METHODS:
        rises = [
            shown(r.over_seeds(lambda seed, d=d: r.rise(seed, method, d)), "{:+.4f}") for d in r.settings.domains[:-1]
        ]
        rows.append([
            method.title, *rises,
            shown(r.over_seeds(lambda seed: r.share_of_naive(seed, method)), "{:.1%}"),
            shown(r.over_seeds(lambda seed: r.trained(seed, method)), "{:,.0f}"),
            shown(r.over_seeds(lambda seed: r.added_share(seed, method)), "{:.0%}")
        ])
    return markdown([
        "rise since learned", *r.settings.domains[:-1], "improvement on new domains, share of naive's",
        "parameters trained a step", "bytes added a step"
    ], rows)


def learning_table(r):
    rows = [[
        method.title, *(shown(r.over_seeds(lambda seed, d=d: r.improvement(seed, method, d))) for d in r.settings.new)
    ] for method in methods.METHODS]
    return markdown(["fall of the loss, base to just learned", *r.settings.new], rows)


def merge_table(r):
    names = (*r.settings.new[:2], r.settings.base)
    return markdown(
        ["merged model's loss less its own branch's (base: less the base's)", *names],
        [["two branches merged", *(shown(r.over_seeds(lambda seed, n=n: r.merged(seed, n)), "{:+.4f}") for n in names)]
        ])


FIGURES = ("average", "learning_accuracy", "backward_transfer", "forward_transfer", "forgetting_first_last",
           "forgetting_max_last", "retention", "router_leak", "routing_divergence")


def metrics_table(r):
    """What `eval --matrix` derives, as it names it."""

    def figure(seed, method, name):
        matrix = r.result(seed, method.key, "matrix")
        return matrix["figures"].get(name) if matrix else None

    rows = [[
        method.title, *(shown(r.over_seeds(lambda seed, m=method, n=name: figure(seed, m, n))) for name in FIGURES)
    ] for method in methods.METHODS]
    return markdown(["method", *(name.replace("_", " ") for name in FIGURES)], rows)


def goals(r):
    posterior, single = by_key("posterior"), by_key("single-mask")

    def over(figure):
        return r.over_seeds(figure)

    def field(step, name):
        return over(lambda seed: (r.result(seed, "posterior", step) or {}).get(name))

    def against_joint(method):

        def figure(seed):
            ours, joint = r.average(seed, method.key), r.average(seed, "joint")
            return None if ours is None or joint is None else ours - joint

        return over(figure)

    equal = over(lambda seed: None if
                 (found := r.result(seed, "posterior", "switches")) is None else float(not found["base_logits_equal"]))
    merged = over(lambda seed: None
                  if None in (all_new := [r.merged(seed, d) for d in r.settings.new[:2]]) else max(all_new))
    return [
        Goal("posterior: largest rise on an old domain after all extensions, nats per token", "≤", 0.003,
             over(lambda seed: r.most_rise(seed, posterior)), "{:.4f}"),
        Goal("posterior: rise on the base's domain less the bounds that `extend` printed", "≤", 0,
             over(lambda seed: r.rise_over_bound(seed, posterior)), "{:.4f}"),
        Goal("posterior: mean rise less a hundredth of that of the dense finetune of equal active size", "≤", 0,
             over(r.rise_over_hundredth), "{:.4f}"),
        Goal("`--domain base` and `--as-of base`: difference from the base's loss after every step", "=", 0,
             over(lambda seed: r.leak_of_base(seed, posterior, ("as-of-base", "domain-base"))), "{:g}"),
        Goal("`--domain base`: logits that differ in any bit from the base's (0 = none)", "=", 0, equal, "{:.0f}"),
        Goal("posterior: improvement on new domains, share of tuning all parameters", "≥", 0.97,
             over(lambda seed: r.share_of_naive(seed, posterior)), "{:.1%}"),
        Goal("posterior: parameters added for a domain, share of the base", "≤", 0.30,
             over(lambda seed: r.added_parameters(seed, posterior)), "{:.1%}"),
        Goal("posterior: time of evaluation in the fast mode, times that of one path", "≤", 1.2, field("cost", "ratio"), "{:.2f}"),
        Goal("documents that change domain: loss above knowing the switch", "≤", 0.02, field("switches", "regret"),
             "{:.4f}"),
        Goal("single mask: largest rise on an old domain", "≤", 0.1, over(lambda seed: r.most_rise(seed, single))),
        Goal("single mask: improvement on new domains, share of tuning all parameters", "≥", 0.85,
             over(lambda seed: r.share_of_naive(seed, single)), "{:.1%}"),
        Goal("posterior: average loss less that of joint training at equal total tokens", "≤", 0,
             against_joint(posterior)),
        Goal("single mask: average loss less that of joint training", "≤", 0, against_joint(single)),
        Goal("merge: largest rise on a domain against its own branch", "≤", 0.03, merged, "{:.4f}"),
        Goal("merge: rise on the base's domain", "≤", 0.02, over(lambda seed: r.merged(seed, r.settings.base)),
             "{:.4f}"),
    ]


def first_domain_over_steps(r):
    """The first domain's loss after each step, a line for each method."""
    series = {}
    for method in methods.METHODS:
        rows = {seed: r.matrix(seed, method) for seed in r.seeds}
        if any(rows.values()):
            series[method.title] = [
                Sample.of([rows[seed][i][r.settings.base]
                           for seed in r.seeds
                           if rows[seed]])
                for i in range(len(r.settings.domains))
            ]
    return lines(f"Loss on held-out {r.settings.base} while other domains are learned",
                 "nats per token; bars: range over the seeds", ["base", *(f"+ {domain}" for domain in r.settings.new)],
                 series) if series else None


def improvement_bars(r):
    series = {
        method.title: [r.over_seeds(lambda seed, d=d: r.improvement(seed, method, d)) for d in r.settings.new]
        for method in methods.METHODS
    }
    series = {name: row for name, row in series.items() if any(row)}
    return bars("What each method learns of a new domain",
                "fall of the held-out loss, nats per token; lines: range over the seeds", r.settings.new,
                series) if series else None


def write(results, docs, settings):
    """Writes the page and its plots; returns the files."""
    r = Results(records(results), settings)
    docs.mkdir(parents=True, exist_ok=True)
    page = fill(
        PAGE.read_text(encoding="utf-8"), {
            "goals": goal_table(goals(r)), "losses": losses_table(r), "forgetting": forgetting_table(r), "learning":
                learning_table(r), "merge": merge_table(r), "metrics": metrics_table(r), "settings": settings_table(r)
        })
    written = [docs / PAGE.name]
    write_whole(written[0], page)
    for name, plot in (("continual-forgetting.svg", first_domain_over_steps(r)), ("continual-learning.svg",
                                                                                  improvement_bars(r))):
        if plot:
            write_whole(docs / name, plot)
            written.append(docs / name)
    return written


def settings_table(r):
    s = r.settings
    rates = ", ".join(f"{name} {rate:g}" for name, rate in sorted(s.rates.items()) if not name.startswith("tune-"))
    return markdown(
        ["setting", "value"],
        [["seeds", ", ".join(map(str, r.seeds)) or "-"],
         ["tokens of the base", f"{s.base_steps * s.step_tokens:,} ({s.base_steps} steps of {s.batch} × {s.context})"],
         ["tokens of each new domain", f"{s.domain_steps * s.step_tokens:,} ({s.domain_steps} steps)"],
         ["held-out tokens of each loss", f"at most {s.eval_tokens:,}, evenly spread"],
         ["vocabulary", f"{s.vocabulary:,}"], ["peak learning rates", rates]])
