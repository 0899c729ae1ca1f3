#include "kernels/rotary.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/rotary.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/tasks.h"
#include "kernels/device/operations.h"

namespace mformer::kernels {
namespace {

void check_rotary(const at::Tensor& x, const RotaryTable& table, std::int64_t first_position) {
  TORCH_CHECK(x.dim() >= 3 && x.is_floating_point() && x.size(-1) >= 2 && x.size(-1) % 2 == 0,
              "x must be floating-point [batch, tokens, …, size] with an even size, got ", x.scalar_type(), " ",
              x.sizes());
  for (const at::Tensor& part : {table.cos, table.sin}) {
    TORCH_CHECK(part.defined() && part.dim() == 2 && part.scalar_type() == at::kFloat && part.is_contiguous() &&
                    part.size(1) == x.size(-1) / 2 && part.sizes() == table.cos.sizes(),
                "table must be float32 [positions, ", x.size(-1) / 2, "]");
    TORCH_CHECK(part.device() == x.device(), "x is on ", x.device(), ", table on ", part.device());
  }
  TORCH_CHECK(first_position >= 0 && first_position <= table.cos.size(0) - x.size(1), "table has ", table.cos.size(0),
              " positions, x needs ", first_position, " … ", first_position + x.size(1) - 1);
}

/// x [batch, tokens, heads, size], cos and sin [tokens, size / 2], all contiguous.
at::Tensor turn(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse) {
  const bool fast = x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
  if (!fast) return device::rotate(x, cos, sin, inverse);
  const std::int64_t tokens = x.size(1), heads = x.size(2), half = x.size(3) / 2, row = 2 * heads * half;
  at::Tensor y = at::empty_like(x);
  const auto *c = cos.const_data_ptr<float>(), *s = sin.const_data_ptr<float>();
  const auto turn_all = [&](const auto* from, auto* to) {
    cpu::for_each_row(x.size(0) * tokens, row, [&](std::int64_t r) {
      const std::int64_t angles = r % tokens * half;
      cpu::rotate_heads(from + r * row, heads, half, c + angles, s + angles, inverse, to + r * row);
    });
  };
  if (x.scalar_type() == at::kFloat) {
    turn_all(x.const_data_ptr<float>(), y.mutable_data_ptr<float>());
  } else {
    turn_all(x.const_data_ptr<c10::BFloat16>(), y.mutable_data_ptr<c10::BFloat16>());
  }
  return y;
}

/// A rotation's gradient is the rotation back.
class Rotate : public torch::autograd::Function<Rotate> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& cos,
                            const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return turn(x, cos, sin, false);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    return {turn(grads[0].contiguous(), saved[0], saved[1], true), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

RotaryTable rotary_table(const std::vector<double>& inverse_frequencies, double attention_factor,
                         std::int64_t positions) {
  TORCH_CHECK(!inverse_frequencies.empty(), "inverse_frequencies must hold at least one");
  for (const double f : inverse_frequencies) {
    TORCH_CHECK(std::isfinite(f), "inverse_frequencies must be finite, got ", f);
  }
  TORCH_CHECK(std::isfinite(attention_factor), "attention_factor must be finite, got ", attention_factor);
  TORCH_CHECK(positions >= 1, "positions must be at least 1, got ", positions);
  const auto angles = static_cast<std::int64_t>(inverse_frequencies.size());
  RotaryTable table{at::empty({positions, angles}, at::kFloat), at::empty({positions, angles}, at::kFloat)};
  auto *cos = table.cos.mutable_data_ptr<float>(), *sin = table.sin.mutable_data_ptr<float>();
  const auto factor = static_cast<float>(attention_factor);
  constexpr std::int64_t kOperationsPerAngle = 40;
  cpu::for_each_row(positions, kOperationsPerAngle * angles, [&](std::int64_t p) {
    for (std::int64_t i = 0; i < angles; ++i) {
      // The product is float32, as in the implementations that models were trained with; its cosine is exact.
      const double angle = static_cast<float>(p) * static_cast<float>(inverse_frequencies[static_cast<std::size_t>(i)]);
      cos[p * angles + i] = static_cast<float>(std::cos(angle)) * factor;
      sin[p * angles + i] = static_cast<float>(std::sin(angle)) * factor;
    }
  });
  return table;
}

namespace {

template <typename T>
void turn_rows(at::Tensor& x, const RotaryTable& table, std::int64_t heads) {
  const std::int64_t tokens = x.size(1), rows = x.size(2), width = x.size(3), half = table.cos.size(1);
  const auto *cos = table.cos.const_data_ptr<float>(), *sin = table.sin.const_data_ptr<float>();
  T* all = x.mutable_data_ptr<T>();
  cpu::for_each_row(x.size(0) * tokens, rows * width, [&](std::int64_t t) {
    T* before = cpu::scratch<T, 0>(2 * half * heads);
    const std::int64_t angles = t % tokens * half;
    for (std::int64_t r = 0; r < rows; ++r) {
      T* row = all + (t * rows + r) * width;
      std::copy_n(row, 2 * half * heads, before);
      cpu::rotate_heads(before, heads, half, cos + angles, sin + angles, false, row);
    }
  });
}

}  // namespace

void rotate_in_place(at::Tensor& x, const RotaryTable& table, std::int64_t heads) {
  TORCH_CHECK(x.dim() == 4 && x.is_contiguous() && x.device().is_cpu() &&
                  (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16),
              "x must be contiguous float32 or bfloat16 [batch, tokens, rows, width] on the CPU, got ", x.scalar_type(),
              " ", x.sizes());
  TORCH_CHECK(table.cos.size(0) >= x.size(1), "table has ", table.cos.size(0), " positions, x needs ", x.size(1));
  TORCH_CHECK(heads >= 0 && 2 * table.cos.size(1) * heads <= x.size(3), "rows of ", x.size(3), " hold no ", heads,
              " heads of ", 2 * table.cos.size(1));
  x.scalar_type() == at::kFloat ? turn_rows<float>(x, table, heads) : turn_rows<c10::BFloat16>(x, table, heads);
}

at::Tensor rotate(const at::Tensor& x, const RotaryTable& table, std::int64_t first_position) {
  check_rotary(x, table, first_position);
  std::int64_t heads = 1;
  for (const std::int64_t count : x.sizes().slice(2, x.dim() - 3)) heads *= count;
  const at::Tensor rows = x.contiguous().view({x.size(0), x.size(1), heads, x.size(-1)});
  const at::Tensor cos = table.cos.narrow(0, first_position, x.size(1));
  const at::Tensor sin = table.sin.narrow(0, first_position, x.size(1));
  const bool bare = !at::GradMode::is_enabled();  // a decoded token would notice the bookkeeping
  return (bare ? turn(rows, cos, sin, false) : Rotate::apply(rows, cos, sin)).view(x.sizes());
}

}  // namespace mformer::kernels
