#include "core/decoding/decoding_view.h"

#include <ATen/ops/cat.h>

#include <utility>

#include "core/checkpoint/quantize.h"
#include "core/model/domains.h"
#include "core/model/placement.h"

namespace mformer {
namespace {

/// What prepare_for_inference() is on the CPU, before the model is taken apart into views, which so share their
/// tensors.
Model ready_on(at::Device device, Model model, at::ScalarType dtype) {
  if (dtype != at::kFloat) dtype = at::kBFloat16;  // codes of 8 and 4 bits are for the CPU
  dequantize(model, dtype);
  convert(model, at::kFloat);
  if (dtype == at::kBFloat16) make_matrices_bfloat16(model);
  return on_device(model, device);
}

/// Keys, or values, of a token in one layer, heads · head_size: each module's own where all are taken.
std::int64_t cached_numbers(const ModelConfig& config, std::int64_t modules) {
  return (config.form.att_routed ? config.n_head : modules) * config.head_size();
}

template <typename Bank>
std::int64_t cached_numbers(const ModelConfig& config, const std::vector<Bank>& blocks) {
  std::int64_t numbers = 0;
  for (const Bank& block : blocks) numbers += cached_numbers(config, block.att.size());
  return numbers;
}

at::Tensor read_one_by_one(const Model& model, const at::Tensor& ids, std::span<const TextPart> parts,
                           std::vector<BlockTrace>* routing) {
  if (routing != nullptr) routing->clear();  // told on the CPU alone
  std::vector<at::Tensor> hidden;
  std::int64_t first = 0;
  for (const TextPart& part : parts) {
    ForwardOptions how;
    how.cache = part.cache;
    hidden.push_back(forward(model, ids.narrow(0, first, part.tokens).unsqueeze(0), how).hidden[0]);
    first += part.tokens;
  }
  return at::cat(hidden);
}

}  // namespace

std::vector<DecodingView> decoding_views(Model model, at::ScalarType dtype, at::Device device) {
  if (!device.is_cpu()) model = ready_on(device, std::move(model), dtype);
  std::vector<Model> views = views_of(model);
  model = Model();  // a single view then holds its matrices alone, and preparing it lets them go one by one
  if (!device.is_cpu()) return {std::make_move_iterator(views.begin()), std::make_move_iterator(views.end())};
  std::vector<PreparedModel> prepared = prepare_for_inference(std::move(views), dtype);
  return {std::make_move_iterator(prepared.begin()), std::make_move_iterator(prepared.end())};
}

at::Tensor read_on(const DecodingView& view, const at::Tensor& ids, KeyValueCache& cache) {
  ForwardOptions how;
  how.cache = &cache;
  return std::visit([&](const auto& model) { return forward(model, ids, how).hidden; }, view);
}

at::Tensor read_parts(const DecodingView& view, const at::Tensor& ids, std::span<const TextPart> parts,
                      std::vector<BlockTrace>* routing) {
  if (const auto* prepared = std::get_if<PreparedModel>(&view)) return forward_parts(*prepared, ids, parts, routing);
  return read_one_by_one(std::get<Model>(view), ids, parts, routing);
}

std::int64_t cache_bytes_a_token(const DecodingView& view) {
  const auto both = [](std::int64_t numbers, at::ScalarType dtype) {
    return 2 * numbers * static_cast<std::int64_t>(c10::elementSize(dtype));
  };
  if (const auto* prepared = std::get_if<PreparedModel>(&view)) {
    return both(cached_numbers(prepared->config, prepared->blocks), prepared->dtype);
  }
  const Model& model = std::get<Model>(view);
  return both(cached_numbers(model.config, model.blocks), at::kFloat);
}

at::Tensor logits_of(const DecodingView& view, const at::Tensor& hidden) {
  return std::visit([&](const auto& model) { return logits_of(model, hidden); }, view);
}

}  // namespace mformer
