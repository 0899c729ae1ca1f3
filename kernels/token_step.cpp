#include "kernels/token_step.h"

#include "kernels/cpu/packed_matrix.h"
#include "kernels/cpu/token_step.h"

namespace mformer::kernels {
namespace {

/// The values of a contiguous float32 [size], or null.
const float* floats_of(const at::Tensor& x, std::int64_t size, const char* name) {
  if (!x.defined()) return nullptr;
  TORCH_CHECK(x.scalar_type() == at::kFloat && x.is_contiguous() && x.device().is_cpu() && x.numel() == size, name,
              " must be contiguous float32 [", size, "] on the CPU, got ", x.scalar_type(), " ", x.sizes());
  return x.const_data_ptr<float>();
}

cpu::StepMatrix step_matrix(const PackedWeight& w, std::int64_t in, std::int64_t out, const at::Tensor& bias,
                            at::ScalarType dtype, const char* name) {
  TORCH_CHECK(w.defined() && w.in == in && w.out == out, name, " must be packed [", in, ", ", out, "], got [", w.in,
              ", ", w.out, "]");
  TORCH_CHECK(w.dtype == dtype || w.dtype == at::kChar || w.bits != 0, name, " must be ", dtype, " or codes, got ",
              w.dtype);
  return {right_matrix(w), floats_of(bias, out, "a bias")};
}

void check_room(const at::Tensor& room, const TokenForm& form, std::int64_t heads, std::int64_t cached) {
  TORCH_CHECK(room.defined() && room.device().is_cpu() && room.scalar_type() == form.dtype && room.dim() == 4 &&
                  room.size(0) == 1 && room.size(1) > cached && room.size(2) == heads &&
                  room.size(3) == form.head_size && room.stride(3) == 1,
              "key and value must be ", form.dtype, " [1, more than ", cached, ", ", heads, ", ", form.head_size,
              "] on the CPU");
}

cpu::StepRouter step_router(const TokenRouter& router, std::int64_t width, std::int64_t hidden, const TokenForm& form) {
  const auto modules = static_cast<std::int64_t>(router.in.size());
  TORCH_CHECK(modules >= 1 && router.in.size() == router.out.size() && router.k >= 1 && router.k <= modules,
              "a router must choose 1 … modules, got ", router.k, " of ", modules);
  TORCH_CHECK(router.chosen.defined() && router.chosen.scalar_type() == at::kLong && router.chosen.is_contiguous() &&
                  router.chosen.numel() == router.k,
              "chosen must be contiguous int64 [", router.k, "]");
  cpu::StepRouter step;
  step.rows = step_matrix(router.rows, width, modules, {}, at::kFloat, "rows").w;
  for (std::size_t m = 0; m < router.in.size(); ++m) {
    step.modules.push_back(
        {step_matrix(router.in[m], width, hidden * (form.gated ? 2 : 1), {}, form.dtype, "each of in").w,
         step_matrix(router.out[m], hidden, width, {}, form.dtype, "each of out").w});
    step.codes = step.codes || router.in[m].bits != 0 || router.out[m].bits != 0;
  }
  step.k = router.k, step.choice = router.choice;
  floats_of(router.probabilities, modules, "probabilities"), floats_of(router.gates, router.k, "gates");
  step.probabilities = router.probabilities.mutable_data_ptr<float>();
  step.chosen = router.chosen.mutable_data_ptr<std::int64_t>();
  step.gates = router.gates.mutable_data_ptr<float>();
  return step;
}

cpu::StepLayer step_layer(const TokenForm& form, const TokenLayer& layer, std::int64_t width, std::int64_t cached) {
  const std::int64_t size = form.head_size, queries = layer.key_heads * form.queries * size;
  const std::int64_t hidden = layer.slices * layer.slice_hidden;
  TORCH_CHECK(layer.key_heads >= 1 && layer.slices >= 1 && layer.slice_hidden >= 1,
              "a layer must have modules of both kinds");
  const auto matrix = [&](const PackedWeight& w, std::int64_t in, std::int64_t out, const at::Tensor& bias,
                          const char* name) { return step_matrix(w, in, out, bias, form.dtype, name); };
  check_room(layer.key, form, layer.key_heads, cached);
  check_room(layer.value, form, layer.key_heads, cached);
  TORCH_CHECK(layer.key.strides() == layer.value.strides(), "key and value must lie alike");
  TORCH_CHECK(layer.norm_1.defined() && layer.norm_2.defined(), "the norms must have weights");
  cpu::StepLayer step;
  step.norm_1 = {floats_of(layer.norm_1, width, "norm_1"), floats_of(layer.norm_1_bias, width, "norm_1_bias")};
  step.norm_2 = {floats_of(layer.norm_2, width, "norm_2"), floats_of(layer.norm_2_bias, width, "norm_2_bias")};
  step.in = matrix(layer.in, width, queries + 2 * layer.key_heads * size, layer.in_bias, "in");
  step.out = matrix(layer.out, queries, width, layer.out_bias, "out");
  if (layer.router) {
    step.router = step_router(*layer.router, width, layer.slice_hidden, form);
    step.down.bias = floats_of(layer.down_bias, width, "down_bias");
  } else {
    step.up = matrix(layer.up, width, hidden * (form.gated ? 2 : 1), layer.up_bias, "up");
    step.down = matrix(layer.down, hidden, width, layer.down_bias, "down");
  }
  step.query_norm = floats_of(layer.query_norm, size, "query_norm");
  step.key_norm = floats_of(layer.key_norm, size, "key_norm");
  step.key = layer.key.mutable_data_ptr(), step.value = layer.value.mutable_data_ptr();
  step.position = layer.key.stride(1), step.head = layer.key.stride(2);
  step.window = layer.window;
  step.key_heads = layer.key_heads, step.slices = layer.slices, step.slice_hidden = layer.slice_hidden;
  return step;
}

void check_form(const TokenForm& form) {
  TORCH_CHECK(form.dtype == at::kFloat || form.dtype == at::kBFloat16, "dtype must be float32 or bfloat16, got ",
              form.dtype);
  TORCH_CHECK(form.queries >= 1 && form.queries <= kMostQueries && form.head_size >= 1,
              "a head of keys must have 1 to ", kMostQueries, " queries");
}

}  // namespace

void token_step(const TokenForm& form, const std::vector<TokenLayer>& layers, std::int64_t cached,
                const at::Tensor& cos, const at::Tensor& sin, at::Tensor& x) {
  check_form(form);
  TORCH_CHECK(cached >= 0, "cached must be at least 0, got ", cached);
  TORCH_CHECK(x.scalar_type() == at::kFloat && x.is_contiguous() && x.device().is_cpu(),
              "x must be contiguous float32 on the CPU, got ", x.scalar_type(), " ", x.sizes());
  TORCH_CHECK(cos.defined() == sin.defined() && (!cos.defined() || form.head_size % 2 == 0),
              "cos and sin must come together, for heads of an even size");
  const cpu::StepForm step{form.dtype,     form.rms,   form.epsilon,    x.numel(),        form.queries,
                           form.head_size, form.gated, form.activation, form.score_scale, form.residual_scale};
  std::vector<cpu::StepLayer> raw;
  raw.reserve(layers.size());
  for (const TokenLayer& layer : layers) raw.push_back(step_layer(form, layer, x.numel(), cached));
  const std::int64_t half = form.head_size / 2;
  cpu::token_step(step, raw, cached, floats_of(cos, half, "cos"), floats_of(sin, half, "sin"),
                  x.mutable_data_ptr<float>());
}

}  // namespace mformer::kernels
