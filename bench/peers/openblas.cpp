// im2col and OpenBLAS: the convolution as most frameworks' CPU fallback does it. A column matrix
// for each image and group, one sgemm into the output, then one pass for bias and ReLU; a 1x1
// convolution of stride 1 without padding is an sgemm on the image itself.
#include <cblas.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "../complaint.h"
#include "peer.h"

namespace evr_bench {
namespace {

struct Shape {
  evr_conv2d_desc d;
  int64_t out_height, out_width;
  int64_t group_in, group_out, terms;  // terms: length of one sum
  bool plain;                          // the image is its own column matrix
};

// NHWC: one row a pixel, its columns in the order row, column, input channel.
void columns_nhwc(const Shape &s, const float *image, int64_t group, float *columns, int threads) {
  const evr_conv2d_desc &d = s.d;
  const float *x = image + group * s.group_in;
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (int64_t oh = 0; oh < s.out_height; oh++) {
    float *out = columns + oh * s.out_width * s.terms;
    for (int64_t ow = 0; ow < s.out_width; ow++) {
      for (int64_t kh = 0; kh < d.kernel_height; kh++) {
        const int64_t ih = oh * d.stride_height - d.pad_top + kh * d.dilation_height;
        for (int64_t kw = 0; kw < d.kernel_width; kw++) {
          const int64_t iw = ow * d.stride_width - d.pad_left + kw * d.dilation_width;
          if (ih < 0 || ih >= d.in_height || iw < 0 || iw >= d.in_width)
            std::fill_n(out, s.group_in, 0.0f);
          else
            std::copy_n(x + (ih * d.in_width + iw) * d.in_channels, s.group_in, out);
          out += s.group_in;
        }
      }
    }
  }
}

// NCHW: one column a pixel, the rows in the order input channel, row, column.
void columns_nchw(const Shape &s, const float *image, int64_t group, float *columns, int threads) {
  const evr_conv2d_desc &d = s.d;
  const float *x = image + group * s.group_in * d.in_height * d.in_width;
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (int64_t term = 0; term < s.terms; term++) {
    const int64_t kw = term % d.kernel_width;
    const int64_t kh = term / d.kernel_width % d.kernel_height;
    const float *plane = x + term / (d.kernel_width * d.kernel_height) * d.in_height * d.in_width;
    float *out = columns + term * s.out_height * s.out_width;
    for (int64_t oh = 0; oh < s.out_height; oh++, out += s.out_width) {
      const int64_t ih = oh * d.stride_height - d.pad_top + kh * d.dilation_height;
      if (ih < 0 || ih >= d.in_height) {
        std::fill_n(out, s.out_width, 0.0f);
        continue;
      }
      for (int64_t ow = 0; ow < s.out_width; ow++) {
        const int64_t iw = ow * d.stride_width - d.pad_left + kw * d.dilation_width;
        out[ow] = iw < 0 || iw >= d.in_width ? 0.0f : plane[ih * d.in_width + iw];
      }
    }
  }
}

void finish_output(const Shape &s, const float *bias, float *y, int threads) {
  const int64_t pixels = s.out_height * s.out_width;
  const int64_t channels = s.d.out_channels;
  const bool relu = s.d.activation.kind == EVR_RELU;
  if (!bias && !relu) return;
  const bool nhwc = s.d.layout == EVR_NHWC;
  const int64_t rows = nhwc ? pixels : channels, length = nhwc ? channels : pixels;
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (int64_t row = 0; row < rows; row++) {
    float *out = y + row * length;
    for (int64_t i = 0; i < length; i++) {
      const float sum = out[i] + (bias ? bias[nhwc ? i : row] : 0.0f);
      out[i] = relu && sum < 0.0f ? 0.0f : sum;
    }
  }
}

void convolve(const Shape &s, const Workload &w, float *y, float *columns, int threads) {
  const evr_conv2d_desc &d = s.d;
  const auto pixels = static_cast<blasint>(s.out_height * s.out_width);
  const auto out = static_cast<blasint>(s.group_out), terms = static_cast<blasint>(s.terms);
  const auto all_out = static_cast<blasint>(d.out_channels);
  const int64_t image_size = d.in_channels * d.in_height * d.in_width;
  const int64_t output_size = d.out_channels * pixels;
  for (int64_t n = 0; n < d.batch; n++) {
    const float *image = w.x.data() + n * image_size;
    float *output = y + n * output_size;
    for (int64_t g = 0; g < d.groups; g++) {
      if (d.layout == EVR_NHWC) {
        const float *left = image + g * s.group_in;
        auto leading = static_cast<blasint>(d.in_channels);
        if (!s.plain) {
          columns_nhwc(s, image, g, columns, threads);
          left = columns;
          leading = terms;
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, pixels, out, terms, 1.0f, left,
                    leading, w.weights.data() + g * s.group_out, all_out, 0.0f,
                    output + g * s.group_out, all_out);
      } else {
        const float *right = image + g * s.group_in * d.in_height * d.in_width;
        if (!s.plain) {
          columns_nchw(s, image, g, columns, threads);
          right = columns;
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, out, pixels, terms, 1.0f,
                    w.weights.data() + g * s.group_out * s.terms, terms, right, pixels, 0.0f,
                    output + g * s.group_out * pixels, pixels);
      }
    }
    finish_output(s, w.has_bias ? w.bias.data() : nullptr, output, threads);
  }
}

// One sgemv for a single row, one sgemm for more; the bias is there before, for it to add to.
void multiply(const evr_dense_desc &d, Workload &w, int threads) {
  const auto batch = static_cast<blasint>(d.batch), in = static_cast<blasint>(d.in_features);
  const auto out = static_cast<blasint>(d.out_features);
  const bool io = d.weights_layout == EVR_IO;
  float *y = w.y.data();
  const float beta = w.has_bias ? 1.0f : 0.0f;
  for (int64_t n = 0; w.has_bias && n < d.batch; n++)
    std::copy_n(w.bias.data(), d.out_features, y + n * d.out_features);
  if (d.batch == 1)
    cblas_sgemv(CblasRowMajor, io ? CblasTrans : CblasNoTrans, io ? in : out, io ? out : in, 1.0f,
                w.weights.data(), io ? out : in, w.x.data(), 1, beta, y, 1);
  else
    cblas_sgemm(CblasRowMajor, CblasNoTrans, io ? CblasNoTrans : CblasTrans, batch, out, in, 1.0f,
                w.x.data(), in, w.weights.data(), io ? out : in, beta, y, out);
  if (d.activation.kind != EVR_RELU) return;
#pragma omp parallel for num_threads(threads) if (threads > 1 && d.batch > 1)
  for (int64_t n = 0; n < d.batch; n++)
    for (int64_t o = n * d.out_features; o < (n + 1) * d.out_features; o++)
      y[o] = y[o] < 0.0f ? 0.0f : y[o];
}

class OpenBlas final : public Peer {
 public:
  explicit OpenBlas(const PeerSettings &settings) : settings_(settings) {
    openblas_set_num_threads(settings.threads);
  }

