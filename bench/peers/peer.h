// A peer: another library that computes the same layers. Each has one file here, is found by
// meson, and is used as its own documentation advises.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../workload.h"

namespace evr_bench {

// Something made ready to compute one layer.
struct Prepared {
  std::function<void()> run;      // computes w.results once; empty where the layer is refused
  std::string refusal;            // why, where it is; "" where that need not be told
  std::function<void()> collect;  // brings the results there, where run leaves them elsewhere
  std::string implementation;     // what was chosen to run, in the contender's own words
  size_t workspace_bytes = 0;     // scratch memory of one execution
  size_t packed_bytes = 0;        // weights in a form of their own
};

inline Prepared refuse(std::string reason) {
  Prepared prepared;
  prepared.refusal = std::move(reason);
  return prepared;
}

struct PeerSettings {
  int threads = 1;
  evr_isa isa = EVR_ISA_SCALAR;          // the highest level that any contender may use
  evr_isa machine_isa = EVR_ISA_SCALAR;  // the highest that the machine has
  bool own_layout = false;               // also oneDNN on tensors in its own layout
  Direction direction = Direction::forward;
};

class Peer {
 public:
  virtual ~Peer() = default;
  virtual std::string name() const = 0;
  virtual std::string version() const = 0;
  // Why it cannot run under these settings at all; "" where it can.
  virtual std::string refusal() const { return ""; }
  // Whether it does another job than the others: then it is something to measure against, and takes
  // no part in what is said of the best peer.
  virtual bool is_yardstick() const { return false; }
  // Makes it ready for one layer, which outlives the result. All that a program would do once and
  // not on every call is done here.
  virtual Prepared prepare(Workload &w) = 0;
};

// A peer that this build does not have, and what would bring it.
struct MissingPeer {
  std::string name;
  std::string reason;
};

// Must be called first thing in main: some peers read their limits when they are loaded, so this
// may start the program anew with an environment that sets them.
void limit_peers(evr_isa isa, char **arguments);

std::vector<std::unique_ptr<Peer>> make_peers(const PeerSettings &settings);
std::vector<MissingPeer> missing_peers();

// How oneDNN is used; see docs/benchmarking.md.
enum class OneDnnUse {
  peer,        // plain images; weights and their gradients in the order that it chooses
  own_layout,  // images in that order as well
  reordering,  // backward, plain weights: what another order of them costs is timed
};

// One of these for each peer, called where meson found it.
std::unique_ptr<Peer> make_onednn(const PeerSettings &settings, OneDnnUse use);
std::unique_ptr<Peer> make_xnnpack(const PeerSettings &settings);
std::unique_ptr<Peer> make_openblas(const PeerSettings &settings);
void limit_openblas(evr_isa isa, char **arguments);

}  // namespace evr_bench
