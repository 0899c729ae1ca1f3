#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

namespace mformer::cli {

/// The page of `mformer report` of a workspace as it is now. Any thread; made in the one that asks, from the registry
/// alone, which it opens for reading each time, so that whatever others do to it goes on.
class LiveReport {
 public:
  /// `version`: hash of the one that the page shows first.
  LiveReport(std::filesystem::path workspace, std::string version);

  /// Made again only where the registry has changed since. Throws ApiError (503) where it can't be read now.
  std::shared_ptr<const std::string> page();

 private:
  std::filesystem::path workspace_;
  std::string version_;
  std::mutex mutex_;  ///< Of what follows; held while a page is made, so that many who ask have one made.
  std::string state_;
  std::shared_ptr<const std::string> page_;
};

}  // namespace mformer::cli
