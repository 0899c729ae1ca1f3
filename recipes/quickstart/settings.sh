# shellcheck shell=bash disable=SC2034
# What the quickstart trains, and how long.

# SmolLM2-135M: under 5 minutes of training on 2 cores with AVX-512. German's learning rate had the least loss on
# validation text of 1e-4, 2e-4, 5e-4, 1e-3 and 2e-3; that of the questions was taken over from it, not tuned.
slices=32               # of each feed-forward layer: the finer, the better can pruning choose
eval_tokens=2048        # held-out tokens of each loss
german_steps=80         # of 2 × 256 tokens
german_rate=2e-4
qa_keep=0.75            # half of a dense model's slices can't go without breaking it
qa_steps=30
qa_rate=2e-4
stat_tokens=4096        # training tokens that pruning looks at

# The small model of --sample, trained from nothing: about 4 minutes.
preset=small            # 14 million parameters: 4 layers of 8 attention and 16 feed-forward modules
vocabulary=4096
base_steps=800          # of 8 × 256 tokens
extend_steps=150
tune_steps=80
keep=0.3
