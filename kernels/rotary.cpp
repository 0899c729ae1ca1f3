#include "kernels/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <cmath>

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
  for (std::int64_t p = 0; p < positions; ++p) {
    for (const double f : inverse_frequencies) {
      // The product is float32, as in the implementations that models were trained with; its cosine is exact.
      const double angle = static_cast<float>(p) * static_cast<float>(f);
      *cos++ = static_cast<float>(std::cos(angle)) * factor;
      *sin++ = static_cast<float>(std::sin(angle)) * factor;
    }
  }
  return table;
}

at::Tensor rotate(const at::Tensor& x, const RotaryTable& table, std::int64_t first_position) {
  check_rotary(x, table, first_position);
  const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const std::int64_t half = x.size(-1) / 2;
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(x.dim()), 1);
  sizes[1] = x.size(1);
  sizes.back() = half;
  const at::Tensor cos = table.cos.narrow(0, first_position, x.size(1)).view(sizes).to(wide);
  const at::Tensor sin = table.sin.narrow(0, first_position, x.size(1)).view(sizes).to(wide);
  const at::Tensor a = x.narrow(-1, 0, half).to(wide), b = x.narrow(-1, half, half).to(wide);
  return at::cat({a * cos - b * sin, b * cos + a * sin}, -1).to(x.scalar_type());
}

}  // namespace mformer::kernels
