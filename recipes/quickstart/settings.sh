# What the quickstart trains, and how long: about 7 minutes of training on 2 cores.
preset=small            # 14 million parameters: 4 layers of 8 attention and 16 feed-forward modules
vocabulary=4096
base_steps=800          # of 8 × 256 tokens
extend_steps=150
tune_steps=80
keep=0.3
