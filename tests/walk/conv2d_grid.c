/* The descriptors that convolution is tested with: every tile of the kernels with one less and one
 * more, primes, and each thing that a descriptor can ask for. Vectors are 4, 8 or 16 floats, tiles
 * take 1, 2 or 4 of them by 6, 8, 12 or 14 pixels. */
#include <float.h>

#include "walk/conv2d.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const int64_t channel_tails[] = {1,  2,  3,  4,  5,  7,  8,  9,  11, 13, 15, 16,
                                        17, 23, 31, 32, 33, 47, 48, 49, 63, 64, 65, 97};
static const int64_t width_tails[] = {1, 2, 3, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 17, 23, 29};
static const int64_t primes[] = {2, 3, 5, 7, 11, 13};

static conv2d_case plain_case(int64_t in_channels, int64_t height, int64_t width,
                              int64_t out_channels, int64_t kernel) {
  conv2d_case c = {.desc = EVR_CONV2D_DESC_INIT, .values = VALUES_REALS};
  c.desc.in_channels = in_channels;
  c.desc.in_height = height;
  c.desc.in_width = width;
  c.desc.out_channels = out_channels;
  c.desc.kernel_height = c.desc.kernel_width = kernel;
  return c;
}

static void set_pads(evr_conv2d_desc *d, int64_t top, int64_t bottom, int64_t left, int64_t right) {
  d->pad_top = top;
  d->pad_bottom = bottom;
  d->pad_left = left;
  d->pad_right = right;
}

static bool is_possible(const evr_conv2d_desc *d) {
  if (d->dilation_height * (d->kernel_height - 1) >= d->in_height + d->pad_top + d->pad_bottom ||
      d->dilation_width * (d->kernel_width - 1) >= d->in_width + d->pad_left + d->pad_right)
    return false;
  return d->pad_mode != EVR_PAD_REFLECT ||
         (d->pad_top < d->in_height && d->pad_bottom < d->in_height && d->pad_left < d->in_width &&
          d->pad_right < d->in_width);
}

typedef struct grid {
  walk *walk;
  conv2d_visit *visit;
  int64_t index;
} grid;

/* What a case does not fix itself is picked by its number: bias, residual, values. */
static void visit_case(grid *g, conv2d_case c) {
  const int64_t index = g->index++;
  if (!is_possible(&c.desc) || !walk_take(g->walk, index)) return;
  if (c.values == VALUES_REALS) {
    static const test_values others[] = {VALUES_REALS,    VALUES_REALS,   VALUES_REALS, VALUES_TINY,
                                         VALUES_INTEGERS, VALUES_SPECIAL, VALUES_REALS};
    c.values = others[index % COUNT(others)];
  }
  c.bias = c.bias || index % 3 != 0;
  c.residual = c.residual || index % 5 == 1;
  g->visit(g->walk, &c);
}

static void visit_layouts(grid *g, conv2d_case c) {
  for (int layouts = 0; layouts < 4; layouts++) {
    c.desc.layout = layouts & 1 ? EVR_NCHW : EVR_NHWC;
    c.desc.filter_layout = layouts & 2 ? EVR_OIHW : EVR_HWIO;
    visit_case(g, c);
  }
}

/* Output channels against pixels of a row: every tail of a tile. */
static void tails(grid *g) {
  for (int o = 0; o < COUNT(channel_tails); o++)
    for (int w = 0; w < COUNT(width_tails); w++) {
      const int64_t kernel = (o + w) % 2 ? 3 : 1;
      conv2d_case c = plain_case(3, 2, width_tails[w], channel_tails[o], kernel);
      if (kernel == 3) set_pads(&c.desc, 1, 1, 1, 1);
      c.desc.activation.kind = (o + w) % 3 == 0 ? EVR_RELU : EVR_IDENTITY;
      visit_layouts(g, c);
    }
}

/* Input channels, with kernels that are not square. */
static void depths(grid *g) {
  static const int64_t kernels[][2] = {{1, 1}, {3, 3}, {1, 3}, {5, 1}, {2, 4}};
  for (int i = 0; i < COUNT(channel_tails); i++)
    for (int k = 0; k < COUNT(kernels); k++) {
      conv2d_case c = plain_case(channel_tails[i], 5, 7, 17, 1);
      c.desc.kernel_height = kernels[k][0];
      c.desc.kernel_width = kernels[k][1];
      set_pads(&c.desc, (kernels[k][0] - 1) / 2, kernels[k][0] / 2, kernels[k][1] / 2,
               (kernels[k][1] - 1) / 2);
      visit_layouts(g, c);
    }
}

