#!/usr/bin/env bash
# Makes a Python with EleutherAI's lm-evaluation-harness, beside the torch and transformers of python.sh, once for all clones and
# outside of them, and prints its path on the last line. When it is there already, nothing else happens.
#   MFORMER_CACHE            where it goes (default: ~/.cache/mformer); 350 MB
#   MFORMER_HARNESS_PYTHON   a Python of your own that has lm_eval, torch and transformers: taken as it is
#   --if-there               prints nothing, exit code 3, where that would mean installing
set -euo pipefail
cd "$(dirname "$0")"

version=0.4.13 accelerate=1.12.0
home=${MFORMER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mformer}/interop-harness-$version

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

install() {
  printf 'interop: Python with lm_eval %s: 100 MB to download, once\n' "$version"
  local beside; beside=$(./python.sh | tail -n 1)
  rm -rf "$home"  # of a run that was interrupted
  "$beside" -m venv "$home" || fail 'python -m venv failed' 'is the disk full, or the network down? MFORMER_HARNESS_PYTHON=/path/to/python takes another'
  # The packages of the other Python are seen here, so that torch is there once.
  "$beside" -c 'import site; print(site.getsitepackages()[0])' >"$(echo "$home"/lib/python3*/site-packages)/beside.pth"
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check "lm_eval==$version" "accelerate==$accelerate" ||
    fail "lm_eval $version could not be installed" 'is the network up? A Python of your own works too: MFORMER_HARNESS_PYTHON=/path/to/python'
  "$home/bin/python" -c 'import lm_eval.models.huggingface' || fail 'lm_eval does not start' 'MFORMER_HARNESS_PYTHON=/path/to/python takes another'
  touch "$home/complete"
}

if [ -n "${MFORMER_HARNESS_PYTHON:-}" ]; then echo "$MFORMER_HARNESS_PYTHON"; exit; fi
if [ ! -e "$home/complete" ]; then
  [ "${1:-}" != --if-there ] || exit 3
  install
fi
echo "$home/bin/python"
