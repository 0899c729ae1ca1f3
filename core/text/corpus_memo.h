#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/text/documents.h"

namespace mformer {

/// Remembers what a corpus holds by the paths, sizes and times of its files, so that it need not be read to be known.
class CorpusMemo {
 public:
  /// `folder` must exist by the time of store().
  CorpusMemo(const CorpusListing& listing, const std::filesystem::path& folder);

  /// What was stored for this very listing; nothing when there is no such file or it is damaged.
  std::optional<CorpusSummary> load() const;

  /// Writes the summary, unless a file changed within the last second: a further change might not show in its time.
  void store(const CorpusSummary& summary) const;

 private:
  std::filesystem::path file_;
  int64_t newest_ns_ = 0;
};

}  // namespace mformer