/* Sums so long that a kernel cuts them to keep a panel of weights in cache. */
static void long_sums(grid *g) {
  static const int64_t depth[] = {127, 128, 129, 255, 257, 513, 1025};
  for (int i = 0; i < COUNT(depth); i++)
    for (int64_t kernel = 1; kernel <= 3; kernel += 2) {
      if (kernel == 3 && depth[i] > 520) continue;
      conv2d_case c = plain_case(depth[i], 2, 7, i % 2 ? 33 : 16, kernel);
      if (kernel == 3) set_pads(&c.desc, 1, 0, 1, 1);
      visit_layouts(g, c);
    }
}

/* Strides, dilations, pads and pad modes. */
static void windows(grid *g) {
  static const int64_t pads[][4] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 0, 1, 3}, {4, 5, 6, 3}};
  for (int64_t kernel = 1; kernel <= 5; kernel++)
    for (int64_t stride = 1; stride <= 3; stride++)
      for (int64_t dilation = 1; dilation <= 3; dilation++)
        for (int p = 0; p < COUNT(pads); p++)
          for (int mode = 0; mode < 3; mode++) {
            conv2d_case c = plain_case(2, 7, 11, 5, kernel);
            c.desc.stride_height = stride;
            c.desc.stride_width = (stride + p) % 3 + 1;
            c.desc.dilation_height = dilation;
            c.desc.dilation_width = (dilation + mode + kernel) % 3 + 1;
            set_pads(&c.desc, pads[p][0], pads[p][1], pads[p][2], pads[p][3]);
            c.desc.pad_mode = (evr_pad_mode)mode;
            c.desc.filter_layout = kernel % 2 ? EVR_HWIO : EVR_OIHW;
            for (int layout = 0; layout < 2; layout++) {
              c.desc.layout = layout ? EVR_NCHW : EVR_NHWC;
              visit_case(g, c);
            }
          }
}

static void groups(grid *g) {
  static const int64_t group_sizes[] = {1, 2, 3, 8, 17};
  for (int64_t count = 2; count <= 5; count++)
    for (int i = 0; i < COUNT(group_sizes); i++)
      for (int o = 0; o < COUNT(group_sizes); o++) {
        conv2d_case c = plain_case(count * group_sizes[i], 3, 5, count * group_sizes[o], 3);
        c.desc.groups = count;
        c.desc.stride_width = (i + o) % 3 == 0 ? 2 : 1;
        set_pads(&c.desc, 1, 1, 0, 2);
        visit_layouts(g, c);
      }
}

/* One group a channel, with one or more filters each. */
static void depthwise(grid *g) {
  for (int i = 0; i < COUNT(channel_tails); i++)
    for (int64_t multiplier = 1; multiplier <= 3; multiplier++)
      for (int64_t kernel = 2; kernel <= 5; kernel++) {
        const int64_t channels = channel_tails[i];
        conv2d_case c = plain_case(channels, 5, width_tails[(i + kernel) % COUNT(width_tails)],
                                   channels * multiplier, kernel);
        c.desc.groups = channels;
        c.desc.stride_height = c.desc.stride_width = (i + multiplier) % 3 == 2 ? 2 : 1;
        c.desc.dilation_width = i % 4 == 3 ? 2 : 1;
        c.desc.pad_mode = i % 5 == 4 ? EVR_PAD_REPLICATE : EVR_PAD_ZERO;
        set_pads(&c.desc, kernel / 2, kernel / 2, kernel, kernel / 2);
        c.desc.activation.kind = i % 2 ? EVR_RELU6 : EVR_IDENTITY;
        visit_layouts(g, c);
      }
}

/* Taps that lie apart, on columns that may be taken by phases: more, as many and fewer columns than
 * the dilation, and phases that differ by a column. */
