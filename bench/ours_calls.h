// What all operations of the library have in common: plans, variants and their lists.
#pragma once

#include <memory>
#include <vector>

#include "complaint.h"
#include "peers/peer.h"

namespace evr_bench {

inline void demand(evr_status status) {
  if (status != EVR_OK) throw Complaint(evr_last_error());
}

inline Buffer bytes_buffer(size_t bytes) {
  return Buffer(static_cast<int64_t>((bytes + sizeof(float) - 1) / sizeof(float)));
}

// The functions of one operation that take or give a plan of any variant.
template <typename Descriptor, typename Plan>
struct Calls {
  evr_status (*create)(const Descriptor *, const evr_plan_options *, Plan **);
  void (*destroy)(Plan *);
  const char *(*variant)(const Plan *);
  evr_status (*list)(const Descriptor *, const evr_plan_options *, evr_variant_report *, size_t,
                     size_t *);

  // Makes a plan and names its variant, or sets the refusal and returns NULL.
  std::shared_ptr<Plan> plan(const Descriptor &desc, const evr_plan_options &options,
                             Prepared *prepared) const {
    Plan *made = nullptr;
    if (create(&desc, &options, &made) != EVR_OK) {
      *prepared = refuse(evr_last_error());
      return nullptr;
    }
    prepared->implementation = variant(made);
    return std::shared_ptr<Plan>(made, destroy);
  }

  std::vector<evr_variant_report> variants(const Descriptor &desc,
                                           const evr_plan_options &options) const {
    size_t count = 0;
    demand(list(&desc, &options, nullptr, 0, &count));
    std::vector<evr_variant_report> reports(count);
    demand(list(&desc, &options, reports.data(), count, &count));
    return reports;
  }
};

// A plan whose execution takes a structure of arguments, and the memory that these point to.
template <typename Plan, typename Arguments>
struct Running {
  std::shared_ptr<Plan> plan;
  Buffer packed, workspace;
  Arguments arguments{};
};

// The backward passes, in ours_backward.cpp; called where the workload is of one.
Prepared prepare_backward(Workload &w, const evr_plan_options &options);
std::vector<evr_variant_report> list_backward_variants(const Layer &layer, Direction direction,
                                                       const evr_plan_options &options);

}  // namespace evr_bench
