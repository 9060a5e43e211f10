# Sourced by the tests of filter_detect_condense: arguments are that program, picture_tool, and the
# picture of the tree.
. "$(dirname "$0")/common.sh"
program=$(realpath "$1") picture_tool=$(realpath "$2") still_life=$(realpath "$3")

fdc_with_sheet() { ${MESON_EXE_WRAPPER:-} "$program" --repeat 1 "$@"; }
fdc() { fdc_with_sheet --no-sheet "$@"; } # a sheet takes far longer than all the rest
picture() { ${MESON_EXE_WRAPPER:-} "$picture_tool" "$@"; }

# shows WHAT FILE TEXT: the picture, as text on one line, is this.
shows() {
  seen=$(picture text "$2" | tr '\n' ' ')
  [ "$seen" = "$3 " ] || fail "$1: $seen instead of $3"
}

# same WHAT FILE FILE: two pictures have the same pixels.
same() {
  picture text "$2" >"$scratch/first" && picture text "$3" >"$scratch/second" &&
    cmp -s "$scratch/first" "$scratch/second" || fail "$1: $2 and $3 differ"
}