static void dilated_depthwise(grid *g) {
  static const int64_t channels[] = {1, 8, 16, 17, 35, 64, 256, 512}, kernels[] = {3, 5, 2, 7, 1};
  static const int64_t dilations[] = {2, 3, 5, 12}, widths[] = {9, 15, 29, 30, 33, 4, 12};
  for (int i = 0; i < 21 * COUNT(channels); i++) {
    const int64_t kernel = kernels[i % COUNT(kernels)],
                  dilation = dilations[i / 2 % COUNT(dilations)];
    const int64_t reach = (kernel - 1) * dilation, multiplier = i % 4 == 3 ? 2 : 1;
    const int64_t inputs = channels[i % COUNT(channels)];
    conv2d_case c =
        plain_case(inputs, 3 + i % 3, widths[i / 3 % COUNT(widths)], inputs * multiplier, kernel);
    c.desc.batch = 1 + i / 5 % 2;
    c.desc.groups = inputs;
    c.desc.stride_height = 1 + i / 7 % 2;
    c.desc.stride_width = i % 13 == 12 ? 2 : 1;
    c.desc.dilation_height = 1 + i / 3 % 2;
    c.desc.dilation_width = dilation;
    c.desc.pad_mode = i % 9 == 8 ? EVR_PAD_REPLICATE : EVR_PAD_ZERO;
    set_pads(&c.desc, kernel, kernel - 1, reach / 2 + i % 2, reach / 2 + i / 2 % 3);
    c.bias = i % 3 > 0;
    c.residual = i / 3 % 3 == 2;
    c.desc.activation.kind = i / 2 % 4 == 1 ? EVR_RELU6 : i / 2 % 4 == 2 ? EVR_SILU : EVR_IDENTITY;
    c.desc.filter_layout = i % 2 ? EVR_OIHW : EVR_HWIO;
    c.desc.layout = i % 7 == 6 ? EVR_NCHW : EVR_NHWC;
    visit_case(g, c);
  }
}

/* Windows of 3x3 that move by 2, one group a channel: their gradients may be computed in quads of
 * pixels, which images and pads cut in every place. */
static void quads(grid *g) {
  static const int64_t channels[] = {1, 8, 15, 16, 17, 35}, sizes[] = {1, 2, 3, 4, 7, 10, 13, 16};
  static const int64_t pads[][4] = {
      {0, 1, 0, 1}, {1, 1, 1, 1}, {2, 0, 3, 2}, {1, 6, 4, 5}, {0, 0, 0, 0}};
  for (int i = 0; i < 6 * COUNT(channels) * COUNT(pads); i++) {
    const int64_t *pad = pads[i % COUNT(pads)];
    conv2d_case c = plain_case(channels[i % COUNT(channels)], sizes[(i / 3) % COUNT(sizes)],
                               sizes[(i / 7 + i) % COUNT(sizes)], channels[i % COUNT(channels)], 3);
    c.desc.batch = 1 + i % 4 / 3;
    c.desc.groups = c.desc.in_channels;
    c.desc.stride_height = c.desc.stride_width = 2;
    set_pads(&c.desc, pad[0], pad[1], pad[2], pad[3]);
    c.desc.activation.kind = i % 4 == 1 ? EVR_RELU : i % 4 == 2 ? EVR_SILU : EVR_IDENTITY;
    c.desc.filter_layout = i % 2 ? EVR_OIHW : EVR_HWIO;
    c.desc.layout = i % 8 == 7 ? EVR_NCHW : EVR_NHWC;
    visit_case(g, c);
  }
}

/* Everything that is fused behind the sum. */
static void epilogues(grid *g) {
  static const int64_t outputs[] = {1, 5, 16, 33, 67};
  for (int kind = EVR_IDENTITY; kind <= EVR_GELU_TANH; kind++)
    for (int o = 0; o < COUNT(outputs); o++)
      for (int extra = 0; extra < 4; extra++) {
        conv2d_case c = plain_case(3, 2, 5 + o, outputs[o], extra % 2 ? 1 : 2);
        c.desc.activation.kind = (evr_activation_kind)kind;
        c.desc.activation.alpha = kind == EVR_ELU ? 1.25f : 0.1f;
        c.bias = extra & 1;
        c.residual = extra & 2;
        c.desc.filter_layout = extra == 2 ? EVR_OIHW : EVR_HWIO;
        for (int layout = 0; layout < 2; layout++) {
          c.desc.layout = layout ? EVR_NCHW : EVR_NHWC;
          visit_case(g, c);
        }
      }
}

/* Batches and heights of 1x1 kernels, where rows may run together; and the first layers of known
 * networks (LeNet-5, AlexNet, ResNet), where few channels may be folded into the taps. */
