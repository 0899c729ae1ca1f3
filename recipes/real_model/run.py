"""The claims on a real model; run.sh gets program and model and calls this."""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "study")]

import command  # noqa: E402
import methods  # noqa: E402
import report  # noqa: E402
import texts  # noqa: E402
import tune  # noqa: E402
from program import Failed  # noqa: E402

PARTS = ("domains", "everything", "lora", "prune")


def parse():
    parser = argparse.ArgumentParser(description="The claims on a real model, and docs/results/smollm2.md.")
    parser.add_argument("--model", required=True, help="GGUF file or checkpoint folder of the model")
    parser.add_argument("--only", default=",".join(PARTS), help=f"comma-separated, of: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a minute on the repository's sample text: tests the harness")
    parser.add_argument("--tune", action="store_true", help="learning rates on validation text instead")
    parser.add_argument("--report", action="store_true", help="run nothing, write the tables from what is there")
    parser.add_argument("--results", type=Path, help="folder of texts, workspaces and results; default: build/real_model")
    parser.add_argument("--program", type=Path, default=texts.ROOT / "build/release/bin/mformer")
    options = parser.parse_args()
    options.only = options.only.split(",")
    unknown = [part for part in options.only if part not in PARTS]
    if unknown:
        parser.error(f"--only: unknown {', '.join(unknown)}; known: {', '.join(PARTS)}")
    options.settings = methods.QUICK if options.quick else methods.FULL
    options.results = (options.results or texts.ROOT / f"build/real_model{'-quick' if options.quick else ''}").resolve()
    options.docs = options.results / "docs" if options.quick else texts.ROOT / "docs/results"
    return options


def lora_python(folder):
    """A Python with torch, transformers and peft; the last two packages lie beside it, in the study's folder."""
    done = subprocess.run(["bash", HERE.parent / "interop/python.sh"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed("there is no Python for LoRA; without it: --only domains,everything,prune")
    python = done.stdout.splitlines()[-1]
    target = folder / "peft"
    if not target.exists():
        asked = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target",
                 str(target) + ".tmp", "-r", str(HERE / "lora.txt")]
        if subprocess.run(asked, check=False).returncode != 0:
            raise Failed("peft can't be installed: is the network up? Without it: --only domains,everything,prune")
        Path(str(target) + ".tmp").rename(target)
    return ["env", f"PYTHONPATH={target}", python]


def main():
    options = parse()
    settings, model = options.settings, str(Path(options.model).resolve())

    def work(study):
        (study.folder / "text").mkdir(parents=True, exist_ok=True)
        if settings.name == "quick":
            texts.copy_sample(study.folder / "text", settings.domains)
        else:
            texts.fetch(study.folder / "text", settings.domains)
        base = methods.make_base(study, settings, model)
        if options.tune:
            return tune.run(study, settings, base, options.only, lora_python)
        for part in options.only:
            if part == "lora":
                methods.learn_by_lora(study, settings, base, lora_python(study.folder))
            elif part == "prune":
                methods.prune(study, settings, model)
            else:
                methods.learn_in_turn(study, settings, base, part)

    command.run(options, work, (lambda *_: []) if options.tune else report.write)


main()