  std::string name() const override { return "OpenBLAS"; }

  std::string version() const override {
    // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...": the second word.
    std::string text = openblas_get_config();
    text.erase(0, text.find(' ') + 1);
    return text.substr(0, text.find(' ')) + " (" + openblas_get_corename() + ")";
  }

  std::string refusal() const override {
    if (settings_.direction != Direction::forward)
      return "a matrix library, here without backward passes";
    if (settings_.isa == EVR_ISA_SCALAR) return "it has no kernels without vector instructions";
    return "";
  }

  Prepared prepare(Workload &w) override {
    if (w.layer.operation == Operation::dense) return dense(w);
    if (w.layer.operation != Operation::conv2d)
      return refuse("a matrix library: convolutions and dense layers only");
    Shape s{};
    s.d = w.layer.conv2d;
    if (s.d.pad_mode != EVR_PAD_ZERO) return refuse("the harness pads with zeros only");
    if (s.d.pool.kind != EVR_POOL_NONE) return refuse("the harness has no pooling after it");
    if (s.d.activation.kind != EVR_IDENTITY && s.d.activation.kind != EVR_RELU)
      return refuse("the harness follows it with ReLU only");
    s.out_height = w.out_height;
    s.out_width = w.out_width;
    s.group_in = s.d.in_channels / s.d.groups;
    s.group_out = s.d.out_channels / s.d.groups;
    s.terms = s.d.kernel_height * s.d.kernel_width * s.group_in;
    const bool one_tap = s.d.kernel_height == 1 && s.d.kernel_width == 1;
    const bool dense = s.d.stride_height == 1 && s.d.stride_width == 1;
    const bool unpadded = s.d.pad_top + s.d.pad_bottom + s.d.pad_left + s.d.pad_right == 0;
    s.plain = one_tap && dense && unpadded;
    const int64_t pixels = s.out_height * s.out_width;
    if (std::max({pixels, s.terms, s.d.out_channels, s.d.in_channels}) >
        std::numeric_limits<blasint>::max())
      return refuse("a side of the matrix does not fit its integers");
    auto columns = std::make_shared<Buffer>(s.plain ? 0 : pixels * s.terms);
    Prepared prepared;
    prepared.implementation = s.plain ? "sgemm" : "im2col, sgemm";
    prepared.workspace_bytes = static_cast<size_t>(columns->count()) * sizeof(float);
    prepared.run = [s, columns, &w, threads = settings_.threads] {
      convolve(s, w, w.y.data(), columns->data(), threads);
    };
    return prepared;
  }

 private:
  Prepared dense(Workload &w) {
    const evr_dense_desc d = w.layer.dense;
    if (std::max({d.batch, d.in_features, d.out_features}) > std::numeric_limits<blasint>::max())
      return refuse("a side of the matrix does not fit its integers");
    Prepared prepared;
    prepared.implementation = d.batch == 1 ? "sgemv" : "sgemm";
    prepared.run = [d, &w, threads = settings_.threads] { multiply(d, w, threads); };
    return prepared;
  }

  PeerSettings settings_;
};

}  // namespace

std::unique_ptr<Peer> make_openblas(const PeerSettings &settings) {
  return std::make_unique<OpenBlas>(settings);
}

void limit_openblas(evr_isa isa, char **arguments) {
  // OpenBLAS chooses its kernels while it is loaded, before main, so the only way to limit it is
  // its environment variable and a new start. "Haswell" is its name for AVX2 on any CPU.
  if (isa != EVR_ISA_AVX2 || std::getenv("OPENBLAS_CORETYPE")) return;
  setenv("OPENBLAS_CORETYPE", "Haswell", 0);
  execv("/proc/self/exe", arguments);
  throw Complaint("OpenBLAS cannot be limited to avx2: this program cannot start itself anew.");
}

}  // namespace evr_bench
