#include "core/transfer/bundle_index.h"

#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "core/transfer/json_fields.h"
#include "core/transfer/parcel_json.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr std::size_t kDeepestRow = 16;
constexpr std::size_t kLongestRow = std::size_t{1} << 24;
constexpr std::size_t kPieceOfIndex = std::size_t{1} << 16;

[[noreturn]] void fail_index(const std::string& what) {
  throw Error("the index of the bundle " + what, "make it again with mformer bundle, or copy it again");
}

/// The characters that come, and how many came.
class Characters {
 public:
  explicit Characters(const std::function<std::size_t(std::span<char>)>& more) : more_(more), piece_(kPieceOfIndex) {
    fill();
  }
  bool at_end() const { return size_ == 0; }
  char now() const { return piece_[at_]; }
  void next() {
    // The parser keeps a token until it is whole.
    if (++count_ - understood_ > kLongestRow) fail_index("has a row that is too long to be meant");
    if (++at_ == size_) fill();
  }
  std::size_t count() const { return count_; }
  /// What came so far is no part of a token any more.
  void understood() { understood_ = count_; }

 private:
  void fill() {
    size_ = more_(piece_);
    at_ = 0;
  }

  const std::function<std::size_t(std::span<char>)>& more_;
  std::vector<char> piece_;
  std::size_t at_ = 0, size_ = 0, count_ = 0, understood_ = 0;
};

/// What the parser wants to walk over.
class Walk {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  Walk() = default;
  explicit Walk(Characters& characters) : characters_(&characters) {}
  char operator*() const { return characters_->now(); }
  Walk& operator++() {
    characters_->next();
    return *this;
  }
  bool operator==(const Walk& other) const { return is_end() == other.is_end(); }
  bool operator!=(const Walk& other) const { return !(*this == other); }

 private:
  bool is_end() const { return characters_ == nullptr || characters_->at_end(); }
  Characters* characters_ = nullptr;
};

/// Some containers are walked through, what lies in them is made JSON one by one, and handed on by the path of its
/// container and, in an object, its name there.
class Rows : public json::json_sax_t {
 public:
  using Take = std::function<void(const std::string& path, const std::string& name, json& row)>;
  using Leave = std::function<void(const std::string& path)>;
  Rows(Characters& characters, Take take, Leave leave)
      : characters_(characters), take_(std::move(take)), leave_(std::move(leave)) {}

  bool null() override { return add(json()); }
  bool boolean(bool value) override { return add(json(value)); }
  bool number_integer(number_integer_t value) override { return add(json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(json(value)); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return add(json(value)); }
  bool string(string_t& value) override { return add(json(std::move(value))); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(json::object()); }
  bool start_array(std::size_t /*size*/) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    characters_.understood();
    (row_.empty() ? name_ : row_name_) = std::move(name);
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/, const json::exception& /*why*/) override {
    fail_index("is no JSON");
  }

 private:
  struct Container {
    std::string path;
    bool is_array = false;
  };

  /// The containers that are walked through: by their paths, and whether they are arrays.
  static bool is_walked(const std::string& path, bool is_array) {
    static const std::set<std::string> objects = {"", "/models/*", "/models/*/offer", "/models/*/parcel",
                                                  "/models/*/parcel/sizes"};
    static const std::set<std::string> arrays = {
        "/models",
        "/models/*/offer/versions",
        "/models/*/parcel/operations",
        "/models/*/parcel/modules",
        "/models/*/parcel/versions",
        "/models/*/parcel/scores",
        "/models/*/parcel/statistics",
    };
    if ((is_array ? objects : arrays).contains(path)) fail_index("has a list for an object, or an object for a list");
    return (is_array ? arrays : objects).contains(path);
  }

  std::string path_here() const {
    if (open_.empty()) return "";
    return open_.back().path + '/' + (open_.back().is_array ? "*" : name_);
  }

  bool open(json container) {
    characters_.understood();
    const bool is_array = container.is_array();
    if (row_.empty()) {
      std::string path = path_here();
      if (is_walked(path, is_array)) {
        open_.push_back({std::move(path), is_array});
        return true;
      }
      began_ = characters_.count();
      whole_ = std::move(container);
      row_.push_back(&whole_);
      return true;
    }
    if (row_.size() == kDeepestRow) fail_index("is nested too deep to be meant");
    row_.push_back(&put(std::move(container)));
    return true;
  }

  bool close() {
    characters_.understood();
    if (row_.empty()) {
      leave_(open_.back().path);
      open_.pop_back();
      return true;
    }
    row_.pop_back();
    if (row_.empty()) hand_on(whole_);
    return true;
  }

  bool add(json value) {
    characters_.understood();
    if (!row_.empty()) {
      put(std::move(value));
    } else {
      hand_on(value);
    }
    return true;
  }

  json& put(json value) {
    if (characters_.count() - began_ > kLongestRow) fail_index("has a row that is too long to be meant");
    json& into = *row_.back();
    if (into.is_object()) return into[row_name_] = std::move(value);
    into.push_back(std::move(value));
    return into.back();
  }

  void hand_on(json& row) {
    if (open_.empty()) fail_index("is no object");
    take_(open_.back().path, open_.back().is_array ? "" : name_, row);
    whole_ = json();
  }

  Characters& characters_;
  Take take_;
  Leave leave_;
  std::vector<Container> open_;
  std::string name_, row_name_;
  json whole_;
  std::vector<json*> row_;
  std::size_t began_ = 0;
};

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
    for (const char* part : {"offer", "offer/versions", "parcel", "parcel/operations", "parcel/modules",
                             "parcel/versions", "parcel/scores", "parcel/statistics", "parcel/sizes"}) {
      if (!seen_.contains(std::string("/models/*/") + part))
        fail_index(std::string("has no '") + part + "' of a model");
    }
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
  Characters characters(more);
  Models models;
  Rows rows(
      characters,
      [&models](const std::string& path, const std::string& name, json& row) { models.take(path, name, row); },
      [&models](const std::string& path) { models.leave(path); });
  json::sax_parse(Walk(characters), Walk(), &rows);
  return models.result();
}

}  // namespace mformer
