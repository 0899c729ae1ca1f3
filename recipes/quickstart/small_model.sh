# shellcheck shell=bash disable=SC2154,SC2086  # run.sh and settings.sh set the variables, none has a blank
# A small model from nothing: trained on English, extended for German, compared with plain finetuning, pruned for
# questions. Sourced by run.sh.

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
python3 $here/small_table.py $results
