#!/bin/bash
# Brings every C and C++ source into the layout of .clang-format; with --check only says which are
# not. Takes clang-format 14: other versions break some lines elsewhere.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
folders=(include kernels tests bench examples docs)
action=(-i)
[ "${1-}" = --check ] && action=(--dry-run --Werror)
mapfile -t sources < <(find "${folders[@]}" -name '*.[ch]' -o -name '*.cpp')
status=0
clang-format-14 "${action[@]}" "${sources[@]}" || status=1
# It leaves comments as they are.
if grep -nE '^.{100}[^\\]' "${sources[@]}"; then
  echo "format.sh: the lines above are longer than 100 columns" >&2
  status=1
fi
exit "$status"
