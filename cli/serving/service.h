#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/serving/serve_options.h"
#include "core/workspace/version_store.h"

namespace mformer::cli {

/// A model behind an address.
class Service {
 public:
  virtual ~Service() = default;
  /// "http://127.0.0.1:8080"
  virtual std::string address() const = 0;
  /// The names under which clients ask.
  virtual std::vector<std::string> models() const = 0;
  /// Answers until a signal comes (interrupt.h), and then lets what runs end within the options' time.
  virtual void run() = 0;
};

/// `workspace`: whose report it shows. Listens already, so that whoever reads the address can ask. Throws UsageError
/// for options that don't go together, Error where the address is taken.
std::unique_ptr<Service> make_service(LoadedVersion version, const ServeOptions& options, at::Device device,
                                      const std::filesystem::path& workspace);

}  // namespace mformer::cli
