"""The ways to learn the new domains one after the other, each a chain of its own from the base of its seed."""

import dataclasses

import bases
import texts


@dataclasses.dataclass(frozen=True)
class Method:
    key: str
    title: str
    command: tuple  # of one step, without data, steps and learning rate
    base: str = "modular"
    rate: str = ""  # key in Settings.rates; default: the method's own
    posterior: bool = False
    masked: bool = False  # a mask of what is new brings back the base, bit for bit

    def rate_of(self, settings):
        return settings.rates[self.rate or self.key]


METHODS = (
    Method("posterior", "extend, posterior over births", ("extend",), posterior=True, masked=True),
    Method("single-mask", "extend, single mask", ("extend", "--single-mask")),
    Method("freeze", "extend, freezing only",
           ("extend", "--single-mask", "--replay", "0", "--penalty", "0", "--review-steps", "0"), masked=True),
    Method("naive", "all parameters tuned (naive)", ("train",)),
    Method("replay-1", "naive with 1 % replay", ("train", "--replay", "0.01"), rate="naive"),
    Method("replay-5", "naive with 5 % replay", ("train", "--replay", "0.05"), rate="naive"),
    Method("dense-active", "dense transformer, equal active size, finetuned", ("train",), base="dense-active"),
    Method("dense-total", "dense transformer, equal total size, finetuned", ("train",), base="dense-total"),
)
JOINT = {
    "joint": "joint training, tokens in the sequence's proportions",
    "joint-even": "joint training, as much of every domain"
}


def learn(chain, settings, method, seed, model, domain):
    """One step of the sequence; returns the command's JSON."""
    return chain.step(domain, "--model", model, *method.command, "--data", f"text/{domain}", "--steps",
                      settings.domain_steps, "--lr", method.rate_of(settings), *bases.common(settings, seed))


def run_sequence(study, settings, method, seed, after=lambda chain, domain, model: None):
    """All new domains in turn; after(chain, domain, model) measures more."""
    parent, base = bases.make_base(study, settings, seed, method.base)

    def body(chain):
        model = base
        for domain in settings.new:
            model = learn(chain, settings, method, seed, model, domain)["model"]
            after(chain, domain, model)
        chain.step("matrix", "--model", model, "eval", "--matrix", "--max-tokens", settings.eval_tokens, "--csv",
                   f"results/{chain.name}/matrix.csv")

    study.chain(f"seed{seed}/{method.key}", body, parent=parent, keep=False)


def run_joint(study, settings, seed, name, tokens):
    """A fresh model on a mixture of all domains, with as many tokens as base and sequence together."""
    total = settings.base_steps + settings.domain_steps * len(settings.new)
    even = {domain: 1 for domain in settings.domains}
    shares = even if name == "joint-even" else {
        **{domain: settings.domain_steps for domain in settings.new}, settings.base: settings.base_steps
    }
    folder = study.folder / "text" / name
    file, _ = bases.config_file(study, settings, "modular")

    def body(chain):
        chain.derive("mixture", lambda: texts.mixture(study.folder / "text", folder, shares, tokens),
                     sorted(shares.items()))
        chain.step("init", "init", "--config", file, "--tokenizer", bases.TOKENIZER, "--seed", seed)
        for domain in settings.domains:
            chain.step(f"task-{domain}", "task", "add", domain, "--data", f"text/{domain}")
        chain.step(name, "train", "--data", f"text/{name}", "--steps", total, "--lr", settings.rates["joint"],
                   *bases.common(settings, seed))

    study.chain(f"seed{seed}/{name}", body, keep=False)


def run_merge(study, settings, seed):
    """The first two new domains learned apart from the base, then one model of both branches."""
    parent, base = bases.make_base(study, settings, seed)
    method = METHODS[0]

    def body(chain):
        branches = []
        for domain in settings.new[:2]:
            made = chain.step(domain, "--model", base, *method.command, "--data", f"text/{domain}", "--into",
                              f"{domain}-branch", "--steps", settings.domain_steps, "--lr", method.rate_of(settings),
                              *bases.common(settings, seed))
            branches.append(made["model"])
        joined = chain.step("merge", "merge", *branches, "--into", "merged")["model"]
        for name, model in (*zip(settings.new[:2], branches), ("merged", joined)):
            chain.step(f"eval-{name}", "--model", model, "eval", "--max-tokens", settings.eval_tokens)

    study.chain(f"seed{seed}/merge", body, parent=parent, keep=False)
