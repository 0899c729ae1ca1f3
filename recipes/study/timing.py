"""Times of evaluation, compared: pairs in turn, so that what else the machine does hits both, and medians of them."""

import statistics


def seconds(chain, settings, tokens, *arguments):
    """Of an evaluation, less the start of the program, for which an evaluation of a single window stands."""

    def wall(limit):
        return chain.study.program.call("--workspace", chain.work, *arguments, "--max-tokens", limit)[1]

    return wall(tokens) - wall(settings.context)


def compare(one, other, repeats):
    """`one` and `other` give seconds; the medians over `repeats` pairs, and the ratio of the other to the one."""
    pairs = [(one(), other()) for _ in range(repeats)]
    first, second = (statistics.median(times) for times in zip(*pairs))
    return {"seconds": first, "other_seconds": second, "ratio": second / first}
