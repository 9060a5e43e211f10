#!/usr/bin/env python3
"""Holds the pages of the project to the tree.

    check_pages.py ROOT [VARIANT_LISTER]

- A block of C carries the line "<!-- from PATH -->" before it and stands in that file, line for
  line (but for indentation); the build compiles the file.
- A link within the tree leads to a file, and to a heading where it names one.
- `kernels/...` and the like in a page exist; `evr_...` and `EVR_...` exist in the sources.
- README.md and docs/variants.md name every method of the registry: VARIANT_LISTER is a program that
  prints "operation variant" lines.
"""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
pages = sorted([*root.glob("*.md"), *root.glob("docs/*.md")])
faults = []

FOLDERS = ("include", "kernels", "bench", "tests", "docs", "examples", "tools", "packaging", "cross",
           ".ci")


def lines_of(text):
    return [line.strip() for line in text.strip("\n").split("\n")]


def occurs(block, text):
    block, text = lines_of(block), lines_of(text)
    return any(text[i:i + len(block)] == block for i in range(len(text) - len(block) + 1))


def anchor(heading):
    heading = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return heading.strip().replace(" ", "-")


def check_code(page, text):
    for match in re.finditer(r"^( *)```c\n(.*?)^ *```", text, re.M | re.S):
        line = text.count("\n", 0, match.start()) + 1
        named = re.search(r"<!-- from (\S+) -->\n\s*$", text[:match.start()])
        if named is None:
            faults.append(f"{page}:{line}: a block of C without <!-- from PATH -->")
            continue
        source = root / named.group(1)
        if not source.is_file() or not occurs(match.group(2), source.read_text()):
            faults.append(f"{page}:{line}: this block is not in {named.group(1)}")


def check_links(page, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (root / page).parent / path if path else root / page
        if not file.exists():
            faults.append(f"{page}: link to {target}, which is not there")
        elif fragment and fragment not in map(
                anchor, re.findall(r"^#+ (.*)$", file.read_text(), re.M)):
            faults.append(f"{page}: link to {target}: no such heading")


def check_names(page, text, sources):
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    for name in set(re.findall(r"`([^`\n]+)`", text)):
        folder = name.split("/")[0]
        if "/" in name and folder in FOLDERS and re.fullmatch(r"[\w./-]+", name) and \
                not (root / name).exists():
            faults.append(f"{page}: `{name}` is not there")
        for word in re.findall(r"\b(?:evr|EVR)_\w+\b(?!\*|\.\.\.)", name):
            if not word.endswith("_") and word not in sources:
                faults.append(f"{page}: `{word}` is in no source")


def check_variants(lister):
    listed = subprocess.run([lister], check=True, capture_output=True, text=True).stdout.split("\n")
    methods = {re.sub(r"-(scalar|neon|avx2|avx512)$", "", line.split()[1])
               for line in listed if line}
    if not methods:
        faults.append("the registry is empty")
    for page in ("README.md", "docs/variants.md"):
        text = (root / page).read_text()
        faults.extend(f"{page}: no word of `{method}`" for method in sorted(methods)
                      if f"`{method}`" not in text)


sources = set()
for folder in ("include", "kernels", "tests", "examples", "docs", "meson.build"):
    files = [root / folder] if (root / folder).is_file() else (root / folder).rglob("*")
    for file in files:
        if file.is_file() and (file.suffix in (".c", ".h", ".cpp") or file.name == "meson.build"):
            sources.update(re.findall(r"\b(?:evr|EVR)_\w+", file.read_text()))
# An emulator's wrapper may stand before the lister's path: take the last argument only if given.
for path in pages:
    page = path.relative_to(root).as_posix()
    text = path.read_text()
    check_code(page, text)
    check_links(page, text)
    check_names(page, text, sources)
if len(sys.argv) > 2:
    check_variants(sys.argv[2])
for fault in faults:
    print(fault, file=sys.stderr)
sys.exit(1 if faults else 0)
