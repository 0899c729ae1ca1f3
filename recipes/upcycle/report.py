"""The tables of docs/results/upcycling.md, from what was measured."""

import json
import re
import statistics


def read(results):
    """name → the measurements of all seeds."""
    found = {}
    for file in sorted(results.glob("*.json")):
        found.setdefault(re.sub(r"-seed\d+$", "", file.stem), []).append(json.loads(file.read_text()))
    return found


def spread(values, form):
    mean = form.format(statistics.mean(values))
    return mean if len(values) < 2 else f"{mean} ± {form.format(statistics.stdev(values)).lstrip('+')}"


def rise(runs, stage):
    return spread([run[stage]["loss"] - run["dense"]["loss"] for run in runs], "{:+.4f}")


def speed(runs, stage):
    return spread([run[stage]["tokens_per_second"] for run in runs], "{:,.0f}")


def trained_on(training):
    """Tokens of all steps; the program counts those since it was last started."""
    first = training["first_step"]
    return training["tokens"] if first == 0 else training["tokens"] * training["steps"] // (training["steps"] - first)


def parameters(count):
    return f"{count / 1e6:.1f} M"


def copies_table(found):
    lines = ["| | parameters | of them one token meets | loss, nats a token | change | tokens a second, evaluation |",
             "| --- | --- | --- | --- | --- | --- |"]
    first = found["exact"] if "exact" in found else found["trained"]
    dense = first[0]
    lines.append(f"| dense | {parameters(dense['parameters']['before'])} | {parameters(dense['active_parameters']['before'])} "
                 f"| {dense['dense']['loss']:.4f} | | {speed(first, 'dense')} |")
    rows = (("exact", "after", "4 copies, 2 a token, at once"), ("trained", "exact", "2 copies, 1 a token, at once"),
            ("trained", "after", "the same after {tokens:,} tokens"))
    for name, stage, text in rows:
        if name not in found:
            continue
        runs = found[name]
        run = runs[0]
        tokens = trained_on(run["training"]) if run["training"] else 0
        change = [one[stage]["loss"] - one["dense"]["loss"] for one in runs]
        shown = f"{change[0]:+.1e}" if max(map(abs, change)) < 1e-4 else rise(runs, stage)
        lines.append(f"| {text.format(tokens=tokens)} | {parameters(run['parameters']['after'])} | "
                     f"{parameters(run['active_parameters']['after'])} | {spread([one[stage]['loss'] for one in runs], '{:.4f}')} | "
                     f"{shown} | {speed(runs, stage)} |")
    return lines


def curve_table(found):
    lines = ["| slices | taken | of the parameters one token meets | rise without training | after distillation | tokens a second, evaluation (dense: {}) |",
             "| --- | --- | --- | --- | --- | --- |"]
    points = {}
    for name, runs in found.items():
        if matched := re.fullmatch(r"(curve|distilled)-(\d+)-(\d+)", name):
            points.setdefault((int(matched[2]), int(matched[3])), {})[matched[1]] = runs
    dense = []
    for (slices, k), runs in sorted(points.items(), key=lambda point: (point[0][0], -point[0][1])):
        one = next(iter(runs.values()))[0]
        dense += [run["dense"]["tokens_per_second"] for some in runs.values() for run in some]
        share = one["active_parameters"]["after"] / one["active_parameters"]["before"]
        trained = runs.get("distilled")
        after = f"{rise(trained, 'after')} ({trained_on(trained[0]['training']):,} tokens)" if trained else ""
        lines.append(f"| {slices} | {k} | {share:.1%} | {rise(runs['curve'], 'after') if 'curve' in runs else ''} | {after} | "
                     f"{speed(next(iter(runs.values())), 'after')} |")
    lines[0] = lines[0].format(f"{statistics.median(dense):,.0f}") if dense else lines[0]
    return lines


def write(results, page):
    """Puts the tables between their markers of the page, if it is there; returns them."""
    found = read(results)
    tables = {}
    if "exact" in found or "trained" in found:
        tables["copies"] = copies_table(found)
    if any(name.startswith(("curve", "distilled")) for name in found):
        tables["slices"] = curve_table(found)
    if page.exists():
        text = page.read_text()
        for name, lines in tables.items():
            text = re.sub(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
                          lambda marks, lines=lines: marks[1] + "\n".join(lines) + "\n" + marks[2], text, flags=re.S)
        page.write_text(text)
    return "\n\n".join("\n".join(lines) for lines in tables.values())
