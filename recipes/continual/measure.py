"""What is measured of an extended model beside the losses that each step reports."""

import contextlib
import hashlib
import tempfile
from pathlib import Path

import switching
import timing


def after_step(chain, settings, base, domain, model, posterior):
    """With the new modules out of sight the losses are the base's, to the last digit."""
    chain.step(f"{domain}-as-of-base", "--model", model, "eval", "--as-of", base, "--max-tokens", settings.eval_tokens)
    if posterior:
        chain.step(f"{domain}-domain-base", "--model", model, "eval", "--domain", "base", "--max-tokens",
                   settings.eval_tokens)


def cost(chain, settings, model, tokens, repeats):
    """Seconds of evaluation, of held-out text of every domain, in the fast mode and with one hypothesis: medians of a few;
    and how many times as long the strict mode takes."""

    def seconds(*arguments):
        return sum(
            timing.seconds(chain, settings, tokens, "--model", model, "eval", "--data", f"text/{domain}", *arguments)
            for domain in settings.domains)

    def compare():
        def one():
            return seconds("--domain", "base")

        fast, strict = (timing.compare(one, other, repeats) for other in (lambda: seconds("--fast"), seconds))
        return {**fast, "strict_ratio": strict["ratio"]}

    return chain.derive("cost", compare, tokens, repeats)


def switches(chain, settings, documents, base, model):
    """Regret on documents that change domain, and whether the base's logits come back bit for bit."""

    def compute():
        with tempfile.TemporaryDirectory(dir=chain.study.folder) as scratch:
            ids, out = Path(scratch) / "ids", Path(scratch) / "out"
            switching.write_ids(ids, documents)

            def probe(ref, *arguments):
                chain.study.program.call("--workspace", chain.work, "--model", ref, "probe", *arguments, "--input", ids,
                                         "--out", out)
                return out

            @contextlib.contextmanager
            def probed(domain):
                hypothesis = "base" if domain == settings.base else domain
                yield probe(model, *(("--domain", hypothesis) if domain else ()))

            result = switching.regret(documents, settings.domains, probed)
            result["base_logits_equal"] = digest(probe(base)) == digest(probe(model, "--domain", "base"))
            return result

    return chain.derive("switches", compute, len(documents), base)


def digest(file):
    """SHA-256 of the logits in what probe wrote."""
    with switching.Logits(file) as logits:
        logits.stream.seek(logits.begin)
        return hashlib.sha256(logits.stream.read(4 * logits.vocabulary * logits.positions * logits.rows)).hexdigest()
