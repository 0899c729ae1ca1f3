// What Llama-like models need beside ModuleFormer's kernels, each beside LibTorch's operation for it: the fastest of
// some runs of either, taken in turn, and their ratio (above 1: ours is faster). Sizes are those of SmolLM2-135M (9
// query and 3 key heads of 64, width 576, hidden 1536) and of granite-3.0-1b-a400m (16 and 8 heads of 64, width 1024,
// 32 modules of hidden 512, k 8).

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "kernels/gated_activation.h"
#include "kernels/grouped_linear.h"
#include "kernels/module_dispatch.h"
#include "kernels/packed_linear.h"
#include "kernels/rms_norm.h"
#include "kernels/rotary.h"
#include "kernels/row_steps.h"
#include "kernels/softmax_attention.h"
#include "kernels/softmax_top_k.h"

namespace mformer::kernels {
namespace {

using Run = std::function<void()>;

double milliseconds(const Run& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// Prints a line of the table.
void compare(const std::string& what, const Run& ours, const Run& theirs) {
  constexpr int kMost = 200;
  constexpr double kEnough = 400;  // milliseconds
  ours();
  theirs();
  double best = INFINITY, other = INFINITY, spent = 0;
  for (int i = 0; i < kMost && (spent < kEnough || i < 3); ++i) {
    const double a = milliseconds(ours), b = milliseconds(theirs);
    best = std::min(best, a);
    other = std::min(other, b);
    spent += a + b;
  }
  std::printf("%-58s %9.3f ms %9.3f ms %7.2f\n", what.c_str(), best, other, other / best);
  std::fflush(stdout);
}

const char* name_of(at::ScalarType dtype) {
  return dtype == at::kFloat ? "float32" : "bfloat16";
}

struct Heads {
  std::int64_t batch, tokens, keys, group, heads, size;

  std::string text(const char* what, at::ScalarType dtype) const {
    return std::string(what) + ", " + name_of(dtype) + ", " + std::to_string(batch) + " × " + std::to_string(tokens) +
           " over " + std::to_string(keys) + ", " + std::to_string(group * heads) + "/" + std::to_string(heads) +
           " × " + std::to_string(size);
  }
};

/// The same numbers in both layouts: [batch, tokens, group, heads, size], and [batch, heads · group, tokens, size].
struct AttentionInputs {
  at::Tensor query, key, value, their_query, their_key, their_value;

  AttentionInputs(const Heads& s, at::ScalarType dtype)
      : query(at::randn({s.batch, s.tokens, s.group, s.heads, s.size}).to(dtype)),
        // [batch, heads, positions, size] in memory, as the model's cache has it.
        key(at::randn({s.batch, s.heads, s.keys, s.size}).to(dtype).transpose(1, 2)),
        value(at::randn({s.batch, s.heads, s.keys, s.size}).to(dtype).transpose(1, 2)),
        their_query(query.permute({0, 3, 2, 1, 4}).reshape({s.batch, s.heads * s.group, s.tokens, s.size})),
        their_key(key.transpose(1, 2)),
        their_value(value.transpose(1, 2)) {}
};

void attention(const Heads& s, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  const AttentionInputs in(s, dtype);
  const double scale = 1 / std::sqrt(static_cast<double>(s.size));
  compare(
      s.text("attention", dtype), [&] { softmax_attention(in.query, in.key, in.value, std::nullopt, scale); },
      [&] {
        at::scaled_dot_product_attention(in.their_query, in.their_key, in.their_value, {}, 0, s.tokens == s.keys, scale,
                                         s.group > 1);
      });
}

void attention_training(const Heads& s, at::ScalarType dtype) {
  const AttentionInputs in(s, dtype);
  const double scale = 1 / std::sqrt(static_cast<double>(s.size));
  const at::Tensor grad = at::randn_like(in.query), their_grad = at::randn_like(in.their_query);
  const auto leaves = [](const std::vector<at::Tensor>& all) {
    for (const at::Tensor& x : all) x.set_requires_grad(true);
    return all;
  };
  const auto ours = leaves({in.query, in.key.contiguous(), in.value.contiguous()});
  const auto theirs =
      leaves({in.their_query.detach(), in.their_key.contiguous().detach(), in.their_value.contiguous().detach()});
  const auto forget = [](const std::vector<at::Tensor>& all) {
    for (const at::Tensor& x : all) x.mutable_grad().reset();
  };
  compare(
      s.text("… and gradients", dtype),
      [&] {
        softmax_attention(ours[0], ours[1], ours[2], std::nullopt, scale).backward(grad);
        forget(ours);
      },
      [&] {
        at::scaled_dot_product_attention(theirs[0], theirs[1], theirs[2], {}, 0, true, scale, s.group > 1)
            .backward(their_grad);
        forget(theirs);
      });
}

void norms(std::int64_t rows, std::int64_t width, at::ScalarType dtype) {
  const at::Tensor x = at::randn({rows, width}).to(dtype).requires_grad_(true);
  const at::Tensor weight = at::randn({width}).to(dtype).requires_grad_(true), grad = at::randn_like(x);
  const std::string text =
      "RMSNorm, " + std::string(name_of(dtype)) + ", " + std::to_string(rows) + " × " + std::to_string(width);
  {
    const at::NoGradGuard no_grad;
    compare(
        text, [&] { rms_norm(x, weight, 1e-5); }, [&] { at::rms_norm(x, {width}, weight, 1e-5); });
  }
  const auto forget = [&] {
    x.mutable_grad().reset();
    weight.mutable_grad().reset();
  };
  compare(
      "… and gradients",
      [&] {
        rms_norm(x, weight, 1e-5).backward(grad);
        forget();
      },
      [&] {
        at::rms_norm(x, {width}, weight, 1e-5).backward(grad);
        forget();
      });
}

void gates(std::int64_t rows, std::int64_t hidden, at::ScalarType dtype) {
  const at::Tensor x = at::randn({rows, 2 * hidden}).to(dtype).requires_grad_(true);
  const at::Tensor grad = at::randn({rows, hidden}).to(dtype);
  const auto theirs = [&] { return at::silu(x.narrow(1, 0, hidden)) * x.narrow(1, hidden, hidden); };
  const std::string text =
      "SwiGLU, " + std::string(name_of(dtype)) + ", " + std::to_string(rows) + " × 2 · " + std::to_string(hidden);
  {
    const at::NoGradGuard no_grad;
    compare(
        text, [&] { gated_activation(x, Activation::silu); }, [&] { theirs(); });
  }
  compare(
      "… and gradients",
      [&] {
        gated_activation(x, Activation::silu).backward(grad);
        x.mutable_grad().reset();
      },
      [&] {
        theirs().backward(grad);
        x.mutable_grad().reset();
      });
}

void rotations(std::int64_t tokens, std::int64_t heads, std::int64_t size, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  const RotaryTable table = rotary_table(std::vector<double>(static_cast<std::size_t>(size) / 2, 0.01), 1, tokens);
  const at::Tensor x = at::randn({1, tokens, heads, size}).to(dtype);
  const at::Tensor cos = at::cat({table.cos, table.cos}, 1).unsqueeze(1).to(dtype);
  const at::Tensor sin = at::cat({table.sin, table.sin}, 1).unsqueeze(1).to(dtype);
  compare(
      "rotary, " + std::string(name_of(dtype)) + ", " + std::to_string(tokens) + " × " + std::to_string(heads) + " × " +
          std::to_string(size),
      [&] { rotate(x, table, 0); },
      [&] {
        const at::Tensor turned = at::cat({-x.narrow(3, size / 2, size / 2), x.narrow(3, 0, size / 2)}, 3);
        x* cos + turned* sin;
      });
}

void choices(std::int64_t tokens, std::int64_t modules, std::int64_t k) {
  const at::NoGradGuard no_grad;
  const at::Tensor logits = at::randn({tokens, modules});
  compare(
      "router, top-k first, " + std::to_string(tokens) + " × " + std::to_string(modules) + ", k " + std::to_string(k),
      [&] {
        softmax_top_k(logits, k, {true, false});
      },
      [&] {
        const at::Tensor p = at::softmax(logits, 1);
        at::softmax(std::get<0>(logits.topk(k, 1)), 1);
      });
}

/// A dense feed-forward part cut into modules that every token takes, beside one of two whole matrices; in training by
/// our own products too, in inference by our packed ones, so that the ratio is the cost of the cut.
struct Cut {
  std::int64_t tokens, modules, width, hidden;  ///< hidden: of a module

  std::string text(const char* what, const char* against) const {
    return std::string(what) + ", " + std::to_string(tokens) + " × " + std::to_string(width) + ", " +
           std::to_string(modules) + " of " + std::to_string(hidden) + ", " + against;
  }
};

std::vector<at::Tensor> matrices(std::int64_t count, std::int64_t in, std::int64_t out) {
  std::vector<at::Tensor> list;
  for (std::int64_t m = 0; m < count; ++m) list.push_back((at::randn({in, out}) / 30).requires_grad_(true));
  return list;
}

void cut_training(const Cut& c) {
  const auto in = matrices(c.modules, c.width, c.hidden), out = matrices(c.modules, c.hidden, c.width);
  const auto whole_in = matrices(1, c.width, c.hidden * c.modules),
             whole_out = matrices(1, c.hidden * c.modules, c.width);
  const at::Tensor x = at::randn({c.tokens, c.width}).requires_grad_(true), grad = at::randn({c.tokens, c.width});
  const auto train = [&](const at::Tensor& y) {
    y.backward(grad);
    for (const auto& list : {in, out, whole_in, whole_out}) {
      for (const at::Tensor& w : list) w.mutable_grad().reset();
    }
  };
  const ModuleDispatch all = dispatch_to_all(c.tokens, c.modules, at::kCPU);
  const ModuleDispatch plan = plan_dispatch(at::arange(c.modules, at::kLong).expand({c.tokens, c.modules}), c.modules);
  const at::Tensor gates = at::ones({c.tokens, c.modules});
  const std::vector<std::int64_t> one = {0, c.tokens};
  const auto whole = [&] { train(grouped_linear(grouped_linear(x, one, whole_in), one, whole_out)); };
  compare(
      c.text("cut, training", "whole"),
      [&] { train(grouped_linear_sum(grouped_linear(x, all.offset, in), all.offset, out)); }, whole);
  compare(
      c.text("… by copies", "whole"),
      [&] {
        const at::Tensor rows = grouped_linear(rows_from_tokens(x, plan), plan.offset, in);
        train(combine(grouped_linear(rows, plan.offset, out), gates, plan));
      },
      whole);
}

void cut_inference(const Cut& c) {
  const at::NoGradGuard no_grad;
  const auto pack = [](const std::vector<at::Tensor>& list) {
    std::vector<PackedWeight> packed;
    for (const at::Tensor& w : list) packed.push_back(pack_weight(w, at::kFloat));
    return packed;
  };
  const auto in = pack(matrices(c.modules, c.width, c.hidden)), out = pack(matrices(c.modules, c.hidden, c.width));
  const auto whole_in = pack(matrices(1, c.width, c.hidden * c.modules));
  const auto whole_out = pack(matrices(1, c.hidden * c.modules, c.width));
  const at::Tensor x = at::randn({c.tokens, c.width}), gates = at::ones({c.tokens, c.modules});
  at::Tensor residual = at::zeros({c.tokens, c.width});
  const auto whole = [&] { residual.add_(packed_linear(packed_linear(x, whole_in[0]), whole_out[0])); };
  compare(
      c.text("cut, inference", "whole"),
      [&] {
        const ModuleDispatch all = dispatch_to_all(c.tokens, c.modules, at::kCPU);
        residual.add_(packed_grouped_linear_sum(packed_grouped_linear(x, all.offset.on_host(), in),
                                                all.offset.on_host(), out, true));
      },
      whole);
  const at::Tensor chosen = at::arange(c.modules, at::kLong).expand({c.tokens, c.modules});
  compare(
      c.text("… by copies", "whole"),
      [&] {
        const ModuleDispatch plan = plan_dispatch(chosen, c.modules);
        const at::Tensor rows = packed_grouped_linear(rows_from_tokens(x, plan), plan.offset.on_host(), in);
        add_combined(packed_grouped_linear(rows, plan.offset.on_host(), out), gates, plan, residual);
      },
      whole);
}

void all() {
  std::printf("%d threads%48s %12s %12s %7s\n", at::get_num_threads(), "", "ours", "LibTorch", "ratio");
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const Heads& s : {Heads{4, 512, 512, 3, 3, 64}, {1, 2048, 2048, 3, 3, 64}, {1, 2048, 2048, 2, 8, 64}}) {
      attention(s, dtype);
      attention_training(s, dtype);
    }
    for (const Heads& s : {Heads{1, 1, 512, 3, 3, 64},
                           {1, 1, 4096, 3, 3, 64},
                           {1, 1, 4096, 2, 8, 64},
                           {1, 1, 4096, 1, 16, 128},
                           {1, 16, 4096, 2, 8, 64}}) {
      attention(s, dtype);
    }
    norms(2048, 576, dtype);
    norms(2048, 1024, dtype);
    norms(1, 1024, dtype);
    gates(2048, 1536, dtype);
    gates(1, 1536, dtype);
    rotations(2048, 16, 64, dtype);
    rotations(1, 16, 64, dtype);
  }
  choices(2048, 32, 8);
  choices(2048, 128, 8);
  choices(1, 32, 8);
  for (const Cut& c : {Cut{1024, 8, 576, 192}, {1024, 16, 1024, 128}}) cut_training(c);
  for (const Cut& c : {Cut{1024, 8, 576, 192}, {1, 8, 576, 192}, {1, 16, 1024, 128}}) cut_inference(c);
}

}  // namespace
}  // namespace mformer::kernels

int main(int argc, char** argv) {
  if (argc > 1) at::set_num_threads(std::atoi(argv[1]));
  mformer::kernels::all();
  return 0;
}
