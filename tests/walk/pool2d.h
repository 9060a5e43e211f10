/* Descriptors of pooling, for the walks of both directions. */
#ifndef TEST_WALK_POOL2D_H
#define TEST_WALK_POOL2D_H

#include "evrisim/pool2d.h"
#include "walk/walk.h"

typedef void pool2d_visit(walk *w, const evr_pool2d_desc *d, bool indices, test_values values);

/* Tails, windows, strides, dilations, pads, the whole plane: every one, or one in test_scale(). */
void pool2d_grid(walk *w, pool2d_visit *visit);
evr_pool2d_desc pool2d_random(test_random *random);
/* Large enough for several threads. */
evr_pool2d_desc pool2d_large(evr_pool_kind kind, evr_layout layout);

void pool2d_describe(const evr_pool2d_desc *d, bool indices, test_values values, char *text,
                     size_t size);

#endif
