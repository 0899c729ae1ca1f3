#include "cli/serving/api_error.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace mformer::cli {
namespace {

std::string type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

}  // namespace

ApiError::ApiError(int status, const std::string& message, std::string code)
    : std::runtime_error(message), status_(status), code_(std::move(code)) {}

std::string ApiError::json() const {
  const nlohmann::ordered_json code = code_.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(code_);
  const nlohmann::ordered_json error = {
      {"error", {{"message", what()}, {"type", type_of(status_)}, {"param", nullptr}, {"code", code}}}};
  return error.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace mformer::cli
