/* JPEG by libjpeg-turbo. Orientation after the Exif standard (CIPA DC-008), 4.6.5. */
#include "image_formats.h"

#include <stdio.h> /* jpeglib.h takes FILE for granted */

#include <jerror.h>
#include <jpeglib.h>

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

bool jpeg_is(const file_bytes *file) {
  return file->size >= 2 && file->bytes[0] == 0xFF && file->bytes[1] == 0xD8;
}

/* ---- orientation ------------------------------------------------------------------------- */

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

static int orientation_of(jpeg_saved_marker_ptr marker) {
  for (; marker; marker = marker->next)
    if (marker->data_length >= 6 && memcmp(marker->data, "Exif\0\0", 6) == 0)
      return tiff_orientation(marker->data + 6, marker->data_length - 6);
  return 1;
}

/* ---- pixels ------------------------------------------------------------------------------ */

/* All that must be known when libjpeg jumps out of an error. */
typedef struct decoder {
  struct jpeg_error_mgr errors;
  jmp_buf failed;
  struct jpeg_decompress_struct jpeg;
  const file_bytes *file;
  char *reason;
  JSAMPLE *row;
  image *picture;
  int *orientation;
} decoder;

static void fail(j_common_ptr jpeg) {
  decoder *d = jpeg->client_data;
  char message[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, message);
  snprintf(d->reason, IMAGE_REASON_SIZE, "is a damaged or unusual JPEG file: %s", message);
  longjmp(d->failed, 1);
}

/* libjpeg fills up what it cannot decode and warns: such a picture is refused. What only warns of
 * something odd beside the pixels is let pass. */
static void warn(j_common_ptr jpeg, int level) {
  if (level >= 0) return; /* no warning, but talk */
  switch (jpeg->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR: return;
    default: fail(jpeg);
  }
}

static void stay_silent(j_common_ptr jpeg) { (void)jpeg; }

static bool too_large(decoder *d) {
  snprintf(d->reason, IMAGE_REASON_SIZE, "is too large for this machine's memory");
  return false;
}

/* One row of samples to floats. Four components are inks: Adobe's programs, which write nearly all
 * of these, store how much paper is left. */
static void store_row(const decoder *d, float *to) {
  const JSAMPLE *from = d->row;
  const int64_t samples = d->picture->width * d->picture->channels;
  if (d->jpeg.out_color_space != JCS_CMYK) {
    for (int64_t i = 0; i < samples; ++i) to[i] = (float)from[i] / 255.0f;
    return;
  }
  const int flip = d->jpeg.saw_Adobe_marker ? 0 : 255;
  for (int64_t i = 0; i < samples; ++i) {
    const JSAMPLE *inks = from + i / 3 * 4;
    to[i] = (float)((inks[i % 3] ^ flip) * (inks[3] ^ flip)) / (255.0f * 255.0f);
  }
}

/* Holds no variable that a jump could leave undefined: those that outlive a call of libjpeg are in
 * *d. */
static bool decode(decoder *d) {
  if (setjmp(d->failed)) return false;
  jpeg_create_decompress(&d->jpeg);
  jpeg_mem_src(&d->jpeg, d->file->bytes, (unsigned long)d->file->size);
  jpeg_save_markers(&d->jpeg, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&d->jpeg, TRUE);
  *d->orientation = orientation_of(d->jpeg.marker_list);
  const int components = d->jpeg.num_components;
  d->jpeg.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&d->jpeg);
  d->row = malloc((size_t)d->jpeg.output_width * (size_t)d->jpeg.output_components);
  if (!d->row || !image_allocate(d->picture, d->jpeg.output_height, d->jpeg.output_width,
                                 components == 1 ? 1 : 3))
    return too_large(d);
  d->picture->bits = 8;
  while (d->jpeg.output_scanline < d->jpeg.output_height) {
    float *to =
        d->picture->values + d->jpeg.output_scanline * d->picture->width * d->picture->channels;
    jpeg_read_scanlines(&d->jpeg, &d->row, 1);
    store_row(d, to);
  }
  jpeg_finish_decompress(&d->jpeg);
  return true;
}

bool jpeg_read(const file_bytes *file, image *picture, int *orientation, char *reason) {
  decoder d = {.file = file, .reason = reason, .picture = picture, .orientation = orientation};
  d.jpeg.err = jpeg_std_error(&d.errors);
  d.jpeg.client_data = &d;
  d.errors.error_exit = fail;
  d.errors.emit_message = warn;
  d.errors.output_message = stay_silent;
  const bool read = decode(&d);
  jpeg_destroy_decompress(&d.jpeg);
  free(d.row);
  if (!read) image_free(picture);
  return read;
}
