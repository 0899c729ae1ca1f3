#include "core/checkpoint/eight_bits.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "core/checkpoint/written_parameters.h"
#include "core/formats/parameter_names.h"
#include "core/model/domains.h"
#include "kernels/quantised_blocks.h"

namespace mformer {
namespace {

using kernels::kGroupSize;

/// Whether code · scale needs no more bits than the dtype has only if the scale is a power of two.
bool is_narrow(const at::Tensor& rows) {
  return rows.element_size() < 4;
}

/// Blocks whose scales are powers of two, of finite rows.
at::Tensor blocks_by_powers_of_two(const at::Tensor& rows) {
  const std::int64_t groups = kernels::groups_of(rows.size(1));
  const at::Tensor padded = at::constant_pad_nd(rows.to(at::kFloat), {0, groups * kGroupSize - rows.size(1)});
  const at::Tensor x = padded.view({rows.size(0), groups, kGroupSize});
  const at::Tensor least = std::get<0>(x.abs().max(-1, /*keepdim=*/true)) / 127;
  // The next power of two that is not below: of m · 2^e with m of [1/2, 1), 2^(e - 1) where m is 1/2, else 2^e.
  const auto [fraction, exponent] = at::frexp(least);
  const at::Tensor power = exponent - fraction.eq(0.5).to(at::kInt);
  constexpr int kLeastPower = -24;  // of float16
  const at::Tensor ones = at::ones_like(least);
  const at::Tensor scale = at::where(least.gt(0), at::ldexp(ones, power.clamp_min(kLeastPower)), at::zeros_like(least));
  const at::Tensor codes = at::where(scale.gt(0), x / scale, at::zeros_like(x)).round().clamp(-127, 127);
  return at::cat({scale.to(at::kHalf).view(at::kByte), codes.to(at::kChar).view(at::kByte)}, -1);
}

bool are_in_range(const at::Tensor& rows) {
  const auto [least, most] = at::aminmax(rows);
  return least.item<double>() >= -kernels::kMostInBlocks && most.item<double>() <= kernels::kMostInBlocks;
}

/// Of finite rows.
at::Tensor blocks_of(const at::Tensor& rows) {
  return is_narrow(rows) ? blocks_by_powers_of_two(rows) : kernels::quantize_blocks(rows, 8);
}

/// Whether it is a matrix of numbers.
bool is_numbers(const at::Tensor& x) {
  return x.defined() && x.dim() == 2 && x.is_floating_point();
}

bool can_be_blocks(const at::Tensor& rows) {
  return is_numbers(rows) && rows.numel() > 0 && are_in_range(rows);
}

at::Tensor rounded(const at::Tensor& matrix, const ParameterShape& shape) {
  if (!is_numbers(matrix) || !is_matrix(shape.role)) return matrix;
  if (!has_rows_of_inputs(shape.role)) return rounded_to_eight_bits(matrix.detach());
  return rounded_to_eight_bits(matrix.detach().t().contiguous()).t().contiguous();
}

}  // namespace

at::Tensor rounded_to_eight_bits(const at::Tensor& rows) {
  if (!can_be_blocks(rows)) return rows;
  // Where a scale is a subnormal float16, the values of its codes may ask for a smaller one: again, until they stay.
  at::Tensor now = rows.contiguous();
  while (true) {
    at::Tensor next = kernels::dequantize_blocks(blocks_of(now), rows.size(1), rows.scalar_type());
    if (next.equal(now)) return next;
    now = std::move(next);
  }
}

std::optional<at::Tensor> exact_eight_bits(const at::Tensor& rows) {
  if (!can_be_blocks(rows)) return std::nullopt;
  // A zero has a sign in `rows`, and none in a code.
  if (at::signbit(rows).logical_and_(rows.eq(0)).any().item<bool>()) return std::nullopt;
  const auto are_exact = [&](const at::Tensor& blocks) {
    return kernels::dequantize_blocks(blocks, rows.size(1), rows.scalar_type()).equal(rows);
  };
  at::Tensor blocks = blocks_of(rows.contiguous());
  if (are_exact(blocks)) return blocks;
  if (is_narrow(rows)) return std::nullopt;
  blocks = blocks_by_powers_of_two(rows);  // of a model that was stored in 16 bits before
  if (are_exact(blocks)) return blocks;
  return std::nullopt;
}

void round_domain(Model& model, const std::string& name) {
  const std::map<std::string, ParameterShape> shapes = shapes_by_name(model.config);
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      std::vector<Module>& modules = model.blocks[l].bank(kind).modules;
      for (std::size_t i = 0; i < modules.size(); ++i) {
        if (modules[i].domain != name) continue;
        const std::string prefix = names::module(static_cast<std::int64_t>(l), kind, static_cast<std::int64_t>(i));
        modules[i].in = rounded(modules[i].in, shapes.at(prefix + ".in"));
        modules[i].out = rounded(modules[i].out, shapes.at(prefix + ".out"));
      }
    }
  }
  for (Domain& domain : model.domains) {
    if (domain.name != name) continue;
    domain.eight_bits = true;
    for (PrivatePart& part : domain.parts) {
      const auto shape = shapes.find(part.name);
      if (shape != shapes.end()) part.value = rounded(part.value, shape->second);
    }
  }
}

at::Tensor in_eight_bits(const at::Tensor& matrix, const ParameterShape& shape) {
  if (!is_numbers(matrix) || !is_matrix(shape.role)) return matrix;
  return exact_eight_bits(has_rows_of_inputs(shape.role) ? matrix.detach().t().contiguous() : matrix.detach())
      .value_or(matrix);
}

at::Tensor from_eight_bits(const at::Tensor& stored, const ParameterShape& shape, at::ScalarType dtype) {
  if (shape.bits != 0 || !is_matrix(shape.role) || !kernels::is_blocks(stored)) return stored;
  const std::int64_t inputs = shape.shape[has_rows_of_inputs(shape.role) ? 0 : 1];
  if (kernels::bits_of(stored) != 8 || stored.size(1) != kernels::groups_of(inputs)) return stored;
  const at::Tensor rows = kernels::dequantize_blocks(stored, inputs, dtype);
  return has_rows_of_inputs(shape.role) ? rows.t().contiguous() : rows;
}

}  // namespace mformer
