#!/bin/sh
# Holds the picture in the tree to the program that renders it, pixel by pixel.
# Arguments: render_still_life, picture_tool, the picture.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
${MESON_EXE_WRAPPER:-} "$1" "$scratch/rendered.png"
${MESON_EXE_WRAPPER:-} "$2" text "$scratch/rendered.png" >"$scratch/rendered"
${MESON_EXE_WRAPPER:-} "$2" text "$3" >"$scratch/shipped"
cmp "$scratch/rendered" "$scratch/shipped"
