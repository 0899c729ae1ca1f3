#!/usr/bin/env bash
# Makes a Python with OpenAI's client and what lm-evaluation-harness needs to ask a server, beside the Python of harness.sh, once for
# all clones and outside of them, and prints its path on the last line. When it is there already, nothing else happens.
#   MFORMER_CACHE            where it goes (default: ~/.cache/mformer); 40 MB
#   MFORMER_CLIENTS_PYTHON   a Python of your own that has openai, lm_eval[api] and transformers: taken as it is
#   --if-there               prints nothing, exit code 3, where that would mean installing
set -euo pipefail
cd "$(dirname "$0")"

openai=3.57.0 tenacity=9.2.1
home=${MFORMER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mformer}/interop-clients-$openai

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

install() {
  printf 'interop: Python with openai %s: 10 MB to download, once\n' "$openai"
  local beside; beside=$(./harness.sh | tail -n 1)
  rm -rf "$home"  # of a run that was interrupted
  "$beside" -m venv "$home" || fail 'python -m venv failed' 'is the disk full? MFORMER_CLIENTS_PYTHON=/path/to/python takes another'
  # The packages of the other Pythons are seen here, so that torch is there once.
  "$beside" -c 'import sys; print("\n".join(p for p in sys.path if p.endswith("site-packages")))' \
    >"$(echo "$home"/lib/python3*/site-packages)/beside.pth"
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check "openai==$openai" "tenacity==$tenacity" ||
    fail "openai $openai could not be installed" 'is the network up? A Python of your own works too: MFORMER_CLIENTS_PYTHON=/path/to/python'
  "$home/bin/python" -c 'import openai, lm_eval.models.openai_completions' || fail 'the clients do not start' 'MFORMER_CLIENTS_PYTHON=/path/to/python takes another'
  touch "$home/complete"
}

if [ -n "${MFORMER_CLIENTS_PYTHON:-}" ]; then echo "$MFORMER_CLIENTS_PYTHON"; exit; fi
if [ ! -e "$home/complete" ]; then
  [ "${1:-}" != --if-there ] || exit 3
  install
fi
echo "$home/bin/python"
