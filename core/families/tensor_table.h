#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/families/family.h"

namespace mformer {

/// Collects a family's tensors. The shapes of parameters come from the config, those of stored tensors follow from the
/// pieces.
class TensorTable {
 public:
  explicit TensorTable(const ModelConfig& config);

  const ModelConfig& config() const { return config_; }

  /// A tensor that is one parameter, as it is (`transposed` false) or with rows for columns.
  void whole(const std::string& name, const std::string& parameter, bool transposed = false);
  /// The parameter `suffix` (".in", say) of every module of a bank, stacked in one tensor.
  void stacked(const std::string& name, std::int64_t layer, Kind kind, const std::string& suffix, bool transposed);
  /// Some columns [to, to + columns) of a parameter as a stored [columns, rows].
  void columns(const std::string& name, const std::string& parameter, std::int64_t to, std::int64_t columns);
  void add(StoredTensor tensor) { all_.push_back(std::move(tensor)); }

  std::vector<StoredTensor> take() { return std::move(all_); }

 private:
  StoredTensor::Type type_of(const std::string& parameter) const;

  const ModelConfig& config_;
  std::map<std::string, std::vector<std::int64_t>> shapes_;
  std::map<std::string, StoredTensor::Type> types_;
  std::vector<StoredTensor> all_;
};

}  // namespace mformer
