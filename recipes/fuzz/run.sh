#!/usr/bin/env bash
# Feeds every reader of files with what libFuzzer makes of small files, under the address and undefined-behaviour sanitizers,
# and writes what came of it into docs/results/fuzzing.md.
#   recipes/fuzz/run.sh SECONDS [READER...]     SECONDS for each reader; all readers unless some are named
#   recipes/fuzz/run.sh --report                only the page, from what is there
# Inputs that reached something new stay in build/fuzz/corpus, where the next run goes on; those that break a rule in
# build/fuzz/failed, to be mended and kept in tests/fuzz/kept. Needs clang and llvm (Debian: clang llvm), Python 3.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 2; }

seconds=${1:-}
[[ $seconds =~ ^[0-9]+$ || $seconds == --report ]] || fail 'how long is not said' 'recipes/fuzz/run.sh SECONDS, for each reader'
shift
for tool in clang++ llvm-cov llvm-profdata python3; do
  command -v "$tool" >/dev/null || fail "$tool is not there" 'apt-get install clang llvm python3'
done
fuzz=build/fuzz seeds=build/fuzz/seeds
if [[ $seconds != --report ]]; then
  cmake --preset fuzz >/dev/null
  cmake --build --preset fuzz
  python3 -B tests/fuzz/seeds.py "$seeds"
fi
readers=("$@")
# Without a name it says all.
[[ ${#readers[@]} -gt 0 || $seconds == --report ]] \
  || mapfile -t readers < <(MFORMER_FUZZ_READER='' $fuzz/bin/mformer_fuzz -runs=0 2>&1 | sed -n 's/^  //p')

fuzz_one() {
  local reader=$1 kept=tests/fuzz/kept/$1 corpus=$fuzz/corpus/$1
  mkdir -p "$corpus" "$fuzz/failed" "$fuzz/logs"
  local folders=("$corpus" "$seeds/$reader")
  [ -d "$kept" ] && folders+=("$kept")
  MFORMER_FUZZ_READER=$reader $fuzz/bin/mformer_fuzz -fork="$(nproc)" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
      -max_len=8192 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 -dict="tests/fuzz/dictionaries/$reader.dict" \
      -artifact_prefix="$fuzz/failed/$reader-" "${folders[@]}" >"$fuzz/logs/$reader" 2>&1 || true
  tail -n 1 "$fuzz/logs/$reader" | cut -c1-150
}

# What the inputs reach, line by line: a build without sanitizers runs them all once.
measure_one() {
  local reader=$1 build=build/fuzz-coverage
  rm -f "$build/$reader".*.profraw
  # One for each process: a chat template runs in one of its own.
  MFORMER_FUZZ_READER=$reader LLVM_PROFILE_FILE=$build/$reader.%p.profraw $build/bin/mformer_fuzz 0 1 none \
      "$fuzz/corpus/$reader" "$seeds/$reader" "tests/fuzz/kept/$reader" >/dev/null || true
  compgen -G "$build/$reader.*.profraw" >/dev/null || return 0
  llvm-profdata merge -sparse "$build/$reader".*.profraw -o "$build/$reader.profdata"
  llvm-cov export -summary-only -instr-profile="$build/$reader.profdata" "$build/bin/mformer_fuzz" >"$fuzz/logs/$reader.json"
}

if [[ $seconds != --report ]]; then
  for reader in "${readers[@]}"; do printf 'fuzz: %s\n' "$reader"; fuzz_one "$reader"; done
  cmake --preset fuzz -B build/fuzz-coverage -DMFORMER_FUZZ=coverage -DMFORMER_SANITIZE=OFF >/dev/null
  cmake --build build/fuzz-coverage --target mformer_fuzz
  for reader in "${readers[@]}"; do measure_one "$reader"; done
fi
python3 -B recipes/fuzz/report.py "$fuzz/logs" "$fuzz/failed" docs/results/fuzzing.md
