#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/text/documents.h"

namespace mformer {

/// Remembers what a corpus holds by the paths, sizes, inodes and times of its files, so that it need not be read to be
/// known. A change that keeps a file's size and puts its modification time back shows in the time of its last change of
/// status, which only the system sets. What the memo cannot see is a change made while the system's clock was set back,
/// to the nanosecond, and a file system that does not keep that time; delete the memo to have the corpus read again.
class CorpusMemo {
 public:
  /// `folder` must exist by the time of store(). What was read by another kReadingRule, or with other `fields`, is not
  /// what is remembered here.
  CorpusMemo(const CorpusListing& listing, const std::filesystem::path& folder, const RecordFields& fields = {});

  /// What was stored for this very listing; nothing when there is no such file or it is damaged.
  std::optional<CorpusSummary> load() const;

  /// Writes the summary where it can, unless a file changed within the last 2.5 seconds: a further change might not
  /// show in its times.
  void store(const CorpusSummary& summary) const;

 private:
  std::filesystem::path file_;
  int64_t newest_ns_ = 0;
};

}  // namespace mformer
