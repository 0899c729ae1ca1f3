#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace mformer::cli {

/// The fields of a JSON object in a request, each asked for once; what nobody asked for is unknown. A field that is
/// null counts as absent. All throw ApiError with a sentence that names the field.
class BodyFields {
 public:
  /// `where`: what the object is, in front of its fields' names: "" or "mformer.".
  BodyFields(const nlohmann::json& object, std::string where);

  /// The value, or null.
  const nlohmann::json* find(const std::string& name);
  std::optional<bool> boolean(const std::string& name);
  std::optional<double> number(const std::string& name, double least, double most);
  std::optional<std::int64_t> integer(const std::string& name, std::int64_t least, std::int64_t most);
  std::optional<std::string> text(const std::string& name);
  /// A text or a list of texts.
  std::vector<std::string> texts(const std::string& name);
  /// The field may be there with a value that asks for nothing.
  void only(const std::string& name, const nlohmann::json& value, const std::string& otherwise);
  /// Throws for fields that were not asked for.
  void end() const;

 private:
  [[noreturn]] void refuse(const std::string& name, const std::string& what) const;

  const nlohmann::json& object_;
  std::string where_;
  std::set<std::string> asked_;
};

/// The object in a body. Throws ApiError where it is none, or nested deeper than any request is.
nlohmann::json body_object(const std::string& body);

}  // namespace mformer::cli
