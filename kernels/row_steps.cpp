#include "kernels/row_steps.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/row_steps.h"
#include "kernels/cpu/rows.h"
#include "kernels/gated_activation.h"
#include "kernels/quantised_blocks.h"

namespace mformer::kernels {
namespace {

bool is_half(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16;
}

void check(const char* name, const at::Tensor& x, bool bfloat16_too) {
  TORCH_CHECK(x.defined() && x.is_contiguous() && x.device().is_cpu() && x.dim() >= 1, name,
              " must be contiguous on the CPU");
  TORCH_CHECK(x.scalar_type() == at::kFloat || (bfloat16_too && is_half(x)), name, " must be float32",
              bfloat16_too ? " or bfloat16" : "", ", got ", x.scalar_type());
}

/// visit(pointer to the values) with their type.
template <typename Visit>
void with_values(const at::Tensor& x, const Visit& visit) {
  if (is_half(x)) {
    visit(x.const_data_ptr<c10::BFloat16>());
  } else {
    visit(x.const_data_ptr<float>());
  }
}
template <typename Visit>
void with_mutable_values(at::Tensor& x, const Visit& visit) {
  if (is_half(x)) {
    visit(x.mutable_data_ptr<c10::BFloat16>());
  } else {
    visit(x.mutable_data_ptr<float>());
  }
}

int64_t rows_of(const at::Tensor& x) {
  return x.size(-1) == 0 ? 0 : x.numel() / x.size(-1);
}

}  // namespace

void activate(Activation activation, at::Tensor& x) {
  check("x", x, true);
  const int64_t width = x.size(-1);
  with_mutable_values(x, [&](auto* values) {
    cpu::for_each_row(rows_of(x), 4 * width,
                      [&](int64_t row) { cpu::activate_row(activation, values + row * width, width); });
  });
}

at::Tensor gated_activate(Activation activation, const at::Tensor& x) {
  check("x", x, true);
  std::vector<int64_t> sizes = x.sizes().vec();
  TORCH_CHECK(sizes.back() % 2 == 0, "x must hold gate and up side by side, an even width, got ", x.sizes());
  sizes.back() /= 2;
  return gated_activation(x.view({rows_of(x), x.size(-1)}), activation).view(sizes);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::ScalarType dtype) {
  check("x", x, false);
  check("weight", weight, false);
  const int64_t width = x.size(-1);
  TORCH_CHECK(weight.numel() == width, "weight must be [", width, "], got ", weight.sizes());
  TORCH_CHECK(std::isfinite(epsilon) && epsilon >= 0, "epsilon must be at least 0, got ", epsilon);
  at::Tensor y = at::empty(x.sizes(), x.options().dtype(dtype));
  check("dtype", y, true);
  const auto *from = x.const_data_ptr<float>(), *w = weight.const_data_ptr<float>();
  with_mutable_values(y, [&](auto* to) {
    cpu::for_each_row(rows_of(x), width, [&](int64_t row) {
      cpu::rms_norm_row(from + row * width, width, w, static_cast<float>(epsilon), to + row * width);
    });
  });
  return y;
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType dtype) {
  check("x", x, false);
  check("weight", weight, false);
  const int64_t width = x.size(-1);
  TORCH_CHECK(weight.numel() == width, "weight must be [", width, "], got ", weight.sizes());
  if (bias.defined()) {
    check("bias", bias, false);
    TORCH_CHECK(bias.numel() == width, "bias must be [", width, "], got ", bias.sizes());
  }
  at::Tensor y = at::empty(x.sizes(), x.options().dtype(dtype));
  check("dtype", y, true);
  const float* from = x.const_data_ptr<float>();
  const float* w = weight.const_data_ptr<float>();
  const float* b = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  with_mutable_values(y, [&](auto* to) {
    cpu::for_each_row(rows_of(x), width,
                      [&](int64_t row) { cpu::layer_norm_row(from + row * width, width, w, b, to + row * width); });
  });
  return y;
}

void normalize_rows(at::Tensor& x) {
  check("x", x, false);
  const int64_t width = x.size(-1);
  float* values = x.mutable_data_ptr<float>();
  cpu::for_each_row(rows_of(x), width, [&](int64_t row) { cpu::to_unit_length(values + row * width, width); });
}

Choice choose(at::Tensor& logits, int64_t k, ChoiceForm form) {
  check("logits", logits, false);
  TORCH_CHECK(logits.dim() == 2 && k >= 1 && k <= logits.size(1), "k must be 1 … modules, got ", k, " for logits ",
              logits.sizes());
  const int64_t tokens = logits.size(0), modules = logits.size(1);
  Choice choice{at::empty({tokens, k}, at::kLong), at::empty({tokens, k}, at::kFloat)};
  float *all = logits.mutable_data_ptr<float>(), *gates = choice.gates.mutable_data_ptr<float>();
  auto* chosen = choice.modules.mutable_data_ptr<int64_t>();
  cpu::for_each_row(tokens, 4 * modules, [&](int64_t t) {
    float *p = all + t * modules, *gate = gates + t * k;
    cpu::choose_row(p, modules, k, form, chosen + t * k, gate);
  });
  return choice;
}

void add_combined(const at::Tensor& rows, const at::Tensor& gates, const ModuleDispatch& dispatch, at::Tensor& x,
                  double factor) {
  check("rows", rows, true);
  check("gates", gates, false);
  check("x", x, false);
  const int64_t tokens = rows_of(x), width = x.size(-1), k = dispatch.k;
  TORCH_CHECK(dispatch.row_of_slot.numel() == tokens * k && gates.numel() == tokens * k, "gates must be [", tokens,
              ", ", k, "] for this dispatch, got ", gates.sizes());
  TORCH_CHECK(rows.numel() == tokens * k * width, "rows must be [", tokens * k, ", ", width, "], got ", rows.sizes());
  const float* gate = gates.const_data_ptr<float>();
  const auto* row_of_slot = dispatch.row_of_slot.const_data_ptr<int64_t>();
  const auto times = static_cast<float>(factor);
  float* to = x.mutable_data_ptr<float>();
  with_values(rows, [&](const auto* from) {
    cpu::for_each_row(tokens, k * width, [&](int64_t t) {
      for (int64_t slot = t * k; slot < (t + 1) * k; ++slot) {
        cpu::add_scaled_row(from + row_of_slot[slot] * width, times * gate[slot], width, to + t * width);
      }
    });
  });
}

at::Tensor embedding(const at::Tensor& table, int64_t width, const at::Tensor& ids) {
  const bool blocks = is_blocks(table);
  if (!blocks) check("table", table, true);
  TORCH_CHECK(blocks || table.size(1) == width, "table must be [size, ", width, "], got ", table.sizes());
  TORCH_CHECK(ids.scalar_type() == at::kLong && ids.is_contiguous() && ids.dim() == 1, "ids must be int64 [tokens]");
  const int64_t tokens = ids.size(0);
  const auto* id = ids.const_data_ptr<int64_t>();
  for (int64_t t = 0; t < tokens; ++t) {
    TORCH_CHECK(id[t] >= 0 && id[t] < table.size(0), "ids must be in 0 … ", table.size(0) - 1, ", got ", id[t]);
  }
  if (blocks) return dequantize_blocks(table.index_select(0, ids), width, at::kFloat);
  at::Tensor x = at::empty({tokens, width}, at::kFloat);
  float* to = x.mutable_data_ptr<float>();
  with_values(table, [&](const auto* from) {
    cpu::for_each_row(tokens, width, [&](int64_t t) { cpu::widen_row(from + id[t] * width, width, to + t * width); });
  });
  return x;
}

}  // namespace mformer::kernels
