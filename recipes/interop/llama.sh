#!/usr/bin/env bash
# Makes a Python with llama.cpp (llama-cpp-python, which is compiled from source: some minutes, once for all clones and
# outside of them) and prints its path on the last line. When it is there already, nothing else happens.
#   MFORMER_CACHE            where it goes (default: ~/.cache/mformer); 100 MB
#   MFORMER_LLAMA_PYTHON     a Python of your own that has llama_cpp: taken as it is
#   --if-there               prints nothing, exit code 3, where that would mean installing
set -euo pipefail

version=0.3.16
home=${MFORMER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mformer}/interop-llama-$version

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

install() {
  printf 'interop: Python with llama.cpp (llama-cpp-python %s): 50 MB to download and some minutes to compile, once\n' "$version"
  rm -rf "$home"  # of a run that was interrupted
  mkdir -p "$(dirname "$home")" || fail "cannot create $home" 'choose another folder: MFORMER_CACHE=/some/where'
  python3 -m venv "$home" || fail 'python3 -m venv failed' 'is there a Python 3.10 or newer, with its venv (python3-venv)?'
  CMAKE_ARGS='-DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DLLAVA_BUILD=OFF' \
    "$home/bin/python" -m pip install --quiet --disable-pip-version-check "llama-cpp-python==$version" ||
    fail "llama-cpp-python $version could not be installed" \
         'is the network up, and are a C++ compiler and CMake there? A Python of your own works too: MFORMER_LLAMA_PYTHON=/path/to/python'
  "$home/bin/python" -c 'import llama_cpp' || fail 'llama.cpp does not start' 'MFORMER_LLAMA_PYTHON=/path/to/python takes another'
  touch "$home/complete"
}

if [ -n "${MFORMER_LLAMA_PYTHON:-}" ]; then echo "$MFORMER_LLAMA_PYTHON"; exit; fi
if [ ! -e "$home/complete" ]; then
  [ "${1:-}" != --if-there ] || exit 3
  install
fi
echo "$home/bin/python"
