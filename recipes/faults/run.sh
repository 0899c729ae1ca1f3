#!/usr/bin/env bash
# What no fault may do: lose or half do anything. Builds, then tries every point at which a command writes (it fails, or the
# process is killed there), every moment of a power failure, crowds of processes, and single bits turned over; tests/faults
# has a sample of all this. Writes the tables into build/faults/, and with --docs into docs/results/faults.md.
#   recipes/faults/run.sh [--docs] [--every N] [--every-computing N] [--only NAMES] [--seconds N]
# Of the points of commands without tensors, and of those that compute, every N-th, and at least one of each kind (default: 1
# and 13; all of them is --every-computing 1, some hours). --seconds N takes at most so long for each command, kinds of points
# in turns, looks at a power failure at one moment of each kind, and has crowds for a minute each: 25 is half an hour.
set -euo pipefail
cd "$(dirname "$0")/../.."

docs= every=1 every_computing=13 only= seconds=
while [ $# -gt 0 ]; do
  case $1 in
    --docs) docs=1 ;;
    --every | --every-computing | --only | --seconds)
      [ $# -gt 1 ] || { printf 'error: %s needs a value\nhint: the first lines of %s say which\n' "$1" "$0" >&2; exit 2; }
      name=${1#--}
      declare "${name//-/_}=$2"
      shift ;;
    *) printf 'error: unknown argument: %s\nhint: known: --docs, --every, --every-computing, --only, --seconds\n' "$1" >&2; exit 2 ;;
  esac
  shift
done

recipes/build.sh
cmake --build --preset release --target faults >/dev/null
out=build/faults
mkdir -p "$out"
export MFORMER_BIN=$PWD/build/release/bin/mformer MFORMER_FAULTS=$PWD/build/release/tests/faults/libfaults.so
in_memory() { tests/in_memory.sh python3 -B "tests/faults/$1" "${@:2}"; }
strides=(--every "$every" --every-computing "$every_computing" --only "$only") moments=("${strides[@]}")
if [ -n "$seconds" ]; then
  strides+=(--seconds "$seconds")
  moments=(--every 0 --every-computing 0 --only "$only" --seconds "$seconds")
fi
failed=
in_memory run.py "${strides[@]}" --out "$out/points.md" | tee "$out/points.log" || failed=1
in_memory power.py "${moments[@]}" --out "$out/power.md" | tee "$out/power.log" || failed=1
: >"$out/crowd.log"
for processes in 2 4 8; do
  echo "crowd: $processes processes"
  in_memory crowd.py --processes $processes --seed $processes | tee -a "$out/crowd.log" || failed=1
done
in_memory flips.py | tee "$out/flips.md" || failed=1
[ -z "$docs" ] || python3 -B recipes/faults/report.py "$out" docs/results/faults.md
[ -z "$failed" ] || { printf 'error: something was lost or half done\nhint: the lines above and the logs in %s say what\n' "$out" >&2; exit 1; }
