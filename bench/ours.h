// evrisim itself as a contender: a plan made once, a workspace given, and forward the weights
// packed once.
#pragma once

#include <string>
#include <vector>

#include "contender.h"

namespace evr_bench {

// Makes a variant ready (variant NULL: the library's choice) and sets *name to the variant's own.
Prepared prepare_ours(Workload &w, const evr_plan_options &options, const char *variant,
                      std::string *name);

// Every variant of the layer's operation and direction, best first, refused ones too.
std::vector<evr_variant_report> list_variants(const Layer &layer, Direction direction,
                                              const evr_plan_options &options);

// Whether one of them has that name, or is of that family: "direct", "direct-avx2".
bool has_variant(const Layer &layer, Direction direction, const std::string &name);

}  // namespace evr_bench
