#!/usr/bin/env python3
"""Writes docs/neon.md: what the inner loops of the NEON kernels cost, from their object code.

    meson setup build-aarch64 --cross-file cross/aarch64-linux-gnu.ini -Dtests=disabled -Dbench=disabled -Dexamples=disabled
    ninja -C build-aarch64
    tools/neon_loops.py build-aarch64/kernels/libevrisim.a

Of each source, the loops with the most multiply-adds: their instructions by kind, and how many cycles
llvm-mca takes them to need. Needs aarch64-linux-gnu-objdump and llvm-mca-14.
"""
import argparse
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import hot_loops  # noqa: E402

PAGE = ROOT / "docs" / "neon.md"
OBJDUMP = "aarch64-linux-gnu-objdump"
MCA = "llvm-mca-14"

# Source, what it computes, how many of its loops are shown.
SOURCES = [
    ("conv_direct.tmpl.c", "direct, NHWC", 2),
    ("gemm_gemm.tmpl.c", "direct, NCHW; im2col; Winograd's products; dense", 2),
    ("conv_depthwise_nhwc.tmpl.c", "depthwise, NHWC, and NCHW with small planes", 2),
    ("conv_depthwise_nchw.tmpl.c", "depthwise, NCHW", 2),
    ("conv_depthwise_stride2.tmpl.c", "backward data, depthwise with stride 2", 1),
    ("conv_few_outputs.tmpl.c", "few outputs", 2),
    ("conv_winograd.tmpl.c", "Winograd's transforms", 2),
    ("conv_backward_weights.tmpl.c", "backward weights, direct", 2),
    ("conv_backward_weights_depthwise.tmpl.c", "backward weights, depthwise", 4),
    ("dense_direct.tmpl.c", "dense, one image", 1),
    ("pool_pool.tmpl.c", "pooling", 2),
]
# There additions and comparisons count as well.
ALL_ARITHMETIC = ("conv_winograd.tmpl.c", "pool_pool.tmpl.c")
# What llvm-mca is told, and what stands in the page about it.
MODELS = [
    ("neoverse-n1", "LLVM 14 has the model of Cortex-A57 for it; a true one starts 2"),
    ("apple-m1", "LLVM 14 has the model of Cyclone for it; a true one starts 4"),
    ("exynos-m5", "a model of its own; six instructions a cycle"),
]
ITERATIONS = 100

VECTOR_LOAD = re.compile(r"^ld(?:[rpu]|1)")
ARITHMETIC = re.compile(r"^f(?:mla|mls|add|sub|mul|max|min|cmgt|cmge)$")


def kinds(loop):
    """Instructions by kind."""
    count = collections.Counter()
    for _, mnemonic, operands in loop:
        if hot_loops.is_fma(mnemonic, operands):
            count["fma"] += 1
        elif ARITHMETIC.match(mnemonic) and ".4s" in operands:
            count["arithmetic"] += 1
        elif VECTOR_LOAD.match(mnemonic) and re.match(r"\{?[qdsv]\d", operands):
            count["load"] += 1
        elif re.match(r"st", mnemonic) and re.match(r"\{?[qdsv]\d", operands):
            count["store"] += 1
        else:
            count["other"] += 1
        if hot_loops.is_stack_store(mnemonic, operands):
            count["spill"] += 1
    return count


def assembly(loop):
    """The loop as llvm-mca reads it: jumps go to one label, addresses are left out."""
    lines = ["loop:"]
    for _, mnemonic, operands in loop:
        operands = re.sub(r"\s*//.*", "", operands)
        operands = re.sub(r"[0-9a-f]+ <[^>]*>", "loop", operands)
        lines.append(f"  {mnemonic} {operands}")
    return "\n".join(lines) + "\n"


def run_mca(text, cpu):
    """Cycles of one turn, in the long run."""
    report = subprocess.run([MCA, "-mtriple=aarch64-linux-gnu", f"-mcpu={cpu}",
                             f"-iterations={ITERATIONS}"], input=text, text=True, check=True,
                            capture_output=True).stdout
    return int(re.search(r"^Total Cycles:\s+(\d+)", report, re.M).group(1)) / ITERATIONS


