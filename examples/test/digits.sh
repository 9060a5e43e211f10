#!/bin/sh
# Digits that lenet5 draws, and their files in MNIST's format: the same bytes on every machine, read
# again as they were, and refused with a sentence where they are damaged. Argument: lenet5.
. "$(dirname "$0")/common.sh"
program=$(realpath "$1")
lenet5() { ${MESON_EXE_WRAPPER:-} "$program" "$@"; }
short() { lenet5 --train 40 --test 20 --batch 10 -e 1 --threads 1 "$@"; }
cd "$scratch" || exit 1

succeeds "drawing" lenet5 --write drawn --train 40 --test 20
has "drawing" 'drawn/train-images-idx3-ubyte (40)'
# number FILE OFFSET: the 32 bits there, the highest byte first.
number() { od -A n -t x1 -j "$2" -N 4 "$1" | tr -d ' \n'; }
images=drawn/train-images-idx3-ubyte labels=drawn/train-labels-idx1-ubyte
for expected in "0 00000803" "4 00000028" "8 0000001c" "12 0000001c"; do
  seen=$(number $images "${expected% *}")
  [ "$seen" = "${expected#* }" ] || fail "number at ${expected% *} of images: $seen"
done
[ "$(number $labels 0)$(number $labels 4)" = 0000080100000028 ] || fail "header of labels"
[ "$(wc -c <$images)" -eq $((16 + 40 * 784)) ] || fail "size of images"
[ "$(wc -c <$labels)" -eq $((8 + 40)) ] || fail "size of labels"
# Every compiler and CPU draws these; a change of the faces or the hand changes them.
sum=$(cat drawn/* | cksum)
[ "$sum" = "1288169538 47148" ] || fail "the digits drawn are others: $sum"
succeeds "another seed" lenet5 --write other --train 40 --test 20 --seed 2
cmp -s $images other/train-images-idx3-ubyte && fail "two seeds draw the same digits"
cmp -s -n 15680 -i 16 $images drawn/t10k-images-idx3-ubyte && fail "held-out digits are learned"

# What is read is what was drawn: training comes to the same weights.
succeeds "training on drawn digits" short -o a
mv output drawn.txt
succeeds "training on files" short --data drawn -o b
grep Hash drawn.txt >hash
has "training on files" "$(cat hash)"
cmp -s a/training.csv b/training.csv || fail "training on files took another course"

# The same in 32 x 32.
mkdir -p large
cp drawn/* large
for part in train t10k; do
  python3 - drawn/$part-images-idx3-ubyte large/$part-images-idx3-ubyte <<'PYTHON' || fail "padding"
import sys
data = open(sys.argv[1], "rb").read()
rows = [data[i:i + 28] for i in range(16, len(data), 28)]
with open(sys.argv[2], "wb") as large:
    large.write(data[:8] + bytes([0, 0, 0, 32, 0, 0, 0, 32]))
    for first in range(0, len(rows), 28):
        large.write(bytes(64) + b"".join(b"\0\0" + row + b"\0\0" for row in rows[first:first + 28]))
        large.write(bytes(64))
PYTHON
done
succeeds "32 x 32" short --data large -o c
has "32 x 32" "$(cat hash)"

# What follows is the same on every CPU, and an emulator takes a second to begin each.
[ "${EVR_TEST_SCALE:-1}" -lt 16 ] || { finish; exit 0; }

# damaged WHAT TEXT COMMAND...: the command damages a copy of the files; lenet5 must say the text.
damaged() {
  what=$1 text=$2
  shift 2
  rm -rf bad
  cp -r drawn bad
  "$@" || fail "$what: $* failed"
  refused "$what" 1 "$text" short --data bad
}
# put FILE OFFSET BYTES: overwrites bytes, in printf's notation.
put() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null; }
cut_to() { head -c "$2" "$1" >cut && mv cut "$1"; }
i=bad/train-images-idx3-ubyte l=bad/train-labels-idx1-ubyte
damaged "missing images" "$i cannot be opened: No such file" rm $i
damaged "missing labels" "$l cannot be opened: No such file" rm $l
damaged "missing test" "bad/t10k-images-idx3-ubyte cannot be opened" rm bad/t10k-images-idx3-ubyte
damaged "directory" "$i is not a file" sh -c "rm $i; mkdir $i"
damaged "empty" "$i ends in its magic number" cut_to $i 0
damaged "magic cut" "$i ends in its magic number" cut_to $i 3
damaged "magic" "$i begins with the magic number 0x0a0b0803" put $i 0 '\012\013'
damaged "labels for images" "begins with the magic number 0x00000801; a file of images has 0x00000803" cp $l $i
damaged "images for labels" "a file of labels has 0x00000801" cp $i $l
damaged "compressed" "$i is compressed" sh -c "gzip $i; mv $i.gz $i"
damaged "count cut" "$i ends in its number of images" cut_to $i 7
damaged "columns cut" "$i ends in its number of columns" cut_to $i 14
damaged "labels' count cut" "$l ends in its number of labels" cut_to $l 4
damaged "no images" "number of images of $i is 0; it must be at least 1" put $i 4 '\0\0\0\0'
damaged "rows" "number of rows of $i is 14; it must be 28 or 32" put $i 8 '\0\0\0\016'
damaged "columns" "number of columns of $i is 4294967295" put $i 12 '\377\377\377\377'
damaged "huge" "number of images that it names, 4294967295, it would have 3367254359296" put $i 4 '\377\377\377\377'
damaged "truncated" "$i has 31375 bytes; .*, 40, it would have 31376" cut_to $i 31375
damaged "too long" "$i has 31377 bytes" put $i 31376 x
damaged "labels truncated" "$l has 47 bytes" cut_to $l 47
damaged "fewer labels" "$l has 39 labels, but $i has 40 images" sh -c "head -c 47 $l >cut; mv cut $l; printf '\\047' | dd of=$l bs=1 seek=7 conv=notrunc 2>/dev/null"
damaged "label" "label 39 of $l is 10; labels are 0 to 9" put $l 47 '\012'

: >file
refused "writing below a file" 1 "file/x cannot be made" lenet5 --write file/x
refused "writing to a file" 1 "file cannot be made: File exists" lenet5 --write file
if [ -c /dev/full ]; then
  mkdir full
  ln -s /dev/full full/train-images-idx3-ubyte
  refused "full disk" 1 "full/train-images-idx3-ubyte cannot be written: No space" lenet5 --write full
fi
refused "reading and writing" 2 "only one can be done" lenet5 --data drawn --write more
finish
