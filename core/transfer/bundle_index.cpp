#include "core/transfer/bundle_index.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "core/transfer/json_fields.h"
#include "core/transfer/json_rows.h"
#include "core/transfer/parcel_json.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr const char* kIndex = "the index of the bundle";
constexpr const char* kMakeItAgain = "make it again with mformer bundle, or copy it again";

[[noreturn]] void fail_index(const std::string& what) {
  throw Error(std::string(kIndex) + ' ' + what, kMakeItAgain);
}

/// Puts models together of their rows.
class Models {
 public:
  void take(const std::string& path, const std::string& name, json& row) {
    if (path == "/models/*/offer") {
      offer_[name] = std::move(row);
    } else if (path == "/models/*/offer/versions") {
      now_.offer.versions.push_back(fields::hash_of(row));
    } else if (path.starts_with(kParcel)) {
      add_to_parcel(now_.parcel, path == kParcel ? name : path.substr(kParcel.size() + 1), name, row);
    } else if (path == "/models") {
      fail_index("names a model that is none");
    }
  }

  void leave(const std::string& path) {
    seen_.insert(path);
    if (path != "/models/*") return;
    const auto require = [this](const std::string& part) {
      if (!seen_.contains("/models/*/" + part)) fail_index("has no '" + part + "' of a model");
    };
    for (const char* part : {"offer", "offer/versions", "parcel", "parcel/sizes"}) require(part);
    for (const char* list : kParcelLists) require(std::string("parcel/") + list);
    offer_["versions"] = json::array();
    Offer offer = offer_of(offer_, std::move(now_.offer.versions));
    if (now_.parcel.model != offer.model) fail_index("has an offer and a parcel of two models");
    models_.push_back({std::move(offer), std::move(now_.parcel)});
    now_ = BundledModel();
    offer_ = json::object();
    seen_.clear();
  }

  std::vector<BundledModel> result() {
    if (!seen_.contains("/models")) fail_index("names no models");
    return std::move(models_);
  }

 private:
  static constexpr std::string_view kParcel = "/models/*/parcel";

  std::vector<BundledModel> models_;
  BundledModel now_;
  json offer_ = json::object();
  std::set<std::string> seen_;
};

}  // namespace

std::vector<BundledModel> read_bundle_index(const std::function<std::size_t(std::span<char>)>& more) {
  Models models;
  RowReading reading{
      {"", "/models/*", "/models/*/offer", "/models/*/parcel", "/models/*/parcel/sizes"},
      {"/models", "/models/*/offer/versions"},
      [&models](const std::string& path, const std::string& name, json& row) { models.take(path, name, row); },
      [&models](const std::string& path) { models.leave(path); },
      kIndex,
      kMakeItAgain};
  for (const char* list : kParcelLists) reading.arrays.insert(std::string("/models/*/parcel/") + list);
  read_rows(more, reading);
  return models.result();
}

}  // namespace mformer
