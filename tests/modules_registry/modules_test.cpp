#include <gmock/gmock.h>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ModulesTest : public RegistryTest {
 protected:
  void SetUp() override { base_ = commit_now(registry_, new_model(registry_, "base", "x"), "init").version; }

  VersionRecord extend(const std::string& seed) {
    Commit commit = next_commit(registry_, "base");
    add_modules(registry_, commit, seed);
    return commit_now(registry_, commit, "extend").version;
  }

  /// A version in which the first expert of layer 0 has these weights.
  VersionRecord tune(const std::string& weights) {
    Commit commit = next_commit(registry_, "base");
    commit.manifest.layers[0].mlp[0].object_hash = registry_.objects().put(as_bytes(weights));
    return commit_now(registry_, commit, "finetune").version;
  }

  std::string first_expert() const { return registry_.manifest(base_.hash).layers[0].mlp[0].uid; }

  VersionRecord base_;
};

TEST_F(ModulesTest, AModuleRemembersItsBirth) {
  Commit commit = next_commit(registry_, "base");
  add_modules(registry_, commit, "de");
  ModuleRecord& born = commit.new_modules[1];
  born.born_command = "extend";
  born.born_task = "de";
  born.copied_from = first_expert();
  const VersionRecord made = commit_now(registry_, commit).version;
  const ModuleRecord module = registry_.module(born.uid);
  EXPECT_EQ(module.kind, Kind::mlp);
  EXPECT_EQ(module.layer, 0);
  EXPECT_EQ(module.born_operation, made.operation_id);
  EXPECT_EQ(module.born_command, "extend");
  EXPECT_EQ(module.born_task, "de");
  EXPECT_EQ(module.copied_from, first_expert());
  EXPECT_GT(module.created_ms, 0);
  EXPECT_THAT(error_of([&] { registry_.module("ffff"); }), HasSubstr("no module 'ffff'"));
}

TEST_F(ModulesTest, ExtendingLeavesOldModulesAndTheirRevisionsUntouched) {
  const Manifest before = registry_.manifest(base_.hash);
  const VersionRecord extended = extend("de");
  const Manifest after = registry_.manifest(extended.hash);
  EXPECT_EQ(registry_.manifest(base_.hash), before) << "the old version itself stays";
  for (size_t layer = 0; layer < before.layers.size(); ++layer) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto& old_modules = before.layers[layer].modules(kind);
      const auto& new_modules = after.layers[layer].modules(kind);
      ASSERT_EQ(new_modules.size(), old_modules.size() + 1);
      for (size_t i = 0; i < old_modules.size(); ++i) {
        EXPECT_EQ(new_modules[i], old_modules[i]);
        EXPECT_EQ(registry_.revisions(old_modules[i].uid).size(), 1U);
      }
    }
  }
}

TEST_F(ModulesTest, BornAfterIsWhatTheEarlierVersionLacks) {
  const VersionRecord extended = extend("de");
  const auto born = registry_.born_after(base_.hash, extended.hash);
  EXPECT_EQ(born.size(), 4U);
  for (const ModuleRecord& module : registry_.modules(extended.hash)) {
    EXPECT_EQ(born.contains(module.uid), module.born_operation == extended.operation_id);
  }
  EXPECT_THAT(registry_.born_after(extended.hash, base_.hash), IsEmpty());
  EXPECT_THAT(registry_.born_after(base_.hash, base_.hash), IsEmpty());
}

TEST_F(ModulesTest, RevisionsFormALineage) {
  const VersionRecord second = tune("weights 2");
  const VersionRecord third = tune("weights 3");
  const std::vector<Revision> line = registry_.revisions(first_expert());
  ASSERT_EQ(line.size(), 3U);
  EXPECT_EQ(line[0].parent_id, 0);
  EXPECT_EQ(line[1].parent_id, line[0].id);
  EXPECT_EQ(line[2].parent_id, line[1].id);
  EXPECT_EQ(line[1].operation_id, second.operation_id);
  EXPECT_EQ(line[2].operation_id, third.operation_id);
  EXPECT_EQ(line[2].object_hash, sha256_hex(std::string_view("weights 3")));
}

TEST_F(ModulesTest, ARevisionsParentIsTheOneInTheParentVersionNotTheLatest) {
  tune("weights 2");
  Commit beside = next_commit(registry_, "base");
  beside.model = "other";
  beside.expected_current = "";
  beside.parent = base_.hash;
  beside.manifest = registry_.manifest(base_.hash);
  beside.manifest.layers[0].mlp[0].object_hash = registry_.objects().put(as_bytes("weights 2b"));
  commit_now(registry_, beside);
  const std::vector<Revision> line = registry_.revisions(first_expert());
  ASSERT_EQ(line.size(), 3U);
  EXPECT_EQ(line[2].parent_id, line[0].id);
}

TEST_F(ModulesTest, KnownWeightsMakeNoNewRevision) {
  tune("weights 2");
  tune("x.0.mlp.0");
  EXPECT_EQ(registry_.revisions(first_expert()).size(), 2U);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(ModulesTest, FreezingIsAVersionWithoutNewBytesOrRevisions) {
  Commit commit = next_commit(registry_, "base");
  commit.manifest.layers[0].mlp[0].frozen = true;
  const VersionRecord frozen = commit_now(registry_, commit, "freeze").version;
  EXPECT_EQ(registry_.added_bytes(frozen.hash), 0);
  EXPECT_EQ(registry_.revisions(first_expert()).size(), 1U);
  EXPECT_TRUE(registry_.manifest(frozen.hash).layers[0].mlp[0].frozen);
  EXPECT_FALSE(registry_.manifest(base_.hash).layers[0].mlp[0].frozen);
  EXPECT_NE(frozen.content_hash, base_.content_hash);
}

TEST_F(ModulesTest, ModulesOfAVersionComeInTheRoutersOrder) {
  const VersionRecord extended = extend("de");
  const std::vector<ModuleRecord> modules = registry_.modules(extended.hash);
  const Manifest manifest = registry_.manifest(extended.hash);
  size_t next = 0;
  for (const LayerManifest& layer : manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const ManifestModule& module : layer.modules(kind)) EXPECT_EQ(modules.at(next++).uid, module.uid);
    }
  }
  EXPECT_EQ(next, modules.size());
}

TEST_F(ModulesTest, AModuleComesBackFromAnExportWithItsOldIdentity) {
  Commit again = next_commit(registry_, "base");
  again.model = "imported";
  again.parent = again.expected_current = "";
  const ModuleRecord before = registry_.module(first_expert());
  for (ModuleRecord module : registry_.modules(base_.hash)) {
    module.born_command = "import";  // what the export says of its birth counts only where it is not known yet
    again.new_modules.push_back(module);
  }
  commit_now(registry_, again, "import");
  const ModuleRecord after = registry_.module(first_expert());
  EXPECT_EQ(after.born_operation, base_.operation_id) << "born once";
  EXPECT_EQ(after.born_command, before.born_command);
  EXPECT_EQ(after.created_ms, before.created_ms);

  again.model = "lying";
  again.new_modules[0].layer = 1;
  EXPECT_THAT(error_of([&] { commit_now(registry_, again, "import"); }), HasSubstr("layer"));
}

}  // namespace
}  // namespace mformer::testing
