#include "core/training/step_loss.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "core/model/losses.h"

namespace mformer {
namespace {

/// Dropout and sampling of a batch depend on (seed, number) alone: a resumed run needs no generator state.
at::Generator generator_of_batch(std::uint64_t seed, std::int64_t number) {
  std::uint64_t x = seed + 0x9e3779b97f4a7c15ULL * static_cast<std::uint64_t>(number + 1);
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return at::detail::createCPUGenerator(x ^ (x >> 31U));
}

/// This process' rows of a batch: all without a group.
RowShare share_of(const ProcessGroup* group, std::int64_t rows) {
  if (group == nullptr) return {0, rows, rows};
  const std::int64_t first = rows * group->rank() / group->size();
  return {first, rows * (group->rank() + 1) / group->size() - first, rows};
}

}  // namespace

StepLoss forward_backward(const TrainTask& task, const TrainOptions& options, const Batch& all,
                          const FrozenPanels& frozen) {
  ForwardOptions how;
  how.share = share_of(task.group, all.inputs.size(0));
  Batch batch = how.share.is_whole() ? all : part_of_batch(all, how.share.first, how.share.rows);
  batch.whole = {task.group, all.inputs.numel()};
  how.frozen_panels = frozen;
  how.training = true;
  how.bfloat16 = options.bfloat16;
  how.generator = generator_of_batch(options.seed, batch.number);
  if (task.pools.pools > 0) {
    how.pools = documents_of_rows(draw_documents(all.inputs, task.pools, *how.generator), how.share.first,
                                  how.share.rows, all.inputs.size(1));
  }
  const ForwardOutput output = forward(*task.model, batch.inputs, how);
  const at::Tensor prediction =
      cross_entropy(*task.model, output.hidden, batch.targets, options.bfloat16, batch.counted);
  const double weight = task.balance ? task.model->config.aux_loss_weight : 0.0;
  at::Tensor total = prediction, balance = at::zeros({}, prediction.options());
  if (weight > 0.0) {
    balance = batch.share * balance_loss(task.model->config, output.routing, batch.whole);
    total = total + weight * balance;
  }
  if (task.extra_loss) {
    const at::Tensor extra = task.extra_loss(output, batch);
    if (extra.defined()) total = total + extra;
  }
  total.backward();
  // One wait for the device, when all its work of the step is under way.
  const auto number = [](const at::Tensor& x) { return x.detach().to(at::kDouble); };
  const at::Tensor losses = at::stack({number(prediction), number(balance), number(total)}).cpu();
  return {losses[0].item<double>(), losses[1].item<double>(), losses[2].item<double>()};
}

}  // namespace mformer
