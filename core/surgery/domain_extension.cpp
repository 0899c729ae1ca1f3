#include "core/surgery/domain_extension.h"

#include <algorithm>

#include "core/model/domains.h"
#include "core/surgery/token_rows.h"

namespace mformer {
namespace {

/// [vocab_size], bool: the tokens of the training text.
at::Tensor tokens_used(std::int64_t vocabulary, const TaskData& task) {
  return rare_tokens(vocabulary, {task}, 1).logical_not();
}

/// A row of a router, of a module that the domain did not make.
bool is_row(const ParameterRef& ref) {
  return ref.part == ParameterRef::Part::module && ref.role == ParameterRole::row;
}

/// The base hypothesis without the modules that have a copy in their place.
Model without_originals(Model view, const NewModulePlan& plan) {
  for (const auto& [bank, positions] : plan) remove_modules(view.blocks[bank.first].bank(bank.second), positions);
  return view;
}

/// Says of the originals that the domain does not see them; `bank` may hold other domains' modules between them.
void hide(ModuleBank& bank, const std::vector<std::int64_t>& positions, const std::string& domain) {
  std::vector<Module*> own;
  for (Module& module : bank.modules) {
    if (module.domain.empty()) own.push_back(&module);
  }
  for (const std::int64_t position : positions) own.at(position)->hidden_from.push_back(domain);
}

}  // namespace

std::int64_t private_weights(const Model& parent, const TaskData& task) {
  const std::int64_t rows = tokens_used(parent.config.vocab_size, task).sum().item<std::int64_t>();
  std::int64_t weights = 0;
  Model handles = parent;
  for_each_parameter(handles, [&](const ParameterRef& ref) {
    if (ref.is_vocabulary()) {
      weights += rows * ref.tensor->size(1);
    } else if (ref.part != ParameterRef::Part::module || is_row(ref)) {
      weights += ref.tensor->numel();
    }
  });
  return weights;
}

std::vector<TrainedParameter> train_domain(Model& model, const TaskData& task) {
  for_each_module(model, [](Module& module) { module.frozen = false; });
  auto parameters = make_trainable(model, [&](const ParameterRef& ref) {
    return is_of_new_module(model, ref) || is_row(ref) ||
           (ref.part != ParameterRef::Part::module && !ref.is_vocabulary());
  });
  const auto rows = train_token_rows(model, tokens_used(model.config.vocab_size, task));
  parameters.insert(parameters.end(), rows.begin(), rows.end());
  return parameters;
}

Model with_domain(const Model& base, const Model& tuned, const std::string& name, const NewModulePlan& plan,
                  bool replaced) {
  Model view = view_of(base, kBaseHypothesis);
  if (replaced) view = without_originals(view, plan);
  Model whole = base;
  whole.domains.push_back({name, false, private_parts(view, tuned)});
  for (std::size_t l = 0; l < whole.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      ModuleBank& bank = whole.blocks[l].bank(kind);
      const auto planned = plan.find({static_cast<int>(l), kind});
      if (replaced && planned != plan.end()) hide(bank, planned->second, name);
      for (Module module : tuned.blocks[l].bank(kind).modules) {
        if (!module.uid.empty()) continue;
        module.domain = name;
        bank.modules.push_back(std::move(module));
      }
    }
  }
  count_modules(whole);
  return whole;
}

Model without_new_modules(const Model& parent, const Model& tuned, const NewModulePlan& plan, bool replaced) {
  Model rest = tuned;
  for (std::size_t l = 0; l < rest.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      std::vector<Module>& modules = rest.blocks[l].bank(kind).modules;
      std::erase_if(modules, [](const Module& module) { return module.uid.empty(); });
      const auto planned = plan.find({static_cast<int>(l), kind});
      if (!replaced || planned == plan.end()) continue;
      std::vector<std::int64_t> positions = planned->second;
      std::sort(positions.begin(), positions.end());
      for (const std::int64_t position : positions) {
        modules.insert(modules.begin() + position, parent.blocks[l].bank(kind).modules.at(position));
      }
    }
  }
  count_modules(rest);
  return rest;
}

std::string free_domain_name(const Model& model, const std::string& wanted) {
  const auto taken = [&](const std::string& name) {
    return name == kBaseHypothesis || find_domain(model, name) != nullptr;
  };
  std::string name = wanted;
  for (int number = 2; taken(name); ++number) name = wanted + "-" + std::to_string(number);
  return name;
}

}  // namespace mformer
