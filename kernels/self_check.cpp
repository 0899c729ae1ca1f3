#include "kernels/self_check.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/panel_product.h"
#include "kernels/device/kernel_check.h"
#include "kernels/gated_activation.h"
#include "kernels/grouped_linear.h"
#include "kernels/linear_cross_entropy.h"
#include "kernels/module_dispatch.h"
#include "kernels/packed_linear.h"
#include "kernels/quantised_blocks.h"
#include "kernels/rms_norm.h"
#include "kernels/rotary.h"
#include "kernels/softmax_attention.h"
#include "kernels/stick_breaking_attention.h"

namespace mformer::kernels {
namespace {

constexpr double tolerance = 1e-5;

at::Tensor random(at::Generator& generator, at::IntArrayRef shape) {
  return at::randn(shape, generator, at::TensorOptions(at::kFloat));
}

SelfCheck compare(const std::string& operation, const at::Tensor& ours, const at::Tensor& loops) {
  const double distance = (ours.to(at::kDouble) - loops).norm().item<double>();
  const double error = distance / loops.norm().item<double>();
  return {operation, std::isfinite(error) ? error : INFINITY, tolerance};
}

SelfCheck check_grouped_linear(at::Generator& generator) {
  const std::vector<int64_t> offset = {0, 3, 3, 10, 17};  // the second module owns no row
  constexpr int64_t in = 19, out = 23;
  const at::Tensor x = random(generator, {offset.back(), in});
  std::vector<at::Tensor> weights;
  for (size_t m = 0; m + 1 < offset.size(); ++m) weights.push_back(random(generator, {in, out}));
  at::Tensor y = at::zeros({offset.back(), out}, at::kDouble);
  auto sum = y.accessor<double, 2>();
  const auto rows = x.accessor<float, 2>();
  for (size_t m = 0; m + 1 < offset.size(); ++m) {
    const auto weight = weights[m].accessor<float, 2>();
    for (int64_t row = offset[m]; row < offset[m + 1]; ++row) {
      for (int64_t i = 0; i < in; ++i) {
        for (int64_t o = 0; o < out; ++o) sum[row][o] += static_cast<double>(rows[row][i]) * weight[i][o];
      }
    }
  }
  return compare("grouped linear", grouped_linear(x, offset, weights), y);
}

SelfCheck check_dispatch(at::Generator& generator) {
  constexpr int64_t tokens = 13, k = 2, modules = 5, width = 7;
  const at::Tensor first = at::randint(modules, {tokens, 1}, generator, at::TensorOptions(at::kLong));
  const at::Tensor chosen = at::cat({first, (first + 1).remainder(modules)}, 1);
  const at::Tensor x = random(generator, {tokens, width}), gates = random(generator, {tokens, k});
  const ModuleDispatch dispatch = plan_dispatch(chosen, modules);
  const std::vector<int64_t>& offset = dispatch.offset.on_host();
  at::Tensor rows = rows_from_tokens(x, dispatch).clone();
  for (int64_t m = 0; m < modules; ++m) {  // each module multiplies by its number
    rows.narrow(0, offset[m], offset[m + 1] - offset[m]).mul_(static_cast<double>(m + 1));
  }
  at::Tensor y = at::zeros({tokens, width}, at::kDouble);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t choice = 0; choice < k; ++choice) {
      const double factor =
          gates[t][choice].item<double>() * static_cast<double>(chosen[t][choice].item<int64_t>() + 1);
      y[t] += factor * x[t].to(at::kDouble);
    }
  }
  return compare("dispatch and combine", combine(rows, gates, dispatch), y);
}

/// One query against the keys up to it: the stick is broken at the nearest key first.
at::Tensor break_stick(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values, int64_t position) {
  at::Tensor result = at::zeros_like(values[0]);
  double rest = 1;
  for (int64_t j = position; j >= 0; --j) {
    const double z = query.dot(keys[j]).item<double>() / std::sqrt(static_cast<double>(query.size(0)));
    const double beta = 1 / (1 + std::exp(-z));
    result += beta * rest * values[j];
    rest *= 1 - beta;
  }
  return result;
}

