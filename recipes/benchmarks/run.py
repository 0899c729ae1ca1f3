"""Builds the timed program, runs the rows and prints the table. README.md says what each row is."""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys

from contenders import Failed, Programs, measure
from rows import all_rows, mformer, without_repeats
from summary import Line, markdown_table, text_table

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/benchmarks"


class UsageError(Exception):
    def __init__(self, what, hint):
        super().__init__(what)
        self.hint = hint


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(message, "recipes/benchmarks/run.sh --help lists the options")


def parse(arguments):
    parser = Parser(prog="run.sh", description="Times mformer on whole pieces of work, and others beside it.")
    parser.add_argument("--quick", action="store_true", help="small models, one repeat: only shows that it runs")
    parser.add_argument("--reference", metavar="CLONE", help="a clone of IBM/ModuleFormer to compare with")
    parser.add_argument("--python", metavar="PY", help="a Python with torch and transformers, for all comparisons")
    parser.add_argument("--repeat", type=int, default=5, help="processes of each kind in a row; default: 5")
    parser.add_argument("--only", metavar="ROW,ROW", help="only these; a wrong name gets the list")
    parser.add_argument("--busy", action="store_true", help="also mformer beside a process that keeps a core busy")
    return check(parser.parse_args(arguments))


def check(options):
    if options.repeat < 1:
        raise UsageError(f"--repeat {options.repeat} is not a number of processes", "give at least 1, for example 5")
    if options.python and not shutil.which(options.python):
        raise UsageError(f"--python {options.python} is no program", "give the path of a python3 that has torch")
    if options.reference and not options.python:
        raise UsageError("--reference needs --python", "give a Python that has torch and transformers")
    if options.reference and not (pathlib.Path(options.reference) / "moduleformer").is_dir():
        raise UsageError(f"--reference {options.reference} has no folder moduleformer",
                         "clone https://github.com/IBM/ModuleFormer and give its folder")
    return options


def chosen_rows(options, scratch):
    rows = all_rows(options.quick, options.busy, scratch)
    if not options.only:
        return rows
    names = options.only.split(",")
    known = [row.key for row in rows]
    for name in names:
        if name not in known:
            raise UsageError(f"there is no row '{name}'", "rows: " + ", ".join(known))
    return [row for row in rows if row.key in names]


def progress(text):
    print(text, file=sys.stderr, flush=True)


def build():
    """Returns the program. Throws Failed."""
    progress("building")
    configure = ["cmake", "-G", "Ninja", "-S", ROOT, "-B", BUILD, "-DCMAKE_BUILD_TYPE=Release",
                 "-DMFORMER_BENCHMARKS=ON", "-DMFORMER_TESTS=OFF"]
    for step in ([ROOT / "recipes/setup.sh"], configure,
                 ["cmake", "--build", BUILD, "--target", "mformer_model_benchmark"]):
        done = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            progress(done.stdout[-4000:])
            raise Failed("the build, as the lines above say")
    return str(BUILD / "bin/mformer_model_benchmark")


def run_row(row, programs, repeat, goals=True):
    """The lines of one row. The two commands take turns, so that a drift of the machine meets both."""
    for command in row.setup:
        measure(programs, command)
    compared = programs.has(row.theirs)
    ours, theirs = [], []
    for turn in range(repeat):
        progress(f"{row.key}: {turn + 1} of {repeat}")
        ours.append(measure(programs, row.ours))
        if compared:
            theirs.append(ours[-1] if row.theirs.same_run(row.ours) else measure(programs, row.theirs))
    return [Line(row.key, one.what, one.unit, tuple(map(one.ours, ours)), row.theirs.label,
                 tuple(map(one.theirs, theirs)), one.goal if goals else None) for one in row.measures]


def describe_machine(programs):
    peaks = measure(programs, mformer("peaks"))
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown")
    return {"processor": model, "threads": peaks["threads"], "load": os.getloadavg()[0],
            "read_bandwidth": peaks["read_bandwidth"], "float32_product": peaks["float32_product"],
            "bfloat16_product": peaks["bfloat16_product"],
            "time": datetime.datetime.now().astimezone().isoformat(timespec="seconds")}


def machine_text(machine, options):
    return (f"{machine['processor']}, {machine['threads']} threads; reads {machine['read_bandwidth'] / 1e9:.0f} GB/s, "
            f"products of float32 {machine['float32_product'] / 1e9:.0f} and of bfloat16 "
            f"{machine['bfloat16_product'] / 1e9:.0f} GFLOP/s; load before the run {machine['load']:.1f}; "
            f"{machine['time']}; medians of {options.repeat} processes (lowest – highest)"
            + ("; QUICK: small models, not for comparison" if options.quick else ""))


def write_results(folder, machine, lines, options):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(f"{machine_text(machine, options)}\n\n{markdown_table(lines)}\n")
    (folder / "results.json").write_text(json.dumps(
        {"machine": machine, "repeat": options.repeat, "quick": options.quick,
         "lines": [line.record() for line in lines]}, indent=1) + "\n")


def run(options):
    results = BUILD / "results"
    scratch = results / "checkpoints"
    rows = chosen_rows(options, scratch)
    programs = Programs(build(), options.python, options.reference)
    if options.quick:
        options.repeat = 1
    machine = describe_machine(programs)
    lines, failed = [], False
    for row in without_repeats(rows, programs):
        try:
            lines += run_row(row, programs, options.repeat, goals=not options.quick)
        except Failed as failure:
            progress(f"error: {failure}\nhint: the other rows go on; --only {row.key} repeats this one")
            failed = True
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        write_results(results, machine, lines, options)  # what is there, whatever happens later
    print(machine_text(machine, options) + "\n\n" + text_table(lines))
    progress(f"also in {results.relative_to(ROOT)}: table.md, results.json")
    return 1 if failed else 0


def main():
    try:
        sys.exit(run(parse(sys.argv[1:])))
    except UsageError as error:
        progress(f"error: {error}\nhint: {error.hint}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Failed as failure:
        progress(f"error: not measured: {failure}\nhint: once that is repaired, run it again")
        sys.exit(1)


if __name__ == "__main__":
    main()
