"""Times SmolLM2 (or another Llama) in 8 and 4 bits beside llama.cpp, the same number of threads, processes in turns.

    llama_pairs.py --benchmark build/benchmarks/bin/mformer_model_benchmark --mformer build/release/bin/mformer \\
                   --folder smollm2/ --gguf8 Q8_0.gguf --gguf4 Q4_1.gguf --python PYTHON_WITH_LLAMA_CPP

`--folder` holds the checkpoint that the GGUF files were made of, as mformer imports it. Prefill is a prompt of 512 tokens,
of whose last one the logits are computed; decoding goes on after 64 tokens at batch 1. llama.cpp reports its own times (its
first evaluation, which plans its graphs, does not count). "first token" is a whole process of `mformer generate` and one of
`llama-cpp-python`, from its start to its first token of text after a prompt of five words, imports of Python apart.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PEER = """
import json, sys, time
import llama_cpp
start = time.perf_counter()
work, file, threads, prompt, tokens, repeats = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
model = llama_cpp.Llama(file, n_ctx=1024, n_batch=512, n_ubatch=512, n_threads=threads, n_threads_batch=threads,
                        verbose=False)
if work == "start":
    text = next(model.create_completion("The capital of France is", max_tokens=1, temperature=0.0, stream=True))
    print(json.dumps({"seconds": time.perf_counter() - start}))
    sys.exit()
ids = [(i * 7919 + 13) % 40000 for i in range(prompt)]
samples = []
for i in range(repeats + 1):
    model.reset()
    begin = time.perf_counter()
    model.eval(ids)
    if work == "prefill":
        samples.append(time.perf_counter() - begin)
        continue
    for t in range(tokens):
        begin = time.perf_counter()
        model.eval([100 + t])
        samples.append(time.perf_counter() - begin)
samples = samples[1 if work == "prefill" else tokens:]
print(json.dumps({"seconds": sorted(samples)[len(samples) // 2]}))
"""


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, help="mformer_model_benchmark")
    parser.add_argument("--mformer", required=True, help="the program, for the time to the first token")
    parser.add_argument("--folder", required=True, help="the model as a checkpoint folder")
    parser.add_argument("--gguf8", help="the same model in Q8_0")
    parser.add_argument("--gguf4", help="the same model in Q4_1 or Q4_0")
    parser.add_argument("--python", required=True, help="a Python that has llama_cpp")
    parser.add_argument("--threads", type=int, default=2, help="of both; default: 2")
    parser.add_argument("--repeat", type=int, default=5, help="processes of each kind; default: 5")
    parser.add_argument("--only", help="prefill, decode or start; default: all")
    return parser.parse_args()


def last_line(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed: {(done.stderr.strip() or '?').splitlines()[-1]}")
    return done.stdout.strip().splitlines()[-1]


class Pair:
    """One row: what is timed, in how many bits."""

    def __init__(self, options, work, bits, file, workspace):
        self.options, self.work, self.bits, self.file, self.workspace = options, work, bits, file, workspace

    def tokens(self):
        return {"prefill": 512, "decode": 1, "start": 0}[self.work]

    def environment(self):
        return os.environ | {"OMP_NUM_THREADS": str(self.options.threads)}

    def ours(self):
        if self.work == "start":
            begin = time.perf_counter()
            process = subprocess.Popen([self.options.mformer, "--model", f"int{self.bits}", "generate",
                                        "--prompt", "The capital of France is", "--max-tokens", "1",
                                        "--temperature", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       env=self.environment(), cwd=self.workspace)
            process.stdout.read(1)
            seconds = time.perf_counter() - begin
            process.communicate()
            return seconds
        more = {"prefill": ("--batch", "1", "--tokens", "512", "--steps", "7", "--last-only"),
                "decode": ("--batch", "1", "--prompt", "64", "--tokens", "64")}[self.work]
        line = last_line([self.options.benchmark, self.work, "--from", self.options.folder, "--dtype",
                          f"int{self.bits}", *more], env=self.environment())
        return json.loads(line)["seconds"]

    def theirs(self):
        prompt = 512 if self.work == "prefill" else 64
        line = last_line([self.options.python, "-c", PEER, self.work, self.file, str(self.options.threads), str(prompt),
                          "64", "7" if self.work == "prefill" else "2"])
        return json.loads(line)["seconds"]

    def row(self):
        ours, theirs = [], []
        for _ in range(self.options.repeat):
            ours.append(self.ours())
            theirs.append(self.theirs())
        one, other = statistics.median(ours), statistics.median(theirs)
        if self.work == "start":
            return f"| first token, {self.bits} bits | {one * 1e3:.0f} ms | {other * 1e3:.0f} ms | {one / other:.2f} |"
        name = "prefill of 512" if self.work == "prefill" else "decoding, batch 1"
        rate, peer = self.tokens() / one, self.tokens() / other
        return f"| {name}, {self.bits} bits | {rate:.1f} tokens/s | {peer:.1f} tokens/s | {rate / peer:.2f} × |"


def make_workspace(options, folder):
    """Versions int8 and int4 of the model, stored so."""
    def run(*arguments):
        last_line([options.mformer, *arguments], cwd=folder)

    run("init", "--from", str(pathlib.Path(options.folder).resolve()), "--name", "model")
    for bits in (8, 4):
        name = f"int{bits}"
        export = str(pathlib.Path(folder) / name)
        run("--model", "model", "export", export, "--quantize", name, "--no-eval")
        run("import", export, "--name", name)


def main():
    options = parse()
    options.mformer = str(pathlib.Path(options.mformer).resolve())
    files = {8: options.gguf8, 4: options.gguf4}
    with tempfile.TemporaryDirectory() as folder:
        works = (options.only,) if options.only else ("prefill", "decode", "start")
        if "start" in works:
            make_workspace(options, folder)
        print("| work | mformer | llama.cpp | |\n|---|---|---|---|")
        for work in works:
            for bits, file in files.items():
                if file:
                    print(Pair(options, work, bits, file, folder).row(), flush=True)


if __name__ == "__main__":
    main()
