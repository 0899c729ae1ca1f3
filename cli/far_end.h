#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/transfer/wire.h"

namespace mformer::cli {

/// Where a push goes to or a pull comes from.
struct Place {
  std::string host, port;      ///< of a machine that ssh reaches; "" for a path here
  std::filesystem::path path;  ///< a workspace's folder, or (here) a bundle
};

/// "DIR", "FILE", "ssh://[user@]host[:port]/path" ("/~/path" from the home folder) or "[user@]host:path". What is there
/// under that name is a path. Throws UsageError for a host that could be taken for an option or has blanks.
Place place_of(const std::string& text);

/// `mformer transfer-peer` on another machine, by the system's own ssh (or the program that MFORMER_SSH names), as git does it.
class FarEnd {
 public:
  /// Throws Error if the program can't be started.
  explicit FarEnd(const Place& place);
  /// Hangs up, and waits for the other end.
  ~FarEnd();
  FarEnd(const FarEnd&) = delete;
  FarEnd& operator=(const FarEnd&) = delete;

  Wire& wire() { return *wire_; }

 private:
  int in_ = -1, out_ = -1, child_ = -1;
  std::optional<Wire> wire_;
};

}  // namespace mformer::cli