def per_cycle(cpu):
    """Independent multiply-adds of four lanes that a model starts in a cycle, at most: some take
    those by a vector's element for quicker."""
    sums = 24
    texts = ("".join(f"fmla v{i}.4s, v30.4s, v31.{lanes}\n" for i in range(sums))
             for lanes in ("4s", "s[0]"))
    return round(max(sums / run_mca(text, cpu) for text in texts))


def loops_of(archive):
    """For each source its innermost loops: (function, instructions)."""
    found = collections.defaultdict(list)
    for member, name, body in hot_loops.functions(hot_loops.disassemble(OBJDUMP, archive)):
        for start, end in hot_loops.innermost_loops(body):
            loop = [i for i in body if start <= i[0] <= end]
            found[member.removesuffix(".o")].append((name, loop))
    return found


def rows(found, starts):
    for source, what, most in SOURCES:
        def work(entry):
            count = kinds(entry[1])
            return count["fma"] + (count["arithmetic"] if source in ALL_ARITHMETIC else 0)
        best, seen = [], set()
        for name, loop in sorted(found[source], key=work, reverse=True):
            if name not in seen and len(best) < most:
                seen.add(name)
                best.append((name, loop))
        for name, loop in best:
            count = kinds(loop)
            done = work((name, loop))
            cells = [f"`{name}`", what, str(len(loop)), str(count["fma"]), str(count["arithmetic"]),
                     str(count["load"]), str(count["store"]), str(count["other"]),
                     str(count["spill"]), f"{len(loop) / done:.2f}"]
            for cpu, _ in MODELS:
                need = run_mca(assembly(loop), cpu)
                cells.append(f"{need:.1f}, {done / starts[cpu] / need:.2f}")
            yield "| " + " | ".join(cells) + " |"
            what = ""


def page(archive):
    found = loops_of(archive)
    starts = {cpu: per_cycle(cpu) for cpu, _ in MODELS}
    hot = [loop for source, entries in found.items() for _, loop in entries
           if kinds(loop)["fma"] >= hot_loops.FMA_LEAST]
    spilled = sum(1 for loop in hot if kinds(loop)["spill"])
    headings = ["function", "serves", "instructions", "multiply-adds", "other arithmetic", "loads",
                "stores", "others", "stores to the stack", "instructions for each"]
    headings += [cpu for cpu, _ in MODELS]
    table = ["| " + " | ".join(headings) + " |", "|---|---" + "|--:" * (len(headings) - 2) + "|"]
    table += rows(found, starts)
    models = "\n".join(f"- `-mcpu={cpu}`, {starts[cpu]} a cycle: {what}." for cpu, what in MODELS)
    compiler = subprocess.run(["aarch64-linux-gnu-gcc", "--version"], check=True, text=True,
                              capture_output=True).stdout.splitlines()[0]
    return f"""# NEON's inner loops

Written by `tools/neon_loops.py build-aarch64/kernels/libevrisim.a`, whose head says how that is built.
Do not edit: run it again. Compiler: {compiler}.

There is no AArch64 machine to time these kernels on, so this says what can be said without one: what
their inner loops consist of, and what `llvm-mca-14` takes them to need. Their results are tested under
qemu like all others.

One row is one turn of an innermost loop, of each source the ones with the most multiply-adds
(`fmla` of four lanes). "Instructions for each" are those of the loop divided by its multiply-adds; of
transforms and pooling, by all their arithmetic. The last columns are cycles of a turn, and how that
compares with the multiply-adds by themselves: at 1.00 nothing else costs anything. The models, and the
multiply-adds that they start in a cycle:

{models}

{chr(10).join(table)}

Of all {len(hot)} innermost loops with at least {hot_loops.FMA_LEAST} multiply-adds, {spilled} store vectors to the
stack: some of the activations and of softmax, whose polynomials want more constants than there are
registers. Of the convolutions, matrix products and dense layers none does, and `tests/hot_loops.py`
keeps it so. Two things brought that about. Short vectors are loaded and stored by lanes, as a call of
`memcpy` for them had every vector of the loop around it saved: that was so in most depthwise loops. And
gcc does not schedule instructions before it allocates registers (`-fno-schedule-insns`), as it would load
so far ahead that full tiles of the matrix product no longer fit.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=pathlib.Path)
    PAGE.write_text(page(parser.parse_args().archive))
    print(f"written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
