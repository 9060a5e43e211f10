#!/usr/bin/env python3
"""Fails where a hot loop keeps accumulators on the stack.

Disassembles an archive for x86-64 or AArch64, finds every innermost loop with at least FMA_LEAST
multiply-adds, and counts its vector stores to the stack. A compiler that runs out of registers, or that
does not unroll a loop over an array of accumulators, spills there at every turn, which halves the speed
and breaks no other test. The constants of polynomials do not all fit into AArch64's registers, so what
computes those is not held to this there.

usage: hot_loops.py OBJDUMP ARCHIVE
"""

import re
import subprocess
import sys

FMA_LEAST = 6
# Fewest hot loops that an archive with kernels has: fewer, and the search itself is broken.
LOOPS_LEAST = 20

MEMBER = re.compile(r"^(\S+):\s+file format (\S+)")
FUNCTION = re.compile(r"^([0-9a-f]+) <(.+)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
JUMP = re.compile(r"^(?:j\w+|b(?:\.\w+)?|cbn?z|tbn?z)$")
TARGET = re.compile(r"([0-9a-f]+) <")
FMA = re.compile(r"^(?:vfn?m(?:add|sub)\d+ps|tdpbf16ps)$")
FMA_ARM = re.compile(r"^fml[as]$")
STACK_STORE = re.compile(r"[xyz]mm\d+(?:\{%k\d\})?,\s*-?(?:0x[0-9a-f]+)?\(%r[sb]p")
STACK_STORE_ARM = re.compile(r"^\{?[qdv]\d+.*\[(?:sp|x29)\b")
SCALAR_MOVES = ("vmovd", "vmovq", "vmovss", "vmovsd")
ARM = "elf64-littleaarch64"
NOT_ON_ARM = ("activation_", "softmax_")


def is_fma(mnemonic, operands):
    return bool(FMA.match(mnemonic) or FMA_ARM.match(mnemonic) and ".4s" in operands)


def is_stack_store(mnemonic, operands):
    if mnemonic.startswith("st"):
        return STACK_STORE_ARM.search(operands) is not None
    moves_vector = mnemonic.startswith("vmov") and mnemonic not in SCALAR_MOVES
    return moves_vector and STACK_STORE.search(operands) is not None


def disassemble(objdump, archive):
    command = [objdump, "-d", "--no-show-raw-insn", archive]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def functions(listing):
    """Member of the archive, name, and instructions of each: (address, mnemonic, operands)."""
    member = name = None
    body = []
    for line in listing.splitlines():
        header = MEMBER.match(line)
        function = FUNCTION.match(line)
        if header or function:
            if body:
                yield member, name, body
            body = []
            if header:
                member = header.group(1)
            else:
                name = function.group(2)
            continue
        match = INSTRUCTION.match(line)
        if match:
            body.append((int(match.group(1), 16), match.group(2), match.group(3)))
    if body:
        yield member, name, body


def innermost_loops(body):
    """Address ranges of backward jumps that hold no other backward jump."""
    spans = set()
    for address, mnemonic, operands in body:
        target = TARGET.search(operands)
        if JUMP.match(mnemonic) and target:
            start = int(target.group(1), 16)
            if body[0][0] <= start <= address:
                spans.add((start, address))
    for span in sorted(spans):
        if not any(o != span and span[0] <= o[0] and o[1] <= span[1] for o in spans):
            yield span


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip().splitlines()[-1])
    objdump, archive = sys.argv[1:]
    listing = disassemble(objdump, archive)
    arm = any(m.group(2) == ARM for m in map(MEMBER.match, listing.splitlines()) if m)
    loops = 0
    spilled = []
    for member, name, body in functions(listing):
        if arm and member.startswith(NOT_ON_ARM):
            continue
        for start, end in innermost_loops(body):
            loop = [i for i in body if start <= i[0] <= end]
            if sum(1 for i in loop if is_fma(i[1], i[2])) < FMA_LEAST:
                continue
            loops += 1
            stores = sum(1 for i in loop if is_stack_store(i[1], i[2]))
            if stores:
                spilled.append(f"{name}: {stores} vector stores to the stack in {len(loop)} instructions")
    for line in spilled:
        print(line)
    print(f"{loops} hot loops, {len(spilled)} with vector stores to the stack")
    if loops < LOOPS_LEAST:
        sys.exit(f"expected at least {LOOPS_LEAST} hot loops; is this the library?")
    sys.exit(1 if spilled else 0)


if __name__ == "__main__":
    main()
