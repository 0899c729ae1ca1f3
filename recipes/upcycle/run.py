"""The measurements of run.sh: each is one call of the program, whose JSON is kept in a file and not made again."""

import argparse
import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "study")]

import report  # noqa: E402
from program import Failed, Interrupted, Program  # noqa: E402
from runner import write_whole  # noqa: E402

EVAL_TOKENS, STAT_TOKENS = 4096, 4096
STEPS, BATCH, CONTEXT = 30, 4, 512
TRAINING = ("--steps", STEPS, "--batch", BATCH, "--context", CONTEXT, "--snapshot-every", 10)
CURVE = {8: (7, 6, 4), 32: (31, 30, 28, 24)}  # slices: how many of them a token takes
DISTILLED = {8: (6,), 32: (28,)}
PARTS = ("exact", "trained", "curve", "distilled")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "upcycle")
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "release" / "bin" / "mformer")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results" / "upcycling.md")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    if not given.report and not (given.checkpoint and given.text):
        parser.error("--checkpoint and --text say what is measured")
    return given


def wanted(only, seeds):
    """(name of the file, flags of upcycle) of every measurement, those of the first seed first."""
    for seed in range(1, seeds + 1):
        of_seed = (f"-seed{seed}", ("--seed", seed))
        if "exact" in only and seed == 1:  # nothing in it is drawn but the router's rows
            yield "exact" + of_seed[0], ("--experts", 4, "--k", 2, *of_seed[1])
        if "trained" in only:
            yield "trained" + of_seed[0], ("--experts", 2, "--k", 1, *TRAINING, *of_seed[1])
        if "curve" in only and seed == 1:  # nothing in it is drawn
            for slices, numbers in CURVE.items():
                for k in numbers:
                    yield f"curve-{slices}-{k}", ("--slices", slices, "--k", k, "--stat-tokens", STAT_TOKENS)
        if "distilled" in only:
            for slices, numbers in DISTILLED.items():
                for k in numbers:
                    yield (f"distilled-{slices}-{k}{of_seed[0]}",
                           ("--slices", slices, "--k", k, "--stat-tokens", STAT_TOKENS, *TRAINING, *of_seed[1]))


def prepare(given):
    """A workspace whose model `dense` has float32 weights: in bfloat16, sums in another order would differ by its
    rounding. It has its name when it is whole. Returns the program that works in it."""
    made, making = given.work / "workspace", given.work / "workspace.making"
    if made.exists():
        return Program(given.program, made)
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    program = Program(given.program, making)
    program.call("init", "--from", given.checkpoint.resolve(), "--name", "published")
    program.call("export", "float32", "--dtype", "float32")
    program.call("import", "float32", "--name", "dense")
    program.call("use", "dense")
    program.call("task", "add", "text", "--data", given.text.resolve())
    program.go_on()
    making.rename(made)
    return Program(given.program, made)


def main():
    given = arguments()
    results = given.work / "results"
    results.mkdir(parents=True, exist_ok=True)
    if not given.report:
        try:
            program = prepare(given)
            for name, flags in wanted(given.only.split(","), given.seeds):
                file = results / f"{name}.json"
                if file.exists():
                    continue
                print(f"{name}: mformer upcycle {' '.join(map(str, flags))}", flush=True)
                made, _ = program.call("upcycle", "--model", "dense", "--into", "made", "--task", "text", *flags,
                                       "--eval-tokens", EVAL_TOKENS)
                write_whole(file, json.dumps(made, indent=1))
        except Interrupted:
            sys.exit("interrupted: the same command goes on from here")
        except Failed as failed:
            sys.exit(str(failed))
    print(report.write(results, given.page))


if __name__ == "__main__":
    main()