static void shapes(grid *g) {
  for (int64_t batch = 1; batch <= 3; batch++)
    for (int64_t height = 1; height <= 7; height += 2)
      for (int w = 0; w < COUNT(primes); w++) {
        conv2d_case c = plain_case(5, height, primes[w], 19, 1);
        c.desc.batch = batch;
        visit_layouts(g, c);
        c.desc.stride_height = c.desc.stride_width = 2;
        visit_layouts(g, c);
      }
  for (int64_t channels = 1; channels <= 4; channels++) {
    conv2d_case c = plain_case(channels, 12, 31, 6, 5);
    visit_layouts(g, c);
    c = plain_case(channels, 13, 29, 20, 7);
    c.desc.stride_height = c.desc.stride_width = 2;
    set_pads(&c.desc, 3, 3, 3, 3);
    visit_layouts(g, c);
    c = plain_case(channels, 15, 27, 17, 11);
    c.desc.stride_height = c.desc.stride_width = 4;
    set_pads(&c.desc, 2, 2, 2, 2);
    visit_layouts(g, c);
    c = plain_case(channels, 3, 3, 9, 3); /* one output pixel */
    visit_layouts(g, c);
    c = plain_case(channels, 4, 3, 9, 1); /* a stride that is taken in one direction only */
    c.desc.stride_width = 5;
    visit_layouts(g, c);
    c.desc.stride_width = 1;
    c.desc.stride_height = 5;
    visit_layouts(g, c);
    c = plain_case(channels, 1, 1, 9, 3); /* more padding than image */
    set_pads(&c.desc, 2, 3, 1, 4);
    visit_layouts(g, c);
    c = plain_case(channels, 3, 7, 9, 1); /* sizes that are legal and huge */
    c.desc.stride_height = c.desc.dilation_width = INT64_MAX;
    c.desc.stride_width = c.desc.dilation_height = INT64_MAX - 1;
    c.desc.groups = channels % 2 == 0 ? channels : 1;
    c.desc.out_channels = 2 * channels;
    visit_layouts(g, c);
  }
}

/* Windows of 3x3 that move by 1, which may be computed in square tiles of outputs: every place
 * where a tile meets an edge, with a batch whose tiles run together. */
static void squares(grid *g) {
  static const int64_t heights[] = {1, 2, 4, 5, 6, 9}, widths[] = {1, 3, 4, 6, 7, 18, 29, 61};
  static const int64_t pads[][4] = {{1, 1, 1, 1}, {2, 0, 2, 1}, {0, 4, 3, 5}, {0, 0, 0, 0}};
  for (int h = 0; h < COUNT(heights); h++)
    for (int w = 0; w < COUNT(widths); w++)
      for (int mode = 0; mode < 3; mode++) {
        const int64_t *pad = pads[(h + w + mode) % COUNT(pads)];
        conv2d_case c =
            plain_case((h + mode) % 2 ? 3 : 19, heights[h], widths[w], 1 + 16 * (w % 3), 3);
        c.desc.batch = 1 + (h + w) % 3;
        c.desc.pad_mode = (evr_pad_mode)mode;
        set_pads(&c.desc, pad[0], pad[1], pad[2], pad[3]);
        c.desc.activation.kind = (h + w) % 4 == 0   ? EVR_RELU
                                 : (h + w) % 4 == 1 ? EVR_SILU
                                                    : EVR_IDENTITY;
        visit_layouts(g, c);
      }
}

/* Enough channels for tiles of 16 pixels by 16 channels by 32 terms: the ends of each, with windows
 * that find their pixels in several phases of a stride. */
