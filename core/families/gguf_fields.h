#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/gguf_file.h"

namespace mformer {

/// The metadata of a GGUF model, taken out key by key. A key without a dot in front of its name is one of the
/// architecture: "context_length" is "llama.context_length". Every function throws Error, naming file and key, for a
/// value of another kind.
class GgufFields {
 public:
  /// Throws Error where the file does not say of which architecture it is.
  explicit GgufFields(const std::vector<GgufFile>& files);

  const std::string& source() const { return source_; }
  const std::string& architecture() const { return architecture_; }

  bool has(const std::string& key);
  /// Throws Error if it is not there.
  std::int64_t count(const std::string& key);
  std::int64_t count(const std::string& key, std::int64_t otherwise);
  double number(const std::string& key, double otherwise);
  bool truth(const std::string& key, bool otherwise);
  std::string text(const std::string& key, const std::string& otherwise);

  /// Throws Error unless the key is absent or its value is this one, which is the only one that mformer computes.
  void require(const std::string& key, std::int64_t only);
  /// Throws Error for a key of the architecture that nobody has asked for: it may change what the model computes.
  void require_all_known() const;

  /// The tensor of this name in any of the files; null if there is none.
  const GgufTensor* tensor(std::string_view name) const;
  /// Its elements as float32. The tensor must be one of the files'.
  std::vector<float> values(const GgufTensor& tensor) const;

  [[noreturn]] void fail(const std::string& what, const std::string& hint) const;

 private:
  const GgufValue* find(const std::string& key);
  std::string name_of(const std::string& key) const;
  [[noreturn]] void fail_kind(const std::string& key, const GgufValue& found, const char* wanted) const;

  const std::vector<GgufFile>& files_;
  std::string source_, architecture_;
  std::set<std::string> known_;
};

}  // namespace mformer