SelfCheck check_attention(at::Generator& generator) {
  constexpr int64_t batch = 2, tokens = 21, k = 2, heads = 2, head_size = 8;
  const at::Tensor query = random(generator, {batch, tokens, k, heads, head_size});
  const at::Tensor key = random(generator, {batch, tokens, heads, head_size});
  const at::Tensor value = random(generator, {batch, tokens, heads, head_size});
  const at::Tensor q = query.to(at::kDouble), keys = key.to(at::kDouble), values = value.to(at::kDouble);
  at::Tensor y = at::empty_like(q);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t slot = 0; slot < tokens * k; ++slot) {
        const int64_t t = slot / k, choice = slot % k;
        y[b][t][choice][h].copy_(break_stick(q[b][t][choice][h], keys[b].select(1, h), values[b].select(1, h), t));
      }
    }
  }
  return compare("stick-breaking attention", stick_breaking_attention(query, key, value), y);
}

/// One query against the keys up to it.
at::Tensor weigh_keys(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values, int64_t position) {
  at::Tensor result = at::zeros_like(values[0]);
  double total = 0;
  for (int64_t j = 0; j <= position; ++j) {
    const double weight = std::exp(query.dot(keys[j]).item<double>() / std::sqrt(static_cast<double>(query.size(0))));
    result += weight * values[j];
    total += weight;
  }
  return result / total;
}

SelfCheck check_softmax_attention(at::Generator& generator) {
  constexpr int64_t batch = 2, tokens = 21, k = 3, heads = 2, size = 8;
  const at::Tensor query = random(generator, {batch, tokens, k, heads, size});
  const at::Tensor key = random(generator, {batch, tokens, heads, size});
  const at::Tensor value = random(generator, {batch, tokens, heads, size});
  const at::Tensor q = query.to(at::kDouble), keys = key.to(at::kDouble), values = value.to(at::kDouble);
  at::Tensor y = at::empty_like(q);
  for (int64_t row = 0; row < batch * tokens * k * heads; ++row) {
    const int64_t h = row % heads, choice = row / heads % k, t = row / heads / k % tokens, b = row / heads / k / tokens;
    y[b][t][choice][h].copy_(weigh_keys(q[b][t][choice][h], keys[b].select(1, h), values[b].select(1, h), t));
  }
  const double scale = 1 / std::sqrt(static_cast<double>(size));
  return compare("softmax attention", softmax_attention(query, key, value, std::nullopt, scale), y);
}

/// RMSNorm, then rotary positions, then a gated activation.
SelfCheck check_row_passes(at::Generator& generator) {
  constexpr int64_t tokens = 9, heads = 3, half = 10, size = 2 * half;
  const at::Tensor x = random(generator, {1, tokens, heads, size}), weight = random(generator, {size});
  const RotaryTable table = rotary_table(std::vector<double>(half, 0.3), 1, tokens);
  at::Tensor y = at::empty({tokens * heads, half}, at::kDouble);
  for (int64_t row = 0; row < tokens * heads; ++row) {
    const at::Tensor in = x.view({-1, size})[row].to(at::kDouble);
    const double squares = in.dot(in).item<double>() / static_cast<double>(size);
    const double angle = static_cast<double>(static_cast<float>(row / heads) * 0.3F);
    for (int64_t i = 0; i < half; ++i) {
      const auto normed = [&](int64_t at) {
        return weight[at].item<double>() * in[at].item<double>() / std::sqrt(squares + 1e-5);
      };
      const double a = normed(i), b = normed(i + half);
      const double gate = a * std::cos(angle) - b * std::sin(angle), up = b * std::cos(angle) + a * std::sin(angle);
      y[row][i] = gate / (1 + std::exp(-gate)) * up;
    }
  }
  const at::Tensor turned = rotate(rms_norm(x, weight, 1e-5), table, 0);
  return compare("RMSNorm, rotary positions, gated activation",
                 gated_activation(turned.view({-1, size}), Activation::silu), y);
}