static void tiles(grid *g) {
  static const int64_t depths[] = {16, 31, 32, 33, 65, 128};
  static const int64_t widths[] = {1, 15, 16, 17, 31, 33, 49};
  static const int64_t outputs[] = {1, 16, 17, 32, 33, 65};
  static const int64_t kernels[][2] = {{1, 1}, {3, 3}, {2, 5}, {1, 4}};
  static const int64_t strides[] = {1, 2, 3, 4};
  int i = 0;
  for (int c = 0; c < COUNT(depths); c++)
    for (int w = 0; w < COUNT(widths); w++, i++) {
      conv2d_case k = plain_case(depths[c], 3 + i % 4, widths[w], outputs[(c + w) % 6], 1);
      k.desc.kernel_height = kernels[i % 4][0];
      k.desc.kernel_width = kernels[i % 4][1];
      k.desc.stride_height = strides[(i / 2) % 4];
      k.desc.stride_width = strides[(i / 3) % 4];
      k.desc.dilation_height = 1 + i % 3;
      k.desc.dilation_width = 1 + (i / 4) % 4;
      k.desc.batch = 1 + (i % 5 == 0);
      k.desc.pad_mode = i % 4 == 3 ? EVR_PAD_REPLICATE : EVR_PAD_ZERO;
      set_pads(&k.desc, i % 4 + 2, i % 3, 8, 9);
      k.desc.activation.kind = i % 3 == 0 ? EVR_RELU : i % 7 == 1 ? EVR_TANH : EVR_IDENTITY;
      visit_layouts(g, k);
    }
}

/* Pixels whose channels are a power of two apart meet in few sets of the first cache; kernels have
 * ways of their own for these. */
static void crowded_channels(grid *g) {
  static const struct {
    int64_t channels, kernel, stride;
  } shapes[] = {{512, 3, 1}, {1024, 3, 1}, {256, 3, 2}, {1024, 3, 2}, {512, 5, 1}, {1024, 7, 1}};
  static const int64_t widths[] = {4, 7, 15};
  for (int i = 0; i < COUNT(shapes); i++)
    for (int w = 0; w < COUNT(widths); w++) {
      const int64_t channels = shapes[i].channels, kernel = shapes[i].kernel;
      conv2d_case c = plain_case(channels, 5, widths[w], channels, kernel);
      c.desc.groups = channels;
      c.desc.stride_height = w == 1 ? 3 - shapes[i].stride : shapes[i].stride;
      c.desc.stride_width = shapes[i].stride;
      set_pads(&c.desc, kernel / 2, kernel / 2, kernel / 2, kernel / 2);
      c.bias = w > 0;
      c.residual = w == 1;
      c.desc.activation.kind = w == 1 ? EVR_RELU : w == 2 ? EVR_GELU_TANH : EVR_IDENTITY;
      visit_layouts(g, c);
    }
}

/* One to four channels on one side and many on the other, in rows of more pixels than a vector has:
 * lanes may run over the pixels. Both ways around, since one's gradient is the other. */
static void few_channels(grid *g) {
  static const int64_t many[] = {8, 16, 19, 33}, widths[] = {15, 17, 32, 53, 129, 301};
  static const int64_t kernels[][2] = {{1, 1}, {3, 3}, {2, 5}, {7, 7}, {1, 4}};
  for (int i = 0; i < 4 * COUNT(widths) * COUNT(kernels); i++) {
    const int64_t *kernel = kernels[i / (4 * COUNT(widths))];
    const int64_t few = i % 4 + 1, others = many[i / 3 % 4];
    const bool inputs = i % 3 == 0;
    conv2d_case c = plain_case(inputs ? few : others, 3 + i % 5 + kernel[0] / 2,
                               widths[i / 4 % COUNT(widths)], inputs ? others : few, 1);
    c.desc.kernel_height = kernel[0];
    c.desc.kernel_width = kernel[1];
    c.desc.batch = 1 + i % 2;
    c.desc.stride_height = 1 + i / 2 % 3;
    c.desc.stride_width = inputs ? 1 + i % 2 : 1;
    c.desc.dilation_height = 1 + i / 5 % 2;
    c.desc.dilation_width = 1 + i / 7 % 3;
    c.desc.pad_mode = (evr_pad_mode)(i / 2 % 3);
    set_pads(&c.desc, i % 3, kernel[0] / 2, kernel[1] / 2, i / 3 % 3);
    c.desc.activation.kind = i % 4 == 1 ? EVR_RELU : i % 4 == 2 ? EVR_SILU : EVR_IDENTITY;
    c.desc.filter_layout = i % 2 ? EVR_OIHW : EVR_HWIO;
    c.desc.layout = i / 5 % 2 ? EVR_NCHW : EVR_NHWC;
    visit_case(g, c);
  }
}

/* More outputs than the sums of one tile: lanes may run over the pixels all the same, of a few
 * inputs or of many, and sums of NHWC are transposed. */
