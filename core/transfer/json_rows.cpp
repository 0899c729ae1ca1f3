#include "core/transfer/json_rows.h"

#include <iterator>
#include <utility>
#include <vector>

#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr std::size_t kDeepestRow = 16;
constexpr std::size_t kLongestRow = std::size_t{1} << 24;
constexpr std::size_t kPieceOfIndex = std::size_t{1} << 16;

[[noreturn]] void fail_rows(const RowReading& reading, const std::string& what) {
  throw Error(reading.what + ' ' + what, reading.hint);
}

/// The characters that come, and how many came.
class Characters {
 public:
  Characters(const std::function<std::size_t(std::span<char>)>& more, const RowReading& reading)
      : more_(more), reading_(reading), piece_(kPieceOfIndex) {
    fill();
  }
  bool at_end() const { return size_ == 0; }
  char now() const { return piece_[at_]; }
  void next() {
    // The parser keeps a token until it is whole.
    if (++count_ - understood_ > kLongestRow) fail_rows(reading_, "has a row that is too long to be meant");
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
  const RowReading& reading_;
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

/// What lies in the containers that are walked through is made JSON one by one, and handed on.
class Rows : public json::json_sax_t {
 public:
  Rows(Characters& characters, const RowReading& reading) : characters_(characters), reading_(reading) {}

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
    fail_rows(reading_, "is no JSON");
  }

 private:
  struct Container {
    std::string path;
    bool is_array = false;
  };

  bool is_walked(const std::string& path, bool is_array) const {
    if ((is_array ? reading_.objects : reading_.arrays).contains(path)) {
      fail_rows(reading_, "has a list for an object, or an object for a list");
    }
    return (is_array ? reading_.arrays : reading_.objects).contains(path);
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
    if (row_.size() == kDeepestRow) fail_rows(reading_, "is nested too deep to be meant");
    row_.push_back(&put(std::move(container)));
    return true;
  }

  bool close() {
    characters_.understood();
    if (row_.empty()) {
      if (reading_.leave) reading_.leave(open_.back().path);
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
    if (characters_.count() - began_ > kLongestRow) fail_rows(reading_, "has a row that is too long to be meant");
    json& into = *row_.back();
    if (into.is_object()) return into[row_name_] = std::move(value);
    into.push_back(std::move(value));
    return into.back();
  }

  void hand_on(json& row) {
    if (open_.empty()) fail_rows(reading_, "is no object");
    reading_.take(open_.back().path, open_.back().is_array ? "" : name_, row);
    whole_ = json();
  }

  Characters& characters_;
  const RowReading& reading_;
  std::vector<Container> open_;
  std::string name_, row_name_;
  json whole_;
  std::vector<json*> row_;
  std::size_t began_ = 0;
};

}  // namespace

void read_rows(const std::function<std::size_t(std::span<char>)>& more, const RowReading& reading) {
  Characters characters(more, reading);
  Rows rows(characters, reading);
  json::sax_parse(Walk(characters), Walk(), &rows);
}

}  // namespace mformer
