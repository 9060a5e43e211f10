#!/bin/sh
# LeNet-5, trained for a moment: the same weights from any number of threads and any instruction set,
# an accuracy to reach, and in which time, the record and its plot, and options that are refused.
# Arguments: lenet5, and the sanitizers that it was built with, or "none".
. "$(dirname "$0")/common.sh"
program=$(realpath "$1")
sanitizers=$2
lenet5() { ${MESON_EXE_WRAPPER:-} "$program" "$@"; }
cd "$scratch" || exit 1
scale=${EVR_TEST_SCALE:-1}
# Threads that wait for each other by spinning crawl where tests run side by side.
export OMP_WAIT_POLICY=passive

# The bits do not depend on the machine: this hash holds for all. It changes with the digits, the
# network and the schedule, and with nothing else.
hash=981b79be426d4273
few() { lenet5 --train 64 --test 16 --batch 16 -e 1 "$@"; }
for threads in 1 2 3; do
  succeeds "threads $threads" few --threads $threads
  has "threads $threads" "Hash of all weights: $hash"
done
succeeds "scalar" few --max-isa scalar
has "scalar" "$hash"
has "scalar" "on scalar, exact arithmetic"
limited() { (export EVR_MAX_ISA=scalar; few "$@"); }
succeeds "limited" limited
has "limited" "on scalar, exact arithmetic"
reference() { (export EVR_VARIANT=reference; few "$@"); }
succeeds "reference" reference
has "reference" "$hash"
succeeds "another seed" few --seed 2
grep -q "$hash" output && fail "the seed changes nothing"
succeeds "standard" few --math standard
has "standard" "standard arithmetic"

# right: of the last output, how many held-out digits in a hundred were read right.
right() { sed -n 's/^\([0-9]*\)\.[0-9]* % of the held-out digits.*/\1/p' output; }
if [ "$scale" -le 1 ]; then
  train=20000 test=5000 epochs=2 mark=98 # what is asked of the whole training, of 8 epochs
elif [ "$scale" -le 4 ]; then
  train=3000 test=500 epochs=1 mark=85
else
  train=640 test=500 epochs=1 mark=40
fi
# Seconds of the CPU that this shell's children have taken.
spent() { awk 'NR == 2 { split($0, t, /[ms ]+/); print (t[1] + t[3]) * 60 + t[2] + t[4] }' spent; }
times >spent
before=$(spent)
succeeds "training" lenet5 --train $train --test $test -e $epochs --threads 2
times >spent
seconds=$(echo "$before $(spent)" | awk '{ print $2 - $1 }')
[ "$(right)" -ge $mark ] || fail "only $(right) % are read right, not $mark %"
# Two minutes on two cores is what this may take: asked for as the time of all threads on their CPUs,
# which is no less than what passes where nothing else runs, and much the same where something does.
if [ "$scale" -gt 1 ] || [ -n "${MESON_EXE_WRAPPER:-}" ] || [ "$sanitizers" != none ]; then
  echo "training took $seconds s of CPU time; scale $scale, wrapper \"${MESON_EXE_WRAPPER:-}\", sanitizers" \
    "$sanitizers: no time is asked for"
else
  echo "training took $seconds s of CPU time, of 120 s"
  echo "$seconds" | awk '{ exit !($1 > 0 && $1 <= 120) }' ||
    fail "training to $mark % took $seconds s of CPU time, not 120 s at most"
fi
grep -q "$(printf '\r')" output && fail "a line of progress went to a file"
awk 'length > 80 { exit 1 }' output || fail "a line is wider than 80 columns"
[ "$(grep -c '^ *[0-9][0-9]* .* s$' output)" -eq $epochs ] || fail "not one line an epoch"
awk -F , 'NF != 6 || (NR % 10 == 1) != ($5 != "") || NR > 1 && $1 <= last { exit 1 } { last = NR > 1 ? $1 : 0 }' \
  out/training.csv || fail "the record: $(cat out/training.csv)"
[ "$(wc -l <out/training.csv)" -eq $((1 + 10 * epochs)) ] || fail "lines of the record"
if gnuplot --version >/dev/null 2>&1; then
  has "plot" 'Plot: out/training.svg'
  python3 -c 'import xml.dom.minidom as x; d = x.parse("out/training.svg")
assert len(d.getElementsByTagName("path")) >= 4' || fail "training.svg is not a plot"
else
  echo "gnuplot is not installed; plots are not tested"
fi

# Without gnuplot, and with one that fails. The wrapper has to be found all the same.
mkdir bare broken
wrapper=${MESON_EXE_WRAPPER:-}
[ -z "$wrapper" ] || ln -s "$(command -v "${wrapper%% *}")" bare
printf '#!/bin/sh\nexit 3\n' >broken/gnuplot
chmod +x broken/gnuplot
found_in() { (PATH=$1; shift; few "$@"); }
succeeds "without gnuplot" found_in "$scratch/bare" -o bare-out
has "without gnuplot" 'gnuplot is not installed.*cd bare-out && gnuplot training.gp'
[ -s bare-out/training.gp ] || fail "without gnuplot: no script"
found_in "$scratch/broken:$PATH" >output 2>complaint && fail "broken gnuplot: exit status 0"
grep -q 'gnuplot could not draw out/training.svg' complaint || fail "broken gnuplot: $(cat complaint)"

# diverges: output was begun, so this is no refusal.
few --rate 1e30 >output 2>complaint && fail "a huge rate: exit status 0"
grep -q 'no longer a number.*too large' complaint || fail "a huge rate: $(cat complaint)"
if [ -c /dev/full ]; then
  few >/dev/full 2>complaint && fail "full output: exit status 0"
  grep -q 'standard output' complaint || fail "full output: $(cat complaint)"
  mkdir full
  ln -s /dev/full full/training.csv
  few -o full >output 2>complaint && fail "full disk: exit status 0"
  grep -q 'full/training.csv cannot be written' complaint || fail "full disk: $(cat complaint)"
fi

# What follows is the same on every CPU, and an emulator takes a second to begin each.
[ "$scale" -lt 16 ] || { finish; exit 0; }
refused "batch" 1 'batch is 20, but there are only 10' lenet5 --train 10 --batch 20
refused "batch zero" 2 'whole number from 1 to 4096' lenet5 --batch 0
refused "epochs" 2 'whole number' lenet5 -e many
refused "digits" 2 'whole number from 1 to 1000000' lenet5 --train 1000001
refused "rate" 2 'must be above 0' lenet5 --rate 0
refused "rate" 2 'finite number' lenet5 --rate inf
refused "momentum" 2 'below 1' lenet5 --momentum 1
refused "seed" 2 'whole number' lenet5 --seed -1
refused "math" 2 'none of exact' lenet5 --math exakt
refused "isa" 2 'none of any' lenet5 --max-isa mmx
refused "threads" 2 'whole number' lenet5 --threads 0
refused "unknown option" 2 'frobnicate' lenet5 --frobnicate
refused "argument" 2 '"mnist" is no option' lenet5 mnist
refused "empty name" 2 'output is empty' lenet5 --output ''
succeeds "help" lenet5 --help
awk 'length > 80 { exit 1 }' output || fail "help is wider than 80 columns"
succeeds "version" lenet5 --version
finish
