#include <cstdlib>
#include <cstring>
#include <memory>

#include "kernels/cuda/host_block.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/programs.h"

namespace mformer::kernels::cuda {
namespace {

Order host_order = Order::ascending;
uint64_t host_seed = 0;

struct HostRunner {
  template <class Program>
  Status run(int64_t x, int64_t y, const typename Program::Problem& problem) const {
    using Shared = typename Program::Shared;
    const std::unique_ptr<void, void (*)(void*)> room(std::aligned_alloc(16, (sizeof(Shared) + 15) / 16 * 16),
                                                      std::free);
    std::vector<int64_t> blocks;
    Sequence(host_order, host_seed).put(x * y, blocks);
    for (const int64_t i : blocks) {
      std::memset(room.get(), 0xff, sizeof(Shared));  // no numbers: nothing is there before it is written
      HostBlock<Program::threads> block({i % x, i / x}, Sequence(host_order, host_seed + static_cast<uint64_t>(i) + 1));
      Program::run(block, *static_cast<Shared*>(room.get()), problem);
    }
    return {};
  }
};

}  // namespace

void set_host_order(Order order, uint64_t seed) {
  host_order = order;
  host_seed = seed;
}

Status run(const AttentionForward& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const AttentionBackward& problem, AttentionPart part) {
  return run_all(HostRunner{}, problem, part);
}
Status run(const Router& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const RouterBackward& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const Plan& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const Gather& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const Combine& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const CombineBackward& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const RmsNorm& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const RmsNormBackward& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const Rotation& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const Gated& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const GatedBackward& problem) {
  return run_all(HostRunner{}, problem);
}
Status run(const AdamW& problem) {
  return run_all(HostRunner{}, problem);
}

}  // namespace mformer::kernels::cuda
