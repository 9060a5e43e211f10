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
  struct jpeg_source_mgr source;
  const file_bytes *file;
  size_t given; /* bytes of the file that libjpeg has had */
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

/* ---- input: the file in pieces. Where libjpeg-turbo has 512 bytes and more for a block, it
 * decodes in a quicker way, which says nothing of broken Huffman codes. */

#define PIECE 256

static boolean give_piece(j_decompress_ptr jpeg) {
  static const JOCTET end_of_image[] = {0xFF, JPEG_EOI};
  decoder *d = jpeg->client_data;
  const size_t left = d->file->size - d->given;
  if (left == 0) { /* a picture that ends early; warn() refuses it */
    WARNMS(jpeg, JWRN_JPEG_EOF);
    d->source.next_input_byte = end_of_image;
    d->source.bytes_in_buffer = sizeof end_of_image;
    return TRUE;
  }
  d->source.next_input_byte = d->file->bytes + d->given;
  d->source.bytes_in_buffer = left < PIECE ? left : PIECE;
  d->given += d->source.bytes_in_buffer;
  return TRUE;
}

static void skip_bytes(j_decompress_ptr jpeg, long count) {
  while (count > 0) {
    if (jpeg->src->bytes_in_buffer == 0) give_piece(jpeg);
    const size_t step =
        (size_t)count < jpeg->src->bytes_in_buffer ? (size_t)count : jpeg->src->bytes_in_buffer;
    jpeg->src->next_input_byte += step;
    jpeg->src->bytes_in_buffer -= step;
    count -= (long)step;
  }
}

static void do_nothing(j_decompress_ptr jpeg) { (void)jpeg; }

/* ---- the whole --------------------------------------------------------------------------- */

/* Holds no variable that a jump could leave undefined: those that outlive a call of libjpeg are in
 * *d. */
static bool decode(decoder *d) {
  if (setjmp(d->failed)) return false;
  jpeg_create_decompress(&d->jpeg);
  d->source = (struct jpeg_source_mgr){.init_source = do_nothing,
                                       .fill_input_buffer = give_piece,
                                       .skip_input_data = skip_bytes,
                                       .resync_to_restart = jpeg_resync_to_restart,
                                       .term_source = do_nothing};
  d->jpeg.src = &d->source;
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
