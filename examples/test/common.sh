# Sourced by the tests of filter_detect_condense: arguments are that program, picture_tool, and the
# picture of the tree. The programs may be built for another CPU, so they run by meson's wrapper.
set -u
program=$(realpath "$1") picture_tool=$(realpath "$2") still_life=$(realpath "$3")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

fdc_with_sheet() { ${MESON_EXE_WRAPPER:-} "$program" --repeat 1 "$@"; }
fdc() { fdc_with_sheet --no-sheet "$@"; } # a sheet takes far longer than all the rest
picture() { ${MESON_EXE_WRAPPER:-} "$picture_tool" "$@"; }

fail() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}

# succeeds WHAT COMMAND...: the command must succeed; its output goes to $scratch/output.
succeeds() {
  what=$1
  shift
  if ! "$@" >"$scratch/output" 2>&1; then
    fail "$what: $(cat "$scratch/output")"
  fi
}

# refused WHAT STATUS TEXT COMMAND...: the command must exit with that status, with no output and
# with the text in its complaint, and write no images.
refused() {
  what=$1 expected=$2 text=$3
  shift 3
  rm -rf "$scratch/none"
  "$@" --output "$scratch/none" >"$scratch/output" 2>"$scratch/complaint"
  status=$?
  [ "$status" -eq "$expected" ] || fail "$what: exit status $status, not $expected"
  grep -q -e "$text" "$scratch/complaint" || fail "$what: \"$(cat "$scratch/complaint")\" lacks \"$text\""
  [ ! -s "$scratch/output" ] || fail "$what: printed $(cat "$scratch/output")"
  [ ! -e "$scratch/none/1-filter.png" ] || fail "$what: images were written"
}

# has WHAT TEXT: the last output holds the text.
has() {
  grep -q -e "$2" "$scratch/output" || fail "$1: \"$2\" is not in the output: $(cat "$scratch/output")"
}

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

finish() {
  [ "$failures" -eq 0 ] || exit 1
  echo "all passed"
}
