#include "core/surgery/token_rows.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <string>

#include "modules_registry/error.h"

namespace mformer {

at::Tensor rare_tokens(std::int64_t vocabulary, const std::vector<TaskData>& tasks, std::int64_t fewer_than) {
  std::vector<std::int64_t> counts(vocabulary, 0);
  for (const TaskData& task : tasks) {
    constexpr std::uint64_t kAtOnce = 1 << 20;
    const auto tokens = task.tokens.train.tokens();
    for (std::uint64_t first = 0; first < tokens.size(); first += kAtOnce) {
      for (const std::uint32_t token : tokens.read(first, std::min(kAtOnce, tokens.size() - first))) {
        const auto id = static_cast<std::int64_t>(token & TokenData::kIdMask);
        if (id >= vocabulary) {
          throw Error("task '" + task.record.name + "' has the token " + std::to_string(id) + ", but the model knows " +
                          std::to_string(vocabulary) + " only",
                      "is its tokenizer the model's own?");
        }
        ++counts[id];
      }
    }
  }
  return at::tensor(counts, at::kLong).lt(fewer_than);
}

std::vector<TrainedParameter> train_token_rows(Model& model, const at::Tensor& tokens) {
  std::vector<TrainedParameter> rows;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (!ref.is_vocabulary()) return;
    ref.tensor->set_requires_grad(true);
    const at::Tensor there = tokens.unsqueeze(1).to(ref.tensor->device());
    ref.tensor->register_hook([marked = there](const at::Tensor& gradient) { return gradient * marked; });
    rows.push_back({ref.name, *ref.tensor, /*decay=*/false});
  });
  return rows;
}

}  // namespace mformer
