/** @file evrisim.h  Everything: convolution, pooling, activations, softmax, dense, padding. */
#ifndef EVRISIM_EVRISIM_H
#define EVRISIM_EVRISIM_H

#include "activation.h"
#include "choices.h"
#include "conv2d.h"
#include "conv2d_backward.h"
#include "cpu.h"
#include "dense.h"
#include "loss.h"
#include "pad2d.h"
#include "plan.h"
#include "pool2d.h"
#include "softmax.h"
#include "status.h"
#include "types.h"
#include "version.h"

#endif
