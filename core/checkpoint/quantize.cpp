#include "core/checkpoint/quantize.h"

#include <ATen/ops/aminmax.h>

#include <cmath>
#include <map>

#include "core/checkpoint/written_parameters.h"
#include "kernels/packed_linear.h"
#include "kernels/quantised_blocks.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

void quantize_matrix(at::Tensor& matrix, at::Tensor& scale) {
  if (!scale.defined() && matrix.is_floating_point()) std::tie(matrix, scale) = quantized(matrix);
}

}  // namespace

std::pair<at::Tensor, at::Tensor> quantized(const at::Tensor& matrix) {
  const auto [least, most] = at::aminmax(matrix);
  if (!std::isfinite(least.item<double>()) || !std::isfinite(most.item<double>())) {
    throw Error("a module holds a weight that is not finite, which int8 can't represent",
                "the training that made it went astray: go back with mformer undo, or export without --quantize");
  }
  return kernels::quantize_int8(matrix.detach());
}

void quantize(Model& model) {
  for_each_module(model, [](Module& module) {
    quantize_matrix(module.in, module.in_scale);
    quantize_matrix(module.out, module.out_scale);
  });
  model.config.quantization = "int8";
}

namespace {

/// What is quantised in groups outside the modules.
void dequantize_trunk(Model& model, at::ScalarType dtype) {
  const std::map<std::string, ParameterShape> shapes = shapes_by_name(model.config);
  const auto to_numbers = [&](const std::string& name, at::Tensor& x) {
    if (kernels::is_blocks(x)) x = dequantized_parameter(x, shapes.at(name), dtype);
  };
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (ref.part == ParameterRef::Part::trunk) to_numbers(ref.name, *ref.tensor);
  });
  for (Domain& domain : model.domains) {
    for (PrivatePart& part : domain.parts) to_numbers(part.name, part.value);
  }
  if (model.config.tie_word_embeddings) model.lm_head = model.wte;
}

}  // namespace

void dequantize(Model& model, at::ScalarType dtype) {
  if (model.config.block_bits() != 0) dequantize_trunk(model, dtype);
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::int64_t hidden = model.config.hidden(kind, static_cast<std::int64_t>(l));
      for (Module& module : model.blocks[l].bank(kind).modules) {
        module.in = dequantized(module.in, module.in_scale, model.config.n_embd, dtype);
        module.out = dequantized(module.out, module.out_scale, hidden, dtype);
        module.in_scale = module.out_scale = at::Tensor();
      }
    }
  }
  model.config.quantization.clear();
}

at::Tensor dequantized(const at::Tensor& matrix, const at::Tensor& scale, std::int64_t inputs, at::ScalarType dtype) {
  if (kernels::is_blocks(matrix)) return kernels::dequantize_blocks(matrix, inputs, dtype).t().contiguous();
  return scale.defined() ? (matrix.to(at::kFloat) * scale).to(dtype) : matrix;
}

at::Tensor quantized_parameter(const at::Tensor& parameter, const ParameterShape& shape) {
  const auto [least, most] = at::aminmax(parameter);
  if (least.item<double>() >= -kernels::kMostInBlocks && most.item<double>() <= kernels::kMostInBlocks) {
    return kernels::quantize_blocks(has_rows_of_inputs(shape.role) ? parameter.detach().t() : parameter.detach(), shape.bits);
  }
  throw Error("'" + shape.name + "' holds a weight that is not finite or beyond ±65000, which no code stands for",
              "the training that made it went astray: go back with mformer undo, or export without --quantize");
}

at::Tensor dequantized_parameter(const at::Tensor& blocks, const ParameterShape& shape, at::ScalarType dtype) {
  const at::Tensor rows = kernels::dequantize_blocks(blocks, shape.inputs, dtype);
  return has_rows_of_inputs(shape.role) ? rows.t().contiguous() : rows;
}

}  // namespace mformer
