#!/bin/bash
# Brings every C and C++ source into the layout of .clang-format; with --check only says which are
# not. Takes clang-format 14: other versions break some lines elsewhere.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
folders=(include kernels tests bench examples docs)
action=(-i)
[ "${1-}" = --check ] && action=(--dry-run --Werror)
find "${folders[@]}" -name '*.[ch]' -o -name '*.cpp' | xargs -d '\n' clang-format-14 "${action[@]}"
