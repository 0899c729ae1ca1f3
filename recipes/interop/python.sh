#!/usr/bin/env bash
# Makes a Python with CPU torch and transformers, once for all clones and outside of them, and prints its path on the
# last line. When it is there already, nothing else happens.
#   MFORMER_CACHE            where it goes (default: ~/.cache/mformer); 1.6 GB
#   MFORMER_INTEROP_PYTHON   a Python of your own that has torch and transformers: taken as it is
#   --if-there               prints nothing, exit code 3, where that would mean installing
set -euo pipefail
cd "$(dirname "$0")"

torch=2.11.0 transformers=5.24.0
cache=${MFORMER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mformer}
home=$cache/interop-transformers-$transformers

say() { printf 'interop: %s\n' "$*"; }
fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }
pip() { "$work/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

# torch's wheels for Linux on x86-64 are linked to the CUDA libraries, which are 2 GB that nothing here calls. The
# runtime is installed, as static constructors call it; all others become shells: empty libraries of their names, which
# take every symbol from one that only traps.
make_shells() {
  local site=$1 needed library
  local lib=$site/nvidia/cu13/lib own=("$site"/torch/lib/*.so*)
  command -v gcc >/dev/null && command -v nm >/dev/null || fail 'gcc and nm are needed' 'run ./recipes/setup.sh first'
  names() { nm -D "$@" 2>/dev/null | awk 'NF {print $NF}' | sed 's/@.*//' | sort -u; }
  comm -23 <(names --undefined-only "${own[@]}" | grep -E '^(cu|nccl|nv)') \
           <(names --defined-only "${own[@]}" "$lib"/libcudart.so.* "$lib"/libcupti.so.*) |
    sed 's/.*/void &(void) { __builtin_trap(); }/' | gcc -w -O1 -shared -fPIC -x c - -o "$lib/libshells.so"
  needed=$(readelf -d "${own[@]}" | sed -n 's/.*NEEDED.*\[\(lib\(cu\|nccl\|nv\).*\)\]/\1/p' | sort -u)
  for library in $needed; do
    [ -e "$lib/$library" ] || gcc -shared -x c /dev/null -o "$lib/$library" -Wl,-soname,"$library" \
      -Wl,--no-as-needed -L"$lib" -lshells -Wl,-rpath,'$ORIGIN'
  done
}

install() {
  mkdir -p "$cache" || fail "cannot create $cache" 'choose another folder: MFORMER_CACHE=/some/where'
  local free_kb; free_kb=$(df -Pk "$cache" | awk 'NR==2{print $4}')
  [ "$free_kb" -gt 2600000 ] || fail "2.6 GB are needed while installing, $cache has $((free_kb / 1024)) MB" \
                                     'free some disk, or choose another folder: MFORMER_CACHE=/some/where'
  say "Python with torch $torch and transformers $transformers: about 600 MB to download, once"
  rm -rf "$home"  # of a run that was interrupted
  work=$home
  python3 -m venv "$work" || fail 'python3 -m venv failed' 'is there a Python 3.10 or newer, with its venv (python3-venv)?'
  local network='is the network up? A Python of your own works too: MFORMER_INTEROP_PYTHON=/path/to/python'
  pip -r requirements.txt || fail 'transformers could not be installed' "$network"
  pip --no-deps "torch==$torch" || fail "torch $torch could not be installed" "$network"
  local site; site=$("$work/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
  if [ -e "$site/torch/lib/libtorch_cuda.so" ]; then
    pip --no-deps nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85 || fail 'the CUDA runtime could not be installed' "$network"
    make_shells "$site"
  fi
  "$work/bin/python" -c 'import torch, transformers; torch.ones(2, 2) @ torch.ones(2, 2)' 2>/dev/null ||
    fail "torch $torch does not start" 'a Python of your own works too: MFORMER_INTEROP_PYTHON=/path/to/python'
  touch "$home/complete"
}

if [ -n "${MFORMER_INTEROP_PYTHON:-}" ]; then echo "$MFORMER_INTEROP_PYTHON"; exit; fi
if [ ! -e "$home/complete" ]; then
  [ "${1:-}" != --if-there ] || exit 3
  install
fi
echo "$home/bin/python"
