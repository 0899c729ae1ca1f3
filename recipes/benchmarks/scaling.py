#!/usr/bin/env python3
"""How time and memory of a training step, and the speed of decoding, grow with what they depend on.

    recipes/benchmarks/run.sh --quick              # builds the program
    python3 recipes/benchmarks/scaling.py          # a few minutes; nothing else should run meanwhile

Writes build/benchmarks/results/scaling.md and scaling.svg. Each point is a process of its own, whose median step it is.
"""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAM = ROOT / "build/benchmarks/bin/mformer_model_benchmark"
RESULTS = ROOT / "build/benchmarks/results"


def measure(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def training(x, *arguments):
    result = measure("train", "--steps", 3, "--warm-up", 1, *arguments)
    return {"x": x, "ms": 1000 * result["seconds"], "GB": result["peak_memory"] / 1e9}


def decoding(batch):
    result = measure("decode", "--layers", 6, "--batch", batch, "--tokens", 24)
    return {"x": batch, "ms": 1000 * result["seconds"], "GB": result["peak_memory"] / 1e9}


def series():
    """(title, name of x, points), measured one after the other."""
    for dtype in ((), ("--bfloat16",)):
        yield (f"Training step of 8,192 tokens by context, {'bfloat16' if dtype else 'float32'}", "context",
               [training(context, "--tokens-per-step", 8192, "--context", context, *dtype)
                for context in (512, 2048, 8192)])
    yield ("Training step of 2,048 tokens by modules of each kind, float32", "modules",
           [training(modules, "--modules", f"{modules},{modules}") for modules in (16, 64, 256)])
    yield ("Training step of 2,048 tokens by chosen modules k, float32", "k",
           [training(k, "--k", k) for k in (1, 2, 4, 8)])
    yield ("Decoding step by batch, MoLM-350M-4B, 6 of 24 layers, bfloat16", "batch",
           [decoding(batch) for batch in (1, 4, 16)])


def table(title, name, points):
    lines = [f"**{title}**", "", f"| {name} | ms a step | peak memory, GB |", "|---|---|---|"]
    lines += [f"| {point['x']:,} | {point['ms']:,.1f} | {point['GB']:.2f} |" for point in points]
    return "\n".join(lines)


WIDTH, HEIGHT, LEFT, TOP = 300, 150, 60, 40


def curve(points, key, colour):
    """One value over x, both relative to the first point and to each other's range; x in equal steps."""
    most = max(point[key] for point in points)
    step = WIDTH / (len(points) - 1)
    at = [(LEFT + i * step, TOP + HEIGHT * (1 - point[key] / most)) for i, point in enumerate(points)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def panel(index, title, name, points):
    column, row = index % 2, index // 2
    most = {key: max(point[key] for point in points) for key in ("ms", "GB")}
    step = WIDTH / (len(points) - 1)
    ticks = "".join(f'<text x="{LEFT + i * step:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{point["x"]}</text>'
                    for i, point in enumerate(points))
    return f"""<g transform="translate({column * 420},{row * 240})">
<text x="{LEFT - 40}" y="20" font-weight="bold">{title}</text>
<line x1="{LEFT}" y1="{TOP + HEIGHT}" x2="{LEFT + WIDTH}" y2="{TOP + HEIGHT}" stroke="#888"/>
<line x1="{LEFT}" y1="{TOP}" x2="{LEFT}" y2="{TOP + HEIGHT}" stroke="#888"/>
<text x="{LEFT - 6}" y="{TOP + 4}" text-anchor="end" fill="#0b5fa5">{most['ms']:,.0f} ms</text>
<text x="{LEFT + WIDTH + 6}" y="{TOP + 4}" fill="#b3541e">{most['GB']:.1f} GB</text>
<text x="{LEFT - 6}" y="{TOP + HEIGHT + 4}" text-anchor="end">0</text>
{ticks}<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 32}" text-anchor="middle">{name}</text>
{curve(points, "ms", "#0b5fa5")}{curve(points, "GB", "#b3541e")}
</g>"""


def plot(all_series):
    panels = "\n".join(panel(i, *one) for i, one in enumerate(all_series))
    rows = (len(all_series) + 1) // 2
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{rows * 240}" font-family="sans-serif" '
            f'font-size="11"><rect width="100%" height="100%" fill="white"/>\n{panels}\n</svg>\n')


def main():
    if not PROGRAM.exists():
        sys.exit(f"error: {PROGRAM} is not there\nhint: recipes/benchmarks/run.sh --quick builds it")
    RESULTS.mkdir(parents=True, exist_ok=True)
    measured = []
    for one in series():
        measured.append(one)
        print(table(*one), "\n", flush=True)
    (RESULTS / "scaling.md").write_text("\n\n".join(table(*one) for one in measured) + "\n")
    (RESULTS / "scaling.svg").write_text(plot(measured))


if __name__ == "__main__":
    main()
