#!/bin/bash
# Installs what is missing, builds, and runs the whole test suite: of the library, the examples, the
# benchmark and the installed packages; on x86-64 also on an emulated CPU without AVX. The last line
# says how many tests passed, failed and were skipped.
#
# Usage: tools/test.sh [--no-install] [--log-list FILE]
#   --no-install      only check for what is needed
#   --log-list FILE   append the names of the test logs to FILE and print no closing line; .ci/run
#                     sums them up with those of its other builds
program=tools/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

no_install=0
log_list=
while [ $# -gt 0 ]; do
  case $1 in
  --no-install) no_install=1 ;;
  --log-list)
    [ $# -ge 2 ] || die "--log-list needs the name of a file"
    log_list=$2
    shift
    ;;
  -h | --help)
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *) die "$1 is not an option; there are --no-install and --log-list" ;;
  esac
  shift
done

build=$root/build
setup_begin "$build/logs"
packages_emulator=()
[ "$(uname -m)" = x86_64 ] && packages_emulator=(qemu-x86_64/qemu-user)
setup_packages "${packages_build[@]}" "${packages_test[@]}" "${packages_bench[@]}" \
  "${packages_emulator[@]}"
setup_optional "${packages_optional[@]}"
configure_and_compile "$build" "${whole_build[@]}" || exit 1

. "$root/tools/run_tests.sh"
run_tests build "$build"
if [ "$(uname -m)" = x86_64 ]; then
  # The library's own tests once more as an old machine would run them: the CPU has no AVX, so the
  # same binaries must choose other variants, and give the same bits.
  EVR_TEST_SCALE=$emulated_scale run_tests no-avx "$build" --wrapper "qemu-x86_64 -cpu Nehalem" \
    "${emulated[@]}" --no-suite examples --no-suite install
fi

if [ -n "$log_list" ]; then
  printf '%s\n' "${test_logs[@]}" >>"$log_list"
  exit "$tests_failed"
fi
python3 "$root/tools/sum_tests.py" "${test_logs[@]}" || exit 1
exit "$tests_failed"
