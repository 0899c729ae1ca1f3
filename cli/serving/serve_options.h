#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mformer::cli {

struct ServeOptions {
  std::string host = "127.0.0.1";
  std::int64_t port = 8080;
  std::string token_file;
  std::int64_t context = 0;                         ///< 0 = what the model was made for.
  std::int64_t max_memory = std::int64_t{1} << 30;  ///< Bytes.
  std::int64_t max_running = 64, max_waiting = 256, max_connections = 256;
  std::int64_t head_within = 10, body_within = 30;  ///< Seconds from the first byte of a request's head, from its last.
  std::int64_t max_body = std::int64_t{4} << 20;    ///< Bytes.
  std::int64_t stop_within = 30;                    ///< Seconds.
  std::string dtype;
  std::optional<std::uint64_t> seed;

  /// Throws UsageError naming the option.
  void validate() const;
};

}  // namespace mformer::cli
