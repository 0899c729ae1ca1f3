#!/usr/bin/env bash
# Checks and measures mformer on this machine's GPU and writes what it found into one Markdown file. Builds, installs and
# downloads nothing: a driver, glibc 2.34 or newer and a Python with torch 2.11 for CUDA are all that it needs.
#
#   ./run.sh [--python PY] [--out FILE] [--peers FOLDER] [--limit SECONDS]
#
#   --python PY      a Python that has torch 2.11; default: python3
#   --out FILE       where the report goes; default: gpu_report.md in the current folder
#   --peers FOLDER   a folder of wheels of public Triton kernels (scattermoe, stickbreaking_attention), measured too
#   --limit SECONDS  when to be done; default: 480. What comes last is cut first
#
# Exit code 0 where all parts passed; 1 where one failed, was cut or there is no GPU; 2 for a mistake in the command line.
# README.md beside this file says more.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit "${3:-1}"; }

python=python3 out=gpu_report.md peers='' limit=480
while [ $# -gt 0 ]; do
  case $1 in
    --python | --out | --peers | --limit)
      [ $# -ge 2 ] && [ -n "$2" ] || fail "$1 needs a value" 'the first lines of run.sh say which' 2
      case $1 in --python) python=$2 ;; --out) out=$2 ;; --peers) peers=$2 ;; --limit) limit=$2 ;; esac
      shift 2 ;;
    *) fail "unknown argument: $1" 'known: --python PY, --out FILE, --peers FOLDER, --limit SECONDS' 2 ;;
  esac
done
[[ $limit =~ ^[1-9][0-9]{0,4}$ ]] || fail "'$limit' is no number of seconds" 'for example --limit 480' 2
[ -z "$peers" ] || [ -d "$peers" ] || fail "there is no folder '$peers'" '--peers names a folder of wheels' 2
[ -d "$(dirname "$out")" ] || fail "there is no folder for '$out'" 'name a file in a folder that is there' 2

[ "$(uname -m)" = x86_64 ] || fail "this machine is $(uname -m), and the programs are for x86_64" 'build mformer there: recipes/gpu_check/run.sh of a clone'
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || echo 'no glibc')
oldest=$(printf '%s\n2.34\n' "${glibc#glibc }" | sort -V | head -n 1)
[ "$oldest" = 2.34 ] || fail "this machine has $glibc, and the programs need glibc 2.34" 'build mformer there: recipes/gpu_check/run.sh of a clone'

why=$("$python" -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python " + sys.version.split()[0])' 2>&1) \
  || fail "'$python' is no Python of 3.10 or later that runs: ${why##*: }" '--python names one that has torch 2.11'
exec "$python" -B "$here/recipes/gpu_check/pack_run.py" --pack "$here" --out "$out" --limit "$limit" ${peers:+--peers "$peers"}
