#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/transfer/measurements.h"
#include "core/transfer/transfer.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// The versions that one was made from: its parent and, of a merge, the branch that it took in.
std::vector<std::string> made_from(const Registry& registry, const VersionRecord& version) {
  std::vector<std::string> from;
  if (!version.parent.empty()) from.push_back(version.parent);
  const OperationRecord operation = registry.operation(version.operation_id);
  if (operation.command != "merge") return from;
  const auto arguments = nlohmann::json::parse(operation.arguments_json, nullptr, /*allow_exceptions=*/false);
  if (!arguments.is_object() || !arguments.contains("b_hash") || !arguments["b_hash"].is_string()) return from;
  const std::string merged = arguments["b_hash"];
  if (registry.has_version(merged)) from.push_back(merged);  // it may have lain in another workspace
  return from;
}

bool has_model(const Registry& registry, const std::string& name) {
  const auto models = registry.models();
  return std::any_of(models.begin(), models.end(), [&](const ModelRecord& model) { return model.name == name; });
}

bool has_tag(const Registry& registry, const std::string& name) {
  const auto tags = registry.tags();
  return std::any_of(tags.begin(), tags.end(), [&](const TagRecord& tag) { return tag.name == name; });
}

bool contains(const std::vector<std::string>& hashes, const std::string& hash) {
  return std::find(hashes.begin(), hashes.end(), hash) != hashes.end();
}

/// What the offer does to a model that there is; `beside` where it is neither before nor behind it.
Arrival compare(const Registry& registry, const std::string& stands_at, const Offer& offer) {
  if (stands_at == offer.current) return Arrival::same;
  if (contains(offer.versions, stands_at)) return Arrival::forward;
  const bool is_known = registry.has_version(offer.current);
  return is_known && contains(ancestry(registry, stands_at), offer.current) ? Arrival::behind : Arrival::beside;
}

}  // namespace

std::vector<std::string> ancestry(const Registry& registry, const std::string& version) {
  std::vector<std::string> order;
  std::set<std::string> opened, closed;
  std::vector<std::string> stack = {version};
  while (!stack.empty()) {
    const std::string hash = stack.back();
    if (opened.insert(hash).second) {
      for (const std::string& parent : made_from(registry, registry.version(hash))) {
        if (!opened.contains(parent)) stack.push_back(parent);
      }
      continue;
    }
    stack.pop_back();
    if (closed.insert(hash).second) order.push_back(hash);
  }
  return order;
}

std::set<std::string> objects_of(const Manifest& manifest) {
  std::set<std::string> hashes = {manifest.tokenizer_object};
  for (const TrunkPart& part : manifest.parts) hashes.insert(part.object_hash);
  for (const LayerManifest& layer : manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      hashes.insert(layer.router(kind));
      for (const ManifestModule& module : layer.modules(kind)) hashes.insert(module.object_hash);
    }
  }
  hashes.erase("");
  return hashes;
}

std::set<std::string> objects_of(const Parcel& parcel) {
  std::set<std::string> hashes;
  for (const ParcelVersion& version : parcel.versions) hashes.merge(objects_of(version.manifest));
  return hashes;
}

Decision LocalTarget::decide(const Offer& offer, bool may_keep_beside) {
  Decision decision{Arrival::made, offer.model, "", {}, {}};
  if (registry_ == nullptr) {
    decision.want = offer.versions;
  } else {
    decide_model(offer, may_keep_beside, decision);
    decide_measurements(*registry_, offer.measured, decision);
  }
  for (const auto& [name, version] : offer.tags) {
    if (registry_ != nullptr && has_tag(*registry_, name) && registry_->tag(name).version == version) continue;
    decision.tags.push_back({name, version, who_has(name, decision)});
  }
  return decision;
}

/// Who there, or what comes now, has a tag's name.
std::string LocalTarget::who_has(const std::string& name, const Decision& decision) const {
  if (name == decision.into || (registry_ != nullptr && has_model(*registry_, name))) return "the model " + name;
  return registry_ != nullptr && has_tag(*registry_, name) ? to_string(registry_->version(registry_->tag(name).version))
                                                           : "";
}

std::string LocalTarget::tag(const std::string& name, const std::string& version) {
  if (session_ == nullptr) throw Error("this workspace was opened for reading only");
  try {
    run_operation(*session_, "", {},
                  [&](std::int64_t operation) { session_->registry.make_tag(operation, name, version); });
  } catch (const UsageError&) {
    if (has_tag(*registry_, name) && registry_->tag(name).version == version) return "";
    const std::string there = who_has(name, {});
    if (there.empty()) throw;
    return there;
  }
  return "";
}

void LocalTarget::decide_model(const Offer& offer, bool may_keep_beside, Decision& decision) const {
  for (const std::string& hash : offer.versions) {
    if (!registry_->has_version(hash)) decision.want.push_back(hash);
  }
  for (int number = 2;; ++number) {
    const bool exists = has_model(*registry_, decision.into);
    if (exists) {
      decision.seen = registry_->model(decision.into).current_version;
      decision.arrival = compare(*registry_, decision.seen, offer);
      if (decision.arrival != Arrival::beside) return;
    } else if (!has_tag(*registry_, decision.into)) {
      decision.seen.clear();
      decision.arrival = number == 2 ? Arrival::made : Arrival::beside;
      return;
    }
    if (!may_keep_beside) {
      decision.arrival = Arrival::refused;
      return;
    }
    decision.into = offer.model + "-" + std::to_string(number);
  }
}

std::vector<std::string> LocalTarget::missing(const Parcel& parcel) {
  std::vector<std::string> hashes;
  for (const std::string& hash : objects_of(parcel)) {
    if (registry_ == nullptr || !registry_->objects().contains(hash)) hashes.push_back(hash);
  }
  return hashes;
}

Adopted LocalTarget::receive(const Decision& decision, const Parcel& parcel, const Deliver& deliver) {
  constexpr std::int64_t at_once = std::int64_t{1} << 28;  // bytes whose names wait for each other
  if (session_ == nullptr) throw Error("this workspace was opened for reading only");
  Registry& registry = session_->registry;
  ObjectStore& store = registry.objects();
  Adopted adopted;
  run_operation(*session_, decision.into, {}, [&](std::int64_t operation) {
    std::vector<std::string> missing;
    for (const std::string& hash : objects_of(parcel)) {
      if (!store.keep(hash)) missing.push_back(hash);
    }
    std::int64_t waiting = 0;
    try {
      deliver(missing, [&](const std::string& hash, std::int64_t size, const ObjectStore::Reader& read) {
        store.receive(hash, size, read);
        if ((waiting += size) < at_once) return;
        store.flush();
        waiting = 0;
      });
    } catch (...) {
      try {
        store.flush();          // what has come is not sent again
      } catch (const Error&) {  // what went wrong first is told
      }
      throw;
    }
    adopted = registry.adopt(operation, parcel, decision.into, decision.seen,
                             std::string(to_string(decision.arrival)) + ", " + std::to_string(parcel.versions.size()) +
                                 " versions of " + parcel.model);
  });
  return adopted;
}

std::int64_t LocalTarget::receive_measurements(const Parcel& parcel) {
  if (session_ == nullptr) throw Error("this workspace was opened for reading only");
  Adopted adopted;
  run_operation(*session_, "", {}, [&](std::int64_t operation) {
    adopted = session_->registry.adopt_measurements(
        operation, parcel,
        std::to_string(parcel.scores.size() + parcel.stats.size()) + " measurements of " + parcel.model);
  });
  return adopted.measurements;
}

}  // namespace mformer
