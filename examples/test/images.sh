#!/bin/sh
# Every format of picture is read to its exact values, and every stage has its right size.
. "$(dirname "$0")/pictures.sh"
cd "$scratch" || exit 1
plain() { fdc -k identity -a identity --window 1 --output out "$@"; }

printf 'P2 # a comment\n3 2\n255\n0 17 34\n51 128 255\n' >grey.pgm
succeeds "plain PGM" plain grey.pgm
shows "plain PGM" out/0-input.png "P2 3 2 255 0 17 34 51 128 255"
shows "identity" out/1-filter.png "P2 3 2 255 0 17 34 51 128 255"
shows "window of one" out/3-condense.png "P2 3 2 255 0 17 34 51 128 255"

printf 'P5 2 2 100\n\0\31\62\144' >hundred.pgm # 0 25 50 100 of 100
succeeds "PGM with maximum 100" plain hundred.pgm
shows "PGM with maximum 100" out/1-filter.png "P2 2 2 255 0 64 128 255"

printf 'P5\n2 1\n65535\n\001\002\377\376' >wide.pgm
shows "16-bit PGM" wide.pgm "P2 2 1 65535 258 65534"
succeeds "16-bit PGM" plain wide.pgm
has "16-bit PGM" "16 bits"

# A PNG of 2 x 1 grey pixels of 16 bits, 258 and 65534.
printf '\211PNG\015\012\032\012\000\000\000\015IHDR\000\000\000\002\000\000\000\001\020\000\000\000\000\201\331\374\025' >wide.png
printf '\000\000\000\020IDATx\001\001\005\000\372\377\000\001\002\377\376\003\013\002\001\006\220!\031' >>wide.png
printf '\000\000\000\000IEND\256B`\202' >>wide.png
shows "16-bit PNG" wide.png "P2 2 1 65535 258 65534"

# The same of 1 bit, black and white.
printf '\211PNG\015\012\032\012\000\000\000\015IHDR\000\000\000\002\000\000\000\001\001\000\000\000\000\334YB\047' >bits.png
printf '\000\000\000\015IDATx\001\001\002\000\375\377\000\100\000B\000A\040\260\231\313\000\000\000\000IEND\256B`\202' >>bits.png
shows "1-bit PNG" bits.png "P2 2 1 255 0 255"
succeeds "1-bit PNG" plain bits.png
has "1-bit PNG" "2 x 1 pixels, 1 bit,"

printf 'P3 1 2 255 255 0 0 0 0 255\n' >color.ppm
succeeds "PPM in grey" plain color.ppm
shows "PPM in grey" out/1-filter.png "P2 1 2 255 76 29"
succeeds "PPM in colour" plain --colour color.ppm
shows "PPM in colour" out/1-filter.png "P3 1 2 255 255 0 0 0 0 255"
printf 'P6 1 2 255\n\377\0\0\0\0\377' >raw.ppm
same "raw and plain PPM" color.ppm raw.ppm

picture make . || fail "picture_tool make"
shows "alpha on white" faded.png "P3 2 1 255 200 100 0 255 255 255"
shows "palette with alpha" faded-palette.png "P3 2 1 255 200 100 0 255 255 255"
succeeds "palette" plain faded-palette.png
has "palette" "2 x 1 pixels, 8 bits,"
shows "grey with alpha" faded-grey.png "P2 2 1 255 100 224" # 100 and 0.2 * 100 + 0.8 * 255
shows "16-bit grey with alpha" faded-wide.png "P2 2 1 65535 1000 52628"
shows "gamma left alone" linear.png "P2 2 1 65535 258 65534"
shows "CMYK" inks.jpg "P3 8 1 255 $(echo 200 100 0 200 100 0 200 100 0 200 100 0) $(echo 200 100 0 200 100 0 200 100 0 200 100 0)"
succeeds "JPEG" plain upright.jpg
has "JPEG" "24 x 32 pixels, 8 bits"
same "a camera's orientation" upright.jpg sideways.jpg

# Pictures smaller than the filter, with windows as large, and odd sizes.
for size in "1 1" "1 5" "5 1" "2 3" "7 7"; do
  set -- $size
  { echo "P2 $1 $2 9"; i=0; while [ $i -lt $(($1 * $2)) ]; do echo $((i % 10)); i=$((i + 1)); done; } >small.pgm
  window=$(($2 < 3 ? $2 : 3))x$(($1 < 3 ? $1 : 3))
  for mode in replicate zero; do
    succeeds "$1 x $2, $mode" fdc -k outline --window $window --stride 2 --pad-mode $mode -o out small.pgm
    has "$1 x $2, $mode" "same bits"
    has "$1 x $2, $mode" "filter .* $1 x $2 x 1 "
    has "$1 x $2, $mode" "condense .* $((($1 + 1) / 2)) x $((($2 + 1) / 2)) x 1 "
  done
done
finish
