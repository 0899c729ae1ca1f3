#include "kernels/device/kernel_check.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>

#include <mutex>
#include <set>

#include "kernels/cpu/module_dispatch.h"
#include "kernels/cpu/stick_breaking_attention.h"
#include "kernels/device/checker.h"
#include "kernels/device/fused.h"
#include "kernels/device/grouped_linear.h"
#include "kernels/device/module_dispatch.h"
#include "kernels/device/processor.h"
#include "kernels/device/softmax_top_k.h"
#include "kernels/device/stick_breaking_attention.h"
#include "kernels/stacked_weights.h"

namespace mformer::kernels::device {
namespace {

class AllChecks : public Checker {
 public:
  using Checker::Checker;

  std::vector<KernelCheck> run() {
    if (multiplies_groups(device())) grouped(extent() == Extent::full ? 8192 : 200);
    if (device().is_cuda() && !built_with_cuda()) return take();
    // Chunks of a head: one, not whole in its 16 bytes, and two; other forms of the kernels each.
    for (const std::int64_t head_size : {64, 36, 72}) attention({2, 35, 70, 3, 2, head_size}, true, false);
    attention({1, 1, 130, 2, 2, 64}, false, false);
    for (const ChoiceForm form : {ChoiceForm{}, ChoiceForm{true, false}, ChoiceForm{false, true}}) {
      router(70, 48, 3, form);
    }
    dispatch(300, 48, 2, 72);
    check_rows(*this, 70, 72);
    check_adamw(*this, 5000);
    if (extent() == Extent::full) {
      for (const std::int64_t head_size : {32, 40, 128, 192, 256})
        attention({1, 70, 200, 2, 2, head_size}, false, true);
      attention({2, 1024, 1024, 2, 8, 64}, false, true);
      router(4096, 48, 2, {});
      dispatch(4096, 48, 2, 1024);
      check_rows(*this, 4096, 1024);
      check_adamw(*this, 1 << 22);
    }
    return take();
  }

 private:
  struct Attention {
    std::int64_t batch, tokens, keys, k, heads, head_size;
  };

  /// `lasting`: scores of about −7, so that a stick reaches every tile.
  void attention(const Attention& s, bool padded, bool lasting) {
    at::Tensor q = random({s.batch, s.tokens, s.k, s.heads, s.head_size}), grad = random(q.sizes());
    at::Tensor k = random({s.batch, s.keys, s.heads, s.head_size}), v = random(k.sizes()), mask;
    if (padded) mask = at::rand({s.batch, s.keys}, generator(), at::TensorOptions(at::kFloat)).gt(0.3);
    if (lasting) {
      q.select(-1, 0).fill_(7.0);
      k.select(-1, 0).fill_(-std::sqrt(static_cast<double>(s.head_size)));
    }
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) attention(q, k, v, grad, mask, dtype);
  }

  void attention(const at::Tensor& q0, const at::Tensor& k0, const at::Tensor& v0, const at::Tensor& grad0,
                 const at::Tensor& mask0, at::ScalarType dtype) {
    const at::Tensor q = there(q0.to(dtype)), k = there(k0.to(dtype)), v = there(v0.to(dtype));
    const at::Tensor grad = there(grad0.to(dtype)), mask = there(mask0);
    const auto wide = [](const at::Tensor& x) { return x.cpu().to(at::kDouble); };
    const std::string input = std::string(dtype == at::kFloat ? "float32" : "bfloat16") + ", " +
                              std::to_string(q.size(1)) + " tokens, " + std::to_string(k.size(1)) + " keys, heads of " +
                              std::to_string(q.size(4));
    const double tolerance = dtype == at::kFloat ? kFloat32 : kBFloat16Factors;
    check(
        Kernel::attention_forward, input, tolerance, {cpu::stick_breaking_forward(wide(q), wide(k), wide(v), mask0)},
        [&] { return Results{fused::stick_breaking_forward(q, k, v, mask)}; },
        [&] { return Results{composite::stick_breaking_forward(q, k, v, mask)}; });
    const auto [dq, dk, dv] = cpu::stick_breaking_backward(wide(grad), wide(q), wide(k), wide(v), mask0);
    const auto list = [](const std::tuple<at::Tensor, at::Tensor, at::Tensor>& x) {
      return Results{std::get<0>(x), std::get<1>(x), std::get<2>(x)};
    };
    check(
        Kernel::attention_backward, input, tolerance, {dq, dk, dv},
        [&] { return list(fused::stick_breaking_backward(grad, q, k, v, mask)); },
        [&] { return list(composite::stick_breaking_backward(grad, q, k, v, mask)); });
  }

  void grouped(std::int64_t rows) {
    constexpr std::int64_t kIn = 64, kOut = 128;
    const std::vector<std::int64_t> offset = {0, rows / 8, rows / 8, rows / 2, rows};  // a module without rows
    const at::Tensor ends = ModuleOffsets(offset).ends(device());
    const at::Tensor x = random({rows, kIn}).to(at::kBFloat16), y = random({rows, kOut}).to(at::kBFloat16);
    std::vector<at::Tensor> weights;
    for (std::size_t m = 0; m + 1 < offset.size(); ++m) weights.push_back(random({kIn, kOut}));
    const auto slices = side_by_side(weights, at::kBFloat16, device());
    const at::Tensor stack = as_one(slices), x2 = there(x), y2 = there(y);
    const Results right = {at::empty({rows, kOut}, at::kDouble), at::empty({rows, kIn}, at::kDouble),
                           at::empty({static_cast<std::int64_t>(weights.size()), kIn, kOut}, at::kDouble)};
    for (std::size_t m = 0; m < weights.size(); ++m) {
      const at::Tensor w = weights[m].to(at::kBFloat16).to(at::kDouble);
      const std::int64_t first = offset[m], count = offset[m + 1] - first;
      right[0].narrow(0, first, count).copy_(at::mm(x.narrow(0, first, count).to(at::kDouble), w));
      const at::Tensor in = x.narrow(0, first, count).to(at::kDouble), out = y.narrow(0, first, count).to(at::kDouble);
      right[1].narrow(0, first, count).copy_(at::mm(out, w.t()));
      right[2][static_cast<std::int64_t>(m)].copy_(at::mm(in.t(), out));
    }
    check(
        Kernel::grouped_product, std::to_string(rows) + " rows", kBFloat16, right,
        [&] {
          // The memory that the gradients get was no numbers before: those of a module without rows must be written
          // too.
          at::full(stack.sizes(), NAN, stack.options());
          const at::Tensor gradients = stacked_gradients(x2, y2, ends);
          return Results{stacked_product(x2, ends, stack, false), stacked_product(y2, ends, stack, true), gradients};
        },
        [&] {
          return Results{products_one_by_one(x2, offset, slices, false), products_one_by_one(y2, offset, slices, true)};
        });
  }