static void outputs_in_blocks(grid *g) {
  static const int64_t outputs[] = {5, 6, 7, 8, 9, 10, 12, 13, 17, 25, 33, 64};
  static const int64_t widths[] = {9, 17, 48, 61, 130}, inputs[] = {1, 2, 3, 4, 5, 16, 19};
  static const int64_t kernels[][2] = {{3, 3}, {1, 1}, {5, 2}, {1, 4}};
  for (int i = 0; i < COUNT(outputs) * COUNT(widths) * 2; i++) {
    const int64_t *kernel = kernels[i / 3 % COUNT(kernels)];
    const int64_t groups = i % 7 == 3 ? 2 : 1;
    conv2d_case c = plain_case(groups * inputs[i % COUNT(inputs)], 2 + i % 5 + kernel[0] / 2,
                               widths[i / COUNT(outputs) % COUNT(widths)],
                               groups * outputs[i % COUNT(outputs)], 1);
    c.desc.groups = groups;
    c.desc.kernel_height = kernel[0];
    c.desc.kernel_width = kernel[1];
    c.desc.batch = 1 + i / 3 % 2;
    c.desc.stride_height = 1 + i / 5 % 2;
    c.desc.stride_width = i % 4 == 3 ? 2 + i % 3 % 2 : 1;
    c.desc.dilation_height = 1 + i / 11 % 2;
    c.desc.dilation_width = 1 + i / 2 % 5 % 2;
    c.desc.pad_mode = i / 4 % 3 == 2 ? (evr_pad_mode)(1 + i % 2) : EVR_PAD_ZERO;
    set_pads(&c.desc, i % 3, kernel[0] / 2, kernel[1] / 2, i / 2 % 3);
    c.bias = i % 3 != 1;
    c.residual = i % 5 == 2;
    c.desc.activation.kind = i / 2 % 3 == 0 ? EVR_RELU : i % 6 == 5 ? EVR_SILU : EVR_IDENTITY;
    c.desc.filter_layout = i % 2 ? EVR_OIHW : EVR_HWIO;
    visit_layouts(g, c);
  }
}

/* Windows a pixel wide over rows of whole vectors, which may be read in place; and of one less. */
static void narrow_windows(grid *g) {
  static const int64_t widths[] = {16, 32, 80, 79}, heights[] = {1, 2, 3, 5},
                       inputs[] = {5, 16, 33};
  for (int i = 0; i < 144; i++) {
    const int64_t outputs = 1 + i / 2 % 4 + (i % 8 == 5 ? 10 : 0);
    conv2d_case c = plain_case(inputs[i % 3], 2 + i % 5, widths[i / 3 % 4], outputs, 1);
    c.desc.kernel_height = heights[i / 12 % 4];
    c.desc.batch = 1 + i % 2;
    c.desc.stride_height = 1 + i / 5 % 2;
    c.desc.dilation_height = 1 + i / 7 % 2;
    c.desc.pad_mode = (evr_pad_mode)(i / 4 % 3);
    set_pads(&c.desc, c.desc.kernel_height / 2 + i % 2, c.desc.kernel_height, 0, i % 3 == 0);
    c.desc.activation.kind = i % 4 == 1 ? EVR_RELU : i % 4 == 2 ? EVR_SILU : EVR_IDENTITY;
    c.desc.filter_layout = i % 5 == 0 ? EVR_OIHW : EVR_HWIO;
    c.desc.layout = i % 6 == 5 ? EVR_NHWC : EVR_NCHW;
    visit_case(g, c);
  }
  /* Without pads all pixels of an image may be one row; long ones are cut into strips for every
   * vector length. Planes of 4096 bytes collide in the first cache unless a window has one row. */
  static const struct {
    int64_t inputs, height, width, outputs, kernel_height, pad;
  } whole[] = {{16, 3, 32, 3, 1, 0}, {33, 5, 80, 1, 1, 0}, {5, 2, 79, 4, 1, 0},
               {7, 1, 560, 3, 1, 0}, {5, 3, 528, 2, 3, 1}, {5, 2, 624, 4, 1, 0},
               {8, 32, 32, 3, 3, 1}, {8, 32, 32, 4, 3, 0}, {5, 16, 64, 1, 3, 1},
               {16, 32, 32, 2, 1, 0}};
  for (int i = 0; i < 2 * COUNT(whole); i++) {
    conv2d_case c = plain_case(whole[i / 2].inputs, whole[i / 2].height, whole[i / 2].width,
                               whole[i / 2].outputs, 1);
    c.desc.kernel_height = whole[i / 2].kernel_height;
    set_pads(&c.desc, whole[i / 2].pad, whole[i / 2].pad, 0, 0);
    c.desc.batch = 1 + i % 2;
    c.desc.activation.kind = i % 3 == 1 ? EVR_RELU : EVR_IDENTITY;
    c.desc.filter_layout = i % 4 < 2 ? EVR_HWIO : EVR_OIHW;
    c.desc.layout = EVR_NCHW;
    visit_case(g, c);
  }
}

