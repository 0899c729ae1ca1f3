#include "modules_registry/object_store.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ObjectStoreTest : public ::testing::Test {
 protected:
  void overwrite(const std::string& hash, std::string_view text) {
    fs::remove(store_.path(hash));
    write_file_atomically(store_.path(hash), as_bytes(text));
  }

  TemporaryFolder folder_;
  ObjectStore store_{folder_.path() / "objects"};
};

TEST_F(ObjectStoreTest, AnObjectIsNamedByItsBytes) {
  const std::string hash = store_.put(as_bytes("abc"));
  EXPECT_EQ(hash, sha256_hex(std::string_view("abc")));
  EXPECT_EQ(store_.path(hash), folder_.path() / "objects" / "ba" / hash);
  EXPECT_EQ(read_file(store_.path(hash)), "abc");
  EXPECT_TRUE(store_.contains(hash));
  EXPECT_TRUE(store_.verify(hash));
  EXPECT_EQ(store_.size(hash), 3);
}

TEST_F(ObjectStoreTest, PiecesMakeTheSameObjectAsTheirSum) {
  const Bytes pieces[] = {as_bytes("a"), as_bytes("bc")};
  EXPECT_EQ(store_.put(std::span<const Bytes>(pieces)), store_.put(as_bytes("abc")));
  EXPECT_EQ(store_.list().size(), 1U);
}

/// Gives a text in pieces of two bytes.
ObjectStore::Reader in_pieces(std::string text) {
  return [text, at = std::size_t{0}](std::span<std::byte> bytes) mutable {
    const std::size_t count = std::min({bytes.size(), text.size() - at, std::size_t{2}});
    std::copy_n(as_bytes(text).begin() + static_cast<std::ptrdiff_t>(at), count, bytes.begin());
    at += count;
    return count;
  };
}

TEST_F(ObjectStoreTest, WhatComesInPiecesIsKeptIfItHasItsHash) {
  const std::string hash = sha256_hex(std::string_view("abcde"));
  store_.receive(hash, 5, in_pieces("abcde"));
  EXPECT_EQ(read_file(store_.path(hash)), "abcde");
  store_.receive(hash, 5, in_pieces("abcde"));
  EXPECT_EQ(store_.list(), std::vector{hash});
}

TEST_F(ObjectStoreTest, WhatComesWithAnotherHashOrIsCutOffLeavesNothing) {
  const std::string hash = sha256_hex(std::string_view("abcde"));
  EXPECT_THAT(error_of([&] { store_.receive(hash, 5, in_pieces("abcdf")); }), HasSubstr("has another hash"));
  EXPECT_THAT(error_of([&] { store_.receive(hash, 5, in_pieces("abc")); }), HasSubstr("cut off"));
  EXPECT_THAT(error_of([&] { store_.receive("../x", 5, in_pieces("abcde")); }), HasSubstr("is not an object hash"));
  EXPECT_THAT(store_.temporaries(), IsEmpty());
  EXPECT_THAT(store_.list(), IsEmpty());
}

TEST_F(ObjectStoreTest, AnObjectHasNoNameBeforeItsBytesAreOnDisk) {
  const std::string hash = store_.put(as_bytes("abc"));
  const ObjectStore other(folder_.path() / "objects");
  EXPECT_FALSE(other.contains(hash));
  EXPECT_EQ(other.temporaries().size(), 1U);
  store_.flush();
  EXPECT_TRUE(other.contains(hash));
  EXPECT_THAT(other.temporaries(), IsEmpty());
}

TEST_F(ObjectStoreTest, WhatIsNeverFlushedGoesWithItsStore) {
  {
    ObjectStore other(folder_.path() / "objects");
    other.put(as_bytes("abc"));
    other.put(as_bytes("abc"));
  }
  EXPECT_THAT(store_.list(), IsEmpty());
  EXPECT_THAT(store_.temporaries(), IsEmpty());
}

