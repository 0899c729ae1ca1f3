#!/usr/bin/env bash
# Checks against Hugging Face transformers: that what mformer exports is loaded there and computes the same, with
# transformers' own classes or with our modelling file; against llama.cpp, that it runs exported GGUF files alike; and against
# lm-evaluation-harness, that it scores questions alike.
# Makes a Python for each once (python.sh, llama.sh, harness.sh), builds the program and runs tests/interop. Can be run again at any
# time.
#   recipes/interop/run.sh [test files' names]     for example: recipes/interop/run.sh modeling
set -euo pipefail
cd "$(dirname "$0")/../.."

recipes/interop/python.sh | sed '$d'
[ $# -gt 0 ] && [[ " $* " != *" llama_cpp "* ]] || recipes/interop/llama.sh | sed '$d'
[ $# -gt 0 ] && [[ " $* " != *" harness "* ]] || recipes/interop/harness.sh | sed '$d'
[ $# -gt 0 ] && [[ " $* " != *" serve "* ]] || recipes/interop/clients.sh | sed '$d'
recipes/build.sh
export MFORMER_BIN=$PWD/build/release/bin/mformer
failed=()
for file in tests/interop/test_*.py; do
  name=$(basename "$file" .py)
  name=${name#test_}
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  started=$SECONDS log=$(mktemp)
  if tests/interop/run_one.sh "$file" >"$log" 2>&1; then
    printf 'interop: %-20s %s, %s s\n' "$name" "$(grep -E '^Ran ' "$log" | sed 's/ in .*//; s/^R/r/')" $((SECONDS - started))
  else
    cat "$log" >&2
    failed+=("$name")
  fi
  rm -f "$log"
done
[ ${#failed[@]} -eq 0 ] || { printf 'error: failed: %s\nhint: the lines above say where\n' "${failed[*]}" >&2; exit 1; }
