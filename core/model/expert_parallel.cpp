#include "core/model/expert_parallel.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <utility>

#include "core/parallel/process_group.h"
#include "modules_registry/error.h"

namespace mformer {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct RowExchange::Way {
  ProcessGroup* group = nullptr;
  std::vector<std::int64_t> sent, received;  ///< [ranks] rows to and from each.
  at::Tensor order;    ///< int64 [rows here]: where the row that is worked on i-th lies among what was received.
  at::Tensor inverse;  ///< Its inverse.

  at::Tensor there(const at::Tensor& rows) const {
    return at::index_select(group->all_to_all(rows.contiguous(), sent, received), 0, order);
  }
  at::Tensor back(const at::Tensor& rows) const {
    return group->all_to_all(at::index_select(rows, 0, inverse).contiguous(), received, sent);
  }
};

namespace {

using ExchangeWay = RowExchange::Way;

/// What the backward pass needs of the forward pass.
struct KeptWay : torch::CustomClassHolder {
  explicit KeptWay(std::shared_ptr<ExchangeWay> kept) : way(std::move(kept)) {}
  std::shared_ptr<ExchangeWay> way;
};

void keep(AutogradContext* context, const std::shared_ptr<ExchangeWay>& way) {
  context->saved_data["way"] = c10::IValue::make_capsule(c10::make_intrusive<KeptWay>(way));
}

std::shared_ptr<ExchangeWay> kept_way(AutogradContext* context) {
  return c10::static_intrusive_pointer_cast<KeptWay>(context->saved_data["way"].toCapsule())->way;
}

class ToModules : public torch::autograd::Function<ToModules> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& rows, const std::shared_ptr<ExchangeWay>& way) {
    keep(context, way);
    return way->there(rows);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    return {kept_way(context)->back(grads[0]), at::Tensor()};
  }
};

class FromModules : public torch::autograd::Function<FromModules> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& rows, const std::shared_ptr<ExchangeWay>& way) {
    keep(context, way);
    return way->back(rows);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    return {kept_way(context)->there(grads[0]), at::Tensor()};
  }
};

at::Tensor numbers(const std::vector<std::int64_t>& values) {
  return at::tensor(values, at::kLong);
}

/// [ranks][modules here] how many rows each process has for each of this one's modules.
std::vector<std::vector<std::int64_t>> rows_from_each(ProcessGroup& group, const ModuleBank& bank,
                                                      const std::vector<std::int64_t>& offset) {
  const int ranks = group.size();
  std::vector<std::int64_t> sent(ranks), received, counts;
  std::int64_t here = 0;
  for (std::size_t m = 0; m < bank.modules.size(); ++m) {
    ++sent[bank.modules[m].rank];
    here += is_here(bank.modules[m], bank) ? 1 : 0;
    counts.push_back(offset[m + 1] - offset[m]);
  }
  received.assign(ranks, here);
  const at::Tensor all = group.all_to_all(numbers(counts), sent, received);
  std::vector<std::vector<std::int64_t>> by_rank(ranks);
  const auto* next = all.const_data_ptr<std::int64_t>();
  for (auto& of_rank : by_rank) of_rank.assign(next, next + here), next += here;
  return by_rank;
}

void require_plain(const Module& module) {
  if (!module.in_bias.defined() && !module.head_norm.defined()) return;
  throw Error("modules with a bias or norm of their own can't be spread over processes");
}

/// Its matrices are elsewhere: their shapes are all that is left.
void let_go(Module& module) {
  for (at::Tensor* tensor : {&module.in, &module.out, &module.in_scale, &module.out_scale}) {
    if (tensor->defined() && !tensor->is_meta())
      *tensor = at::empty(tensor->sizes(), tensor->options().device(at::kMeta));
  }
}

}  // namespace

int rank_of_module(std::int64_t module, std::int64_t modules, int ranks) {
  return static_cast<int>(module * ranks / modules);
}

bool is_here(const Module& module, const ModuleBank& bank) {
  return bank.group == nullptr || module.rank == bank.group->rank();
}

bool is_spread(const Model& model) {
  const auto has_group = [](const Block& block) { return block.att.group != nullptr || block.mlp.group != nullptr; };
  return std::any_of(model.blocks.begin(), model.blocks.end(), has_group);
}

bool is_elsewhere(const Model& model, const ParameterRef& parameter) {
  if (parameter.part != ParameterRef::Part::module || parameter.role == ParameterRole::row) return false;
  const ModuleBank& bank = model.blocks[static_cast<std::size_t>(parameter.layer)].bank(parameter.kind);
  return !is_here(bank.modules[static_cast<std::size_t>(parameter.module)], bank);
}

void spread_modules(Model& model, ProcessGroup& group) {
  for (Block& block : model.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      ModuleBank& bank = block.bank(kind);
      if (!bank.routed) continue;
      bank.group = &group;
      for (std::int64_t m = 0; m < bank.size(); ++m) {
        Module& module = bank.modules[static_cast<std::size_t>(m)];
        require_plain(module);
        module.rank = rank_of_module(m, bank.size(), group.size());
        if (!is_here(module, bank)) let_go(module);
      }
    }
  }
}

RowExchange::RowExchange(const ModuleBank& bank, const kernels::ModuleDispatch& dispatch)
    : way_(std::make_shared<Way>()) {
  way_->group = bank.group;
  const std::vector<std::int64_t>& own = dispatch.offset.on_host();
  const auto from = rows_from_each(*bank.group, bank, own);
  way_->sent.assign(from.size(), 0), way_->received.assign(from.size(), 0);
  for (std::int64_t m = 0; m < bank.size(); ++m) {
    const Module& module = bank.modules[static_cast<std::size_t>(m)];
    way_->sent[module.rank] += own[m + 1] - own[m];
    if (is_here(module, bank)) modules_.push_back(m);
  }
  // Of each process its rows for the first module come first; the work goes module by module.
  std::vector<std::int64_t> next;
  std::int64_t total = 0;
  for (std::size_t r = 0; r < from.size(); ++r) {
    next.push_back(total);
    for (const std::int64_t rows : from[r]) way_->received[r] += rows, total += rows;
  }
  std::vector<std::int64_t> order, inverse(total);
  std::vector<std::int64_t> offset = {0};
  for (std::size_t m = 0; m < modules_.size(); ++m) {
    for (std::size_t r = 0; r < from.size(); ++r) {
      for (std::int64_t i = 0; i < from[r][m]; ++i) {
        inverse[next[r]] = static_cast<std::int64_t>(order.size());
        order.push_back(next[r]++);
      }
    }
    offset.push_back(static_cast<std::int64_t>(order.size()));
  }
  offset_ = std::move(offset);
  way_->order = numbers(order), way_->inverse = numbers(inverse);
}

at::Tensor RowExchange::to_modules(const at::Tensor& rows) const {
  return ToModules::apply(rows, way_);
}

at::Tensor RowExchange::from_modules(const at::Tensor& rows) const {
  return FromModules::apply(rows, way_);
}

}  // namespace mformer
