#!/usr/bin/env bash
# Sets everything up (recipes/setup.sh), builds, and runs every test. Can be run again at any time.
#   tests/run.sh [ctest arguments]     for example: tests/run.sh -R golden
set -euo pipefail
cd "$(dirname "$0")/.."

./recipes/build.sh --tests
echo 'tests: running all of them'
ctest --preset release -j "$(nproc)" "$@"
