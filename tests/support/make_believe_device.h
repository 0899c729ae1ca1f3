#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace mformer::testing {

/// A device for tests that stands for a GPU where there is none: LibTorch's PrivateUse1, the only one of its kind. Its
/// memory is host memory that no process may touch but inside an operation, where the CPU computes in its stead. So a
/// program that runs on it reads and writes no tensor past LibTorch, and mixes no devices:
///
/// - Reading or writing through data_ptr(), an accessor or from_blob() ends the process with SIGSEGV.
/// - An operation on tensors of both devices throws c10::Error, but for copies and for scalars (tensors of no
///   dimensions) of the CPU, which a GPU takes as well.
/// - Autograd runs its backward pass in a thread of its own, as for a GPU.
///
/// Results are the CPU's: what it can't show is how a GPU rounds, and what is only wrong there (races, streams).
at::Device make_believe_device();

/// Bytes that its tensors hold, and the most that they ever held since reset_make_believe_peak().
std::int64_t make_believe_bytes();
std::int64_t make_believe_peak();
void reset_make_believe_peak();

/// How often a tensor was copied to the device or from it, and an operation asked for numbers that the host must know
/// (item(), nonzero() and their like), since the process began. On a GPU the host waits at each of those.
std::int64_t make_believe_waits();

/// While it lives, the memory of these tensors, which lie on the device, is open to this process: for tests of kernels
/// that run on the host in a GPU's stead. Guards may nest.
class OpenMemory {
 public:
  OpenMemory(std::initializer_list<at::Tensor> tensors) : OpenMemory(std::vector<at::Tensor>(tensors)) {}
  explicit OpenMemory(const std::vector<at::Tensor>& tensors);
  ~OpenMemory();
  OpenMemory(const OpenMemory&) = delete;
  OpenMemory& operator=(const OpenMemory&) = delete;

 private:
  std::vector<at::Tensor> tensors_;
};

}  // namespace mformer::testing
