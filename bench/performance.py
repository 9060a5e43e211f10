#!/usr/bin/env python3
"""Runs every suite against the peers and writes docs/performance.md from the reports.

    bench/performance.py [--program build/bench/evrisim-bench] [--reports build/performance] [--only NAME]

A report that is there already is kept, so that a run that was cut off can go on: remove the folder
of reports to measure anew. About an hour on two idle cores; leave the machine alone meanwhile,
or, as root, put "chrt -f 50" in front, so that other programs have to wait.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"

CONVOLUTIONS = ["resnet50", "vgg16", "mobilenet_v1", "alexnet", "lessons"]
OTHERS = ["pooling", "activations", "softmax", "dense", "dense_batch", "padding"]
TRAINED = ["resnet50", "vgg16", "mobilenet_v1"]
DATA, WEIGHTS = ["--direction", "backward-data"], ["--direction", "backward-weights"]
COMMON = ["--compare", "peers", "--lowest", "--rounds", "7", "--round-ms", "6"]

# name, what the table calls it, options, suites
RUNS = [
    ("nhwc", "NHWC, 1 thread", [], CONVOLUTIONS + ["fused"] + OTHERS),
    ("nchw", "NCHW, 1 thread", ["--layout", "nchw"], CONVOLUTIONS +
     ["fused", "pooling", "softmax", "dense", "dense_batch", "padding"]),
    ("nhwc-2", "NHWC, 2 threads", ["--threads", "2"], CONVOLUTIONS),
    ("fast-nhwc", "NHWC, 1 thread, fast math", ["--math", "fast"], ["resnet50", "vgg16"]),
    ("fast-nchw", "NCHW, 1 thread, fast math", ["--math", "fast", "--layout", "nchw"],
     ["resnet50", "vgg16"]),
    ("avx2-nhwc", "NHWC, 1 thread, all limited to AVX2", ["--max-isa", "avx2"], CONVOLUTIONS),
    ("data-nhwc", "backward data, NHWC, 1 thread", DATA, TRAINED +
     ["pooling", "activations", "softmax", "dense", "dense_batch"]),
    ("data-nhwc-2", "backward data, NHWC, 2 threads", [*DATA, "--threads", "2"], TRAINED),
    ("data-avx2-nhwc", "backward data, NHWC, 1 thread, all limited to AVX2",
     [*DATA, "--max-isa", "avx2"], TRAINED),
    ("data-avx2-nhwc-2", "backward data, NHWC, 2 threads, all limited to AVX2",
     [*DATA, "--max-isa", "avx2", "--threads", "2"], TRAINED),
    ("data-nchw", "backward data, NCHW, 1 thread", [*DATA, "--layout", "nchw"],
     TRAINED + ["pooling"]),
    ("weights-nhwc", "backward weights, NHWC, 1 thread", WEIGHTS,
     TRAINED + ["dense", "dense_batch"]),
    ("weights-nhwc-2", "backward weights, NHWC, 2 threads", [*WEIGHTS, "--threads", "2"], TRAINED),
    ("weights-avx2-nhwc", "backward weights, NHWC, 1 thread, all limited to AVX2",
     [*WEIGHTS, "--max-isa", "avx2"], TRAINED),
    ("weights-avx2-nhwc-2", "backward weights, NHWC, 2 threads, all limited to AVX2",
     [*WEIGHTS, "--max-isa", "avx2", "--threads", "2"], TRAINED),
    ("weights-nchw", "backward weights, NCHW, 1 thread", [*WEIGHTS, "--layout", "nchw"], TRAINED),
    ("weights-nchw-2", "backward weights, NCHW, 2 threads",
     [*WEIGHTS, "--layout", "nchw", "--threads", "2"], TRAINED),
]
IN_DETAIL = ["nhwc", "nchw", "data-nhwc", "weights-nhwc", "data-nchw", "weights-nchw"]


def run(program, folder, name, options, suite):
    path = folder / f"{name}-{suite}.json"
    if not path.exists():
        print(f"{name} {suite}", flush=True)
        draft = path.with_suffix(".draft")
        command = [program, "--suite", suite, *COMMON, *options, "--json", draft]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        draft.rename(path)
    return json.loads(path.read_text())


def ours(layer):
    return next(c for c in layer["contenders"] if c["role"] == "ours")


def ratio(layer, name):
    """How many times faster ours is than that contender; None where it did not run."""
    for c in layer["contenders"]:
        if c["name"] == name and "ours_is_faster_by" in c:
            return c["ours_is_faster_by"]
    return None


def best_peer(layer):
    ratios = [c["ours_is_faster_by"] for c in layer["contenders"]
              if c["role"] == "peer" and "ours_is_faster_by" in c]
    return min(ratios) if ratios else None


def times(value):
    return "" if value is None else f"{value:.2f}"


def table(header, rows):
    """Columns that are empty everywhere are left out; numbers stand at the right."""
    kept = [i for i in range(len(header)) if any(row[i] for row in rows)]
    number = [all(re.fullmatch(r"[\d.]+( %)?", row[i] or "0") for row in rows)
              for i in range(len(header))]
    lines = [[header[i] for i in kept], ["--:" if number[i] else "---" for i in kept]]
    lines += [[row[i] for i in kept] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


PEERS = ["oneDNN", "XNNPACK", "OpenBLAS"]
# Not peers, but of interest beside them, and what the tables call them.
YARDSTICKS = {"oneDNN-reorder": "oneDNN reordering", "plain": "own packing", "im2col-gemm": "own im2col"}


def summary(reports):
    rows = []
    for (_, title, _, _), suites in reports:
        for name, report in suites.items():
            suite = report["suites"][0]
            means = {m["name"]: m["ours_is_faster_by"] for m in suite["summary"]["ours_against"]}
            peak = suite["summary"]["overall"][0].get("geometric_mean_fraction_of_fma_peak")
            worst = min((l for l in suite["layers"] if best_peer(l)), key=best_peer, default=None)
            rows.append([name, title, "" if peak is None else f"{100 * peak:.0f} %"] +
                        [times(means.get(p)) for p in PEERS + [*YARDSTICKS, "best peer"]] +
                        ["" if worst is None else f"{worst['name']} {best_peer(worst):.2f}"])
    return table(["suite", "run", "of FMA peak", *PEERS, *YARDSTICKS.values(), "best peer",
                  "worst layer"], rows)


def layers(suite):
    rows = []
    for layer in suite["layers"]:
        c = ours(layer)
        peak = c.get("fraction_of_fma_peak")
        rows.append([layer["name"], layer["shape"], c["implementation"],
                     f"{c['reported_ns'] / 1000:.1f}",
                     "" if peak is None else f"{100 * peak:.0f} %",
                     *[times(ratio(layer, p)) for p in PEERS + [*YARDSTICKS]],
                     f"{c['workspace_bytes'] / 1024:.0f}"])
    return table(["layer", "shape", "variant", "µs", "of peak", *PEERS, *YARDSTICKS.values(),
                  "workspace KiB"], rows)


def scaling(one, two):
    rows = []
    for name, report in one.items():
        if name not in two:
            continue
        for a, b in zip(report["suites"][0]["layers"], two[name]["suites"][0]["layers"]):
            if a.get("flop", 0) >= 20e6:
                t1, t2 = ours(a)["reported_ns"], ours(b)["reported_ns"]
                rows.append([f"{name} {a['name']}", f"{a['flop'] / 1e6:.0f}", f"{t1 / 1000:.0f}",
                             f"{t2 / 1000:.0f}", f"{t1 / t2:.2f}"])
    return table(["layer", "MFLOP", "1 thread, µs", "2 threads, µs", "ratio"], rows)


def page(reports):
    by_name = {run_[0]: suites for run_, suites in reports}
    any_report = next(iter(reports[0][1].values()))
    machine, library = any_report["machine"], any_report["library"]
    # A run may be bound to some of the machine's CPUs.
    cpus = max(r["machine"]["logical_cpus"] for _, suites in reports for r in suites.values())
    peers = ", ".join(f"{p['name']} {p['version']}" for p in any_report["peers"])
    peaks = ", ".join(f"{p['isa']} {p['gflops']:.0f}" for p in machine["fma_peak"]
                      if p["threads"] == 1 and p["isa"] != "scalar")
    # The reports do not say, so a page is to be written as they were measured.
    priority = (", at real-time priority" if os.sched_getscheduler(0) == os.SCHED_FIFO else "")
    parts = [f"""# Performance

