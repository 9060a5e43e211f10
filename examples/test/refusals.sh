#!/bin/sh
# Files that are no pictures, damaged pictures, and places that cannot be written: a sentence each.
. "$(dirname "$0")/pictures.sh"
cd "$scratch" || exit 1
picture make . || fail "picture_tool make"

: >empty.png
echo "once upon a time" >words.png
head -c 5000 "$still_life" >cut.png
{ head -c 3000 "$still_life"; head -c 500 /dev/zero; tail -c +3501 "$still_life"; } >damaged.png
head -c 8 "$still_life" >signature.png
printf '\377\330\377\331' >nothing.jpg
printf 'P5 4 4 255\n123' >cut.pgm
printf 'P2 2 2 255\n1 2 3' >cut-plain.pgm
printf 'P2 2 1 7\n1 8\n' >above.pgm
printf 'P5 -3 4 255\n' >negative.pgm
printf 'P5 4 4 70000\n' >deep.pgm
printf 'P5 1000000000 1000000000 255\n123' >huge.pgm
printf 'P5 4000000000 4 255\n123' >wide.pgm
printf 'P4 8 1\n1' >bits.pbm

refused "missing file" 1 'missing.png cannot be opened: No such file' fdc missing.png
refused "directory" 1 'cannot be read: Is a directory' fdc .
refused "empty file" 1 'empty.png is empty' fdc empty.png
refused "text" 1 'words.png is not a PNG, JPEG, PGM or PPM file' fdc words.png
refused "bitmap" 1 'bits.pbm is not a PNG' fdc bits.pbm
refused "cut PNG" 1 'cut.png is a damaged or unusual PNG' fdc cut.png
refused "damaged PNG" 1 'damaged.png is a damaged or unusual PNG' fdc damaged.png
refused "signature alone" 1 'damaged or unusual PNG' fdc signature.png
damaged='is a damaged or unusual JPEG file'
refused "JPEG cut before its end" 1 "cut.jpg $damaged: Premature end" fdc cut.jpg
refused "JPEG cut in its pixels" 1 "half.jpg $damaged: Premature end" fdc half.jpg
refused "JPEG cut before its pixels" 1 "header.jpg $damaged" fdc header.jpg
refused "JPEG with broken codes" 1 "codes.jpg $damaged" fdc codes.jpg
refused "broken table" 1 "table.jpg $damaged: Bogus Huffman table" fdc table.jpg
refused "JPEG without picture" 1 'nothing.jpg is a damaged or unusual JPEG' fdc nothing.jpg
refused "cut PGM" 1 'cut.pgm ends before its last pixel' fdc cut.pgm
refused "cut plain PGM" 1 'cut-plain.pgm ends' fdc cut-plain.pgm
refused "sample above the maximum" 1 'above.pgm has a sample above' fdc above.pgm
refused "negative width" 1 'negative.pgm has a header' fdc negative.pgm
refused "deep PGM" 1 'deep.pgm has a header' fdc deep.pgm
refused "huge PGM" 1 'huge.pgm ends before' fdc huge.pgm
refused "PGM wider than numbers" 1 'wide.pgm has a header' fdc wide.pgm

printf 'P2 2 2 1\n0 1 1 0\n' >small.pgm
refused "filter larger than the picture" 1 'kernel' fdc --padding valid -k outline small.pgm
refused "reflection beyond the picture" 1 'pad' fdc --pad-mode reflect -k outline small.pgm

# cannot WHAT TEXT COMMAND...: fails for its output directory, which the command names itself.
cannot() {
  what=$1 text=$2
  shift 2
  "$@" >output 2>complaint && fail "$what: exit status 0"
  grep -q -e "$text" complaint || fail "$what: \"$(cat complaint)\" lacks \"$text\""
}
cannot "directory below a file" 'cannot be made: Not a directory' fdc -o small.pgm/out small.pgm
cannot "directory that is a file" 'cannot be made: File exists' fdc -o small.pgm small.pgm
cannot "directory in a missing one" 'cannot be made: No such file' fdc -o no/such/place small.pgm
mkdir -p taken/1-filter.png
cannot "image that is a directory" '1-filter.png cannot be written: Is a directory' fdc -o taken small.pgm
if [ -c /dev/full ]; then
  mkdir full
  ln -s /dev/full full/0-input.png
  cannot "full disk" 'No space left' fdc -o full small.pgm
  fdc -o out small.pgm >/dev/full 2>complaint && fail "full output: exit status 0"
  grep -q 'standard output' complaint || fail "full output: \"$(cat complaint)\""
fi
finish
