// Versions on disk and in memory; sessions.

#include "core/workspace/version_store.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "core/history/commit.h"
#include "core/model/expert_parallel.h"
#include "core/workspace/run_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/process_threads.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;
using testing::same_bits;
using testing::sample;
using testing::tiny_config;
using testing::tiny_model;
using testing::TinyWorkspace;

/// Stores `model` as a version of model "other" and reads it back.
LoadedVersion stored(TinyWorkspace& workspace, Model& model) {
  Registry& registry = workspace.registry();
  Commit commit;
  commit.model = "other";
  commit.operation_id = registry.begin_operation({"import", "{}", 0, "test", "other", {}});
  commit.manifest = store_model(registry, model, "");
  commit.new_modules = birth_records(model, {}, "import", "");
  return load_version(registry, registry.commit_version(commit).version);
}

TEST(VersionStore, BringsBackEveryBitForEveryGateAndType) {
  for (const char* gate : {"mlp", "linear", "gmm"}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
      TinyWorkspace workspace;
      Model model = tiny_model(tiny_config(gate));
      convert(model, dtype);
      EXPECT_TRUE(same_bits(stored(workspace, model).model, model)) << gate;
    }
  }
}

TEST(VersionStore, OfASpreadVersionAProcessReadsWhatItHasOfIt) {
  TinyWorkspace workspace;
  Model model = tiny_model();
  const VersionRecord version = stored(workspace, model).record;
  const Manifest manifest = workspace.registry().manifest(version.hash);
  std::mutex one_at_a_time;
  testing::as_processes(2, [&](ProcessGroup& group) {
    const std::lock_guard lock(one_at_a_time);
    // What the other process has can't be read here.
    std::vector<std::filesystem::path> gone;
    for (const LayerManifest& layer : manifest.layers) {
      for (const auto* modules : {&layer.att, &layer.mlp}) {
        const auto count = static_cast<std::int64_t>(modules->size());
        for (std::int64_t i = 0; i < count; ++i) {
          if (rank_of_module(i, count, 2) == group.rank()) continue;
          gone.push_back(workspace.registry().objects().path((*modules)[static_cast<std::size_t>(i)].object_hash));
          std::filesystem::rename(gone.back(), gone.back().string() + ".away");
        }
      }
    }
    Model spread = load_version(workspace.registry(), version, &group).model;
    for (const auto& path : gone) std::filesystem::rename(path.string() + ".away", path);
    Model expected = clone(model);
    spread_modules(expected, group);
    const auto got = parameters(spread), wanted = parameters(expected);
    ASSERT_EQ(got.size(), wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].tensor->is_meta(), wanted[i].tensor->is_meta()) << got[i].name;
      EXPECT_TRUE(got[i].tensor->is_meta() || got[i].tensor->equal(*wanted[i].tensor)) << got[i].name;
    }
    EXPECT_THROW(
        {
          std::filesystem::rename(gone[0], gone[0].string() + ".away");
          load_version(workspace.registry(), version);
        },
        Error);
    std::filesystem::rename(gone[0].string() + ".away", gone[0]);
  });
}

TEST(VersionStore, KeepsTiesLayersThatDifferAndIdentityProjections) {
  TinyWorkspace workspace;
  ModelConfig config = tiny_config();
  config.tie_word_embeddings = true;
  config.n_head = 1;
  config.att_hidden = config.n_embd;
  config.set_expert_counts({2, 6}, {7, 3});
  Model model = tiny_model(config);
  const LoadedVersion back = stored(workspace, model);
  EXPECT_TRUE(same_bits(back.model, model));
  EXPECT_EQ(back.model.config, model.config);
  EXPECT_TRUE(back.model.lm_head.is_same(back.model.wte));
}

TEST(VersionStore, GivesNewModulesUidsAndKeepsFlags) {
  TinyWorkspace workspace;
  Model model = tiny_model();
  model.blocks[1].mlp.modules[2].frozen = true;
  const LoadedVersion back = stored(workspace, model);
  const auto uids = module_uids(back.manifest);
  EXPECT_EQ(std::set<std::string>(uids.begin(), uids.end()).size(), 18U);
  EXPECT_EQ(back.model.blocks[1].mlp.modules[2].uid, model.blocks[1].mlp.modules[2].uid);
  EXPECT_TRUE(back.model.blocks[1].mlp.modules[2].frozen);
  EXPECT_FALSE(back.model.blocks[1].mlp.modules[1].frozen);
}

