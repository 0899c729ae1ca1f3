#!/usr/bin/env bash
# A first look at the claims on a real model: SmolLM2-135M, pretrained by others, learns German, French and licences one
# after the other; what it forgets, learns and costs, beside tuning everything and LoRA; and pruning for one domain
# against random choice. Its page is docs/results/smollm2.md.
#
#   recipes/real_model/run.sh [--only domains,everything,lora,prune] [--results DIR] [--report]
#   recipes/real_model/run.sh --tune        learning rates, on validation text: a table, nothing else
#
# `lora` runs in the Python of recipes/interop with the packages peft and accelerate beside it (600 MB to download once).
# Stop it whenever you like (Ctrl-C, kill -9): the same command goes on from there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../build.sh"
model=$("$here/../corpora/model.sh")
exec python3 -B "$here/run.py" --model "$model" "$@"
