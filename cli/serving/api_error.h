#pragma once

#include <stdexcept>
#include <string>

namespace mformer::cli {

/// An answer that is no good, in the form in which OpenAI's clients look for its reason.
class ApiError : public std::runtime_error {
 public:
  /// `status` is HTTP's; `code` a word for programs, or "".
  ApiError(int status, const std::string& message, std::string code = "");
  int status() const { return status_; }
  /// {"error": {"message", "type", "param", "code"}}
  std::string json() const;

 private:
  int status_;
  std::string code_;
};

}  // namespace mformer::cli
