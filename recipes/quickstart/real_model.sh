# shellcheck shell=bash disable=SC2154  # run.sh and settings.sh set the variables
# SmolLM2-135M, pretrained by others, learns German as a domain of its own and is pruned for questions. Sourced by run.sh.

# The same two prompts before and after, with the same draws.
write() {
  mformer --model "$1" generate --prompt 'The most important thing about a text document is' --max-tokens 48
  mformer --model "$1" generate --prompt 'Das Wichtigste an einem Textdokument ist' --max-tokens 48
}

mformer init --from "$model" --slices "$slices" --name smollm2
for task in english german qa; do mformer task add $task --data "$text/$task"; done
mformer eval --max-tokens "$eval_tokens"
write smollm2@1

options="--bf16 --batch 2 --context 256 --warmup 0.1 --eval-tokens $eval_tokens"
# shellcheck disable=SC2086  # options are words
mformer extend --task german --steps "$german_steps" --lr "$german_rate" $options | tee "$results/extend.txt"
mformer eval --domain base --task english --max-tokens "$eval_tokens"
write smollm2@2

# shellcheck disable=SC2086
mformer --model smollm2@1 prune --task qa --keep "$qa_keep" --stat-tokens "$stat_tokens" --tune-steps "$qa_steps" --lr "$qa_rate" $options \
  --into smollm2-qa | tee "$results/prune.txt"

mformer inspect routing --task german --max-tokens "$eval_tokens"
mformer log

step 'what came out'
python3 "$here/real_table.py" "$results"
