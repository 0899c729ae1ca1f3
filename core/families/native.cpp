#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/tensor_table.h"
#include "core/formats/parameter_shapes.h"

// mformer's own layout holds any model: every parameter is a tensor of its own name. ModelConfig reads and writes its
// config.json.
namespace mformer::native {
namespace {

std::vector<StoredTensor> tensors(const ModelConfig& config) {
  TensorTable table(config);
  for (const ParameterShape& parameter : parameter_shapes(config)) table.whole(parameter.name, parameter.name);
  return table.take();
}

bool ignores_nothing(std::string_view) {
  return false;
}

}  // namespace

const Family kFamily = {"mformer", "MformerForCausalLM", nullptr, nullptr, tensors, ignores_nothing, "wte", "lm_head"};

}  // namespace mformer::native
