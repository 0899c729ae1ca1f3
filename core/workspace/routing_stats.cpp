#include "core/workspace/routing_stats.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <utility>

#include "core/model/domains.h"
#include "core/model/placement.h"
#include "core/training/evaluate_posterior.h"

namespace mformer {
namespace {

/// Sums of one bank, [modules] each, float64, on the model's device.
struct BankSums {
  at::Tensor slots, gates, norms;

  /// Adds the tokens at these positions of the flattened batch.
  void add(const BankTrace& trace, std::int64_t modules, const at::Tensor& tokens) {
    if (!slots.defined()) {
      slots = at::zeros({modules}, tokens.options().dtype(at::kDouble));
      gates = slots.clone(), norms = slots.clone();
    }
    const auto of_tokens = [&](const at::Tensor& x) { return x.index_select(0, tokens).flatten(); };
    const at::Tensor chosen = of_tokens(trace.decision.indices);
    const at::Tensor gate = of_tokens(trace.decision.gates).to(at::kDouble);
    slots.index_add_(0, chosen, at::ones_like(gate));
    gates.index_add_(0, chosen, gate);
    norms.index_add_(0, chosen, gate * of_tokens(trace.output_norms).to(at::kDouble));
  }
};

/// Positions in the flattened batch that hold tokens rather than padding.
at::Tensor token_positions(const Batch& batch) {
  const at::Tensor column = at::arange(batch.inputs.size(1)).unsqueeze(0);
  return column.lt(at::tensor(batch.lengths, at::kLong).unsqueeze(1)).flatten().nonzero().squeeze(1);
}

using BankKey = std::pair<int, Kind>;

}  // namespace

namespace {

/// Sums of all banks of one plain model.
class RoutingSums {
 public:
  explicit RoutingSums(const Model& model) : model_(model) {}

  void add(const Batch& batch, const ForwardOutput& output) {
    const at::Tensor positions = token_positions(batch).to(output.hidden.device());
    tokens_ += positions.numel();
    for (std::size_t l = 0; l < output.routing.size(); ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        const std::int64_t modules = model_.blocks[l].bank(kind).size();
        if (modules == 0) continue;
        sums_[{static_cast<int>(l), kind}].add(output.routing[l].bank(kind), modules, positions);
      }
    }
  }

  /// Adds up with what other models' sums have put there already, module by module.
  void add_to(std::map<std::string, RoutingStat>& by_uid) const {
    for (const auto& [key, there] : sums_) {
      const BankSums sum{there.slots.cpu(), there.gates.cpu(), there.norms.cpu()};
      const auto& modules = model_.blocks[key.first].bank(key.second).modules;
      for (std::size_t i = 0; i < modules.size(); ++i) {
        const auto index = static_cast<std::int64_t>(i);
        RoutingStat& stat = by_uid[modules[i].uid];
        stat.slots += static_cast<std::int64_t>(sum.slots[index].item<double>());
        stat.gate_mass += sum.gates[index].item<double>();
        stat.weighted_output_norm += sum.norms[index].item<double>();
      }
    }
  }

  std::int64_t tokens() const { return tokens_; }

  /// All sums as one row of numbers, [n], float64, on the CPU: the same places for the same model.
  at::Tensor flat() const {
    std::vector<at::Tensor> parts = {at::tensor({static_cast<double>(tokens_)}, at::kDouble)};
    for_each_bank([&](const BankKey& key, std::int64_t modules) {
      const auto found = sums_.find(key);
      if (found == sums_.end()) {
        parts.push_back(at::zeros({3 * modules}, at::kDouble));
      } else {
        for (const at::Tensor& one : {found->second.slots, found->second.gates, found->second.norms})
          parts.push_back(one.cpu());
      }
    });
    return at::cat(parts);
  }

