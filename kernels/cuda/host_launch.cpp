#include <cstring>
#include <memory>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/programs.h"

namespace mformer::kernels::cuda {
namespace {

Order host_order = Order::ascending;

int64_t in_order(int64_t i, int64_t count) {
  return host_order == Order::ascending ? i : count - 1 - i;
}

struct HostRunner {
  template <class Program>
  Status run(int64_t x, int64_t y, const typename Program::Problem& problem) const {
    const auto shared = std::make_unique<typename Program::Shared>();
    for (int64_t i = 0; i < y; ++i) {
      for (int64_t j = 0; j < x; ++j) {
        std::memset(shared.get(), 0xff, sizeof *shared);  // no numbers: nothing is there before it is written
        HostBlock<Program::threads> block({in_order(j, x), in_order(i, y)}, host_order);
        Program::run(block, *shared, problem);
      }
    }
    return {};
  }
};

}  // namespace

void set_host_order(Order order) {
  host_order = order;
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

}  // namespace mformer::kernels::cuda
