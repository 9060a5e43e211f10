/* What a JPEG file says beside its pixels: the camera's orientation, and whether it is sound.
 * Markers after ITU-T T.81, annex B; orientation after the Exif standard (CIPA DC-008), 4.6.5. */
#include "image_formats.h"

#include <string.h>

static unsigned read_16(const unsigned char *bytes, bool little_endian) {
  return little_endian ? bytes[0] + 256u * bytes[1] : 256u * bytes[0] + bytes[1];
}

static unsigned long read_32(const unsigned char *bytes, bool little_endian) {
  unsigned long first = read_16(bytes, little_endian), second = read_16(bytes + 2, little_endian);
  return little_endian ? first + 65536ul * second : 65536ul * first + second;
}

/* Looks for tag 0x0112 in the first directory of a TIFF structure. */
static int tiff_orientation(const unsigned char *tiff, size_t size) {
  if (size < 8 || (memcmp(tiff, "II*\0", 4) != 0 && memcmp(tiff, "MM\0*", 4) != 0)) return 1;
  bool little = tiff[0] == 'I';
  size_t directory = read_32(tiff + 4, little);
  if (directory > size - 2) return 1;
  size_t entries = read_16(tiff + directory, little);
  for (size_t i = 0; i < entries; ++i) {
    size_t entry = directory + 2 + 12 * i;
    if (entry > size || size - entry < 12) return 1;
    if (read_16(tiff + entry, little) == 0x0112) {
      unsigned value = read_16(tiff + entry + 8, little);
      return value >= 1 && value <= 8 ? (int)value : 1;
    }
  }
  return 1;
}

int jpeg_orientation(const file_bytes *file) {
  const unsigned char *bytes = file->bytes;
  if (file->size < 4 || bytes[0] != 0xFF || bytes[1] != 0xD8) return 1;
  size_t position = 2;
  while (file->size - position >= 4 && bytes[position] == 0xFF) {
    unsigned marker = bytes[position + 1];
    size_t length = read_16(bytes + position + 2, false);
    if (marker == 0xDA || length < 2 || length > file->size - position - 2)
      return 1; /* the picture itself begins, or the file is broken */
    if (marker == 0xE1 && length >= 8 && memcmp(bytes + position + 4, "Exif\0\0", 6) == 0)
      return tiff_orientation(bytes + position + 10, length - 8);
    position += 2 + length;
  }
  return 1;
}

/* Whether the Huffman tables in one DHT segment (T.81, B.2.4.2) have no more codes than there are
 * byte values, and end with the segment. */
static bool huffman_tables_are_sound(const unsigned char *bytes, size_t size) {
  while (size > 0) {
    if (size < 17) return false;
    size_t codes = 0;
    for (int i = 1; i <= 16; ++i) codes += bytes[i];
    if (codes > 256 || codes > size - 17) return false;
    bytes += 17 + codes;
    size -= 17 + codes;
  }
  return true;
}

const char *jpeg_complaint(const file_bytes *file) {
  const unsigned char *bytes = file->bytes;
  size_t position = 2;
  while (file->size - position >= 2) {
    if (bytes[position] != 0xFF) {
      ++position; /* pixels, which run up to the next marker */
      continue;
    }
    unsigned marker = bytes[position + 1];
    if (marker == 0xD9) return NULL;
    if (marker == 0xFF) {
      ++position; /* a marker may begin with several */
      continue;
    }
    if (marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
      position += 2; /* these stand alone */
      continue;
    }
    size_t length = file->size - position >= 4 ? read_16(bytes + position + 2, false) : 0;
    if (length < 2 || length > file->size - position - 2) return "ends inside a segment";
    if (marker == 0xC4 && !huffman_tables_are_sound(bytes + position + 4, length - 2))
      return "has a broken Huffman table";
    position += 2 + length;
  }
  return "ends before its picture does";
}
