#!/bin/sh
# Named, given and read filters, and their results on pictures small enough to work by hand.
. "$(dirname "$0")/pictures.sh"
cd "$scratch" || exit 1

names=$(fdc --list-kernels | cut -d ' ' -f 1)
for name in edge sobel-x sobel-y sharpen blur emboss laplacian outline identity; do
  echo "$names" | grep -q -x -e "$name" || fail "--list-kernels lacks $name"
done
for name in $names; do
  succeeds "$name" fdc --kernel "$name" --output out "$still_life"
  has "$name" "same bits"
  for file in 0-input 1-filter 2-detect 3-condense; do
    [ -s "out/$file.png" ] || fail "$name: no $file.png"
    rm -f "out/$file.png"
  done
done

succeeds "edge" fdc_with_sheet --kernel edge -o named "$still_life"
[ "$(picture text named/contact-sheet.png | sed -n 2p)" = "1644 1444" ] || fail "the contact sheet"
succeeds "weights" fdc --weights "-1 -1 -1; -1,8,-1; -1 -1 -1" -o given "$still_life"
printf '# the same\n-1 -1 -1\n\n-1 16/2 -1 # in fractions\n-1 -1 -1\n' >edge.txt
succeeds "weights file" fdc --weights-file edge.txt -o read "$still_life"
for file in 1-filter 2-detect 3-condense; do
  same "given weights" named/$file.png given/$file.png
  same "weights from a file" named/$file.png read/$file.png
done

# By hand: values 0 to 1 in tenths; a vertical edge, a horizontal one, and their filters.
printf 'P2 4 3 10  0 0 10 10  0 0 10 10  0 0 10 10\n' >vertical.pgm
succeeds "sobel-x" fdc -k sobel-x -o out vertical.pgm
has "sobel-x" "filter .* 0 to 4$"
shows "sobel-x" out/1-filter.png "P2 4 3 255 0 255 255 0 0 255 255 0 0 255 255 0"
succeeds "sobel-y" fdc -k sobel-y -o out vertical.pgm
has "sobel-y finds no vertical edge" "filter .* 0 to 0$"
succeeds "sobel-left" fdc -k sobel-left -o out vertical.pgm
has "sobel-left" "filter .* -4 to -\{0,1\}0$"
has "ReLU removes what is negative" "detect .* 0 to 0$"
succeeds "bias" fdc -k sobel-left --bias 5 -o out vertical.pgm
has "bias" "filter .* 1 to 5$"
succeeds "zero padding" fdc -w "1 1 1;1 1 1;1 1 1" --pad-mode zero -o out vertical.pgm
has "zero padding" "filter .* 0 to 6$"
succeeds "no padding" fdc -w "1 1 1;1 1 1;1 1 1" --padding valid --window 1 -o out vertical.pgm
has "no padding" "filter .* 2 x 1 x 1 .* 3 to 6$"
succeeds "max" fdc -k identity --window 3x4 -o out vertical.pgm
has "max" "condense .* 1 x 1 x 1 .* 1 to 1$"
succeeds "average" fdc -k identity --pool average --window 3x4 -o out vertical.pgm
has "average" "condense .* 0.5 to 0.5$"
succeeds "min" fdc -k identity --pool min --window 3x4 -o out vertical.pgm
has "min" "condense .* 0 to 0$"
finish
