#include "kernels/packed_linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cstring>

#include "kernels/cpu/block_product.h"
#include "kernels/cpu/matrix_products.h"
#include "kernels/cpu/packed_matrix.h"
#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/tasks.h"
#include "kernels/quantised_blocks.h"

namespace mformer::kernels {
namespace {

using cpu::kPanelColumns;
using Order = cpu::RightMatrix::Order;

void check_matrix(const char* name, const at::Tensor& x) {
  TORCH_CHECK(x.defined() && x.dim() == 2 && x.device().is_cpu(), name, " must be a matrix on the CPU");
}

PackedWeight pack(const at::Tensor& weight, at::ScalarType dtype, bool transposed) {
  check_matrix("weight", weight);
  TORCH_CHECK(weight.is_floating_point(), "weight must be of a floating dtype, got ", weight.scalar_type());
  TORCH_CHECK(dtype == at::kFloat || dtype == at::kBFloat16, "dtype must be float32 or bfloat16, got ", dtype);
  const at::ScalarType from = weight.scalar_type() == at::kBFloat16 && dtype == at::kBFloat16 ? dtype : at::kFloat;
  const at::Tensor w = weight.detach().to(from).contiguous();
  const int64_t in = w.size(transposed ? 1 : 0), out = w.size(transposed ? 0 : 1);
  PackedWeight packed{in, out, dtype, at::empty({cpu::panels_bytes(in, out, dtype)}, at::kByte), {}};
  cpu::write_panels({w.const_data_ptr(), from, in, out, transposed ? Order::transposed : Order::rows}, dtype,
                    packed.panels.mutable_data_ptr());
  return packed;
}

void check_left(const at::Tensor& x, const PackedWeight& w, const char* weight) {
  TORCH_CHECK(!at::GradMode::is_enabled() || !x.requires_grad(),
              "x must require no gradient: packed weights give none");
  TORCH_CHECK(w.defined(), weight, " must be packed");
  TORCH_CHECK(x.device().is_cpu() && x.is_contiguous() && x.dim() >= 1 && x.size(-1) == w.in,
              "x must be contiguous [..., ", w.in, "] on the CPU, got ", x.sizes());
  const at::ScalarType type = x.scalar_type();
  const bool codes = w.dtype == at::kChar || w.bits != 0;
  TORCH_CHECK(type == w.dtype || (codes && (type == at::kFloat || type == at::kBFloat16)), "x must have the dtype of ",
              weight, ", ", w.dtype, ", got ", type);
}

}  // namespace

cpu::RightMatrix right_matrix(const PackedWeight& w) {
  return {w.panels.const_data_ptr(),
          w.dtype,
          w.in,
          w.out,
          Order::panels,
          w.scale.defined() ? w.scale.const_data_ptr<float>() : nullptr,
          w.bits};
}

int64_t PackedWeight::bytes() const {
  return static_cast<int64_t>((panels.defined() ? panels.nbytes() : 0) + (scale.defined() ? scale.nbytes() : 0));
}

PackedWeight pack_weight(const at::Tensor& weight, at::ScalarType dtype) {
  return pack(weight, dtype, false);
}

PackedWeight pack_transposed(const at::Tensor& weight, at::ScalarType dtype) {
  return pack(weight, dtype, true);
}

PackedWeight pack_int8(const at::Tensor& codes, const at::Tensor& scale) {
  check_matrix("codes", codes);
  TORCH_CHECK(codes.scalar_type() == at::kChar, "codes must be int8, got ", codes.scalar_type());
  const int64_t in = codes.size(0), out = codes.size(1);
  TORCH_CHECK(scale.defined() && scale.scalar_type() == at::kFloat && scale.dim() == 1 && scale.size(0) == out,
              "scale must be float32 [", out, "]");
  PackedWeight packed{in, out, at::kChar, at::empty({cpu::panels_bytes(in, out, at::kChar)}, at::kByte),
                      scale.detach().contiguous()};
  const at::Tensor contiguous = codes.contiguous();
  const auto* from = contiguous.const_data_ptr<int8_t>();
  auto* to = packed.panels.mutable_data_ptr<uint8_t>();
  cpu::for_each_task((out + kPanelColumns - 1) / kPanelColumns, in * out, [&](int64_t panel) {
    const int64_t column = panel * kPanelColumns, columns = std::min(kPanelColumns, out - column);
    for (int64_t i = 0; i < in; ++i) {
      uint8_t* row = to + column * in + i * kPanelColumns;
      std::memcpy(row, from + i * out + column, columns);
      std::memset(row + columns, 0, kPanelColumns - columns);
    }
  });
  return packed;
}

namespace {

/// A block of 8 bits → its place in a group of a panel. −128 has no counterpart: it counts as −127.
void place_block8(const uint8_t* block, int64_t column, uint8_t* group) {
  uint8_t codes[kGroupSize];
  for (int64_t i = 0; i < kGroupSize; ++i) codes[i] = std::max<uint8_t>(block[2 + i] ^ 0x80U, 1);
  for (int64_t i = 0; i < kGroupSize; i += 4) std::memcpy(group + i * kPanelColumns + 4 * column, codes + i, 4);
  std::memcpy(group + kGroupSize * kPanelColumns + 2 * column, block, 2);
}

void place_block4(const uint8_t* block, int64_t column, uint8_t* group) {
  constexpr uint32_t kHalves = 0x0f0f0f0fU;
  uint32_t words[4];
  std::memcpy(words, block + 4, sizeof words);
  const uint32_t steps[4] = {(words[0] & kHalves) | (words[1] & kHalves) << 4U,
                             (words[2] & kHalves) | (words[3] & kHalves) << 4U,
                             (words[0] >> 4U & kHalves) | (words[1] >> 4U & kHalves) << 4U,
                             (words[2] >> 4U & kHalves) | (words[3] >> 4U & kHalves) << 4U};
  for (int64_t s = 0; s < 4; ++s) std::memcpy(group + s * 4 * kPanelColumns + 4 * column, &steps[s], 4);
  uint8_t* scales = group + kGroupSize / 2 * kPanelColumns;
  std::memcpy(scales + 2 * column, block, 2);
  std::memcpy(scales + 2 * (kPanelColumns + column), block + 2, 2);
}

}  // namespace

PackedWeight pack_blocks(const at::Tensor& blocks, int64_t in) {
  return pack_blocks(std::vector<at::Tensor>{blocks}, in, false);
}

PackedWeight pack_blocks(const std::vector<at::Tensor>& pieces, int64_t in, bool below) {
  TORCH_CHECK(!pieces.empty(), "pieces must not be empty");
  const int bits = bits_of(pieces.front());
  const auto count = static_cast<int64_t>(pieces.size());
  const int64_t rows = pieces.front().size(0), piece_groups = pieces.front().size(1), bytes = pieces.front().size(2);
  const int64_t out = below ? rows : rows * count, groups = below ? piece_groups * count : piece_groups;
  TORCH_CHECK(groups == groups_of(in), "blocks of ", groups, " groups hold no row of ", in);
  std::vector<at::Tensor> all;
  for (const at::Tensor& piece : pieces) {
    TORCH_CHECK(piece.device().is_cpu() && piece.sizes() == pieces.front().sizes(), "pieces must have one shape");
    all.push_back(piece.contiguous());
  }
  // Where the blocks of a row begin in the piece that has this group.
  const auto blocks_from = [&](int64_t row, int64_t group) {
    const at::Tensor& piece = all[below ? group / piece_groups : row / rows];
    return piece.const_data_ptr<uint8_t>() + row % rows * piece_groups * bytes;
  };
  const int64_t panels = (out + kPanelColumns - 1) / kPanelColumns, group_size = cpu::group_bytes(bits);
  PackedWeight packed{in, out, at::kByte, at::empty({panels * groups * group_size}, at::kByte), {}, bits};
  auto* to = packed.panels.mutable_data_ptr<uint8_t>();
  cpu::for_each_task(panels, out * in, [&](int64_t panel) {
    const int64_t first = panel * kPanelColumns, columns = std::min(kPanelColumns, out - first);
    uint8_t* group = to + panel * groups * group_size;
    if (columns < kPanelColumns) std::memset(group, 0, groups * group_size);
    const uint8_t* from[kPanelColumns];
    for (int64_t g = 0; g < groups; ++g, group += group_size) {
      const int64_t at = g % piece_groups;
      for (int64_t c = 0; c < columns; ++c) {
        if (at == 0) from[c] = blocks_from(first + c, g);
        (bits == 8 ? place_block8 : place_block4)(from[c] + at * bytes, c, group);
      }
    }
  });
  return packed;
}

std::pair<at::Tensor, at::Tensor> quantize_int8(const at::Tensor& weight) {
  check_matrix("weight", weight);
  TORCH_CHECK(weight.is_floating_point() && weight.numel() > 0, "weight must be floating-point and not empty, got ",
              weight.scalar_type(), " ", weight.sizes());
  const at::Tensor w = weight.detach().to(at::kFloat);
  TORCH_CHECK(w.isfinite().all().item<bool>(), "weight must be finite");
  at::Tensor scale = w.abs().amax(0) / 127.0;
  scale = at::where(scale > 0, scale, 1.0);
  return {(w / scale).round().clamp(-127, 127).to(at::kChar), scale};
}

at::Tensor packed_linear(const at::Tensor& x, const PackedWeight& w, const at::Tensor& bias, bool float32) {
  check_left(x, w, "w");
  TORCH_CHECK(!bias.defined() || (bias.scalar_type() == at::kFloat && bias.is_contiguous() && bias.dim() == 1 &&
                                  bias.size(0) == w.out),
              "bias must be contiguous float32 [", w.out, "]");
  auto sizes = x.sizes().vec();
  sizes.back() = w.out;
  at::Tensor y = at::empty(sizes, float32 ? x.options().dtype(at::kFloat) : x.options());
  if (y.numel() == 0) return y;
  cpu::products(x.scalar_type(), {{x.const_data_ptr(), x.numel() / w.in, right_matrix(w), y.mutable_data_ptr(),
                                   bias.defined() ? bias.const_data_ptr<float>() : nullptr, float32}});
  return y;
}

namespace {

/// Whether each module owns `rows` rows.
bool is_even(const std::vector<int64_t>& offset, int64_t rows) {
  for (size_t m = 0; m < offset.size(); ++m) {
    if (offset[m] != static_cast<int64_t>(m) * rows) return false;
  }
  return true;
}

void check_groups(const at::Tensor& x, const std::vector<int64_t>& offset, const std::vector<PackedWeight>& weights) {
  TORCH_CHECK(x.dim() == 2, "x must be [rows, in], got ", x.sizes());
  TORCH_CHECK(!weights.empty() && offset.size() == weights.size() + 1, "offset must have one entry more than weights");
  TORCH_CHECK(offset.front() == 0 && (offset.back() == x.size(0) || is_even(offset, x.size(0))),
              "offset must run from 0 to ", x.size(0));
}

void check_group(const at::Tensor& x, const std::vector<PackedWeight>& weights, size_t m) {
  check_left(x, weights[m], "each of weights");
  TORCH_CHECK(weights[m].out == weights[0].out, "weights[", m, "] must be [", x.size(1), ", ", weights[0].out,
              "], got [", weights[m].in, ", ", weights[m].out, "]");
}

const char* row_at(const at::Tensor& x, int64_t row) {
  return static_cast<const char*>(x.const_data_ptr()) + row * x.size(1) * static_cast<int64_t>(x.element_size());
}

}  // namespace

at::Tensor packed_grouped_linear(const at::Tensor& x, const std::vector<int64_t>& offset,
                                 const std::vector<PackedWeight>& weights) {
  check_groups(x, offset, weights);
  const bool shared = x.size(0) != offset.back();
  at::Tensor y = at::empty({offset.back(), weights[0].out}, x.options());
  auto* to = static_cast<char*>(y.mutable_data_ptr());
  std::vector<cpu::Product> list;
  for (size_t m = 0; m < weights.size(); ++m) {
    const int64_t first = offset[m], rows = offset[m + 1] - first;
    TORCH_CHECK(rows >= 0, "offset must not decrease, but does at ", m);
    if (rows == 0) continue;
    check_group(x, weights, m);
    list.push_back({row_at(x, shared ? 0 : first), rows, right_matrix(weights[m]),
                    to + first * y.size(1) * static_cast<int64_t>(y.element_size())});
  }
  cpu::products(x.scalar_type(), list);
  return y;
}

at::Tensor packed_grouped_linear_sum(const at::Tensor& x, const std::vector<int64_t>& offset,
                                     const std::vector<PackedWeight>& weights, bool float32) {
  check_groups(x, offset, weights);
  TORCH_CHECK(offset.back() == x.size(0) && is_even(offset, offset[1]),
              "offset must give every module the same number of the ", x.size(0), " rows");
  at::Tensor y = at::empty({offset[1], weights[0].out}, float32 ? x.options().dtype(at::kFloat) : x.options());
  for (size_t m = 0; m < weights.size(); ++m) check_group(x, weights, m);
  if (y.numel() == 0) return y;
  cpu::Product product{row_at(x, 0), offset[1], right_matrix(weights[0]), y.mutable_data_ptr(), nullptr, float32};
  for (size_t m = 1; m < weights.size(); ++m) {
    product.more.push_back({row_at(x, offset[m]), right_matrix(weights[m])});
  }
  cpu::products(x.scalar_type(), {product});
  return y;
}

}  // namespace mformer::kernels
