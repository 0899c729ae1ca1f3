#!/usr/bin/env bash
# Checks and measures mformer on a machine with a GPU: builds with the GPU kernels, runs every test that uses the GPU,
# compares each kernel with the CPU, and prints how fast they are.
#
#   recipes/gpu_check/run.sh [--python PY]     PY: a Python with torch 2.11 for CUDA; default: python3
#
# Needs nvcc (CUDA_HOME, or on the PATH). Where no GPU answers it builds, links, runs the tests of the kernels on the
# host, says that nothing was checked on a GPU, and exits with 1. README.md beside this file says more.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf 'gpu_check: %s\n' "$*"; }
fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit "${3:-1}"; }

python=python3
while [ $# -gt 0 ]; do
  case $1 in
    --python) [ $# -ge 2 ] || fail '--python needs a program' 'for example --python /opt/venv/bin/python' 2
              python=$2; shift 2 ;;
    *) fail "unknown argument: $1" 'known: --python PY' 2 ;;
  esac
done

# The LibTorch of a Python package brings libtorch_cuda.so; the one that setup.sh unpacks is for the CPU alone.
gpu=yes
torch=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__), torch.__version__, torch.cuda.is_available())' 2>/dev/null || true)
read -r torch_folder torch_version answers <<<"${torch:-none none False}"
case $torch_version in
  2.11.*) say "LibTorch $torch_version in $torch_folder"
          export CMAKE_PREFIX_PATH=$torch_folder${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH} ;;
  none) say "$python has no torch: the CPU's LibTorch is used, and no GPU can answer"; gpu=no ;;
  *) fail "$python has torch $torch_version, and mformer is built for 2.11" 'python3 -m pip install torch==2.11.0, or --python PY' ;;
esac
[ "$answers" = True ] || gpu=no

./recipes/setup.sh
build=build/gpu_check
say "building in $build"
cmake --preset cuda -B "$build" -DMFORMER_BENCHMARKS=ON >"$build.log" 2>&1 \
  || { tail -n 20 "$build.log" >&2; fail 'configuring failed' 'the lines above say why'; }
cmake --build "$build" >>"$build.log" 2>&1 && cmake --build "$build" --target mformer_gpu_bench >>"$build.log" 2>&1 \
  || { tail -n 40 "$build.log" >&2; fail 'the build failed' "all of its output: $build.log"; }

say 'tests of the kernels and of everything that runs on a device'
ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)" -L gpu
if [ "$gpu" = no ]; then
  fail 'no GPU answers: built, linked and tested on the host, but nothing was checked or measured on a GPU' \
       'run this where nvidia-smi lists a GPU, with --python naming a Python that has torch 2.11 for CUDA'
fi
say 'each kernel against the CPU: ends here with 1 if one is wrong or does not run'
"$build/bin/mformer" --device cuda doctor
say 'one training step after another, on the GPU and on the CPU'
"$python" -B recipes/gpu_check/end_to_end.py "$build/bin/mformer"
say 'speed'
"$build/bin/mformer_gpu_bench"
say 'memory: what --dry-run plans, and the most that was held'
"$python" -B recipes/gpu_check/memory.py "$build/bin/mformer"
"$python" -B recipes/gpu_check/peers.py
