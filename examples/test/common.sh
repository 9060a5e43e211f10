# Sourced by the tests of the examples. The programs may be built for another CPU, so they run by
# meson's wrapper.
set -u
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

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
# with the text in its complaint, and write no files.
refused() {
  what=$1 expected=$2 text=$3
  shift 3
  rm -rf "$scratch/none"
  "$@" --output "$scratch/none" >"$scratch/output" 2>"$scratch/complaint"
  status=$?
  [ "$status" -eq "$expected" ] || fail "$what: exit status $status, not $expected"
  grep -q -e "$text" "$scratch/complaint" || fail "$what: \"$(cat "$scratch/complaint")\" lacks \"$text\""
  [ ! -s "$scratch/output" ] || fail "$what: printed $(cat "$scratch/output")"
  [ -z "$(ls -A "$scratch/none" 2>/dev/null)" ] || fail "$what: files were written"
}

# has WHAT TEXT: the last output holds the text.
has() {
  grep -q -e "$2" "$scratch/output" || fail "$1: \"$2\" is not in the output: $(cat "$scratch/output")"
}

finish() {
  [ "$failures" -eq 0 ] || exit 1
  echo "all passed"
}
