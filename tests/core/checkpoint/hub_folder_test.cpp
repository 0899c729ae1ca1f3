// Writing and reading are one contract, what one writes the other reads: one fixture, and a longer file than others.

#include "core/checkpoint/hub_folder.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <functional>

#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "tests/core/checkpoint/hub_test_model.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

std::vector<std::string> listing(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void expect_holds(const HubFolder& folder, const std::vector<OwnedTensor>& tensors) {
  EXPECT_EQ(folder.tensor_names().size(), tensors.size());
  for (const OwnedTensor& tensor : tensors) {
    const TensorView& read = folder.get(tensor.name);
    EXPECT_EQ(read.shape, tensor.shape);
    EXPECT_EQ(tensor.bytes, read.content());
  }
}

class HubFolderTest : public ::testing::Test {
 protected:
  void write(HubWriteOptions options = {}, unsigned seed = 1) {
    write_hub_folder(folder(), two_layer_config(), to_write(random_weights(two_layer_config(), seed)), options);
  }
  /// With the file by which an export is known.
  static HubWriteOptions as_export() {
    HubWriteOptions options;
    options.extra_files["mformer_provenance.json"] = R"({"format": 1, "version": "", "modules": []})";
    return options;
  }
  static HubWriteOptions overwriting() {
    HubWriteOptions options = as_export();
    options.overwrite = true;
    return options;
  }
  struct Refusal {
    std::string what, hint;
  };
  static Refusal refused(const std::function<void()>& write) {
    try {
      write();
    } catch (const Error& error) {
      return {error.what(), error.hint()};
    }
    return {};
  }
  void write_sharded() {
    HubWriteOptions options;
    options.max_shard_bytes = 600;
    write(options);
  }
  fs::path folder() const { return scratch_ / "model"; }
  std::string complaint() const {
    return error_of([this] { open_hub_folder(folder()); });
  }
  json index() const { return json::parse(read_file(folder() / "model.safetensors.index.json")); }
  void write_index(const json& index) const { write_text(folder() / "model.safetensors.index.json", index.dump()); }

  TestFolder scratch_;
};

TEST_F(HubFolderTest, WhatWasWrittenIsReadAsOneFile) {
  write();
  EXPECT_THAT(listing(folder()), ::testing::ElementsAre("config.json", "model.safetensors"));
  const HubFolder opened = open_hub_folder(folder());
  EXPECT_EQ(opened.config(), two_layer_config());
  EXPECT_FALSE(opened.tokenizer_path());
  EXPECT_EQ(opened.files().safetensors.front().metadata().at("format"), "pt");
  expect_holds(opened, random_weights(two_layer_config()));
}

TEST_F(HubFolderTest, WhatWasWrittenIsReadAsShards) {
  write_sharded();
  const HubFolder opened = open_hub_folder(folder());
  EXPECT_GT(opened.files().safetensors.size(), 3u);
  expect_holds(opened, random_weights(two_layer_config()));
  std::uint64_t total = 0;
  for (const SafetensorsFile& shard : opened.files().safetensors) {
    std::uint64_t bytes = 0;
    for (const TensorView& tensor : shard.tensors()) bytes += tensor.bytes;
    EXPECT_TRUE(bytes <= 600 || shard.tensors().size() == 1);
    total += bytes;
  }
  EXPECT_EQ(index()["metadata"]["total_size"], total);
}

TEST_F(HubFolderTest, TokenizerAndExtraFilesComeAlong) {
  write_text(scratch_ / "t.json", "{}");
  HubWriteOptions options;
  options.tokenizer_path = scratch_ / "t.json";
  options.extra_files["mformer_provenance.json"] = "{\"version\": 1}";
  write(options);
  EXPECT_EQ(open_hub_folder(folder()).tokenizer_path(), folder() / "tokenizer.json");
  EXPECT_EQ(read_file(folder() / "mformer_provenance.json"), "{\"version\": 1}");
}

TEST_F(HubFolderTest, AModelOfSentencepieceIsTheTokenizerWhereThereIsNoTokenizerJson) {
  write();
  write_text(folder() / "tokenizer.model", "pieces");
  EXPECT_EQ(open_hub_folder(folder()).tokenizer_path(), folder() / "tokenizer.model");
  write_text(folder() / "tokenizer.json", "{}");
  EXPECT_EQ(open_hub_folder(folder()).tokenizer_path(), folder() / "tokenizer.json");
}

TEST_F(HubFolderTest, AnEmptyFolderIsReplacedAndAnExportOnlyWhenAsked) {
  fs::create_directory(folder());
  write(as_export());
  const Refusal refusal = refused([this] { write(as_export(), 2); });
  EXPECT_THAT(refusal.what, HasSubstr("already exists and is not empty"));
  EXPECT_THAT(refusal.hint, HasSubstr("--overwrite"));
  expect_holds(open_hub_folder(folder()), random_weights(two_layer_config(), 1));
  write(overwriting(), 2);
  expect_holds(open_hub_folder(folder()), random_weights(two_layer_config(), 2));
  HubWriteOptions sharded = overwriting();
  sharded.max_shard_bytes = 600;
  write(sharded, 3);
  write(overwriting(), 4);
  expect_holds(open_hub_folder(folder()), random_weights(two_layer_config(), 4));
  EXPECT_THAT(listing(scratch_.path()), ::testing::ElementsAre("model"));
}

TEST_F(HubFolderTest, AFolderWithAnythingButAnExportIsNeverOverwrittenNorIsThatOffered) {
  const std::pair<const char*, std::function<void()>> foreign[] = {
      {"notes.txt", [&] { write_text(folder() / "notes.txt", ""); }},
      {".hidden", [&] { write_text(folder() / ".hidden", ""); }},
      {".mformer", [&] { fs::create_directory(folder() / ".mformer"); }},
      {"model-1-of-2.safetensors", [&] { write_text(folder() / "model-1-of-2.safetensors", ""); }},
      {"model-00001-of-0000x.safetensors", [&] { write_text(folder() / "model-00001-of-0000x.safetensors", ""); }},
      {"generation_config.json", [&] { fs::create_directory(folder() / "generation_config.json"); }},
      {"tokenizer.json", [&] { fs::create_symlink("/dev/null", folder() / "tokenizer.json"); }},
      {"no config.json", [&] { fs::remove(folder() / "config.json"); }},
      {"no mformer_provenance.json", [&] { fs::remove(folder() / "mformer_provenance.json"); }},
      {"no mformer_provenance.json", [&] { write_text(folder() / "mformer_provenance.json", "{\"format\": 1}"); }}};
  for (const auto& [named, change] : foreign) {
    fs::remove_all(folder());
    write(as_export());
    change();
    const auto before = listing(folder());
    for (const HubWriteOptions& options : {as_export(), overwriting()}) {
      const Refusal refusal = refused([&] { write(options, 2); });
      EXPECT_THAT(refusal.what, HasSubstr(options.overwrite ? named : "is not empty"));
      EXPECT_EQ(refusal.hint, "choose another folder") << named;
    }
    EXPECT_EQ(listing(folder()), before);
    EXPECT_THAT(listing(scratch_.path()), ::testing::ElementsAre("model"));
  }
}

TEST_F(HubFolderTest, AFailedWriteLeavesNothingBehindAndTheOldFolderWhole) {
  write(as_export());
  HubWriteOptions options = overwriting();
  options.tokenizer_path = scratch_ / "none.json";
  EXPECT_NE(error_of([&] { write(options, 2); }), "");
  expect_holds(open_hub_folder(folder()), random_weights(two_layer_config(), 1));
  EXPECT_THAT(listing(scratch_.path()), ::testing::ElementsAre("model"));
}

TEST_F(HubFolderTest, WhatKilledWritersLeftIsRemovedButNothingElse) {
  const fs::path dead = scratch_ / ".tmp-export-0123456789ab", living = scratch_ / ".tmp-export-0123456789ac",
                 foreign = scratch_ / ".tmp-export-mine", other = scratch_ / ".tmp-other";
  for (const fs::path& one : {dead, living, foreign, other}) {
    fs::create_directory(one);
    write_text(one / "config.json", "{}");
    write_text(one / ".tmp-model.safetensors-0123456789ab", "half");
  }
  write_text(foreign / "notes.txt", "");
  const int lock = ::open(living.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  write(as_export());
  EXPECT_THAT(listing(scratch_.path()),
              ::testing::ElementsAre(".tmp-export-0123456789ac", ".tmp-export-mine", ".tmp-other", "model"));
  EXPECT_EQ(listing(living).size(), 2u);
  EXPECT_THAT(listing(foreign), ::testing::ElementsAre("notes.txt"));
  ::close(lock);
  write(overwriting());
  EXPECT_FALSE(fs::exists(living));
}

/// Some file systems can't exchange two names: the call fails from here on, for this process.
void refuse_exchange() {
  constexpr sock_filter program[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                                     {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, __NR_renameat2},
                                     {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EINVAL},
                                     {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  const sock_fprog filter = {std::size(program), const_cast<sock_filter*>(program)};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

TEST_F(HubFolderTest, AnExportIsReplacedWhereTheFileSystemCantExchangeNames) {
  write(as_export());
  EXPECT_EXIT(
      {
        refuse_exchange();
        write(overwriting(), 2);
        std::_Exit(0);
      },
      ::testing::ExitedWithCode(0), "");
  expect_holds(open_hub_folder(folder()), random_weights(two_layer_config(), 2));
  EXPECT_THAT(listing(scratch_.path()), ::testing::ElementsAre("model"));
}

TEST_F(HubFolderTest, ExtraFilesStayInsideTheFolderAndReplaceNothing) {
  for (const char* name : {"", "..", "../x", "a/b", "config.json"}) {
    HubWriteOptions options;
    options.extra_files[name] = "x";
    EXPECT_THAT(error_of([&] { write(options); }), HasSubstr("can't be called")) << name;
  }
  EXPECT_THAT(listing(scratch_.path()), ::testing::IsEmpty());
}

TEST_F(HubFolderTest, ATargetThatIsAFileIsRefused) {
  write_text(folder(), "x");
  EXPECT_THAT(error_of([this] { write(); }), HasSubstr("exists and is not a folder"));
  EXPECT_THAT(complaint(), HasSubstr("is not a folder"));
}

TEST_F(HubFolderTest, ATrailingSlashAndMissingParentsAreFine) {
  write_hub_folder((scratch_ / "a/b").string() + "/", two_layer_config(), {});
  EXPECT_EQ(open_hub_folder(scratch_ / "a/b").tensor_names().size(), 0u);
}

TEST_F(HubFolderTest, ALinkToAFolderStaysALink) {
  fs::create_directory(scratch_ / "real");
  fs::create_directory_symlink(scratch_ / "real", folder());
  write();
  EXPECT_TRUE(fs::is_symlink(folder()));
  expect_holds(open_hub_folder(scratch_ / "real"), random_weights(two_layer_config()));
}

TEST_F(HubFolderTest, MissingPartsAreNamed) {
  EXPECT_THAT(complaint(), HasSubstr("does not exist"));
  fs::create_directory(folder());
  EXPECT_THAT(complaint(), HasSubstr("has no config.json"));
  write_text(folder() / "config.json", two_layer_config().to_json());
  EXPECT_THAT(complaint(), HasSubstr("has no weights"));
}

TEST_F(HubFolderTest, PickledWeightsAreLookedAtOnlyWhenThereIsNothingElse) {
  write();
  write_text(folder() / "pytorch_model.bin", "no pickle");
  EXPECT_TRUE(open_hub_folder(folder()).files().pickles.empty());
  fs::remove(folder() / "model.safetensors");
  EXPECT_THAT(complaint(), HasSubstr("not a file that torch.save wrote"));
}

TEST_F(HubFolderTest, TwoWholeSetsOfWeightsAreRefused) {
  write_sharded();
  write_text(folder() / "model.safetensors", "older");
  EXPECT_THAT(complaint(), HasSubstr("two sets of weights: 'model.safetensors' and the shards of "
                                     "'model.safetensors.index.json'"));
}

TEST_F(HubFolderTest, WhatLiesThereWhenAFileWasNotFetchedIsNamed) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n";
  for (const char* name : {"model.safetensors", "config.json", "tokenizer.json"}) {
    for (const auto& [text, what] : {std::pair(pointer, "is a Git LFS pointer"),
                                     std::pair(std::string("<!DOCTYPE html><html>"), "is a web page")}) {
      fs::remove_all(folder());
      write();
      write_text(folder() / name, text);
      EXPECT_THAT(complaint(), ::testing::AllOf(HasSubstr(name), HasSubstr(what)));
    }
  }
  write_text(folder() / "tokenizer.json", "{}");
  write_text(folder() / "config.json", two_layer_config().to_json());
  write_text(folder() / "model.safetensors", "PK\x03\x04 and so on");
  EXPECT_THAT(complaint(), HasSubstr("is a zip archive, as torch.save writes it"));
}

TEST_F(HubFolderTest, TheNamesThatAWrapperGaveAreTakenOff) {
  const ModelConfig config = two_layer_config();
  for (const std::string prefix : {"module.", "_orig_mod.", "module._orig_mod.", "model."}) {
    fs::remove_all(folder());
    std::vector<OwnedTensor> wrapped = random_weights(config);
    for (OwnedTensor& tensor : wrapped) tensor.name = prefix + tensor.name;
    write_hub_folder(folder(), config, to_write(wrapped));
    check_parameters(open_hub_folder(folder()));
    if (prefix == "_orig_mod.") continue;                      // torch.compile puts it inside names as well
    wrapped.back().name = random_weights(config).back().name;  // one of them without: then nothing is taken off
    fs::remove_all(folder());
    write_hub_folder(folder(), config, to_write(wrapped));
    EXPECT_THROW(check_parameters(open_hub_folder(folder())), Error);
  }
}

TEST_F(HubFolderTest, ATensorThatHasTwoNamesMayBeStoredUnderEither) {
  ModelConfig config = two_layer_config();
  std::vector<OwnedTensor> weights = random_weights(config);
  const auto embedding = std::find_if(weights.begin(), weights.end(),
                                      [](const OwnedTensor& t) { return t.name == "transformer.wte.weight"; });
  ASSERT_NE(embedding, weights.end());
  weights.erase(embedding);
  write_hub_folder(folder(), config, to_write(weights));
  EXPECT_THROW(check_parameters(open_hub_folder(folder())), Error);

  config.tie_word_embeddings = true;
  fs::remove_all(folder());
  write_hub_folder(folder(), config, to_write(weights));
  const HubFolder tied = open_hub_folder(folder());
  check_parameters(tied);
  EXPECT_EQ(tied.get("transformer.wte.weight").offset, tied.get("lm_head.weight").offset);

  config.tie_word_embeddings = false;  // the metadata says it too
  write_text(folder() / "config.json", config.to_json());
  write_safetensors(folder() / "model.safetensors", to_write(weights), {{"transformer.wte.weight", "lm_head.weight"}});
  check_parameters(open_hub_folder(folder()));
}

TEST_F(HubFolderTest, AnIndexThatIsNoIndexIsRefused) {
  write_sharded();
  for (const char* text : {"", "[]", "{}", R"({"weight_map": []})"}) {
    write_text(folder() / "model.safetensors.index.json", text);
    EXPECT_THAT(complaint(), HasSubstr("not a JSON object with a 'weight_map'")) << text;
  }
  write_index({{"weight_map", json::object()}});
  EXPECT_THAT(complaint(), HasSubstr("'weight_map' is empty"));
  write_index({{"weight_map", {{"a", 3}}}});
  EXPECT_THAT(complaint(), HasSubstr("the file of tensor 'a' is not a string"));
  write_index({{"weight_map", {{"a", "../secret"}}}});
  EXPECT_THAT(complaint(), HasSubstr("outside the folder"));
}

TEST_F(HubFolderTest, IndexAndShardsMustAgree) {
  write_sharded();
  const json good = index();
  const std::string name = "transformer.ln_f.bias";
  const std::string shard = good["weight_map"][name];
  const std::string other = good["weight_map"]["transformer.wte.weight"];

  json changed = good;
  changed["weight_map"][name] = "model-9.safetensors";
  write_index(changed);
  EXPECT_THAT(complaint(), HasSubstr("names the shard 'model-9.safetensors', which is not there"));

  changed = good;
  changed["weight_map"]["ghost"] = shard;
  write_index(changed);
  EXPECT_THAT(complaint(), HasSubstr("'ghost' is in the index but not in this shard"));

  changed = good;
  changed["weight_map"].erase(name);
  write_index(changed);
  EXPECT_THAT(complaint(), HasSubstr("'" + name + "' is not listed for this shard"));

  changed = good;
  for (auto& [tensor, file] : changed["weight_map"].items()) {
    if (file == shard) file = "copy.safetensors";
  }
  fs::copy_file(folder() / shard, folder() / "copy.safetensors");
  changed["weight_map"]["transformer.wte.weight"] = other;
  changed["weight_map"]["ghost"] = shard;
  write_index(changed);
  EXPECT_THAT(complaint(), HasSubstr("is also in copy.safetensors"));
}

TEST_F(HubFolderTest, AnUnknownTensorIsAnsweredWithTheNearest) {
  write();
  try {
    open_hub_folder(folder()).get("transformer.wte.wieght");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("transformer.wte.weight"));
  }
}

}  // namespace
}  // namespace mformer
