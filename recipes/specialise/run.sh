#!/usr/bin/env bash
# Specialisation, measured: small models for one task by choosing modules first and tuning then, against tuning everything,
# tuning first and pruning after, and modules chosen at random, with the tables and plots of docs/results/specialisation.md at the end.
#
#   recipes/specialise/run.sh [--seeds N] [--quick] [--results DIR] [--only TASK,TASK] [--report] [--docs]
#
# Shares texts and bases with recipes/continual. Stop it whenever you like (Ctrl-C, kill -9): the same command goes on from there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../build.sh"
exec python3 -B "$here/run.py" "$@"
