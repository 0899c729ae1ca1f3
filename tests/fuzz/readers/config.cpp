#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/formats/parameter_shapes.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

/// As many tensors as a test has time for.
bool is_small(const ModelConfig& config) {
  return config.n_layer <= 8 && config.n_att_experts <= 64 && config.n_mlp_experts <= 64;
}

}  // namespace

/// A config.json of any family: what it says is kept in mformer's own, and in its family's where that can hold it.
void read_config(std::string_view input) {
  const HubConfig read = read_hub_config(input, "config.json");
  const std::string own = must_succeed("a config can be written", [&] { return read.config.to_native_json(); });
  const HubConfig again =
      must_succeed("a config that was written is read", [&] { return read_hub_config(own, "own"); });
  must(again.config == read.config, "a config is read as it was written");
  std::string hub;
  try {
    hub = hub_config_json(read.config);
  } catch (const Error&) {
    // A family need not have all models that its fields can describe.
  }
  if (!hub.empty()) {
    must_succeed("a family's config that was written is read", [&] { return read_hub_config(hub, "hub"); });
  }
  if (!is_small(read.config)) return;
  must(read.config.parameter_count() >= read.config.active_parameter_count(), "no weight is used that is not there");
  for (const StoredTensor& tensor : read.layout->tensors(read.config)) {
    for (const std::int64_t size : tensor.shape) must(size >= 0, "no dimension is negative");
  }
}

}  // namespace mformer::fuzz
