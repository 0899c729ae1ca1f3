#include "modules_registry/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "modules_registry/file_sink.h"
#include "modules_registry/paths.h"
#include "registry_fixture.h"

namespace mformer::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

size_t count_files(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(FilesTest, Sha256MatchesThePublishedVectors) {
  EXPECT_EQ(sha256_hex(std::string_view("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(std::string_view("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  pieces.update(as_bytes("a"));
  pieces.update(as_bytes(""));
  pieces.update(as_bytes("bc"));
  EXPECT_EQ(pieces.finish_hex(), sha256_hex(std::string_view("abc")));
}

TEST(FilesTest, AFileReadsBackAsItWasWritten) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "file";
  const std::string text("line\n\0binary\xff", 13);
  write_file_atomically(file, as_bytes(text));
  EXPECT_EQ(read_file(file), text);
  EXPECT_EQ(sha256_file(file), sha256_hex(text));
  EXPECT_EQ(count_files(folder.path()), 1U) << "a temporary was left";
}

TEST(FilesTest, PiecesAreWrittenOneAfterTheOther) {
  const TemporaryFolder folder;
  const Bytes pieces[] = {as_bytes("ab"), as_bytes(""), as_bytes("cd")};
  write_file_atomically(folder.path() / "file", std::span<const Bytes>(pieces));
  EXPECT_EQ(read_file(folder.path() / "file"), "abcd");
}

TEST(FilesTest, AFileWhoseBytesAreMadeInTurnIsThereWhollyOrNotAtAll) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "file";
  write_file_atomically(file, [](const ByteSink& sink) {
    sink(as_bytes("one "));
    sink(as_bytes("two"));
  });
  EXPECT_EQ(read_file(file), "one two");
  const auto fail = [](const ByteSink& sink) {
    sink(as_bytes("half"));
    throw Error("the rest can't be made");
  };
  EXPECT_THROW(write_file_atomically(file, fail), Error);
  EXPECT_EQ(read_file(file), "one two");
  EXPECT_EQ(count_files(folder.path()), 1U);
}

TEST(FilesTest, AFileLargerThanOneBlockIsHashedWhole) {
  const TemporaryFolder folder;
  const std::string text(5'000'001, 'x');
  write_file_atomically(folder.path() / "file", as_bytes(text));
  EXPECT_EQ(sha256_file(folder.path() / "file"), sha256_hex(text));
  EXPECT_EQ(read_file(folder.path() / "file"), text);
}

TEST(FilesTest, AReaderSeesTheOldOrTheNewFileNeverAMixture) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "file";
  write_file_atomically(file, as_bytes(std::string(100'000, 'a')));
  std::jthread writer([&] {
    for (int i = 0; i < 50; ++i) write_file_atomically(file, as_bytes(std::string(100'000, i % 2 == 0 ? 'b' : 'a')));
  });
  for (int i = 0; i < 200; ++i) {
    const std::string text = read_file(file);
    ASSERT_EQ(text.size(), 100'000U);
    ASSERT_EQ(text, std::string(100'000, text.front()));
  }
}

TEST(FilesTest, AWriteRemovesWhatKilledWritesOfTheSameFileLeftAndNothingElse) {
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return folder.path() / name; };
  const char* names[] = {".tmp-out-0123456789ab", ".tmp-out-ba9876543210", ".tmp-out-notes", ".tmp-out-0123456789abc",
                         ".tmp-other-0123456789ab"};
  for (const char* name : names) write_new_file(path(name), {});
  const int living = ::open(path(names[1]).c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::flock(living, LOCK_EX), 0);
  write_file_atomically(path("out"), as_bytes("whole"));
  ::close(living);
  EXPECT_EQ(read_file(path("out")), "whole");
  for (const char* name : names) EXPECT_EQ(std::filesystem::exists(path(name)), name != names[0]) << name;
}

TEST(FilesTest, AMissingFileIsNamedInOneSentence) {
  EXPECT_THAT(error_of([] { read_file("/nowhere/file"); }),
              AllOf(HasSubstr("can't read '/nowhere/file': No such file"), HasSubstr("check the path")));
  EXPECT_THAT(error_of([] { read_file("/"); }), AllOf(HasSubstr("Is a directory"), HasSubstr("check the path")));
  EXPECT_THAT(error_of([] { throw_file_error("write", "/disk/file", EIO); }), HasSubstr("the disk failed"));
  EXPECT_THAT(error_of([] { sha256_file("/nowhere/file"); }), HasSubstr("'/nowhere/file'"));
  EXPECT_THAT(error_of([] { read_file("/tmp"); }), HasSubstr("Is a directory"));
  EXPECT_THAT(error_of([] { write_file_atomically("/nowhere/file", as_bytes("x")); }),
              HasSubstr("can't write '/nowhere/file'"));
}

TEST(FilesTest, AReadOnlyFolderIsNamedAndItsFilesStay) {
  const TemporaryFolder folder;
  write_file_atomically(folder.path() / "file", as_bytes("old"));
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_exec);
  EXPECT_EQ(in_unprivileged_child([&] {
              const std::string message =
                  error_of([&] { write_file_atomically(folder.path() / "file", as_bytes("new")); });
              return message.find("Permission denied") != std::string::npos ? 0 : 1;
            }),
            0);
  fs::permissions(folder.path(), fs::perms::owner_all);
  EXPECT_EQ(read_file(folder.path() / "file"), "old");
}

TEST(FilesTest, AFullDiskLeavesTheOldFileAndNoTemporary) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "file";
  write_file_atomically(file, as_bytes("old"));
  EXPECT_EQ(in_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{4096, 4096};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              const std::string message =
                  error_of([&] { write_file_atomically(file, as_bytes(std::string(10'000, 'n'))); });
              return message.find("limit") != std::string::npos ? 0 : 1;
            }),
            0);
  EXPECT_EQ(read_file(file), "old");
  EXPECT_EQ(count_files(folder.path()), 1U);
}

TEST(FilesTest, UidsAreTwelveDigitsAndDiffer) {
  EXPECT_EQ(random_uid().size(), 12U);
  EXPECT_EQ(random_uid().find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(random_uid(), random_uid());
}

TEST(PathsTest, AFolderIsFoundToHoldAnotherHoweverTheTwoAreWritten) {
  const TemporaryFolder folder;
  const fs::path data = folder.path() / "data", link = folder.path() / "link";
  fs::create_directories(data / "inner");
  fs::create_directory_symlink(data, link);
  const auto in = [&](const std::string& text) { return lies_in(folder.path().string() + text, data); };
  for (const char* inside : {"/data", "/data/", "/data/.", "/data/inner", "/data/new", "/data/new/newer/", "/link",
                             "/link/inner", "/link/new", "/data/inner/../new", "/other/../data", "/link/."}) {
    EXPECT_TRUE(in(inside)) << inside;
  }
  for (const char* outside : {"", "/", "/data2", "/dat", "/data/..", "/data/../new", "/new", "/link/../new"}) {
    EXPECT_FALSE(in(outside)) << outside;
  }
  EXPECT_TRUE(lies_in(data, folder.path() / "data" / "inner" / ".."));
  EXPECT_TRUE(lies_in(folder.path() / "gone" / "x", folder.path() / "gone"));
  EXPECT_TRUE(lies_in(data, "/"));
  const fs::path before = fs::current_path();
  fs::current_path(data);
  EXPECT_TRUE(lies_in("inner", "."));
  EXPECT_FALSE(lies_in("..", "."));
  fs::current_path(before);
}

TEST(PathsTest, ARegistryIsFoundAroundWhatLiesInIt) {
  const TemporaryFolder folder;
  Registry::create(folder.path() / "w");
  const fs::path memory = fs::canonical(folder.path() / "w" / ".mformer");
  fs::create_directory_symlink(memory, folder.path() / "link");
  for (const char* inside : {"w/.mformer", "w/.mformer/objects/new", "link/runs", "w/.mformer/"}) {
    EXPECT_EQ(registry_around(folder.path() / inside), memory) << inside;
  }
  fs::rename(memory, folder.path() / "renamed");
  EXPECT_EQ(registry_around(folder.path() / "renamed" / "new"), fs::canonical(folder.path()) / "renamed");
  EXPECT_FALSE(registry_around(folder.path() / "new" / ".mformer" / "new").empty());
  EXPECT_TRUE(registry_around(folder.path() / "w").empty());
  EXPECT_TRUE(registry_around(folder.path() / "w" / "out").empty());
}

}  // namespace
}  // namespace mformer::testing
