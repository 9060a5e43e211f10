#!/bin/sh
# Every option has its effect, every variant gives the same images, and wrong values are refused.
. "$(dirname "$0")/pictures.sh"
cd "$scratch" || exit 1

for name in relu identity leaky-relu leaky-relu:0.3 elu elu:2 sigmoid tanh scaled-tanh relu6 \
  hard-swish silu gelu gelu-tanh; do
  succeeds "activation $name" fdc -a "$name" -o out "$still_life"
  has "activation $name" "same bits"
done
succeeds "sigmoid" fdc -k identity -w 0 -a sigmoid -o out "$still_life"
has "sigmoid of zero" "detect .* 0.5 to 0.5$"

for pool in max average min; do
  for window in 1 2 3x2; do
    for padding in same valid; do
      succeeds "$pool $window $padding" fdc -c -p $pool --window $window --stride 2x3 \
        --padding $padding --pad-mode reflect -o out "$still_life"
      has "$pool $window $padding" "same bits"
    done
  done
done
for threads in 1 2 7; do
  succeeds "threads $threads" fdc -c --threads $threads -o threads-$threads "$still_life"
done
same "threads" threads-1/3-condense.png threads-7/3-condense.png
succeeds "standard" fdc --math standard -o out "$still_life"
succeeds "scalar" fdc --max-isa scalar -c -o scalar "$still_life"
has "scalar" "^evrisim .* on .* (scalar)"
limited() { (export EVR_MAX_ISA=scalar; fdc "$@"); }
succeeds "limited" limited --max-isa avx2 -c -o limited "$still_life"
has "limited" "^evrisim .* on .* (scalar)"
same "instruction sets" threads-1/3-condense.png scalar/3-condense.png

succeeds "variants" fdc --list-variants "$still_life"
has "variants" "reference"
[ "$(grep -c '^\*' output)" -eq 1 ] || fail "not one variant is chosen"
grep 'can serve$' output | sed 's/^[* ] //' | cut -d ' ' -f 1 >variants
while read -r variant; do
  succeeds "$variant" fdc --variant "$variant" -o "by-$variant" "$still_life"
  has "$variant" "filter *$variant "
  same "$variant" by-reference/3-condense.png "by-$variant/3-condense.png"
done <<VARIANTS
reference
$(cat variants)
VARIANTS

succeeds "help" fdc --help
awk 'length > 80 { exit 1 }' output || fail "help is wider than 80 columns"
succeeds "version" fdc --version
printf '1 2 3\n4 5\n' >ragged.txt
refused "no such kernel" 2 '"sobel".*--list-kernels' fdc -k sobel "$still_life"
refused "ragged weights" 2 'row 2 of the weights has 2 numbers' fdc -w "1 2 3; 4 5" "$still_life"
refused "long row" 2 'row 2 of the weights is longer' fdc -w "1 2; 4 5 6" "$still_life"
refused "ragged file" 2 'row 2' fdc -f ragged.txt "$still_life"
refused "missing file" 2 'No such file' fdc -f missing.txt "$still_life"
refused "words" 2 '"two" where a number' fdc -w "1 two 3" "$still_life"
refused "infinite" 2 '"1/0"' fdc -w "1/0" "$still_life"
refused "empty weights" 2 'empty' fdc -w " ; " "$still_life"
refused "activation" 2 'none of relu' fdc -a softplus "$still_life"
refused "alpha of relu" 2 'only leaky-relu' fdc -a relu:1 "$still_life"
refused "pool" 2 'none of max' fdc -p median "$still_life"
refused "window zero" 2 'whole number' fdc --window 0 "$still_life"
refused "window larger than the picture" 1 'is 257 rows by 2 columns; the picture has only 256 by 384' \
  fdc --window 257x2 "$still_life"
refused "window word" 2 'whole number' fdc --window 2xtwo "$still_life"
refused "threads" 2 'whole number' fdc --threads 0 "$still_life"
refused "bias" 2 'finite number' fdc --bias nan "$still_life"
refused "unknown option" 2 'frobnicate' fdc --frobnicate "$still_life"
refused "no picture" 2 'no picture' fdc
refused "two pictures" 2 'more than one' fdc "$still_life" "$still_life"
refused "unknown variant" 1 'no-such-variant' fdc --variant no-such-variant "$still_life"
finish
