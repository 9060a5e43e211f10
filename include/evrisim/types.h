/** @file types.h  Types that every operation shares. */
#ifndef EVRISIM_TYPES_H
#define EVRISIM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define EVR_API __attribute__((visibility("default")))
#else
#define EVR_API
#endif

/** Order of the dimensions of an activation tensor in memory, outermost first. */
typedef enum evr_layout {
  EVR_NHWC = 0, /**< batch, height, width, channels */
  EVR_NCHW = 1  /**< batch, channels, height, width */
} evr_layout;

/** Order of the dimensions of a filter tensor in memory, outermost first.
 *  I is in_channels / groups, O is all output channels. */
typedef enum evr_filter_layout {
  EVR_HWIO = 0, /**< kernel_height, kernel_width, in_channels / groups, out_channels */
  EVR_OIHW = 1  /**< out_channels, in_channels / groups, kernel_height, kernel_width */
} evr_filter_layout;

/** What a tap outside the image reads. Padding is data: a padded tap takes part in the sum
 *  (or, in pad2d, in the copy) like any pixel. */
typedef enum evr_pad_mode {
  EVR_PAD_ZERO = 0,      /**< zeros: 0 0 | a b c | 0 0 */
  EVR_PAD_REPLICATE = 1, /**< the edge pixel: a a | a b c | c c */
  EVR_PAD_REFLECT = 2    /**< the mirror image without the edge: c b | a b c | b a;
                              each pad must be smaller than the image in that direction */
} evr_pad_mode;

/** Named choices of padding, for the helpers that fill in the four pads. */
typedef enum evr_padding_scheme {
  EVR_VALID = 0,      /**< no padding */
  EVR_SAME_UPPER = 1, /**< output = ceil(input / stride); an odd pixel goes to bottom and right */
  EVR_SAME_LOWER = 2  /**< the same, an odd pixel goes to top and left */
} evr_padding_scheme;

/** Elementwise functions. x is one value; alpha is evr_activation.alpha. */
typedef enum evr_activation_kind {
  EVR_IDENTITY = 0,    /**< x */
  EVR_RELU = 1,        /**< x < 0 ? 0 : x; so NaN and -0 pass */
  EVR_LEAKY_RELU = 2,  /**< x < 0 ? alpha x : x */
  EVR_ELU = 3,         /**< x < 0 ? alpha (e^x - 1) : x  (Clevert et al., 2015) */
  EVR_SIGMOID = 4,     /**< 1 / (1 + e^-x) */
  EVR_TANH = 5,        /**< tanh x */
  EVR_SCALED_TANH = 6, /**< 1.7159 tanh(2x/3)  (LeCun et al., Efficient BackProp, 1998) */
  EVR_RELU6 = 7,       /**< min(max(x, 0), 6), NaN passes  (Howard et al., 2017) */
  EVR_HARD_SWISH = 8,  /**< x relu6(x + 3) / 6  (Howard et al., MobileNetV3, 2019) */
  EVR_SILU = 9,        /**< x sigmoid(x), also called swish */
  EVR_GELU = 10,       /**< x Phi(x), Phi the normal distribution  (Hendrycks and Gimpel, 2016) */
  EVR_GELU_TANH = 11   /**< x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), same source */
} evr_activation_kind;

/** An elementwise function and its parameter. Zero initialisation is the identity. */
typedef struct evr_activation {
  evr_activation_kind kind;
  float alpha; /**< slope of EVR_LEAKY_RELU, scale of EVR_ELU; must be finite; else unused */
} evr_activation;

/** What is condensed out of a pooling window. */
typedef enum evr_pool_kind {
  EVR_POOL_NONE = 0,    /**< no pooling; only as the pool of a convolution */
  EVR_POOL_MAX = 1,     /**< the greatest value: the first of equals; the first NaN wins over all */
  EVR_POOL_AVERAGE = 2, /**< the sum in order of rows, then columns, divided by the count */
  EVR_POOL_MIN = 3      /**< the smallest value; ties and NaN as in EVR_POOL_MAX */
} evr_pool_kind;

/** A sliding window of pooling. Padding never wins a maximum or minimum and adds zero to a sum.
 *  A window that holds no pixel at all gives -inf (max), +inf (min) or 0 (average), index -1. */
typedef struct evr_pool2d_window {
  evr_pool_kind kind;
  int64_t kernel_height, kernel_width;
  int64_t stride_height, stride_width;
  int64_t dilation_height, dilation_width;          /**< 1 is dense */
  int64_t pad_top, pad_bottom, pad_left, pad_right; /**< each smaller than the dilated kernel */
  bool ceil_mode;         /**< round the output size up; a window that would start in the bottom
                               or right padding is dropped */
  bool count_include_pad; /**< average: padded taps count in the divisor; what ceil_mode adds
                               beyond the padding does not */
  bool global;            /**< one window over the whole plane; the sizes above are not read */
} evr_pool2d_window;

/** A dense (stride 1, dilation 1) window without kind and kernel size. */
#define EVR_POOL2D_WINDOW_INIT \
  { EVR_POOL_NONE, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, false, false, false }

#endif
