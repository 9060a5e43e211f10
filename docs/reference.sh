#!/bin/sh
# Writes the API reference: docs/reference.sh DOXYGEN OUTPUT_FOLDER. Any warning is a failure.
set -eu
doxygen=$1
output=$2
cd "$(dirname "$0")/.."
mkdir -p "$output"
{ cat docs/Doxyfile && echo "OUTPUT_DIRECTORY = \"$output\""; } | "$doxygen" -
