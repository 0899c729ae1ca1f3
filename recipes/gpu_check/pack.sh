#!/usr/bin/env bash
# Makes the pack: a folder of at most 60 MB that checks and measures mformer on a machine with a GPU that has nothing but
# its driver, glibc 2.34 or newer and a Python with torch 2.11 for CUDA. Nothing is built, installed or downloaded there.
#
#   recipes/gpu_check/pack.sh [--out FOLDER]     default: build/gpu_pack; made anew where it is a pack already
#
# Needs nvcc (CUDA_HOME, or on the PATH), no GPU. A pack that would break what is said above is not made (pack_check.py).
# README.md beside this file says what is in it, and how it is used.
set -euo pipefail
cd "$(dirname "$0")/../.."
recipe=recipes/gpu_check

say() { printf 'pack: %s\n' "$*"; }
fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit "${3:-1}"; }

out=build/gpu_pack
while [ $# -gt 0 ]; do
  case $1 in
    --out) [ $# -ge 2 ] && [ -n "$2" ] || fail '--out needs a folder' 'for example --out /tmp/gpu_pack' 2
           out=$2; shift 2 ;;
    *) fail "unknown argument: $1" 'known: --out FOLDER' 2 ;;
  esac
done
[ ! -e "$out" ] || [ -e "$out/MANIFEST" ] || fail "'$out' is there and is no pack" 'name a folder that is not there yet: --out FOLDER' 2

./recipes/setup.sh
build=build/pack
say "building in $build"
# RPATH rather than RUNPATH: it holds for the libraries of libraries too. The long folder is room for what takes its place.
cmake --preset cuda -B "$build" -DMFORMER_BENCHMARKS=ON -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags \
      -DCMAKE_BUILD_RPATH=/the/place/of/the/path/that/programs/in/a/pack/have >"$build.log" 2>&1 \
  || { tail -n 20 "$build.log" >&2; fail 'configuring failed' 'the lines above say why'; }
cmake --build "$build" --target mformer mformer-compute mformer_gpu_bench mformer_device_tests >>"$build.log" 2>&1 \
  || { tail -n 40 "$build.log" >&2; fail 'the build failed' "all of its output: $build.log"; }

mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/libexec/mformer" "$work/lib/copyright" "$work/$recipe" "$work/tests/data"
cp "$build"/bin/{mformer,mformer_gpu_bench,mformer_device_tests} "$work/bin/"
cp "$build/libexec/mformer/mformer-compute" "$work/libexec/mformer/"
python3 -B "$recipe/pack_check.py" --libraries "$work"/bin/* "$work/libexec/mformer/mformer-compute" >"$work/list"
while read -r library; do
  cp -L "$library" "$work/lib/$(basename "$library")"
  # What Debian says of its licence; a library that is from elsewhere has none there.
  package=$(dpkg-query -S "$(readlink -f "$library")" "$library" 2>/dev/null | head -n 1 | cut -d: -f1 || true)
  [ -z "$package" ] || cp -L "/usr/share/doc/$package/copyright" "$work/lib/copyright/$package" 2>/dev/null || true
done <"$work/list"
rm "$work/list"
for program in "$work"/bin/* "$work"/libexec/mformer/*; do
  lib=../lib
  [[ $program != */libexec/* ]] || lib=../../lib
  printf 'file(RPATH_SET FILE "%s" NEW_RPATH "$ORIGIN/%s")\n' "$program" "$lib" >"$work/rpath.cmake"
  cmake -P "$work/rpath.cmake"
done
rm "$work/rpath.cmake"
strip --strip-unneeded "$work"/bin/* "$work"/libexec/mformer/* "$work"/lib/*.so*
python3 -B "$recipe/older_versions.py" "$work"/bin/* "$work"/libexec/mformer/* "$work"/lib/*.so*

cp "$recipe/pack/"{run.sh,README.md} LICENSE "$work/"
cp "$recipe/"{end_to_end.py,memory.py,pack_run.py,peers.py,report.py} "$work/$recipe/"
cp -r tests/data/sample "$work/tests/data/"
chmod -R u+rwX,go+rX,go-w "$work"

commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || commit+=' and changes that are not committed'
{ printf '# mformer, commit %s\n# CUDA %s, torch 2.11\n' "$commit" "$("$(sed -n 's/^MFORMER_NVCC:FILEPATH=//p' "$build/CMakeCache.txt")" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')"
  (cd "$work" && find . -type f ! -name MANIFEST -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum); } >"$work/MANIFEST"
python3 -B "$recipe/pack_check.py" "$work" || fail 'this pack would not keep its promise, and was not made' 'the lines above say what is too new, too large or missing'
rm -rf "$out"
mv "$work" "$out"
trap - EXIT
say "in $out: run $out/run.sh --python PY where the GPU is"