  void router(std::int64_t tokens, std::int64_t modules, std::int64_t k, ChoiceForm form) {
    const at::Tensor logits = random({tokens, modules}), x = there(logits);
    const at::Tensor dp = random({tokens, modules}), dgates = random({tokens, k});
    const at::Tensor dp_there = there(dp), dgates_there = there(dgates);
    const auto run = [form, k](const auto& forward, const auto& backward, const at::Tensor& in,
                               const at::Tensor& grad_p, const at::Tensor& grad_gates) {
      const auto [p, gates, chosen] = forward(in, k, form);
      const at::Tensor unit_gates = form.sums_to_one() ? gates : at::Tensor();
      return Results{p, gates, chosen, backward(p, chosen, unit_gates, grad_p, grad_gates)};
    };
    check(
        Kernel::router, std::to_string(tokens) + " tokens, " + std::to_string(modules) + " modules", kFloat32,
        run(composite::softmax_top_k, composite::softmax_top_k_backward, logits, dp, dgates),
        [&] { return run(fused::softmax_top_k, fused::softmax_top_k_backward, x, dp_there, dgates_there); },
        [&] { return run(composite::softmax_top_k, composite::softmax_top_k_backward, x, dp_there, dgates_there); });
  }

  void dispatch(std::int64_t tokens, std::int64_t modules, std::int64_t k, std::int64_t width) {
    const at::Tensor chosen = at::randint(modules, {tokens, k}, generator(), at::TensorOptions(at::kLong));
    const at::Tensor chosen_there = there(chosen);
    const ModuleDispatch plan = kernels::plan_dispatch(chosen, modules);
    const std::string size = std::to_string(tokens) + " tokens";
    check(
        Kernel::plan, size, 0, {plan.slot_of_row, plan.row_of_slot},
        [&] {
          const ModuleDispatch p = fused::plan_dispatch(chosen_there, modules);
          return Results{p.slot_of_row, p.row_of_slot};
        },
        [&] {
          const ModuleDispatch p = composite::plan_dispatch(chosen_there, modules);
          return Results{p.slot_of_row, p.row_of_slot};
        });
    const at::Tensor slot_of_row = there(plan.slot_of_row), row_of_slot = there(plan.row_of_slot);
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const at::Tensor x = random({tokens, width}).to(dtype), rows = random({tokens * k, width}).to(dtype);
      const at::Tensor gates = random({tokens, k}).to(dtype);
      const at::Tensor x2 = there(x), rows2 = there(rows), gates2 = there(gates);
      const std::string input = size + (dtype == at::kFloat ? ", float32" : ", bfloat16");
      check(
          Kernel::gather, input, 0, {cpu::gather_tokens(x, plan.slot_of_row, k)},
          [&] { return Results{fused::gather_tokens(x2, slot_of_row, k)}; },
          [&] { return Results{composite::gather_tokens(x2, slot_of_row, k)}; });
      const auto [dr, dg] = cpu::sum_slots_backward(x, rows, plan.row_of_slot, k, gates);
      const auto run = [&](const auto& forward, const auto& backward) {
        const auto [dr2, dg2] = backward(x2, rows2, row_of_slot, k, gates2);
        return Results{forward(rows2, row_of_slot, k, gates2), dr2, dg2};
      };
      check(
          Kernel::combine, input, dtype == at::kFloat ? kFloat32 : kBFloat16,
          {cpu::sum_slots(rows, plan.row_of_slot, k, gates), dr, dg},
          [&] { return run(fused::sum_slots, fused::sum_slots_backward); },
          [&] { return run(composite::sum_slots, composite::sum_slots_backward); });
    }
  }
};

}  // namespace

std::vector<KernelCheck> check_kernels(const c10::Device& device, Extent extent) {
  const at::NoGradGuard no_grad;
  return AllChecks(device, extent).run();
}

void switch_off_wrong(const std::vector<KernelCheck>& checks) {
  for (const KernelCheck& check : checks) {
    if (check.passed() || why_off(check.kernel).has_value()) continue;
    const std::string reason =
        check.refusal.empty() ? "relative error " + std::to_string(check.error) + " at " + check.input : check.refusal;
    switch_off(check.kernel, reason);
    TORCH_WARN("the GPU kernel '", name(check.kernel), "' is replaced by LibTorch operations: ", reason);
  }
}

void check_once(const c10::Device& device) {
  static std::mutex mutex;
  static std::set<c10::DeviceIndex> checked;
  const std::lock_guard lock(mutex);
  if (checked.insert(device.index()).second) switch_off_wrong(check_kernels(device, Extent::small));
}

}  // namespace mformer::kernels::device
