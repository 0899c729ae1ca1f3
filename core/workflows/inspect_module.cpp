#include "core/workflows/inspect_module.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "core/model/domains.h"
#include "core/model/placement.h"
#include "core/text/utf8.h"
#include "core/workspace/routing_stats.h"
#include "core/workspace/stage_plan.h"
#include "core/workspace/task_data.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// Where a module lies in a plain model.
struct ModulePlace {
  std::size_t layer = 0;
  Kind kind = Kind::att;
  std::int64_t index = 0;
};

std::optional<ModulePlace> find_place(const Model& model, const std::string& uid) {
  for (std::size_t layer = 0; layer < model.blocks.size(); ++layer) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto& modules = model.blocks[layer].bank(kind).modules;
      for (std::size_t i = 0; i < modules.size(); ++i) {
        if (modules[i].uid == uid) return ModulePlace{layer, kind, static_cast<std::int64_t>(i)};
      }
    }
  }
  return std::nullopt;
}

/// The hypothesis that owns it.
std::string owner_of(const Model& model, const std::string& uid) {
  const auto place = find_place(model, uid);
  if (!place) {
    throw UsageError("this version has no module " + uid, "mformer inspect modules lists those that it has");
  }
  const std::string& domain =
      model.blocks[place->layer].bank(place->kind).modules[static_cast<std::size_t>(place->index)].domain;
  return domain.empty() ? kBaseHypothesis : domain;
}

/// A slot of a token.
struct Taken {
  double gate;
  std::int64_t row, column;  ///< In its batch.
};

/// What is found of one task.
class Use {
 public:
  Use(const Tokenizer& tokenizer, ModulePlace place) : tokenizer_(tokenizer), place_(place) {}

  void add(const Batch& batch, const ForwardOutput& output) {
    const RouterDecision& decision = output.routing[place_.layer].bank(place_.kind).decision;
    const at::Tensor chosen = decision.indices.cpu().contiguous(),
                     gates = decision.gates.to(at::kFloat).cpu().contiguous();
    const auto* indices = chosen.const_data_ptr<std::int64_t>();
    const auto* gate = gates.const_data_ptr<float>();
    const auto* ids = batch.inputs.const_data_ptr<std::int64_t>();
    const std::int64_t width = batch.inputs.size(1), k = chosen.size(1);
    std::optional<Taken> best;
    for (std::int64_t row = 0; row < batch.inputs.size(0); ++row, best.reset()) {
      for (std::int64_t t = 0; t < batch.lengths[static_cast<std::size_t>(row)]; ++t) {
        const std::int64_t position = row * width + t;
        const auto* slot = std::find(indices + position * k, indices + (position + 1) * k, place_.index);
        const bool taken = slot != indices + (position + 1) * k;
        count(ids[position], taken ? std::optional<double>(gate[slot - indices]) : std::nullopt);
        if (taken && (!best || gate[slot - indices] > best->gate)) best = Taken{gate[slot - indices], row, t};
      }
      if (best) contexts_.push_back(context_of(batch, *best));
    }
  }

  void finish(ModuleUse& use, std::size_t most) {
    for (auto& [id, one] : by_token_) {
      use.tokens += one.seen, use.slots += one.slots, use.gate_mass += one.gate;
      if (one.slots == 0) continue;
      one.text = text_of({id});
      one.gate /= static_cast<double>(one.slots);
      use.by_token.push_back(one);
    }
    std::stable_sort(use.by_token.begin(), use.by_token.end(), [](const TokenUse& a, const TokenUse& b) {
      return std::tie(a.slots, a.gate) > std::tie(b.slots, b.gate);
    });
    std::stable_sort(contexts_.begin(), contexts_.end(),
                     [](const ContextUse& a, const ContextUse& b) { return a.gate > b.gate; });
    use.by_token.resize(std::min(most, use.by_token.size()));
    contexts_.resize(std::min(most, contexts_.size()));
    use.contexts = std::move(contexts_);
  }

 private:
  void count(std::int64_t id, std::optional<double> gate) {
    TokenUse& use = by_token_[id];
    ++use.seen;
    if (gate) ++use.slots, use.gate += *gate;
  }

  std::string text_of(const std::vector<std::int64_t>& ids) const {
    const std::vector<std::int32_t> tokens(ids.begin(), ids.end());
    return tokenizer_.decode(tokens, {.continues = true});
  }

  ContextUse context_of(const Batch& batch, const Taken& taken) const {
    constexpr std::int64_t kAround = 8;
    const at::Tensor row = batch.inputs[taken.row];
    const auto* ids = row.const_data_ptr<std::int64_t>();
    const std::int64_t end = batch.lengths[static_cast<std::size_t>(taken.row)];
    const auto part = [&](std::int64_t from, std::int64_t to) {
      return text_of({ids + std::max<std::int64_t>(0, from), ids + std::min(end, to)});
    };
    return {replace_invalid_utf8(part(taken.column - kAround, taken.column)), part(taken.column, taken.column + 1),
            replace_invalid_utf8(part(taken.column + 1, taken.column + 1 + kAround)), taken.gate};
  }

  const Tokenizer& tokenizer_;
  ModulePlace place_;
  std::map<std::int64_t, TokenUse> by_token_;
  std::vector<ContextUse> contexts_;
};

/// The version without this module; nothing where its bank would be left with too few.
std::optional<Model> without_module(const Model& model, const std::string& uid) {
  try {
    return select(model, modules_where(model, [&](const Module& module) { return module.uid != uid; }));
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

ModuleInspection inspect_module(Session& session, const LoadedVersion& version, const InspectModuleCommand& command) {
  const Tokenizer& tokenizer = require_tokenizer(version);
  ModuleInspection result;
  result.hypothesis = owner_of(version.model, command.uid);
  const StagePlan::Names names = command.tasks.empty() ? all_tasks(session.registry) : command.tasks;
  StagePlan plan(session);
  plan.tokenise(version, names);
  for (const std::string& name : names) plan.routing({name}).evaluate({name}).evaluate({name});
  plan.announce();
  std::vector<TaskData> tasks;
  for (const std::string& name : command.tasks) tasks.push_back(open_task(session, tokenizer, name, ""));
  if (command.tasks.empty()) tasks = readable_tasks(session, tokenizer);
  if (tasks.empty()) throw Error("there is no task whose text could be read", "mformer task add NAME --data DIR");
  const Model model = on_device(version.model, session.device);
  const Model view = view_of(model, result.hypothesis);
  const ModulePlace place = find_place(view, command.uid).value();
  const std::optional<Model> masked = without_module(model, command.uid);
  result.routed = view.blocks[place.layer].bank(place.kind).routed;
  for (const TaskData& task : tasks) {
    const Split split = measurable_split(session, task);
    const PackedWindows windows(task.tokens.require(split), model.config.default_context(), LastWindow::pad);
    ModuleUse use;
    use.task = task.record.name;
    Use found(tokenizer, place);
    for_each_forward(view, windows, evaluate_options(session, "routing of " + use.task, command.max_tokens), {},
                     [&](const Batch& batch, const ForwardOutput& output) { found.add(batch, output); });
    found.finish(use, result.routed ? command.most : 0);
    const auto loss_of = [&](const Model& one) {
      return evaluate(one, windows, evaluate_options(session, "evaluate " + use.task, command.max_tokens)).loss;
    };
    use.loss = loss_of(model);
    if (masked) use.loss_without = loss_of(*masked);
    result.tasks.push_back(std::move(use));
  }
  return result;
}

}  // namespace mformer