Written by `bench/performance.py`, which runs `evrisim-bench {" ".join(COMMON)}` for each
suite with the options below; [benchmarking](benchmarking.md) says how it times, and how the peers are
used. Do not edit: run it again.

{machine["cpu"]} ({machine["vendor"]}), {cpus} CPUs of a virtual machine, {library["compiler"]};
FMA peak of one thread in GFLOP/s: {peaks}. Peers: {peers}. {any_report["date"][:10]}.

Every ratio is the other's time divided by ours: above 1 evrisim is faster. Times are the quickest of
seven interleaved rounds{priority}. Layers whose zero padding is left out can exceed the peak. Backward,
oneDNN has weights and their gradient in an order of its own, and only "oneDNN reordering" pays for it;
ours has packed weights for backward data ("own packing" packs on each call), and writes a plain gradient.

## Geometric means

{summary(reports)}

Options of the runs:
"""]
    parts += [f"- {title}: `{' '.join(options) or '(none)'}`" for (_, title, options, _), _ in reports]
    for name, direction in [("nhwc", ""), ("data-nhwc", ", backward data"),
                            ("weights-nhwc", ", backward weights")]:
        parts.append(f"\n## Two threads against one{direction}\n\nLayers of 20 MFLOP and more; the two "
                     "times come from two runs.\n\n" + scaling(by_name[name], by_name[name + "-2"]))
    for (name, title, _, _), suites in reports:
        if name in IN_DETAIL:
            for suite_name, report in suites.items():
                parts.append(f"\n## {suite_name}, {title}\n\n" + layers(report["suites"][0]))
    return "\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=ROOT / "build" / "bench" / "evrisim-bench",
                        type=pathlib.Path)
    parser.add_argument("--reports", default=ROOT / "build" / "performance", type=pathlib.Path)
    parser.add_argument("--only", action="append", help="only this run (" +
                        ", ".join(r[0] for r in RUNS) + ") and no page")
    arguments = parser.parse_args()
    arguments.reports.mkdir(parents=True, exist_ok=True)
    reports = [(row, {suite: run(arguments.program, arguments.reports, row[0], row[2], suite)
                      for suite in row[3]})
               for row in RUNS if not arguments.only or row[0] in arguments.only]
    if not arguments.only:
        PAGE.write_text(page(reports))
        print(f"written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
