# Sourced after tools/setup.sh: runs the tests of a build and keeps their logs for sum_tests.py.

# An emulator is slow: it leaves out the tests of the tests, of the documentation and of the
# benchmark, and takes one case in 32 of the walks over all variants.
emulated=(--no-suite faults --no-suite docs --no-suite reference --no-suite bench
  --timeout-multiplier 10)
emulated_scale=32
test_logs=()
tests_failed=0

# run_tests NAME BUILD OPTION...: runs meson's tests; on failure shows what failed. NAME tells apart
# several runs of one build.
run_tests() {
  local name=$1 build=$2 start=$SECONDS status=0
  shift 2
  rm -f "$build/meson-logs/testlog-$name"*
  printf 'Testing %s ... ' "$name"
  meson test -C "$build" --no-rebuild --logbase "testlog-$name" --print-errorlogs "$@" \
    >"$logs/test-$name.log" 2>&1 </dev/null || status=$?
  # With --wrapper meson adds the wrapper's name to that of the log.
  local log=("$build/meson-logs/testlog-$name"*.json)
  test_logs+=("${log[0]}")
  if [ "$status" -eq 0 ]; then
    echo "done ($((SECONDS - start)) s)"
  else
    echo "failed ($((SECONDS - start)) s)"
    tail -n 200 "$logs/test-$name.log"
    echo "$program: testing $name failed (whole log: $logs/test-$name.log)" >&2
    tests_failed=1
  fi
}
