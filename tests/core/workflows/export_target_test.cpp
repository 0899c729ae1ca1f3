// Where an export may be written: never over a workspace, nor over the data of a task.

#include <gtest/gtest.h>

#include "core/workflows/export.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::TinyWorkspace;

class ExportTarget : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (workspace_.folder() / name).string(); }
  void write(const std::string& folder, bool overwrite = true) {
    ExportOptions options;
    options.folder = folder;
    options.overwrite = overwrite;
    Session session = workspace_.session("export");
    export_model(session, workspace_.registry().resolve("base"), options);
  }
  void expect_refused(const std::string& folder, const std::string& says) {
    for (const bool overwrite : {false, true}) {
      const std::string hint = expect_error<Error>([&] { write(folder, overwrite); }, overwrite ? says : "");
      EXPECT_EQ(hint.find("--overwrite"), std::string::npos) << folder;
    }
  }

  TinyWorkspace workspace_;
};

TEST_F(ExportTarget, AWorkspaceIsNeverReplacedNorWrittenInto) {
  const std::string memory = path(".mformer");
  std::filesystem::create_directory_symlink(memory, path("link"));
  for (const std::string& folder : {path(""), path("."), path("new/.."), path("").substr(0, path("").size() - 1)}) {
    expect_refused(folder, "is the folder of this workspace, or lies above it");
  }
  expect_refused(std::filesystem::path(path("")).parent_path().parent_path().string(), "or lies above it");
  for (const std::string& folder : {memory, memory + "/", memory + "/new", memory + "/objects", path("link"),
                                    path("link/new"), path("other/.mformer/new")}) {
    expect_refused(folder, "lies in the memory of a workspace");
  }
  std::filesystem::create_directories(path("elsewhere"));
  Registry::create(path("elsewhere/other"));
  expect_refused(path("elsewhere"), "it holds 'other'");
  expect_refused(path("elsewhere/other"), "it holds '.mformer'");
  EXPECT_TRUE(workspace_.registry().fsck().empty());
}

TEST_F(ExportTarget, TheDataOfATaskIsNeverReplacedNorWrittenInto) {
  std::filesystem::create_directories(path("texts/english"));
  std::filesystem::rename(workspace_.corpus("english"), path("texts/english/text.jsonl"));
  workspace_.add_task("english", path("texts/english"));
  std::filesystem::create_directory_symlink(path("texts"), path("link"));
  for (const char* folder : {"texts/english", "texts/english/", "link/english", "texts/english/new/newer",
                             "texts/new/../english", "link/english/../english/new"}) {
    expect_refused(path(folder), "is, or lies in, the data of task 'english'");
  }
  for (const char* folder : {"texts", "link", "link/english/.."})
    expect_refused(path(folder), "holds the data of task 'english'");
  EXPECT_TRUE(std::filesystem::exists(path("texts/english/text.jsonl")));
  write(path("texts/new"), false);
}

TEST_F(ExportTarget, TheFolderOfATasksDataIsKeptForItWhateverLiesThereNow) {
  std::filesystem::create_directories(path("out"));
  std::filesystem::rename(workspace_.corpus("english"), path("out/text.jsonl"));
  workspace_.add_task("english", path("out"));
  std::filesystem::rename(path("out"), path("elsewhere"));
  expect_refused(path("out"), "the data of task 'english'");
  std::filesystem::create_directories(path("out"));
  expect_refused(path("out"), "the data of task 'english'");
}

TEST_F(ExportTarget, MayBeTheWorkingDirectory) {
  write(path("out"), false);
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(path("out"));
  ExportOptions options;
  options.folder = ".", options.overwrite = true, options.quantize = "int8", options.max_tokens = 300;
  Session session = workspace_.session("export");
  const ExportReport report = export_model(session, workspace_.registry().resolve("base"), options);
  std::filesystem::current_path(before);
  EXPECT_GT(report.bytes, 0);
  EXPECT_EQ(report.cut_off, "");
}

TEST_F(ExportTarget, AnEmptyNameIsRefused) {
  expect_error<UsageError>([&] { write(""); }, "empty name");
}

}  // namespace
}  // namespace mformer
