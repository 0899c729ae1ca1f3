#!/usr/bin/env bash
# Runs one test file in the Python that has torch and transformers. Where there is none, it is skipped (exit code 77).
set -euo pipefail
if ! python=$("$(dirname "$0")/../../recipes/interop/python.sh" --if-there); then
  echo 'skipped: there is no Python with torch and transformers; ./recipes/interop/run.sh makes one (600 MB to download)'
  exit 77
fi
OMP_NUM_THREADS=1 exec "$python" -B "$1"
