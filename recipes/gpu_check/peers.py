"""Public Triton kernels for what mformer_gpu_bench measures, at its sizes: those that this Python has.

scattermoe (github.com/shawntan/scattermoe) for a product with a matrix for each module, and stickbreaking_attention
(github.com/shawntan/stickbreaking-attention) for stick-breaking attention. Milliseconds, forward and backward apart.
"""

import time

RUNS = 20
HEADS, CHOICES = 16, 2  # of mformer_gpu_bench: each of the CHOICES queries of a token has HEADS heads
SHAPES = ((4, 512, 64), (1, 4096, 64), (1, 2048, 128))  # batch, tokens, head size
MODULES, TOKENS, WIDTH = 48, 8192, 1024


def milliseconds(torch, run):
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(RUNS):
        run()
    torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - started) / RUNS


def row(what, value):
    print(f"{what:<64} {value:10.3f}", flush=True)


def attention(torch):
    from stickbreaking_attention.sb_attn import sb_attn

    for batch, tokens, size in SHAPES:
        # As many (query, key) pairs as ours; ours reads each key and value for all CHOICES queries of a token at once.
        q, k, v, grad = (torch.randn(batch, HEADS * CHOICES, tokens, size, device="cuda", dtype=torch.bfloat16)
                         for _ in range(4))
        what = f"bfloat16 {batch} x {tokens}, heads of {size}"
        with torch.no_grad():
            row(f"stickbreaking_attention forward, {what}", milliseconds(torch, lambda: sb_attn(q, k, v, attend_current=True)))
        for x in (q, k, v):
            x.requires_grad_()
        output, _ = sb_attn(q, k, v, attend_current=True)
        row(f"stickbreaking_attention backward, {what}",
            milliseconds(torch, lambda: torch.autograd.grad(output, (q, k, v), grad, retain_graph=True)))


def experts(torch):
    from scattermoe.parallel_experts import ParallelExperts, flatten_sort_count

    bank = ParallelExperts(MODULES, WIDTH, 2 * WIDTH).to("cuda", torch.bfloat16)
    x = torch.randn(TOKENS, WIDTH, device="cuda", dtype=torch.bfloat16)
    chosen = torch.randn(TOKENS, MODULES, device="cuda").topk(CHOICES).indices
    with torch.no_grad():
        plan = flatten_sort_count(chosen, num_experts=MODULES)
        row(f"scattermoe gather and product, {MODULES} modules, {TOKENS} tokens, width {WIDTH}",
            milliseconds(torch, lambda: bank(x, CHOICES, *plan, grouped_out=True)))


def main():
    try:
        import torch
    except ImportError:
        print("peers: this Python has no torch")
        return
    if not torch.cuda.is_available():
        print("peers: no GPU answers, nothing was measured")
        return
    print("\npublic Triton kernels, ms")
    for name, measure in (("stickbreaking_attention", attention), ("scattermoe", experts)):
        try:
            measure(torch)
        except ImportError:
            print(f"{name}: not installed, left out")
        except Exception as error:  # another version with another interface must not end what was measured before
            print(f"{name}: did not run ({type(error).__name__}: {error})")


main()
