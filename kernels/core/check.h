/* Checks of public arguments that several operations make. Each records a sentence and returns a
 * status; field names are given as the caller wrote them ("desc.in_height"), but those of a call's
 * buffers alone ("dy"). */
#ifndef EVR_CORE_CHECK_H
#define EVR_CORE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "evrisim/status.h"

/* Returns from the calling function unless the check passed. */
#define EVR_TRY(check)                     \
  do {                                     \
    const evr_status status_ = (check);    \
    if (status_ != EVR_OK) return status_; \
  } while (0)

evr_status evr_refuse_null(const char *name);
static inline evr_status evr_check_pointer(const char *name, const void *pointer) {
  return pointer != NULL ? EVR_OK : evr_refuse_null(name);
}
evr_status evr_check_at_least(const char *name, int64_t value, int64_t least);
evr_status evr_check_layout(const char *name, evr_layout layout);
evr_status evr_check_pad_mode(const char *name, evr_pad_mode mode);
evr_status evr_check_activation(const char *name, const evr_activation *activation);

/* The product of four positive sizes, which has to be at most EVR_MOST_FLOATS. what is the tensor,
 * at the start of a sentence; sizes says where they come from: "desc.batch x desc.in_height x ...".
 */
evr_status evr_check_count(const char *what, const char *sizes, int64_t a, int64_t b, int64_t c,
                           int64_t d, int64_t *count);

/* size + before + after. */
evr_status evr_check_padded(const char *name, int64_t size, const char *before_name, int64_t before,
                            const char *after_name, int64_t after, int64_t *padded);

/* One direction of a padded image. Reflection needs pads smaller than the image. */
evr_status evr_check_pads(evr_pad_mode mode, const char *before_name, int64_t before,
                          const char *after_name, int64_t after, const char *size_name,
                          int64_t size);

/* A sliding window in one direction of an image. */
typedef struct evr_window_names {
  const char *in, *kernel, *stride, *dilation, *before, *after;
} evr_window_names;
typedef struct evr_window {
  int64_t in, kernel, stride, dilation, before, after;
} evr_window;

/* Checks each size, computes the extent dilation (kernel - 1) + 1 of the window and the padded size
 * of the image, and refuses a window larger than that. */
evr_status evr_check_window(const evr_window_names *names, const evr_window *window,
                            int64_t *extent, int64_t *padded);

/* Pads of one direction for a scheme (TensorFlow's and ONNX's SAME). */
evr_status evr_scheme_pads(evr_padding_scheme scheme, const evr_window_names *names,
                           evr_window *window);

/* A buffer of one call, for evr_check_buffers. */
typedef struct evr_buffer {
  const char *name;
  const void *start;
  size_t bytes;
  bool written;
} evr_buffer;

/* Refuses two buffers that share a byte where one of them is written. NULL buffers are skipped. */
evr_status evr_check_buffers(const evr_buffer *buffers, int count);

#endif
