#pragma once

#include <ATen/Context.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <string>

namespace mformer::testing {

/// Whether a CUDA device answers; the first question loads LibTorch's CUDA library, which nothing here links.
inline bool has_gpu() {
  static const bool answers = [] {
    return dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr && at::globalContext().hasCUDA();
  }();
  return answers;
}

/// Tests of our GPU kernels run twice: in loops on the host, always, and on a GPU, where there is one.
class OnHostAndGpu : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCUDA && !has_gpu()) GTEST_SKIP() << "no GPU answers: the kernel ran on the host only";
  }
  at::Device device() const { return GetParam() == at::kCUDA ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU); }
  at::Tensor there(const at::Tensor& x) const { return x.defined() ? x.to(device()) : x; }
};

inline std::string device_name(const ::testing::TestParamInfo<at::DeviceType>& info) {
  return info.param == at::kCUDA ? "Gpu" : "Host";
}

#define MFORMER_ON_HOST_AND_GPU(Suite) \
  INSTANTIATE_TEST_SUITE_P(Devices, Suite, ::testing::Values(at::kCPU, at::kCUDA), mformer::testing::device_name)

}  // namespace mformer::testing
