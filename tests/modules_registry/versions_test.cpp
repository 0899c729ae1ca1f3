#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include <cctype>

#include "modules_registry/manifest.h"
#include "registry_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class VersionsTest : public RegistryTest {
 protected:
  VersionRecord make_base() { return commit_now(registry_, new_model(registry_, "base", "x"), "init").version; }

  /// A version of "base" whose only change is the text of its configuration.
  VersionRecord step(const std::string& config) {
    Commit commit = next_commit(registry_, "base");
    commit.manifest.config_json = config;
    return commit_now(registry_, commit).version;
  }

  std::string refusal(const Commit& commit) {
    const size_t models = registry_.models().size();
    std::string message = error_of([&] { commit_now(registry_, commit); });
    EXPECT_EQ(registry_.models().size(), models);
    EXPECT_THAT(registry_.fsck(), IsEmpty());
    return message;
  }
};

TEST_F(VersionsTest, TheManifestReadsBackAsItWasCommitted) {
  Commit commit = new_model(registry_, "base", "x", 3, 4);
  commit.manifest.tokenizer_object = registry_.objects().put(as_bytes("tokenizer"));
  commit.manifest.layers[1].mlp[2].frozen = true;
  commit.manifest.layers[2].att.pop_back();
  commit.new_modules.clear();
  for (const auto& [layer, kind] :
       {std::pair(0, Kind::att), {0, Kind::mlp}, {1, Kind::att}, {1, Kind::mlp}, {2, Kind::att}, {2, Kind::mlp}}) {
    for (const ManifestModule& module : commit.manifest.layers[static_cast<size_t>(layer)].modules(kind)) {
      commit.new_modules.push_back({module.uid, kind, layer, 0, "init", "", "", 0});
    }
  }
  const VersionRecord version = commit_now(registry_, commit).version;
  EXPECT_EQ(registry_.manifest(version.hash), commit.manifest);
  EXPECT_EQ(version.content_hash, content_hash(commit.manifest));
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(VersionsTest, WhatAVersionHasLikeItsParentIsStoredOnce) {
  SQLite::Database db((registry_.folder() / "registry.db").string());
  const auto rows = [&](const std::string& table) { return db.execAndGet("SELECT count(*) FROM " + table).getInt(); };
  make_base();
  EXPECT_EQ(rows("banks"), 4);  // two layers
  EXPECT_EQ(rows("parts"), 3);
  step("{}");
  Commit commit = next_commit(registry_, "base");
  commit.manifest.layers[0].att_router = registry_.objects().put(as_bytes("another router"));
  commit_now(registry_, commit);
  EXPECT_EQ(rows("banks"), 4) << "a router is the version's own";
  commit.manifest.layers[1].mlp[1].object_hash = registry_.objects().put(as_bytes("trained"));
  commit.manifest.layers[0].att[0].frozen = true;
  commit.parent = commit.expected_current = registry_.model("base").current_version;
  const VersionRecord last = commit_now(registry_, commit).version;
  EXPECT_EQ(rows("banks"), 6);
  EXPECT_EQ(rows("bank_modules"), 4 * 2 + 2 * 2);
  EXPECT_EQ(rows("parts"), 3);
  EXPECT_EQ(registry_.manifest(last.hash), commit.manifest);
  EXPECT_EQ(registry_.revisions(commit.manifest.layers[1].mlp[1].uid).back().parent_id, 8) << "its first weights";
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(VersionsTest, ACommitMovesTheModelAndEndsTheOperation) {
  const VersionRecord first = make_base();
  const VersionRecord second = step("{}");
  EXPECT_EQ(to_string(first), "base@1");
  EXPECT_EQ(to_string(second), "base@2");
  EXPECT_EQ(second.parent, first.hash);
  EXPECT_EQ(registry_.model("base").current_version, second.hash);
  EXPECT_EQ(registry_.model("base").version_count, 2);
  EXPECT_EQ(registry_.versions("base").size(), 2U);
  const OperationRecord operation = registry_.operation(second.operation_id);
  EXPECT_EQ(operation.outcome, Outcome::done);
  EXPECT_EQ(operation.version_before, first.hash);
  EXPECT_EQ(operation.version_after, second.hash);
}

TEST_F(VersionsTest, TheSameWeightsTwiceAreTwoVersionsOfOneContent) {
  make_base();
  const VersionRecord one = commit_now(registry_, next_commit(registry_, "base")).version;
  const VersionRecord two = commit_now(registry_, next_commit(registry_, "base")).version;
  EXPECT_NE(one.hash, two.hash);
  EXPECT_EQ(one.content_hash, two.content_hash);
}

TEST_F(VersionsTest, TheFirstModelIsTheCurrentOneUntilAnotherIsChosen) {
  make_base();
  commit_now(registry_, new_model(registry_, "other", "y"));
  EXPECT_EQ(registry_.current_model(), "base");
  registry_.set_current_model("other");
  EXPECT_EQ(registry_.current_model(), "other");
  EXPECT_THAT(error_of([&] { registry_.set_current_model("othr"); }), HasSubstr("did you mean 'other'?"));
  EXPECT_EQ(registry_.current_model(), "other");
}

TEST_F(VersionsTest, AModelDerivedFromAnotherHasItsVersionAsParent) {
  const VersionRecord base = make_base();
  Commit commit = next_commit(registry_, "base");
  commit.model = "small";
  commit.expected_current = "";
  const VersionRecord small = commit_now(registry_, commit, "prune").version;
  EXPECT_EQ(to_string(small), "small@1");
  EXPECT_EQ(small.parent, base.hash);
  EXPECT_EQ(registry_.model("base").current_version, base.hash);
  EXPECT_TRUE(registry_.is_ancestor(base.hash, small.hash));
}

TEST_F(VersionsTest, AResultThatComesTooLateIsKeptBeside) {
  make_base();
  const Commit late = next_commit(registry_, "base");
  const VersionRecord winner = step("{}");
  const CommitResult beside = commit_now(registry_, late);
  EXPECT_TRUE(beside.kept_beside);
  EXPECT_EQ(to_string(beside.version), "base-2@1");
  EXPECT_EQ(registry_.model("base").current_version, winner.hash);
  EXPECT_EQ(registry_.manifest(beside.version.hash), late.manifest);
  EXPECT_EQ(commit_now(registry_, late).version.model, "base-3") << "the next free name";
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(VersionsTest, ANewModelWhoseNameWasTakenMeanwhileIsKeptBeside) {
  const Commit late = new_model(registry_, "base", "y");
  make_base();
  EXPECT_EQ(commit_now(registry_, late).version.model, "base-2");
}

TEST_F(VersionsTest, UndoRestoresAndIsItselfAnOperation) {
  const VersionRecord first = make_base();
  const VersionRecord second = step("{}");
  OperationStart start;
  start.command = "undo";
  start.model = "base";
  const std::int64_t undo = registry_.begin_operation(start);
  registry_.move_model(undo, "base", second.hash, first.hash, "undid 2");
  EXPECT_EQ(registry_.resolve("base").hash, first.hash);
  EXPECT_EQ(registry_.operation(undo).version_before, second.hash);
  EXPECT_EQ(registry_.operation(undo).version_after, first.hash);
  EXPECT_EQ(registry_.operation(undo).outcome, Outcome::done);
  EXPECT_EQ(registry_.resolve("base@2").hash, second.hash) << "nothing is lost";
  EXPECT_EQ(step("[]").number, 3) << "numbers are never used twice";
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(VersionsTest, AMoveFromWhereTheModelNoLongerStandsIsRefused) {
  const VersionRecord first = make_base(), seen = step("{}");
  OperationStart start;
  start.model = "base";
  const std::int64_t early = registry_.begin_operation(start);
  const VersionRecord winner = step("[]");
  // An operation that begins only after the other command has moved the model has seen no more of that move.
  for (const std::int64_t undo : {early, registry_.begin_operation(start)}) {
    EXPECT_THAT(error_of([&] { registry_.move_model(undo, "base", seen.hash, first.hash); }), HasSubstr("meanwhile"));
    EXPECT_EQ(registry_.resolve("base").hash, winner.hash);
    EXPECT_EQ(registry_.operation(undo).outcome, Outcome::running) << "the caller ends it as failed";
  }
}

TEST_F(VersionsTest, AnObjectThatIsNotThereRefusesTheCommit) {
  Commit commit = new_model(registry_, "base", "x");
  registry_.objects().remove(commit.manifest.layers[1].mlp[0].object_hash);
  EXPECT_THAT(refusal(commit), HasSubstr("is missing"));
  commit.manifest.layers[1].mlp[0].object_hash = "";
  EXPECT_THAT(refusal(commit), HasSubstr("not an object hash"));
}

TEST_F(VersionsTest, AManifestThatContradictsItselfIsRefused) {
  const Commit good = new_model(registry_, "base", "x");
  Commit twice = good;
  twice.manifest.parts.push_back(twice.manifest.parts[0]);
  EXPECT_THAT(refusal(twice), HasSubstr("the part 'wte' twice"));
  twice = good;
  twice.manifest.layers[1].att.push_back(twice.manifest.layers[1].att[0]);
  EXPECT_THAT(refusal(twice), HasSubstr("twice"));
  Commit unknown = good;
  unknown.new_modules.pop_back();
  EXPECT_THAT(refusal(unknown), HasSubstr("neither known nor among the new ones"));
  Commit unused = good;
  unused.manifest.layers[0].att.pop_back();
  EXPECT_THAT(refusal(unused), HasSubstr("is new, but not in the manifest"));
  Commit displaced = good;
  std::swap(displaced.manifest.layers[0].att[0], displaced.manifest.layers[1].att[0]);
  EXPECT_THAT(refusal(displaced), HasSubstr("belongs to layer"));
}

TEST_F(VersionsTest, UnknownParentsModelsAndNamesAreRefused) {
  Commit commit = new_model(registry_, "base", "x");
  commit.parent = std::string(64, '0');
  EXPECT_THAT(refusal(commit), HasSubstr("no version 000"));
  commit.parent = "";
  commit.expected_current = std::string(64, '0');
  EXPECT_THAT(refusal(commit), HasSubstr("no model 'base'"));
  commit.expected_current = "";
  commit.model = "a@b";
  EXPECT_THAT(refusal(commit), HasSubstr("can't be the name of a model"));
}

TEST_F(VersionsTest, AnOperationMakesOneVersionOnly) {
  const VersionRecord made = make_base();
  Commit commit = next_commit(registry_, "base");
  commit.operation_id = made.operation_id;
  EXPECT_THAT(error_of([&] { registry_.commit_version(commit); }), HasSubstr("has ended already (done)"));
  EXPECT_EQ(registry_.versions("base").size(), 1U);
}

TEST_F(VersionsTest, SizesCountEveryObjectOnce) {
  const VersionRecord first = make_base();
  std::int64_t bytes = 0;
  for (const std::string& hash : registry_.objects().list()) bytes += registry_.objects().size(hash);
  EXPECT_EQ(registry_.version_bytes(first.hash), bytes);
  SQLite::Database db((registry_.folder() / "registry.db").string());
  SQLite::Statement plan(db, "EXPLAIN QUERY PLAN SELECT object_hash FROM version_objects WHERE version_hash = 'x'");
  while (plan.executeStep()) {
    EXPECT_THAT(plan.getColumn(3).getString(), AllOf(Not(HasSubstr("SCAN")), Not(HasSubstr("MATERIALIZE"))))
        << "the time must not grow with the number of versions";
  }
  EXPECT_EQ(registry_.added_bytes(first.hash), bytes);

  Commit commit = next_commit(registry_, "base");
  commit.manifest.parts[0].object_hash = registry_.objects().put(as_bytes("12345"));
  commit.manifest.parts[1].object_hash = commit.manifest.parts[0].object_hash;
  const VersionRecord second = commit_now(registry_, commit).version;
  EXPECT_EQ(registry_.added_bytes(second.hash), 5);
  EXPECT_EQ(registry_.added_bytes(step("{}").hash), 0);
}

TEST_F(VersionsTest, AllVersionsAreListedAsTheyWereMadeThoseOfRemovedModelsToo) {
  const VersionRecord first = make_base();
  const VersionRecord other = commit_now(registry_, new_model(registry_, "other", "y"), "init").version;
  const VersionRecord last = step("{}");
  OperationStart removal;
  removal.command = "model remove";
  registry_.remove(registry_.begin_operation(removal), Thing::model, "other");
  std::vector<std::string> hashes;
  for (const VersionRecord& version : registry_.all_versions()) hashes.push_back(version.hash);
  EXPECT_THAT(hashes, ElementsAre(first.hash, other.hash, last.hash));
  EXPECT_TRUE(registry_.all_versions()[1].removed);
}

TEST_F(VersionsTest, BeginningsOfHashesAndIdentitiesFindWhatBeginsSo) {
  const VersionRecord version = make_base();
  std::string capital = version.hash.substr(0, 8);
  for (char& c : capital) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const std::string& prefix : {version.hash, version.hash.substr(0, 8), capital}) {
    const std::vector<VersionRecord> found = registry_.versions_that_begin(prefix);
    ASSERT_EQ(found.size(), 1U) << prefix;
    EXPECT_EQ(found[0].hash, version.hash);
  }
  for (const char* none : {"", "abc", "base", "12 4", "%%%%"}) {
    EXPECT_THAT(registry_.versions_that_begin(none), IsEmpty()) << none;
  }
  const std::string uid = registry_.modules(version.hash).front().uid;
  EXPECT_THAT(registry_.modules_that_begin(uid.substr(0, 11), 9), Contains(uid));
  EXPECT_EQ(registry_.modules_that_begin("", 3).size(), 3U);
  EXPECT_THAT(registry_.modules_that_begin("g", 3), IsEmpty());
}

TEST_F(VersionsTest, AnObjectHasItsBytesAndAnUnknownOneNone) {
  const VersionRecord version = make_base();
  const std::string object = registry_.manifest(version.hash).layers[0].att[0].object_hash;
  EXPECT_EQ(registry_.object_bytes(object), registry_.objects().size(object));
  EXPECT_EQ(registry_.object_bytes(std::string(64, '0')), 0);
}

TEST_F(VersionsTest, AncestryFollowsParentsOnly) {
  const VersionRecord first = make_base();
  const VersionRecord second = step("{}");
  const VersionRecord third = step("[]");
  const VersionRecord other = commit_now(registry_, new_model(registry_, "other", "y")).version;
  EXPECT_TRUE(registry_.is_ancestor(first.hash, third.hash));
  EXPECT_TRUE(registry_.is_ancestor(second.hash, second.hash));
  EXPECT_FALSE(registry_.is_ancestor(third.hash, first.hash));
  EXPECT_FALSE(registry_.is_ancestor(first.hash, other.hash));
  EXPECT_THROW(registry_.is_ancestor("?", first.hash), UsageError);
}

}  // namespace
}  // namespace mformer::testing
