#include "modules_registry/hashes_ahead.h"

#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

namespace fs = std::filesystem;

class HashesAheadTest : public ::testing::Test {
 protected:
  HashesAhead::File file(const std::string& name, const std::string& text) {
    write_file_atomically(folder_.path() / name, as_bytes(text));
    return {sha256_hex(text), folder_.path() / name};
  }
  /// Zeros that take no room on the disk.
  HashesAhead::File sparse(const std::string& name, std::uintmax_t size) {
    HashesAhead::File made = file(name, "");
    fs::resize_file(made.path, size);
    return {name, made.path};
  }

  TemporaryFolder folder_;
};

TEST_F(HashesAheadTest, KnowsTheStateOfAFileThatHasItsHash) {
  const HashesAhead::File one = file("one", "abc"), other = file("other", "");
  HashesAhead ahead({one, other, one});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(ahead.result(one.hash), stamp_of(one.path));
  EXPECT_EQ(ahead.result(other.hash), stamp_of(other.path));
  EXPECT_EQ(ahead.result(one.hash), stamp_of(one.path)) << "asked again";
}

TEST_F(HashesAheadTest, SaysNothingOfOtherBytesOfNoFileAndOfNoneOfItsFiles) {
  const HashesAhead::File right = file("right", "abc");
  const HashesAhead::File wrong{sha256_hex(std::string_view("abd")), right.path}, gone{std::string(64, '0'), "gone"};
  HashesAhead ahead({wrong, gone, right});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(ahead.result(wrong.hash), std::nullopt);
  EXPECT_EQ(ahead.result(gone.hash), std::nullopt);
  EXPECT_EQ(ahead.result(std::string(64, '1')), std::nullopt);
  EXPECT_EQ(HashesAhead({}).result(right.hash), std::nullopt);
}

TEST_F(HashesAheadTest, ReadsNoFurtherThanSoManyBytesBeyondTheLastOneAskedFor) {
  const HashesAhead::File large = sparse("large", 300U << 20), last = file("last", "abc");
  HashesAhead ahead({file("first", "a"), large, last});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ahead.result(large.hash);  // waits until it was read, if it is being read
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(ahead.result(last.hash), std::nullopt) << "it was begun though it lies 300 MiB behind what was asked for";
}

}  // namespace
}  // namespace mformer::testing
