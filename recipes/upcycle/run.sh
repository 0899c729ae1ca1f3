#!/usr/bin/env bash
# Upcycling, measured on a dense checkpoint: what copies and slices cost at once, after some training, and how few of the
# slices a token needs. Writes the tables of docs/results/upcycling.md.
#
#   recipes/upcycle/run.sh --checkpoint DIR --text DIR [--seeds N] [--work DIR] [--only PART,PART] [--report]
#
#   --checkpoint DIR   a dense model: Llama, SmolLM2, Mistral, Qwen2, Qwen3
#   --text DIR         documents in the language that it knows, for example english/ of recipes/corpora/fetch.sh
#   --only             of exact, trained, curve, distilled; default: all
#   --report           only the tables, from what is there
#
# Stop it whenever you like (Ctrl-C, kill): the same command goes on from there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[[ " $* " == *" --report "* ]] || "$here/../build.sh"
exec python3 -B "$here/run.py" "$@"