void conv2d_grid(walk *w, conv2d_visit *visit) {
  grid g = {w, visit, 0};
  tails(&g);
  depths(&g);
  long_sums(&g);
  windows(&g);
  groups(&g);
  depthwise(&g);
  dilated_depthwise(&g);
  quads(&g);
  epilogues(&g);
  shapes(&g);
  squares(&g);
  tiles(&g);
  crowded_channels(&g);
  few_channels(&g);
  outputs_in_blocks(&g);
  narrow_windows(&g);
}

static int64_t usually_one(test_random *r, int64_t most) {
  return random_chance(r, 60) ? 1 : random_between(r, 1, most);
}

static int64_t channels_of(test_random *r) {
  return random_chance(r, 50) ? random_of(r, channel_tails, COUNT(channel_tails))
                              : random_between(r, 1, 40);
}

bool conv2d_random_case(walk *w, conv2d_case *c) {
  test_random *r = &w->random;
  *c = plain_case(1, 1, 1, 1, 1);
  evr_conv2d_desc *d = &c->desc;
  d->in_height = random_between(r, 1, 14);
  d->in_width = random_between(r, 1, 34);
  d->batch = usually_one(r, 3);
  d->groups = usually_one(r, 9);
  d->in_channels = channels_of(r);
  d->out_channels = channels_of(r);
  if (random_chance(r, 20)) { /* depthwise */
    d->groups = d->in_channels;
    d->out_channels = d->in_channels * random_between(r, 1, 3);
  } else if (d->groups > 1) {
    d->in_channels = d->groups * random_between(r, 1, 9);
    d->out_channels = d->groups * random_between(r, 1, 19);
  }
  /* What Winograd's tiles take, or a depthwise gradient's quads. */
  const bool one = d->groups == 1, quads = d->groups == d->in_channels && !one;
  const bool square = (one || quads) && random_chance(r, 25);
  d->kernel_height = random_between(r, 1, 5);
  d->kernel_width = random_between(r, 1, 7);
  d->stride_height = usually_one(r, 4);
  d->stride_width = usually_one(r, 4);
  d->dilation_height = usually_one(r, 3);
  d->dilation_width = usually_one(r, 3);
  if (square) {
    d->kernel_height = d->kernel_width = 3;
    d->stride_height = d->stride_width = one ? 1 : 2;
    d->dilation_height = d->dilation_width = 1;
  }
  if (random_chance(r, 70)) {
    d->pad_top = random_between(r, 0, 4);
    d->pad_bottom = random_between(r, 0, 4);
    d->pad_left = random_between(r, 0, 4);
    d->pad_right = random_between(r, 0, 4);
  }
  d->pad_mode = random_chance(r, 60) ? EVR_PAD_ZERO : (evr_pad_mode)random_between(r, 1, 2);
  d->layout = random_chance(r, 50) ? EVR_NHWC : EVR_NCHW;
  d->filter_layout = random_chance(r, 50) ? EVR_HWIO : EVR_OIHW;
  if (random_chance(r, 50)) {
    d->activation.kind = (evr_activation_kind)random_between(r, EVR_IDENTITY, EVR_GELU_TANH);
    d->activation.alpha = (float)random_between(r, -8, 8) * 0.25f;
  }
  c->bias = random_chance(r, 60);
  c->residual = random_chance(r, 20);
  c->values = (test_values)random_between(r, VALUES_INTEGERS, VALUES_SPECIAL);
  if (!is_possible(d)) return false;
  const double multiplies =
      (double)d->batch * (double)(d->in_height + 8) * (double)(d->in_width + 8) *
      (double)d->out_channels * (double)(d->kernel_height * d->kernel_width) *
      (double)(d->in_channels / d->groups) / (double)(d->stride_height * d->stride_width);
  return multiplies < 400000.0;
}
