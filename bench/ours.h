// evrisim itself as a contender: a plan made once, weights packed once, a workspace given.
#pragma once

#include <string>
#include <vector>

#include "contender.h"

namespace evr_bench {

// Makes a variant ready (variant NULL: the library's choice) and sets *name to the variant's own.
Prepared prepare_ours(Workload &w, const evr_plan_options &options, const char *variant,
                      std::string *name);

// Every variant of the layer's operation, best first, refused ones too.
std::vector<evr_variant_report> list_variants(const Workload &w, const evr_plan_options &options);

}  // namespace evr_bench