  /// Takes such a row for its sums.
  void set(const at::Tensor& flat) {
    tokens_ = std::llround(flat[0].item<double>());
    std::int64_t at = 1;
    for_each_bank([&](const BankKey& key, std::int64_t modules) {
      const auto next = [&] { return flat.narrow(0, std::exchange(at, at + modules), modules); };
      BankSums& sums = sums_[key];
      sums.slots = next(), sums.gates = next(), sums.norms = next();
    });
  }

 private:
  void for_each_bank(const std::function<void(const BankKey&, std::int64_t)>& visit) const {
    for (std::size_t l = 0; l < model_.blocks.size(); ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        const std::int64_t modules = model_.blocks[l].bank(kind).size();
        if (modules > 0) visit({static_cast<int>(l), kind}, modules);
      }
    }
  }

  const Model& model_;
  std::map<BankKey, BankSums> sums_;
  std::int64_t tokens_ = 0;
};

/// The statistics in the order of the model's modules; those that no view ran have zeros.
std::vector<RoutingStat> in_order(const Model& model, std::map<std::string, RoutingStat>& by_uid, std::int64_t tokens) {
  std::vector<RoutingStat> stats;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const Module& module : model.blocks[l].bank(kind).modules) {
        RoutingStat stat = by_uid[module.uid];
        stat.layer = static_cast<int>(l), stat.kind = kind, stat.module_uid = module.uid, stat.tokens = tokens;
        stats.push_back(std::move(stat));
      }
    }
  }
  return stats;
}

/// The batches of this process; stopped on all processes where one is asked to.
void for_each_own_batch(const PackedWindows& windows, const EvaluateOptions& options,
                        const std::function<void(const Batch&)>& visit) {
  bool interrupted = false;
  try {
    for_each_batch(windows, options, visit);
  } catch (const EvaluationInterrupted&) {
    interrupted = true;
  }
  stop_together(options.group, interrupted);
}

/// Over processes.
void add_up(std::vector<RoutingSums>& sums, ProcessGroup* group) {
  if (group == nullptr) return;
  for (RoutingSums& one : sums) {
    const at::Tensor all = one.flat();
    group->all_reduce_sum(all);
    one.set(all);
  }
}

/// The rows of a batch.
Batch rows_of(const Batch& batch, const std::vector<std::int64_t>& rows) {
  const at::Tensor index = at::tensor(rows, at::kLong);
  Batch part{batch.inputs.index_select(0, index), batch.targets.index_select(0, index), {}};
  for (const std::int64_t row : rows) {
    part.lengths.push_back(batch.lengths[row]);
    part.starts.push_back(batch.starts[row]);
  }
  return part;
}

