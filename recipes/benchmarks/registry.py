"""What a registry of many versions costs, beside git: time, memory, bytes.

    cmake --preset release -DMFORMER_BENCHMARKS=ON
    cmake --build --preset release --target mformer --target mformer_many_versions
    python3 -B recipes/benchmarks/registry.py [--versions 10000] [--keep FOLDER] [--repeat 5]
    python3 -B recipes/benchmarks/registry.py --growth    # needs mformer-compute: what 20 extends and 20 prunes store

The versions are of a model of 24 layers with 16 attention and 32 feed-forward modules; each changes 4 of the 1,152 modules and
their routers. The weights are a few bytes each: what counts is what the registry keeps of them. git has the same as files, one
for each module and router, and a commit for each version. Times are wall clock of whole processes, medians; memory is the peak.
"""

import argparse
import json
import os
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS, ATT, MLP, CHANGED = 24, 16, 32, 4


def timed(line, folder):
    """Wall seconds and peak memory in bytes of one run, whose output nobody sees."""
    began = time.monotonic()
    process = subprocess.Popen(line, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"error: {' '.join(map(str, line))} ended with {os.waitstatus_to_exitcode(status)}: {errors}")
    return time.monotonic() - began, 1024 * usage.ru_maxrss


def measured(line, folder, repeat):
    timed(line, folder)  # reads the files into memory
    runs = [timed(line, folder) for _ in range(repeat)]
    return f"{1000 * statistics.median(run[0] for run in runs):,.0f} ms, {max(run[1] for run in runs) / 1e6:,.0f} MB"


def bytes_below(path):
    return sum(entry.stat().st_size for entry in pathlib.Path(path).rglob("*") if entry.is_file())


def make_repository(folder, commits):
    """The same history in git, by fast-import; its seconds."""
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    began = time.monotonic()
    importer = subprocess.Popen(["git", "fast-import", "--quiet"], cwd=folder, stdin=subprocess.PIPE)

    def write(name, text):
        importer.stdin.write(f"M 644 inline {name}\ndata {len(text)}\n{text}\n".encode())

    for commit in range(commits):
        importer.stdin.write(f"commit refs/heads/main\ncommitter a <a@a> {commit} +0000\ndata 8\nfinetune\n".encode())
        if commit == 0:
            for layer in range(LAYERS):
                for kind, modules in (("att", ATT), ("mlp", MLP)):
                    for name in ["router", *range(modules)]:
                        write(f"{layer}/{kind}/{name}", f"{layer} {kind} {name}")
            continue
        for i in range(CHANGED):
            layer, kind = (commit * CHANGED + i) % LAYERS, "att" if (commit + i) % 3 == 0 else "mlp"
            write(f"{layer}/{kind}/{commit % (ATT if kind == 'att' else MLP)}", f"{commit}.{i}")
            write(f"{layer}/{kind}/router", f"{commit}.{i}.router")
    importer.stdin.close()
    if importer.wait() != 0:
        sys.exit("error: git fast-import failed")
    subprocess.run(["git", "checkout", "-q", "main"], cwd=folder, check=True)
    return time.monotonic() - began


def git_commit_ms(folder, times=20):
    """What one commit that changes 8 files takes."""
    seconds = []
    for commit in range(times):
        for i in range(CHANGED):
            for name in ("0", "router"):
                (folder / str(i) / "mlp" / name).write_text(f"again {commit} {i}")
        began = time.monotonic()
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@a", "commit", "-qam", "finetune"], cwd=folder, check=True)
        seconds.append(time.monotonic() - began)
    return 1000 * statistics.median(seconds)