TEST(VersionStore, NamesTheSameObjectsForTheSameWeights) {
  TinyWorkspace workspace;
  LoadedVersion base = workspace.load();
  EXPECT_EQ(store_model(workspace.registry(), base.model, base.manifest.tokenizer_object), base.manifest);
}

TEST(VersionStore, ChangesOnlyTheObjectOfAPartThatChanged) {
  TinyWorkspace workspace;
  LoadedVersion base = workspace.load();
  Model model = clone(base.model);
  model.blocks[1].att.modules[2].out.add_(1.0);
  Manifest expected = base.manifest;
  const Manifest actual = store_model(workspace.registry(), model, base.manifest.tokenizer_object);
  EXPECT_NE(actual.layers[1].att[2].object_hash, expected.layers[1].att[2].object_hash);
  expected.layers[1].att[2].object_hash = actual.layers[1].att[2].object_hash;
  EXPECT_EQ(actual, expected);
}

TEST(VersionStore, RecordsBirthsOfUnknownModulesOnly) {
  TinyWorkspace workspace;
  LoadedVersion base = workspace.load();
  Module fresh = base.model.blocks[0].mlp.modules[1];
  fresh.uid = "feedfeedfeed";
  base.model.blocks[0].mlp.modules.push_back(fresh);
  const auto born = birth_records(base.model, module_uids(base.manifest), "extend", "de",
                                  [&](Kind, int, std::int64_t) { return base.model.blocks[0].mlp.modules[1].uid; });
  ASSERT_EQ(born.size(), 1U);
  EXPECT_EQ(born[0].uid, "feedfeedfeed");
  EXPECT_EQ(born[0].born_task, "de");
  EXPECT_EQ(born[0].copied_from, base.model.blocks[0].mlp.modules[1].uid);
  const ModuleSelection old = born_by(base.model, base.manifest);
  EXPECT_EQ(old.mlp[0], (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
}

TEST(VersionStore, RefusesAnObjectThatIsMissing) {
  TinyWorkspace workspace;
  const LoadedVersion base = workspace.load();
  std::filesystem::remove(workspace.registry().objects().path(base.manifest.layers[0].mlp[0].object_hash));
  EXPECT_THROW(workspace.load(), Error);
}

TEST(VersionStore, RefusesAnObjectOfAnotherShape) {
  TinyWorkspace workspace;
  LoadedVersion base = workspace.load();
  Model model = clone(base.model);
  model.blocks[0].mlp.modules[0].in = at::zeros({16, 5});
  for (Block& block : model.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (Module& module : block.bank(kind).modules) module.uid.clear();
    }
  }
  expect_error<Error>([&] { stored(workspace, model); }, "do not fit its config");
}

TEST(Commit, KeepsAResultBesideWhenTheModelMovedMeanwhile) {
  TinyWorkspace workspace;
  const LoadedVersion base = workspace.load();
  const auto commit = [&](double change, std::string& said) {
    Session session = workspace.session("train");
    session.watcher.message = [&](const std::string& text) { said = text; };
    Model model = clone(base.model);
    model.ln_f.bias.add_(change);
    const std::int64_t operation = workspace.registry().begin_operation({"train", "{}", 0, "test", "base", {}});
    return commit_model(session, operation, base, model, "");
  };
  std::string said;
  const CommitResult first = commit(1.0, said);
  EXPECT_FALSE(first.kept_beside);
  EXPECT_EQ(to_string(first.version), "base@2");
  EXPECT_EQ(said, "");
  const CommitResult second = commit(2.0, said);
  EXPECT_TRUE(second.kept_beside);
  EXPECT_EQ(to_string(second.version), "base-2@1");
  EXPECT_THAT(said, HasSubstr("base-2"));
  EXPECT_EQ(workspace.registry().resolve("base").hash, first.version.hash);
  EXPECT_TRUE(workspace.load("base-2").model.ln_f.bias.equal(base.model.ln_f.bias + 2.0));
}

TEST(RunOperation, WritesDownHowItEnded) {
  TinyWorkspace workspace;
  const Session session = workspace.session("train");
  const auto outcome = [&] { return workspace.registry().operations(1).at(0); };
  run_operation(session, "base", {}, [](std::int64_t) {});
  EXPECT_EQ(outcome().outcome, Outcome::done);
  EXPECT_THROW(run_operation(session, "base", {}, [](std::int64_t) { throw Error("no luck"); }), Error);
  EXPECT_EQ(outcome().outcome, Outcome::failed);
  EXPECT_EQ(outcome().message, "no luck");
  const auto interrupt = [](std::int64_t) { throw TrainingInterrupted(3, "stopped", ""); };
  EXPECT_THROW(run_operation(session, "base", {}, interrupt), TrainingInterrupted);
  EXPECT_EQ(outcome().outcome, Outcome::interrupted);
}

TEST(OpenTask, NamesATaskAfterItsFolderAndFindsItAgain) {
  TinyWorkspace workspace;
  Session session = workspace.session("task add");
  const TaskData added = workspace.add_task("", sample("german") + "/");
  EXPECT_EQ(added.record.name, "german");
  EXPECT_GT(added.record.token_count, 10000);
  const TaskData found = open_task(session, TinyWorkspace::tokenizer(), "german", "");
  EXPECT_EQ(found.record.content_hash, added.record.content_hash);
  EXPECT_TRUE(found.tokens.reused);
}

TEST(OpenTask, LeavesTheRegistryAlone) {
  TinyWorkspace workspace;
  Session session = workspace.session("eval");
  EXPECT_EQ(open_task(session, TinyWorkspace::tokenizer(), "", sample("german")).record.name, "german");
  EXPECT_TRUE(workspace.registry().tasks().empty());
}

TEST(OpenTask, RefusesNeitherNameNorDataUnknownTasksAndChangedData) {
  TinyWorkspace workspace;
  Session session = workspace.session("eval");
  const auto open = [&](const std::string& name, const std::string& data) {
    return [&, name, data] { open_task(session, TinyWorkspace::tokenizer(), name, data); };
  };
  EXPECT_FALSE(expect_error<UsageError>(open("", ""), "no task and no data").empty());
  expect_error<UsageError>(open("qa", ""), "qa");
  workspace.folder().write("data/a.txt", std::string(3000, 'a'));
  const std::string data = (workspace.folder() / "data").string();
  workspace.add_task("mine", data);
  workspace.folder().write("data/a.txt", std::string(3001, 'b'));
  EXPECT_THAT(expect_error<Error>(open("mine", ""), "is not what is recorded"), HasSubstr("--replace"));
  EXPECT_THAT(expect_error<Error>(open("mine", data), "is not what is recorded"), HasSubstr("--task NAME"));
  EXPECT_NO_THROW(open_task(session, TinyWorkspace::tokenizer(), "mine", data, /*replace=*/true));
  std::string said;
  session.watcher.message = [&](const std::string& text) { said = text; };
  EXPECT_TRUE(readable_tasks(session, TinyWorkspace::tokenizer()).empty());
  EXPECT_THAT(said, HasSubstr("task 'mine' is left out"));
}

TEST(OpenTask, DoesWithoutTheTextWhereTheTokensAreAtHand) {
  TinyWorkspace workspace;
  Session session = workspace.session("eval");
  std::string said;
  session.watcher.message = [&](const std::string& text) { said = text; };
  workspace.folder().write("data/a.txt", std::string(3000, 'a'));
  const std::filesystem::path data = workspace.folder() / "data";
  workspace.add_task("mine", data.string());
  std::filesystem::remove_all(data);
  EXPECT_EQ(open_task(session, TinyWorkspace::tokenizer(), "mine", "").tokens.summary.documents, 1);
  EXPECT_THAT(said, HasSubstr("its tokens are at hand"));
  std::filesystem::remove_all(workspace.registry().folder() / "cache");
  const auto open = [&] { open_task(session, TinyWorkspace::tokenizer(), "mine", ""); };
  EXPECT_THAT(expect_error<Error>(open, "there is no data at"), HasSubstr("mformer task move mine --data DIR"));
}

TEST(OpenTask, NamesATaskAfterTheFolderOrTheFileWithoutItsEnding) {
  TinyWorkspace workspace;
  Session session = workspace.session("eval");
  const auto name_of = [&](const std::string& path) {
    workspace.folder().write(path, "some text");
    const std::string data = (workspace.folder() / path).string();
    return open_task(session, TinyWorkspace::tokenizer(), "", data).record.name;
  };
  EXPECT_EQ(name_of("notes.txt"), "notes");
  EXPECT_EQ(name_of("notes.v2.txt"), "notes.v2");
  EXPECT_EQ(name_of("release-1.5"), "release-1.5") << "a file without an ending";
  workspace.folder().write("corpus-1.5/a.txt", "some text");
  workspace.folder().write("my data/a.txt", "some text");
  const auto name_of_folder = [&](const std::string& path) {
    return open_task(session, TinyWorkspace::tokenizer(), "", (workspace.folder() / path).string()).record.name;
  };
  EXPECT_EQ(name_of_folder("corpus-1.5"), "corpus-1.5");
  EXPECT_EQ(name_of_folder("corpus-1.5/"), "corpus-1.5");
  EXPECT_EQ(name_of_folder("my data/../corpus-1.5/."), "corpus-1.5");
  EXPECT_EQ(name_of_folder("my data"), "my data");
}

TEST(Scored, MeasuresOnceForEachNumberOfTokens) {
  TinyWorkspace workspace;
  Session session = workspace.session("eval");
  const TaskData task = workspace.add_task("", workspace.corpus("german"));
  const LoadedVersion base = workspace.load();
  const auto first = scored(session, base.record.hash, base.model, task, 500);
  const Model other = tiny_model(base.model.config, 99);  // gives itself away if it is asked
  EXPECT_EQ(scored(session, base.record.hash, other, task, 500)->loss, first->loss);
  EXPECT_EQ(scored(session, base.record.hash, other, task, 500)->tokens, first->tokens);
  EXPECT_NE(scored(session, base.record.hash, other, task, 1000)->loss, first->loss);
  EXPECT_EQ(workspace.registry().scores(base.record.hash, "german").size(), 2U);
}

TEST(RunFolderTest, IsTheSameForTheSameRunOnly) {
  TinyWorkspace workspace;
  const auto path = [](const Session& session, const RunIdentity& identity) {
    return RunFolder(session, identity, false).path();
  };
  const Session train = workspace.session("train");
  const auto folder = path(train, {"v", "c", "o"});
  EXPECT_EQ(path(workspace.session("train"), {"v", "c", "o"}), folder);
  EXPECT_NE(path(workspace.session("train", 2), {"v", "c", "o"}), folder);
  EXPECT_NE(path(workspace.session("extend"), {"v", "c", "o"}), folder);
  Session newer = workspace.session("train"), otherwise = workspace.session("train");
  newer.code_version = "another";
  EXPECT_NE(path(newer, {"v", "c", "o"}), folder);
  otherwise.arguments_json = "{}";
  EXPECT_NE(path(otherwise, {"v", "c", "o"}), folder);
  for (const RunIdentity& identity :
       {RunIdentity{"w", "c", "o"}, RunIdentity{"v", "d", "o"}, RunIdentity{"v", "c", "p"}, RunIdentity{"vc", "", "o"},
        RunIdentity{"v", "", "co"}}) {
    EXPECT_NE(path(train, identity), folder);
  }
}

TEST(RunFolderTest, BelongsToOneProcessAtATime) {
  TinyWorkspace workspace;
  const Session session = workspace.session("train");
  const RunIdentity identity{"v", "c", ""};
  const auto path = [&] {
    const RunFolder first(session, identity, false);
    std::ofstream(first.path() / "snapshot.safetensors") << "x";
    for (const bool restart : {false, true}) {
      expect_error<Error>([&] { RunFolder(session, identity, restart); }, "at work on this very run");
    }
    EXPECT_TRUE(std::filesystem::exists(first.path() / "snapshot.safetensors")) << "--restart of another process";
    return first.path();
  }();
  RunFolder(session, identity, false);
  EXPECT_TRUE(std::filesystem::exists(path / "snapshot.safetensors"));
  RunFolder(session, identity, true);
  EXPECT_FALSE(std::filesystem::exists(path / "snapshot.safetensors")) << "--restart";
}

}  // namespace
}  // namespace mformer
