#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/families/family.h"

namespace mformer {

/// The fields of a config.json that is being read, taken out one by one. A field that is null is as if it were not
/// there. Every function throws Error, naming file and field, for a value of another type.
class HubFields {
 public:
  HubFields(nlohmann::json document, std::string source, const ReadOptions& options)
      : document_(std::move(document)), source_(std::move(source)), options_(options) {}

  const ReadOptions& options() const { return options_; }
  const std::string& source() const { return source_; }

  bool has(const char* field) const;
  /// The same, but null is there too: some families tell "none" from "as usual".
  bool contains(const char* field) const;
  /// Throws Error if it is not there.
  std::int64_t count(const char* field);
  std::int64_t count(const char* field, std::int64_t otherwise);
  double number(const char* field, double otherwise);
  bool truth(const char* field, bool otherwise);
  std::string text(const char* field, const std::string& otherwise);
  std::vector<std::int64_t> counts(const char* field);
  /// The field as it stands; null if it is not there.
  nlohmann::json take(const char* field);

  /// Throws Error unless the field is absent or has this value, which is the only one that mformer computes.
  void require(const char* field, const nlohmann::json& only);

  [[noreturn]] void fail(const std::string& what, const std::string& hint) const;

  /// What nobody has taken.
  nlohmann::json rest() const { return document_; }

 private:
  [[noreturn]] void fail_type(const char* field, const nlohmann::json& found, const char* wanted) const;

  nlohmann::json document_;
  std::string source_;
  ReadOptions options_;
};

}  // namespace mformer
