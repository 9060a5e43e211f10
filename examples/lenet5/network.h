/* LeNet-5: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition,
 * 1998, figure 2 and table I. Softmax with cross-entropy stands in the place of the RBF units. */
#ifndef EVRISIM_EXAMPLES_LENET5_NETWORK_H
#define EVRISIM_EXAMPLES_LENET5_NETWORK_H

#include <evrisim/evrisim.h>

enum { LENET_SIDE = 32, LENET_PIXELS = LENET_SIDE * LENET_SIDE, LENET_CLASSES = 10 };

typedef struct lenet lenet;

/* What a step or a test found, added to what is there. */
typedef struct lenet_score {
  double loss; /* sum over examples */
  int64_t correct, examples;
} lenet_score;

/* A network for minibatches of the given size, with weights from the seed. NULL on failure:
 * evr_last_error has a sentence, or memory ran out. The caller calls lenet_destroy. */
lenet *lenet_create(int64_t batch, const evr_plan_options *options, uint64_t seed);
void lenet_destroy(lenet *net); /* NULL is allowed */

/* One step of gradient descent with momentum over exactly one minibatch. Pixels are 0 (paper) to
 * 255 (ink). */
evr_status lenet_step(lenet *net, const unsigned char *pixels, const unsigned char *labels,
                      float rate, float momentum, lenet_score *score);

/* Any number of examples, without learning. */
evr_status lenet_test(lenet *net, const unsigned char *pixels, const unsigned char *labels,
                      int64_t count, lenet_score *score);

/* How many weights and biases learn: 60850, which are the paper's 60000 and those of the output. */
int64_t lenet_weights(const lenet *net);

/* FNV-1a over the bits of all weights. */
uint64_t lenet_hash(const lenet *net);

#endif
