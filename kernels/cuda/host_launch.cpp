#include <memory>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/programs.h"

namespace mformer::kernels::cuda {
namespace {

struct HostRunner {
  template <class Program>
  Status run(int64_t x, int64_t y, const typename Program::Problem& problem) const {
    // As on a GPU, nothing is known of what it holds at first; here the next block finds what the last one left.
    const auto shared = std::make_unique<typename Program::Shared>();
    for (int64_t at_y = 0; at_y < y; ++at_y) {
      for (int64_t at_x = 0; at_x < x; ++at_x) {
        HostBlock<Program::threads> block({at_x, at_y});
        Program::run(block, *shared, problem);
      }
    }
    return {};
  }
};

}  // namespace

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

}  // namespace mformer::kernels::cuda