def growth(program, folder, times=20):
    """Bytes of 20 extends one after the other and of a prune of each, beside as many whole checkpoints."""
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    import mformer  # the corpus of the end-to-end tests

    quick = ["--steps", "1", "--batch", "1", "--context", "16", "--eval-tokens", "50"]

    def run(*words):
        timed([program, *words], folder)

    mformer.write_corpus(folder / "english", mformer.SAMPLE / "english", characters=300)
    mformer.write_corpus(folder / "german", mformer.SAMPLE / "german", characters=300)
    run("tokenizer", "train", "--data", "english", "--vocab-size", "400")
    run("init", "--preset", "tiny", "--tokenizer", "tokenizer.json")
    run("train", "--data", "english", *quick)
    run("task", "add", "german", "--data", "german")
    print("| | versions | whole checkpoints | stored | of that |\n|---|---|---|---|---|")

    def report(what):
        with sqlite3.connect(folder / ".mformer" / "registry.db") as registry:
            versions, = registry.execute("SELECT count(*) FROM versions").fetchone()
            whole, = registry.execute("SELECT sum(size_bytes) FROM (SELECT DISTINCT version_hash, object_hash FROM version_objects) "
                                      "JOIN objects ON hash = object_hash").fetchone()
            stored, = registry.execute("SELECT sum(size_bytes) FROM objects").fetchone()
        print(f"| {what} | {versions} | {whole / 1e6:.1f} MB | {stored / 1e6:.1f} MB | {100 * stored / whole:.0f} % |", flush=True)

    report("init, train")
    for _ in range(times):
        run("extend", "--task", "german", "--single-mask", "--experts", "1", "--heads", "1", *quick)
    report(f"and {times} extends")
    for step in range(times):
        run("--model", f"base@{step + 3}", "prune", "--task", "german", "--keep", "0.5", "--stat-tokens", "100", "--eval-tokens", "50", "--into", f"pruned-{step}")
    report(f"and {times} prunes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", help="the folder of the build")
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--growth", action="store_true", help="only what 20 extends and 20 prunes store")
    parser.add_argument("--keep", type=pathlib.Path, help="make it there, or use what is there already")
    options = parser.parse_args()
    program = (options.build / "bin" / "mformer").resolve()
    with tempfile.TemporaryDirectory(prefix="mformer-registry-") as temporary:
        folder = options.keep or pathlib.Path(temporary)
        if options.growth:
            return growth(program, folder)
        work, repository = folder / "work", folder / "git"
        print(f"{options.versions:,} versions of {LAYERS} layers x {ATT + MLP} modules, {CHANGED} changed in each\n")
        if not work.exists():
            maker, = options.build.resolve().rglob("mformer_many_versions")
            made = json.loads(subprocess.run([maker, work, str(options.versions)], check=True, capture_output=True, text=True).stdout)
            print(f"a commit, with its objects: {made['first_ms']:.1f} ms in the first tenth, {made['last_ms']:.1f} ms in the last")
        if not repository.exists():
            repository.mkdir(parents=True)
            print(f"git fast-import: {make_repository(repository, options.versions):.0f} s; git commit: {git_commit_ms(repository):.1f} ms")
        timed([program, "gc"], work)  # empties the log of the database
        database = (work / ".mformer" / "registry.db").stat().st_size
        print(f"registry.db: {database / 1e6:,.1f} MB, {database / options.versions / 1e3:,.1f} KB a version")
        print(f".git: {bytes_below(repository / '.git') / 1e6:,.1f} MB, {bytes_below(repository / '.git') / options.versions / 1e3:,.1f} KB a commit\n")
        middle, last = options.versions // 2, options.versions
        back = f"main~{last - middle}"
        rows = [
            ("log -n 20", [program, "log", "-n", "20"], ["git", "log", "-n", "20"]),
            ("log", [program, "log"], ["git", "log"]),
            ("models", [program, "models"], ["git", "branch", "-v"]),
            ("use", [program, "use", "base"], None),
            ("tag", [program, "tag"], ["git", "tag"]),
            ("inspect lineage", [program, "inspect", "lineage"], ["git", "log", "--oneline"]),
            ("diff, half of the history", [program, "diff", f"base@{middle}", f"base@{last}"], ["git", "diff", "--stat", back, "main"]),
            ("diff of neighbours", [program, "diff", f"base@{last - 1}", f"base@{last}"], ["git", "diff", "--stat", "main~1", "main"]),
            ("gc --dry-run", [program, "gc", "--dry-run"], ["git", "gc", "-q"]),
        ]
        print("| command | mformer | git |\n|---|---|---|")
        for name, ours, theirs in rows:
            print(f"| {name} | {measured(ours, work, options.repeat)} | {measured(theirs, repository, options.repeat) if theirs else '–'} |", flush=True)
        print(f"| fsck | {measured([program, 'fsck'], work, 1)} | {measured(['git', 'fsck', '--no-progress'], repository, 1)} |")


if __name__ == "__main__":
    main()
