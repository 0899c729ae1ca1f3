#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <vector>

namespace mformer::kernels {

/// [modules + 1] numbers that do not decrease, from 0 to how many rows there are: module m owns rows offset[m] …
/// offset[m + 1] − 1. They lie on the host, or on the device where a plan left them; then whoever asks for them on the
/// host has the host wait for the device, once for all copies of this object.
class ModuleOffsets {
 public:
  ModuleOffsets() : ModuleOffsets(std::vector<int64_t>{0}) {}
  ModuleOffsets(std::vector<int64_t> on_host);  // NOLINT(google-explicit-constructor): they are offsets as they are
  ModuleOffsets(std::initializer_list<int64_t> on_host) : ModuleOffsets(std::vector<int64_t>(on_host)) {}
  /// `offset` [modules + 1], int64, on any device but the CPU, of `rows` rows.
  ModuleOffsets(const at::Tensor& offset, int64_t rows);

  // Known without waiting.
  int64_t modules() const { return state_->modules; }
  int64_t rows() const { return state_->rows; }
  bool are_on_host() const { return !state_->there.defined(); }

  /// Throws c10::Error where they do not end with rows(): what was planned held numbers that are no modules.
  const std::vector<int64_t>& on_host() const;
  /// [modules] int32: offset[1] … offset[modules] on `device`, which is where they lie, if not on the host.
  at::Tensor ends(const at::Device& device) const;

  // For autograd to keep.
  c10::IValue as_value() const { return c10::IValue::make_capsule(state_); }
  static ModuleOffsets from_value(const c10::IValue& value);

 private:
  struct State : torch::CustomClassHolder {
    int64_t modules = 0, rows = 0;
    at::Tensor there;
    std::mutex mutex;
    std::vector<int64_t> here;  ///< Empty until they are on the host.
    at::Tensor ends;
  };
  explicit ModuleOffsets(c10::intrusive_ptr<State> state) : state_(std::move(state)) {}
  c10::intrusive_ptr<State> state_;
};

}  // namespace mformer::kernels