/// Weights and rows that codes of 8 and 4 bits and bfloat16 hold exactly, so that whatever path the processor takes has
/// nothing to round but its sums.
SelfCheck check_blocks(at::Generator& generator) {
  constexpr int64_t rows = 17, in = 64, out = 70;  // enough for the tiles, where there are some
  const auto whole = [&](int64_t least, int64_t most, at::IntArrayRef sizes) {
    at::Tensor x = at::randint(least, most + 1, sizes, generator, at::TensorOptions(at::kFloat));
    for (int64_t group = 0; group < in; group += kGroupSize) {
      x.select(1, group).fill_(static_cast<double>(most));  // decides the scale
      x.select(1, group + 1).fill_(static_cast<double>(least));
    }
    return x;
  };
  const at::Tensor x = whole(-127, 127, {rows, in}), eight = whole(-127, 127, {out, in}) / 64,
                   four = whole(0, 15, {out, in}) / 8;
  const at::Tensor rounded = x.to(at::kBFloat16), one = rounded.narrow(0, 0, 1).contiguous();
  std::vector<at::Tensor> ours, loops;
  for (const auto& [weight, bits] : {std::pair(eight, 8), std::pair(four, 4)}) {
    const PackedWeight packed = pack_blocks(quantize_blocks(weight, bits), in);
    for (const at::Tensor& some : {rounded, one}) {
      ours.push_back(packed_linear(some, packed, {}, /*float32=*/true));
      loops.push_back(some.to(at::kDouble).matmul(weight.to(at::kDouble).t()));
    }
  }
  return compare("products with 8 and 4 bits", at::cat(ours), at::cat(loops));
}

SelfCheck check_cross_entropy(at::Generator& generator) {
  constexpr int64_t tokens = 9, in = 21, vocab = 70;
  const at::Tensor hidden = random(generator, {tokens, in}), head = random(generator, {vocab, in});
  const at::Tensor targets = at::randint(vocab, {tokens}, generator, at::TensorOptions(at::kLong));
  at::Tensor losses = at::zeros({tokens}, at::kDouble);
  for (int64_t t = 0; t < tokens; ++t) {
    double sum = 0;
    const auto logit = [&](int64_t v) { return hidden[t].to(at::kDouble).dot(head[v].to(at::kDouble)).item<double>(); };
    for (int64_t v = 0; v < vocab; ++v) sum += std::exp(logit(v));
    losses[t] = std::log(sum) - logit(targets[t].item<int64_t>());
  }
  return compare("cross-entropy", linear_cross_entropy_losses(hidden, head, targets), losses);
}

}  // namespace

std::vector<SelfCheck> self_check() {
  const at::NoGradGuard no_grad;
  at::Generator generator = at::detail::createCPUGenerator(1);
  return {check_grouped_linear(generator),    check_dispatch(generator),   check_attention(generator),
          check_softmax_attention(generator), check_row_passes(generator), check_blocks(generator),
          check_cross_entropy(generator)};
}

std::vector<DeviceSelfCheck> self_check(const at::Device& device) {
  if (!device.is_cuda()) return {};
  const auto checks = device::check_kernels(device, device::Extent::full);
  device::switch_off_wrong(checks);
  std::vector<DeviceSelfCheck> result;
  for (const device::KernelCheck& check : checks) {
    result.push_back({device::name(check.kernel), check.input, check.error, check.tolerance, check.kernel_ms,
                      check.composite_ms, check.passed(), check.refusal});
  }
  return result;
}

std::size_t count_failed(const std::vector<DeviceSelfCheck>& checks) {
  return static_cast<std::size_t>(
      std::count_if(checks.begin(), checks.end(), [](const DeviceSelfCheck& check) { return !check.passed; }));
}

std::string products_of_this_processor() {
  return cpu::panel_kernels().name;
}

}  // namespace mformer::kernels
