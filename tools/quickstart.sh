#!/bin/bash
# From a fresh clone to results: installs what is missing, builds, runs the example on the picture
# in the tree, and compares the variants of the kernels with each other.
#
# Usage: tools/quickstart.sh [--no-install]
program=tools/quickstart.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

no_install=0
for argument in "$@"; do
  case $argument in
  --no-install) no_install=1 ;;
  -h | --help)
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *) die "$argument is not an option; there is only --no-install" ;;
  esac
done

build=$root/build
setup_begin "$build/logs"
setup_packages "${packages_build[@]}" "${packages_test[@]}" "${packages_bench[@]}"
setup_optional "${packages_optional[@]}"
[ -f "$build/build.ninja" ] ||
  echo "Building everything for the first time: about 3 minutes on two CPUs; here are $(nproc)."
configure_and_compile "$build" "${whole_build[@]}" || exit 1

# The programs find the library by their own place, for which the loader needs /proc; a bare chroot
# has none.
export LD_LIBRARY_PATH=$build/kernels${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
results=$build/quickstart
mkdir -p "$results"
echo
"$build/examples/filter_detect_condense" --kernel edge --output "$results" \
  "$root/examples/data/still-life.png" ||
  die "the example failed"

echo
echo "Comparing the variants of the kernels on a short suite (bench/suites/short.csv):"
"$build/bench/evrisim-bench" --suite short --compare variants --html "$results/report.html" ||
  die "the benchmark failed"

echo
echo "Look at the pictures:     $results/contact-sheet.png"
echo "Look at the measurements: $results/report.html"
echo "Train a network:          $build/examples/lenet5 --output $results"
