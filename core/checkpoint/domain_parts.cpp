#include <ATen/Functions.h>

#include <map>
#include <set>

#include "core/checkpoint/domain_config.h"
#include "core/formats/parameter_names.h"
#include "core/formats/quoted_name.h"
#include "core/formats/safetensors_header.h"
#include "core/model/domains.h"
#include "kernels/quantised_blocks.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

std::string shape_of(const at::Tensor& tensor) {
  return shape_text({tensor.sizes().data(), tensor.sizes().size()});
}

/// Checks the private parts of one domain against the places that they take in the base.
class PartsChecker {
 public:
  PartsChecker(const Model& model, const Domain& domain) : model_(model), domain_(domain) {
    Model handles = model;
    handles.domains.clear();
    for_each_parameter(handles, [&](const ParameterRef& ref) {
      if (ref.part != ParameterRef::Part::module) places_[ref.name] = *ref.tensor;
    });
  }

  void run() {
    std::set<std::string> seen;
    for (const PrivatePart& part : domain_.parts) {
      part_ = &part;
      if (!seen.insert(part.name).second) fail("is there twice");
      if (!part.value.is_floating_point() && !kernels::is_blocks(part.value)) {
        fail("is no tensor of floating-point numbers");
      }
      if (part.name.ends_with(".rows")) {
        check_router_rows();
      } else {
        check_parameter();
      }
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error("the part " + quoted_name(part_->name) + " of the domain '" + domain_.name + "' " + what);
  }

  void require_shape(const std::vector<std::int64_t>& wanted) const {
    if (part_->value.sizes() == at::IntArrayRef(wanted)) return;
    fail("has the shape " + shape_of(part_->value) + " instead of " + shape_text(wanted));
  }

  void check_parameter() const {
    const auto place = places_.find(part_->name);
    if (place == places_.end()) fail("has no place in the model");
    std::vector<std::int64_t> wanted = place->second.sizes().vec();
    if (part_->rows.defined()) {
      check_row_numbers(wanted.empty() ? 0 : wanted[0]);
      wanted[0] = part_->rows.size(0);
    }
    require_shape(wanted);
    if (kernels::is_blocks(place->second) != kernels::is_blocks(part_->value)) fail("is not quantised as the model is");
    if (!part_->value.is_meta() && kernels::is_blocks(part_->value) && !kernels::are_sound(part_->value)) {
      fail("holds a scale or a minimum that is not finite");
    }
  }

  void check_row_numbers(std::int64_t count) const {
    const at::Tensor& rows = part_->rows;
    if (part_->name != names::kEmbedding && part_->name != names::kHead) fail("replaces rows of what has none");
    if (rows.scalar_type() != at::kLong || rows.dim() != 1) fail("has row numbers that are no list of whole numbers");
    if (rows.numel() == 0) return;
    if (rows.min().item<std::int64_t>() < 0 || rows.max().item<std::int64_t>() >= count) {
      fail("replaces rows beyond the " + std::to_string(count) + " that there are");
    }
  }

  /// "h.0.att.rows": one for each base module that the domain sees.
  void check_router_rows() const {
    for (std::size_t l = 0; l < model_.blocks.size(); ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        if (part_->name != names::bank_rows(static_cast<std::int64_t>(l), kind)) continue;
        std::int64_t seen = 0;
        const auto& modules = model_.blocks[l].bank(kind).modules;
        if (modules.empty() || !model_.blocks[l].bank(kind).routed) fail("is about a router, and there is none");
        for (const Module& module : modules) seen += is_base_module_of(module, domain_) ? 1 : 0;
        return require_shape({seen, modules.front().row.size(0)});
      }
    }
    fail("has no place in the model");
  }

  const Model& model_;
  const Domain& domain_;
  const PrivatePart* part_ = nullptr;
  std::map<std::string, at::Tensor> places_;
};

/// Where the model is an outline, its parts too: views are made of tensors on one device.
Model outlined(const Model& model) {
  Model all = model;
  if (!model.wte.is_meta()) return all;
  for (Domain& domain : all.domains) {
    for (PrivatePart& part : domain.parts) {
      part.value = part.value.to(at::kMeta);
      if (part.rows.defined()) part.rows = part.rows.to(at::kMeta);
    }
  }
  return all;
}

}  // namespace

void require_views(const Model& model, const std::string& source) {
  try {
    for (const Domain& domain : model.domains) PartsChecker(model, domain).run();
    views_of(outlined(model));
  } catch (const Error& e) {
    throw Error(source + ": the domains' private parts do not fit the model: " + e.what(),
                "the weights do not belong together: export the model again");
  }
}

}  // namespace mformer
