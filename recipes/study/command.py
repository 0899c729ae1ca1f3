"""The command line that both recipes share."""

import argparse
import sys
from pathlib import Path

import settings as sizes
from program import Failed, Interrupted, Program
from runner import Study
from texts import ROOT


def parse(description, names):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=3, help="how many; default: 3")
    parser.add_argument("--quick", action="store_true",
                        help="a minute on the repository's sample text: tests the harness")
    parser.add_argument("--results", type=Path, help="folder of texts, workspaces and results; default: build/study")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/bin/mformer",
                        help="default: build/release/bin/mformer")
    parser.add_argument("--only", help=f"comma-separated, of: {', '.join(names)}")
    parser.add_argument("--docs", action="store_true", help="write the pages in docs/results, not copies in the results folder")
    parser.add_argument("--report", action="store_true", help="run nothing, write tables and plots from what is there")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    options.only = options.only.split(",") if options.only else list(names)
    unknown = [name for name in options.only if name not in names]
    if unknown:
        parser.error(f"--only: unknown {', '.join(unknown)}; known: {', '.join(names)}")
    options.settings = sizes.QUICK if options.quick else sizes.FULL
    options.results = (options.results or ROOT / ("build/study-quick" if options.quick else "build/study")).resolve()
    # A quick run shows that the tables can be made; only real ones, of all parts, belong into the documents.
    options.docs = ROOT / "docs/results" if options.docs and not options.quick else options.results / "docs"
    return options


def run(options, work, report):
    """work(study) with one recipe at a time in the folder, then report(results, docs, settings). Ends the process."""
    try:
        if not options.report:
            study = Study(Program(options.program.resolve(), options.results), options.results)
            with study.alone():
                work(study)
        for file in report(options.results, options.docs, options.settings):
            print(f"wrote {file}")
    except (Interrupted, KeyboardInterrupt):
        print("interrupted: the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except Failed as failure:
        print(f"error: {failure}\nhint: what was done is kept; the same command goes on from here", file=sys.stderr)
        sys.exit(1)
