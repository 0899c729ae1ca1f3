#pragma once

#include <ATen/core/Tensor.h>

#include <future>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/formats/safetensors.h"
#include "core/model/model.h"
#include "core/workspace/version_store.h"
#include "modules_registry/registry.h"

namespace mformer {

/// The weights of a version, read from its objects one by one: each object's hash is checked before its first use.
class VersionParameters {
 public:
  enum class Reading {
    some,  ///< Other threads read ahead from the first weight on that is asked for.
    all    ///< Every weight is read next: they read ahead from now on, and the tokenizer beside that.
  };

  /// Throws Error when manifest and config do not fit, or a private part of a domain is damaged. `registry` must
  /// outlive this. With `spread_over` the outline is spread over these processes (core/model/expert_parallel.h), and
  /// modules that others have are not read.
  VersionParameters(const Registry& registry, const VersionRecord& version, Reading reading = Reading::some,
                    ProcessGroup* spread_over = nullptr);

  /// The version without the weights of its model: tensors on at::kMeta, but for the private parts of its domains. All
  /// are said to have the dtype of the embedding, or of the last norm where that is quantised. With Reading::all it has
  /// no tokenizer until take_tokenizer().
  const LoadedVersion& outline() const { return outline_; }

  /// Waits for the tokenizer, for the outline. Throws Error when it is damaged.
  void take_tokenizer();

  /// The parameter of this name, a tensor of its own in the dtype in which it is stored, what a domain has in 8 bits in
  /// that of the model; undefined where the model has
  /// none. Throws Error when its object is missing, damaged or does not fit the config.
  at::Tensor operator()(const std::string& name);

 private:
  /// Where a parameter lies.
  struct Place {
    std::string object;      ///< Hash.
    std::string tensor;      ///< Its name in there.
    std::int64_t row = -1;   ///< Of that tensor; -1 = all of it.
    std::int64_t rows = -1;  ///< That the tensor must have then.
  };
  void put(const std::string& parameter, const Place& place);
  [[noreturn]] void refuse(const std::string& what) const;
  at::ScalarType dtype_of_numbers();
  at::Tensor private_value(const std::string& object, const std::string& parameter);
  void check_ahead();
  bool is_read(const LayerManifest& layer, Kind kind, std::size_t module) const;
  void find_trunk();
  void find_bank(std::int64_t layer, Kind kind);
  void read_private_parts();
  void begin_tokenizer();
  const SafetensorsFile& open(const std::string& object);
  at::Tensor read_row(const Place& place);
  at::Tensor take(const std::string& object, const std::string& tensor);

  const Registry& registry_;
  ProcessGroup* spread_over_;
  LoadedVersion outline_;
  std::map<std::string, Place> places_;
  std::map<std::string, ParameterShape> shapes_;
  std::set<std::pair<std::string, std::string>> known_;  ///< Objects and the tensors that may be in them.
  std::string opened_;  ///< The object that was opened last, since its other tensors are often next.
  std::optional<SafetensorsFile> file_;
  bool checks_ahead_ = false;
  std::future<Tokenizer> tokenizer_;   ///< While it is read.
  at::ScalarType dtype_ = at::kFloat;  ///< Of what is stored in 8 bits and read as numbers.
  std::string rows_of_;                ///< The object whose rows these are.
  at::Tensor rows_;
};

}  // namespace mformer