/// Tells a trace of what views of one model chose.
class Tracer {
 public:
  Tracer(const Model& model, const RoutingTrace& trace) : trace_(trace) {
    for (std::size_t l = 0; l < model.blocks.size(); ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        const auto& modules = model.blocks[l].bank(kind).modules;
        for (std::size_t i = 0; i < modules.size(); ++i) places_[modules[i].uid] = static_cast<std::int64_t>(i);
      }
    }
  }

  /// `windows`: the number of each of the batch's rows.
  void tell(std::size_t hypothesis, const Model& view, const Batch& batch, const std::vector<std::int64_t>& windows,
            const ForwardOutput& output) const {
    const std::vector<Bank> banks = banks_of(view, output);
    const at::Tensor inputs = batch.inputs.cpu();
    const std::int64_t context = inputs.size(1);
    for (std::size_t row = 0; row < windows.size(); ++row) {
      for (std::int64_t position = 0; position < batch.lengths[row]; ++position) {
        const std::int64_t flat = static_cast<std::int64_t>(row) * context + position;
        RoutedSlot one;
        one.window = windows[row], one.position = position, one.hypothesis = hypothesis;
        one.token = inputs.data_ptr<std::int64_t>()[flat];
        for (const Bank& bank : banks) tell_bank(bank, flat, one);
      }
    }
  }

 private:
  struct Bank {
    int layer;
    Kind kind;
    at::Tensor indices, gates;           ///< [tokens, k], on the CPU
    std::vector<std::int64_t> places{};  ///< of the view's modules in the whole model
  };

  std::vector<Bank> banks_of(const Model& view, const ForwardOutput& output) const {
    std::vector<Bank> banks;
    for (std::size_t l = 0; l < output.routing.size(); ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        const auto& modules = view.blocks[l].bank(kind).modules;
        if (modules.empty()) continue;
        const RouterDecision& decision = output.routing[l].bank(kind).decision;
        Bank bank{static_cast<int>(l), kind, decision.indices.cpu().contiguous(),
                  decision.gates.to(at::kFloat).cpu().contiguous()};
        for (const Module& module : modules) bank.places.push_back(places_.at(module.uid));
        banks.push_back(std::move(bank));
      }
    }
    return banks;
  }

  void tell_bank(const Bank& bank, std::int64_t flat, RoutedSlot& one) const {
    const std::int64_t k = bank.indices.size(1);
    one.layer = bank.layer, one.kind = bank.kind;
    for (one.slot = 0; one.slot < k; ++one.slot) {
      const std::int64_t at = flat * k + one.slot;
      one.module = bank.places[bank.indices.data_ptr<std::int64_t>()[at]];
      one.gate = bank.gates.data_ptr<float>()[at];
      trace_(one);
    }
  }

  const RoutingTrace& trace_;
  std::map<std::string, std::int64_t> places_;
};

}  // namespace

std::vector<RoutingStat> collect_routing(const Session& session, const Model& model, const TaskData& task, Split split,
                                         std::int64_t max_tokens, const RoutingTrace& trace) {
  EvaluateOptions options = evaluate_options(session, "routing of " + task.record.name, max_tokens);
  if (!trace) options.group = session.group;  // a trace is of all windows, in their order
  require_same_data(session, task);
  ForwardOptions how;
  how.norms = true;
  const at::NoGradGuard no_grad;
  const std::vector<Model> views = views_of(on_device(model, session.device));
  const PosteriorEvaluator evaluator(views, options.posterior, options.bfloat16);
  std::vector<RoutingSums> sums(views.begin(), views.end());
  const PackedWindows windows(task.tokens.require(split), model.config.default_context(), LastWindow::pad);
  const Tracer tracer(model, trace);
  std::int64_t read = 0;  // windows
  for_each_own_batch(windows, options, [&](const Batch& batch) {
    std::vector<std::vector<std::int64_t>> rows(views.size());
    const auto chosen =
        views.size() == 1 ? std::vector<std::size_t>(batch.inputs.size(0), 0) : evaluator.likeliest(batch);
    for (std::size_t row = 0; row < chosen.size(); ++row) rows[chosen[row]].push_back(static_cast<std::int64_t>(row));
    for (std::size_t h = 0; h < views.size(); ++h) {
      if (rows[h].empty()) continue;
      const Batch part = rows_of(batch, rows[h]);
      const ForwardOutput output = forward(views[h], part.inputs, how);
      sums[h].add(part, output);
      if (!trace) continue;
      for (std::int64_t& row : rows[h]) row += read;
      tracer.tell(h, views[h], part, rows[h], output);
    }
    read += batch.inputs.size(0);
  });
  add_up(sums, options.group);
  std::map<std::string, RoutingStat> by_uid;
  std::int64_t tokens = 0;
  for (const RoutingSums& sum : sums) sum.add_to(by_uid), tokens += sum.tokens();
  return in_order(model, by_uid, tokens);
}

Split measurable_split(const Session& session, const TaskData& task) {
  if (task.tokens.held_out.tokens().size() >= 2) return Split::held_out;
  session.watcher.say("task '" + task.record.name + "' has no held-out text: its routing is measured on training text");
  return Split::train;
}

}  // namespace mformer
