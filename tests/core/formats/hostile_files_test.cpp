// Files that are no files, or that never end: a sentence, in no time and no memory.

#include <gtest/gtest.h>

#include <filesystem>

#include "core/formats/chat_format.h"
#include "core/formats/input_file.h"
#include "core/formats/weight_files.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

using testing::expect_error;

class HostileFiles : public ::testing::Test {
 protected:
  /// One that says to be a terabyte, and takes no room.
  void write_sparse(const std::string& name) const {
    folder_.write(name, "{");
    std::filesystem::resize_file(folder_ / name, std::uintmax_t{1} << 40U);
  }

  TemporaryFolder folder_;
};

TEST_F(HostileFiles, AFileIsReadUpToItsBoundAndNoFurther) {
  folder_.write("four", "1234");
  EXPECT_EQ(read_bounded_file(folder_ / "four", 4, "a number"), "1234");
  expect_error<Error>([&] { read_bounded_file(folder_ / "four", 3, "a number"); }, "longer than a number can be");
  write_sparse("sparse");
  expect_error<Error>([&] { read_bounded_file(folder_ / "sparse", 1 << 20, "a config"); }, "more than 1 MiB");
}

TEST_F(HostileFiles, WhatNeverEndsIsReadNoFurtherEither) {
  expect_error<Error>([] { read_bounded_file("/dev/zero", 1 << 20, "a config"); }, "more than 1 MiB");
  expect_error<Error>([&] { read_bounded_file(folder_.path(), 1 << 20, "a config"); }, "directory");
  expect_error<Error>([&] { read_bounded_file(folder_ / "absent", 1 << 20, "a config"); }, "No such file");
}

TEST_F(HostileFiles, WhatLiesBesideWeightsMayBeEndless) {
  write_sparse("model.safetensors.index.json");
  expect_error<Error>([&] { open_weight_files(folder_.path()); }, "longer than an index can be");
  write_sparse("tokenizer_config.json");
  expect_error<Error>([&] { read_chat_format(folder_.path()); }, "longer than a file of settings can be");
  std::filesystem::remove(folder_ / "tokenizer_config.json");
  write_sparse("chat_template.jinja");
  expect_error<Error>([&] { read_chat_format(folder_.path()); }, "longer than a chat template can be");
}

TEST_F(HostileFiles, AnIndexOfAnyDepthIsRefusedBeforeItIsParsed) {
  folder_.write("model.safetensors.index.json", R"({"weight_map":)" + std::string(1'000'000, '['));
  expect_error<Error>([&] { open_weight_files(folder_.path()); }, "not a JSON object with a 'weight_map'");
}

}  // namespace
}  // namespace mformer
