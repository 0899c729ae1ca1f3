#include "core/surgery/slice_fit.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include <functional>
#include <limits>

#include "core/model/activation.h"
#include "core/model/layers.h"
#include "core/model/placement.h"

namespace mformer {
namespace {

constexpr double kRidge = 1e-2;  // of the mean square of the inputs: little, since tokens are many
constexpr double kSpread =
    5e-4;  // of logits about their mean: gates nearly alike, also of the slice that stands out most

/// Runs the model over the text, a window at a time, and hands the decisions and norms of the feed-forward layers on.
/// Returns how many tokens there were.
std::int64_t over_text(const Session& session, const Model& model, const TaskData& task, std::int64_t max_tokens,
                       const std::function<void(const ForwardOutput& output, std::int64_t tokens)>& visit) {
  const at::NoGradGuard no_grad;
  const PackedWindows windows(task.tokens.require(Split::train), model.config.default_context(), LastWindow::pad);
  EvaluateOptions options = evaluate_options(session, "fit routers", max_tokens);
  options.batch_size = 1;
  ForwardOptions how;
  how.norms = how.router_inputs = true;
  std::int64_t seen = 0;
  for_each_forward(model, windows, options, how, [&](const Batch& batch, const ForwardOutput& output) {
    visit(output, batch.lengths.front());
    seen += batch.lengths.front();
  });
  return seen;
}

at::Tensor input_of(const BankTrace& trace, std::int64_t tokens) {
  return trace.decision.input.narrow(0, 0, tokens);
}

/// |activation| · ‖row of W_out‖ of the first `units` units of each module, [tokens, modules · units].
at::Tensor contributions(const ModelConfig& config, const ModuleBank& bank, std::int64_t units, const at::Tensor& x) {
  std::vector<at::Tensor> all;
  const kernels::Activation kind = activation_of(config.activation_function);
  for (const Module& module : bank.modules) {
    const std::int64_t hidden = module.out.size(0);
    const at::Tensor raised = x.matmul(module.in);
    at::Tensor active = layers::activate(kind, raised.narrow(1, 0, units));
    if (config.form.gated) active = active * raised.narrow(1, hidden, units);
    const at::Tensor norms = at::linalg_vector_norm(module.out.narrow(0, 0, units).to(at::kFloat), 2, {1});
    all.push_back(active.to(at::kFloat).abs() * norms);
  }
  return at::cat(all, 1);
}

/// Sums over tokens of x xᵀ and x tᵀ, x the layer's input and t the norms of what its slices put out, over their mean.
struct NormalEquations {
  at::Tensor xx, xt;

  void add(const BankTrace& trace, std::int64_t tokens, std::int64_t slices) {
    const at::Tensor x = input_of(trace, tokens).to(at::kFloat);
    const at::Tensor norms = at::zeros({tokens, slices}, x.options())
                                 .scatter(1, trace.decision.indices.narrow(0, 0, tokens),
                                          trace.output_norms.to(at::kFloat).narrow(0, 0, tokens));
    const at::Tensor share = norms / norms.mean(1, true).clamp_min(1e-30);
    const at::Tensor more_xx = x.t().mm(x), more_xt = x.t().mm(share);
    xx = xx.defined() ? xx + more_xx : more_xx;
    xt = xt.defined() ? xt + more_xt : more_xt;
  }

  /// [slices, n_embd]
  at::Tensor rows(std::int64_t tokens) const {
    const at::Tensor square = xx.cpu().to(at::kDouble) / static_cast<double>(tokens);
    const at::Tensor target = xt.cpu().to(at::kDouble) / static_cast<double>(tokens);
    const double ridge = kRidge * square.diag().mean().item<double>() + 1e-12;
    const at::Tensor fitted =
        at::linalg_solve(square + ridge * at::eye(square.size(0), square.options()), target).t().contiguous();
    // What all rows have in common chooses nothing.
    const at::Tensor apart = fitted - fitted.mean(0, true);
    const double spread = (apart.mm(square) * apart).sum(1).mean().sqrt().item<double>();
    return spread > 0 ? apart * (kSpread / spread) : apart;
  }
};

}  // namespace

UnitOrder order_units(const Session& session, const Model& model, const std::vector<std::int64_t>& layers,
                      std::int64_t units, const TaskData& task, std::int64_t max_tokens) {
  std::vector<at::Tensor> sums(layers.size());
  const Model there = on_device(model, session.device);
  over_text(session, there, task, max_tokens, [&](const ForwardOutput& output, std::int64_t tokens) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const at::Tensor all = contributions(there.config, there.blocks[layers[i]].mlp, units,
                                           input_of(output.routing[layers[i]].mlp, tokens));
      const at::Tensor more = (all / all.sum(1, true).clamp_min(1e-30)).sum(0);
      sums[i] = sums[i].defined() ? sums[i] + more : more;
    }
  });
  UnitOrder order;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    order[layers[i]] = std::get<1>(sums[i].cpu().sort(/*stable=*/true, 0, /*descending=*/true));
  }
  return order;
}

void fit_rows(const Session& session, Model& model, const std::vector<std::int64_t>& layers, const TaskData& task,
              std::int64_t max_tokens) {
  std::vector<NormalEquations> sums(layers.size());
  const Model there = on_device(model, session.device);
  const std::int64_t seen =
      over_text(session, there, task, max_tokens, [&](const ForwardOutput& output, std::int64_t tokens) {
        for (std::size_t i = 0; i < layers.size(); ++i) {
          sums[i].add(output.routing[layers[i]].mlp, tokens, model.blocks[layers[i]].mlp.size());
        }
      });
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const at::Tensor rows = sums[i].rows(seen);
    auto& modules = model.blocks[layers[i]].mlp.modules;
    for (std::size_t m = 0; m < modules.size(); ++m) {
      modules[m].row = rows[static_cast<std::int64_t>(m)].to(modules[m].in.scalar_type()).contiguous();
    }
  }
}

}  // namespace mformer