TEST_F(ObjectStoreTest, ObjectsCantBeWrittenTo) {
  struct stat status {};
  ASSERT_EQ(::stat(store_.path(store_.put(as_bytes("abc"))).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0222U, 0U);
}

TEST_F(ObjectStoreTest, PuttingAgainKeepsTheFileButMakesItYoung) {
  const std::string hash = store_.put(as_bytes("abc"));
  struct stat before {};
  ::stat(store_.path(hash).c_str(), &before);
  fs::last_write_time(store_.path(hash), fs::file_time_type::clock::now() - std::chrono::hours(5));
  store_.put(as_bytes("abc"));
  struct stat after {};
  ::stat(store_.path(hash).c_str(), &after);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_LT(fs::file_time_type::clock::now() - fs::last_write_time(store_.path(hash)), std::chrono::hours(1));
}

TEST_F(ObjectStoreTest, PuttingAgainReplacesATruncatedFile) {
  const std::string hash = store_.put(as_bytes("abc"));
  store_.flush();
  overwrite(hash, "a");
  store_.put(as_bytes("abc"));
  EXPECT_TRUE(store_.verify(hash));
}

TEST_F(ObjectStoreTest, PuttingAgainHealsAFileOfTheSameSizeWithOtherBytes) {
  const std::string hash = store_.put(as_bytes("abc"));
  store_.flush();
  overwrite(hash, "abd");
  store_.put(as_bytes("abc"));
  EXPECT_TRUE(store_.verify(hash));
  EXPECT_EQ(read_file(store_.verified_path(hash)), "abc");
}

TEST_F(ObjectStoreTest, ADamagedOrMissingObjectIsNotGivenOut) {
  const std::string hash = store_.put(as_bytes("abc"));
  EXPECT_EQ(store_.verified_path(hash), store_.path(hash));
  overwrite(hash, "abd");
  EXPECT_THAT(error_of([&] { store_.verified_path(hash); }),
              AllOf(HasSubstr("object " + hash + " is damaged"), HasSubstr("importing the same checkpoint again")));
  store_.remove(hash);
  EXPECT_THAT(error_of([&] { store_.verified_path(hash); }), HasSubstr("is missing"));
}

TEST_F(ObjectStoreTest, ObjectsThatAreCheckedAheadAreCheckedNoLess) {
  std::vector<std::string> hashes;
  for (int i = 0; i < 50; ++i) hashes.push_back(store_.put(as_bytes("object " + std::to_string(i))));
  store_.flush();
  overwrite(hashes[7], "object 8");
  store_.remove(hashes[9]);
  store_.verify_ahead(hashes);
  for (int i = 49; i >= 0; --i) {  // not in their order
    if (i == 7 || i == 9) {
      EXPECT_THAT(error_of([&] { store_.verified_path(hashes[i]); }), HasSubstr(i == 7 ? "is damaged" : "is missing"));
    } else {
      EXPECT_EQ(store_.verified_path(hashes[i]), store_.path(hashes[i]));
    }
  }
  EXPECT_EQ(read_file(store_.verified_path(store_.put(as_bytes("another")))), "another") << "of which nothing was said";
}

TEST_F(ObjectStoreTest, AnObjectThatIsDamagedAfterItWasCheckedAheadIsNotGivenOut) {
  const std::string hash = store_.put(as_bytes("abc"));
  store_.verify_ahead({hash});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  overwrite(hash, "abd");
  EXPECT_THAT(error_of([&] { store_.verified_path(hash); }), HasSubstr("is damaged"));
}

TEST_F(ObjectStoreTest, BytesAreOnDiskBeforeNamesAndNamesBeforeFlushReturns) {
  std::vector<size_t> names_at_sync;
  const fs::path root = folder_.path() / "objects";
  ObjectStore store(root, [&](const fs::path& folder) {
    EXPECT_EQ(folder, root);
    names_at_sync.push_back(ObjectStore(root).list().size());
  });
  store.put(as_bytes("abc"));
  store.put(as_bytes("def"));
  EXPECT_THAT(names_at_sync, IsEmpty());
  store.flush();
  EXPECT_THAT(names_at_sync, ElementsAre(0, 2)) << "one wait before the names, one after them";
  store.flush();
  EXPECT_EQ(names_at_sync.size(), 2U) << "nothing new";
}

TEST_F(ObjectStoreTest, WhatAnotherProcessHasJustNamedIsBroughtToDiskToo) {
  store_.put(as_bytes("abc"));
  store_.flush();
  int syncs = 0;
  ObjectStore other(folder_.path() / "objects", [&](const fs::path&) { ++syncs; });
  other.put(as_bytes("abc"));
  other.flush();
  EXPECT_EQ(syncs, 1);
  other.flush();
  EXPECT_EQ(syncs, 1);
}

TEST_F(ObjectStoreTest, VerifyFindsChangedAndMissingBytes) {
  const std::string hash = store_.put(as_bytes("abc"));
  overwrite(hash, "abd");
  EXPECT_FALSE(store_.verify(hash));
  EXPECT_TRUE(store_.remove(hash));
  EXPECT_FALSE(store_.remove(hash));
  EXPECT_FALSE(store_.verify(hash));
  EXPECT_FALSE(store_.contains(hash));
  EXPECT_THAT(error_of([&] { store_.size(hash); }), HasSubstr("missing"));
}

TEST_F(ObjectStoreTest, TheListHasObjectsOnly) {
  EXPECT_THAT(store_.list(), IsEmpty());
  const std::string hash = store_.put(as_bytes("abc"));
  write_file_atomically(folder_.path() / "objects" / "ba" / "notes", as_bytes("x"));
  write_file_atomically(folder_.path() / "objects" / "ba" / ".tmp-half", as_bytes("x"));
  EXPECT_THAT(store_.list(), ElementsAre(hash));
  EXPECT_THAT(store_.temporaries(), ElementsAre(folder_.path() / "objects" / "ba" / ".tmp-half"));
}

TEST_F(ObjectStoreTest, ANameThatIsNoHashNeverBecomesAPath) {
  EXPECT_THAT(error_of([&] { store_.path("../../etc/passwd"); }), HasSubstr("not an object hash"));
  EXPECT_THAT(error_of([&] { store_.contains(""); }), HasSubstr("not an object hash"));
  EXPECT_THAT(error_of([&] { store_.remove(std::string(64, 'G')); }), HasSubstr("not an object hash"));
}

}  // namespace
}  // namespace mformer::testing
