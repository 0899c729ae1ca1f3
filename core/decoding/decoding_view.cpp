#include "core/decoding/decoding_view.h"

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

at::Tensor logits_of(const DecodingView& view, const at::Tensor& hidden) {
  return std::visit([&](const auto& model) { return logits_of(model, hidden); }, view);
}

}  // namespace mformer
