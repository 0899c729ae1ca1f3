// What a corpus memo takes for unchanged, and what it does not.

#include "core/text/corpus_memo.h"

#include <gtest/gtest.h>

#include <functional>

#include "modules_registry/files.h"
#include "tests/core/text/temporary_folder.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kNanosecondsPerMs = 1'000'000;

/// A listing of one file that changed `age_ms` ago.
CorpusListing one_file(int64_t age_ms) {
  const int64_t then = (now_ms() - age_ms) * kNanosecondsPerMs;
  CorpusListing listing;
  listing.files.push_back({"/data/a.txt", "a.txt", 10, then, then, 7});
  return listing;
}

TEST(CorpusMemo, KnowsAListingThatItStored) {
  const TemporaryFolder folder;
  const CorpusListing listing = one_file(3'600'000);
  CorpusSummary summary;
  summary.documents = 3;
  summary.content_hash = "abc";
  EXPECT_EQ(CorpusMemo(listing, folder.path()).load(), std::nullopt);
  CorpusMemo(listing, folder.path()).store(summary);
  const auto found = CorpusMemo(listing, folder.path()).load();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->documents, 3);
  EXPECT_EQ(found->content_hash, "abc");
}

TEST(CorpusMemo, DoesNotKnowAFileOfOtherPathSizeTimesOrNumber) {
  const TemporaryFolder folder;
  const CorpusListing listing = one_file(3'600'000);
  CorpusMemo(listing, folder.path()).store({});
  const std::function<void(CorpusFile&)> changes[] = {
      [](CorpusFile& file) { file.path = "/other/a.txt"; },
      [](CorpusFile& file) { ++file.bytes; },
      [](CorpusFile& file) { ++file.modified_ns; },
      [](CorpusFile& file) { ++file.changed_ns; },
      [](CorpusFile& file) { ++file.inode; },
  };
  for (const auto& change : changes) {
    CorpusListing other = listing;
    change(other.files[0]);
    EXPECT_FALSE(CorpusMemo(other, folder.path()).load().has_value());
  }
}

TEST(CorpusMemo, IsNotStoredWhileAFileMayChangeWithinOneTickOfItsClock) {
  const TemporaryFolder folder;
  CorpusListing fresh = one_file(100);
  fresh.files[0].modified_ns = 0;  // a time that was set back says nothing
  CorpusMemo(fresh, folder.path()).store({});
  EXPECT_FALSE(CorpusMemo(fresh, folder.path()).load().has_value());
}

TEST(CorpusListing, ShowsAChangeWhoseSizeAndModificationTimeWereKept) {
  const TemporaryFolder folder;
  folder.write("a.txt", "before");
  const auto then = fs::last_write_time(folder / "a.txt");
  const CorpusFile before = list_corpus(folder / "a.txt").files[0];
  CorpusFile after = before;
  // The file system's clock ticks every few milliseconds.
  for (int attempt = 0; attempt < 100'000 && after.changed_ns == before.changed_ns; ++attempt) {
    folder.write("a.txt", "after!");
    fs::last_write_time(folder / "a.txt", then);
    after = list_corpus(folder / "a.txt").files[0];
  }
  EXPECT_EQ(after.bytes, before.bytes);
  EXPECT_EQ(after.modified_ns, before.modified_ns);
  EXPECT_GT(after.changed_ns, before.changed_ns);
}

}  // namespace
}  // namespace mformer
