#include "core/workflows/rehearsal.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/multinomial.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include "core/model/distillation.h"
#include "core/model/inference.h"
#include "core/training/evaluate.h"

namespace mformer {
namespace {

constexpr std::int64_t kTextsAtOnce = 32;

std::int64_t draw_below(std::mt19937_64& random, std::int64_t end) {
  // Integer arithmetic only: the standard's distributions differ between libraries.
  return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(end));
}

/// [count, kOpening] pieces from random places of the memory.
at::Tensor openings(const at::Tensor& memory, std::int64_t count, std::mt19937_64& random) {
  const std::int64_t length = std::min(Rehearsal::kOpening, memory.size(1));
  std::vector<at::Tensor> pieces;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t text = draw_below(random, memory.size(0));
    pieces.push_back(memory[text].narrow(0, draw_below(random, memory.size(1) - length + 1), length));
  }
  return at::stack(pieces);
}

/// `opening` [texts, tokens] carried on to [texts, length].
at::Tensor write_on(const PreparedModel& writer, const at::Tensor& opening, std::int64_t length,
                    at::Generator& generator) {
  KeyValueCache cache(length);
  ForwardOptions how;
  how.cache = &cache;
  std::vector<at::Tensor> columns = {opening};
  for (std::int64_t tokens = opening.size(1); tokens < length; ++tokens) {
    const at::Tensor last = forward(writer, columns.back(), how).hidden.select(1, -1);
    columns.push_back(at::multinomial(at::softmax(logits_of(writer, last), 1), 1, false, generator));
  }
  return at::cat(columns, 1);
}

std::vector<std::int64_t> shuffled(std::int64_t size, std::uint64_t seed, std::int64_t epoch) {
  std::seed_seq words{seed, seed >> 32U, static_cast<std::uint64_t>(epoch), std::uint64_t{0x72656865617273}};
  std::mt19937_64 random(words);
  std::vector<std::int64_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = size - 1; i > 0; --i) std::swap(order[i], order[draw_below(random, i + 1)]);
  return order;
}

}  // namespace

Rehearsal::Rehearsal(const Model& teacher, const std::vector<Batch>& memory, std::int64_t texts, std::uint64_t seed,
                     const Watcher& watcher, at::Device device)
    : seed_(seed) {
  const at::NoGradGuard no_grad;
  head_.lm_head = teacher.lm_head.clone().to(device);
  const PreparedModel writer = prepare_for_inference(teacher, at::kFloat);
  std::vector<at::Tensor> inputs, hidden;
  for (const Batch& batch : memory) inputs.push_back(batch.inputs);
  const at::Tensor old_text = at::cat(inputs);
  std::mt19937_64 random(seed);
  at::Generator generator = at::detail::createCPUGenerator(seed);
  for (std::int64_t done = 0; done < texts; done += kTextsAtOnce) {
    if (watcher.stops()) throw EvaluationInterrupted("interrupted; nothing was changed");
    const at::Tensor opening = openings(old_text, std::min(kTextsAtOnce, texts - done), random);
    inputs.push_back(write_on(writer, opening, old_text.size(1), generator));
    watcher.tell("write what to rehearse", done + opening.size(0), texts);
  }
  for (const at::Tensor& text : inputs) hidden.push_back(forward(writer, text).hidden.clone());
  inputs_ = at::cat(inputs);
  hidden_ = at::cat(hidden);
}

std::vector<Batch> Rehearsal::sample(std::int64_t count, std::int64_t rows) const {
  count = std::min(count, texts());
  std::vector<Batch> batches;
  for (std::int64_t first = 0; first < count; first += rows) {
    std::vector<std::int64_t> which;
    for (std::int64_t i = first; i < std::min(count, first + rows); ++i) which.push_back(i * texts() / count);
    Batch batch;
    batch.inputs = inputs_.index_select(0, at::tensor(which, at::kLong));
    batches.push_back(std::move(batch));
  }
  return batches;
}

at::Tensor Rehearsal::texts_of_step(std::int64_t step, std::int64_t count) const {
  std::vector<std::int64_t> which, order;
  std::int64_t epoch = -1;
  for (std::int64_t i = step * count; i < (step + 1) * count; ++i) {
    if (i / texts() != epoch) order = shuffled(texts(), seed_, epoch = i / texts());
    which.push_back(order[i % texts()]);
  }
  return at::tensor(which, at::kLong);
}

BatchSource Rehearsal::behind(BatchSource source, std::int64_t count) const {
  return [this, source = std::move(source), count](std::int64_t step) {
    Batch batch = source(step);
    const at::Tensor old = inputs_.index_select(0, texts_of_step(step, count));
    const at::Tensor replay =
        batch.replay.defined() ? batch.replay : at::zeros({batch.inputs.size(0)}, at::TensorOptions(at::kBool));
    batch.inputs = at::cat({batch.inputs, old});
    batch.targets = at::cat({batch.targets, at::full_like(old, PackedWindows::kIgnore)});
    batch.replay = at::cat({replay, at::ones({count}, at::TensorOptions(at::kBool))});
    batch.lengths.resize(batch.inputs.size(0), batch.inputs.size(1));
    batch.starts.resize(batch.inputs.size(0));
    return batch;
  };
}

at::Tensor Rehearsal::loss(const Model& model, const at::Tensor& hidden, const Batch& batch, std::int64_t count) const {
  const at::Tensor old = hidden.narrow(0, hidden.size(0) - count, count);
  const at::Tensor of_teacher = hidden_.index_select(0, texts_of_step(batch.number, count)).to(hidden.device());
  const at::Tensor all_count = at::zeros_like(batch.inputs.narrow(0, 0, count));
  return distillation_loss(model, old, head_, of_teacher, all_count, /*temperature=*/1.0, all_count.numel());
}

}  // namespace mformer
