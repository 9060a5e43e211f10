#include "peer.h"

namespace evr_bench {

void limit_peers(evr_isa isa, char **arguments) {
#ifdef EVR_BENCH_OPENBLAS
  limit_openblas(isa, arguments);
#endif
  (void)isa;
  (void)arguments;
}

std::vector<std::unique_ptr<Peer>> make_peers(const PeerSettings &settings) {
  std::vector<std::unique_ptr<Peer>> peers;
#ifdef EVR_BENCH_ONEDNN
  peers.push_back(make_onednn(settings, OneDnnUse::peer));
  if (settings.direction != Direction::forward)
    peers.push_back(make_onednn(settings, OneDnnUse::reordering));
  if (settings.own_layout) peers.push_back(make_onednn(settings, OneDnnUse::own_layout));
#endif
#ifdef EVR_BENCH_XNNPACK
  peers.push_back(make_xnnpack(settings));
#endif
#ifdef EVR_BENCH_OPENBLAS
  peers.push_back(make_openblas(settings));
#endif
  (void)settings;
  return peers;
}

std::vector<MissingPeer> missing_peers() {
  std::vector<MissingPeer> missing;
#ifndef EVR_BENCH_ONEDNN
  missing.push_back({"oneDNN", "not found when this program was configured (libdnnl-dev)"});
#endif
#ifndef EVR_BENCH_XNNPACK
  missing.push_back({"XNNPACK",
                     "not found when this program was configured (libxnnpack-dev and "
                     "libpthreadpool-dev)"});
#endif
#ifndef EVR_BENCH_OPENBLAS
  missing.push_back({"OpenBLAS", "not found when this program was configured (libopenblas-dev)"});
#endif
  return missing;
}

}  // namespace evr_bench
