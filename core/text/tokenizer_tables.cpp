#include "core/text/tokenizer_tables.h"

#include <string_view>

namespace mformer {
namespace {

using nlohmann::json;

/// Makes the document of what the parser meets, but for the tables. Every function returns whether to go on.
class TablesReader : public nlohmann::json_sax<json> {
 public:
  TablesReader(TokenizerTables& to, std::int64_t most_ids)
      : to_(to), most_ids_(static_cast<number_unsigned_t>(most_ids)) {}

  bool null() override { return where_ == Where::document && add(nullptr); }
  bool boolean(bool value) override { return where_ == Where::document && add(value); }
  bool number_integer(number_integer_t value) override { return where_ == Where::document && add(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return where_ == Where::document && add(value);
  }
  bool binary(binary_t& /*value*/) override { return false; }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (where_ == Where::document) return add(value);
    if (where_ != Where::vocabulary || value >= most_ids_) return false;
    if (value >= taken_.size()) taken_.resize(value + 1);
    if (taken_[value]) return false;
    taken_[value] = true;
    return to_.vocabulary.emplace(std::move(key_), static_cast<std::int32_t>(value)).second;
  }

  bool string(string_t& value) override {
    switch (where_) {
      case Where::document:
        return add(std::move(value));
      case Where::merges:
        return value.starts_with("#version") || add_merge(value);
      case Where::merge:
        parts_.push_back(std::move(value));
        return parts_.size() <= 2;
      default:
        return false;
    }
  }

  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }

  bool start_object(std::size_t /*size*/) override {
    if (where_ != Where::document) return false;
    if (is_in_model() && key_ == "vocab") return begin(Where::vocabulary, had_vocabulary_);
    if (open_.size() == 1 && key_ == "model") {
      if (model_ != nullptr) return false;
      if (!add(json::object(), true)) return false;
      model_ = open_.back();
      return true;
    }
    return add(json::object(), true);
  }

  bool end_object() override {
    if (where_ == Where::vocabulary) return end_table();
    open_.pop_back();
    return true;
  }

  bool start_array(std::size_t /*size*/) override {
    if (where_ == Where::merges) {
      where_ = Where::merge;
      parts_.clear();
      return true;
    }
    if (where_ != Where::document) return false;
    if (is_in_model() && key_ == "merges") return begin(Where::merges, had_merges_);
    return add(json::array(), true);
  }

  bool end_array() override {
    if (where_ == Where::merges) return end_table();
    if (where_ == Where::merge) {
      where_ = Where::merges;
      if (parts_.size() != 2) return false;
      to_.merges.emplace_back(std::move(parts_[0]), std::move(parts_[1]));
      return true;
    }
    open_.pop_back();
    return true;
  }

  bool has_all() const { return had_vocabulary_ && had_merges_ && !to_.vocabulary.empty(); }

 private:
  enum class Where { document, vocabulary, merges, merge };

  bool is_in_model() const { return model_ != nullptr && open_.back() == model_; }

  bool begin(Where table, bool& had) {
    if (had) return false;  // the document would keep the last one
    had = true;
    where_ = table;
    return true;
  }

  bool end_table() {
    where_ = Where::document;
    return true;
  }

  /// Puts a value where the document goes on, and goes on inside of it if it is `opened`.
  bool add(json value, bool opened = false) {
    json* place = &to_.rest;
    if (!open_.empty() && open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      place = &open_.back()->back();
    } else {
      if (!open_.empty()) place = &(*open_.back())[key_];
      *place = std::move(value);
    }
    if (opened) open_.push_back(place);
    return true;
  }

  /// "a b", with one space.
  bool add_merge(const std::string& text) {
    const std::size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) return false;
    to_.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    return true;
  }

  TokenizerTables& to_;
  const number_unsigned_t most_ids_;
  Where where_ = Where::document;
  std::vector<json*> open_;  ///< Objects and arrays around this place; none of them moves while it is open.
  const json* model_ = nullptr;
  std::string key_;
  std::vector<std::string> parts_;
  std::vector<bool> taken_;
  bool had_vocabulary_ = false, had_merges_ = false;
};

}  // namespace

std::optional<TokenizerTables> read_tokenizer_tables(const std::string& text, std::int64_t most_ids) {
  TokenizerTables tables;
  TablesReader reader(tables, most_ids);
  if (!json::sax_parse(text, &reader) || !reader.has_all()) return std::nullopt;
  return tables;
}

}  // namespace mformer
