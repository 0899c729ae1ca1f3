#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <random>
#include <thread>

#include "modules_registry/printable.h"
#include "modules_registry/shell_word.h"
#include "registry_fixture.h"

namespace mformer::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NamesTest : public RegistryTest {
 protected:
  void SetUp() override {
    first_ = commit_now(registry_, new_model(registry_, "base", "x"), "init").version.hash;
    add_task("qa", "hash 1");
    score("qa", first_, 1.5);
  }

  void add_task(const std::string& name, const std::string& content, bool replace = false) {
    TaskRecord task;
    task.name = name;
    task.data_path = "/data/" + name;
    task.content_hash = content;
    task.heldout_rule = "rule";
    task.created_operation = begin("task add");
    registry_.add_task(task, replace, task.created_operation);
  }

  void score(const std::string& task, const std::string& version, double value) {
    registry_.put_score({version, task, "held_out", "loss@0", value, 10, 0, 0});
  }

  std::int64_t begin(const std::string& command, const std::string& model = "") {
    OperationStart start;
    start.command = command;
    start.model = model;
    return registry_.begin_operation(start);
  }

  /// Runs `work` with an operation that has ended in any case.
  void in_operation(const std::string& command, const std::string& model,
                    const std::function<void(std::int64_t)>& work) {
    const std::int64_t id = begin(command, model);
    try {
      work(id);
    } catch (const Error&) {
      registry_.finish_operation(id, Outcome::failed);
      throw;
    }
  }
  void rename(Thing thing, const std::string& from, const std::string& to) {
    in_operation("rename", thing == Thing::model ? from : "",
                 [&](std::int64_t id) { registry_.rename(id, thing, from, to); });
  }
  void remove(Thing thing, const std::string& name) {
    in_operation("remove", thing == Thing::model ? name : "",
                 [&](std::int64_t id) { registry_.remove(id, thing, name); });
  }
  void tag(const std::string& name, const std::string& version) {
    in_operation("tag", "", [&](std::int64_t id) { registry_.make_tag(id, name, version); });
  }
  /// Takes the newest change of a name back.
  void undo(const std::string& model = "") {
    const auto change = registry_.last_name_change(model);
    ASSERT_TRUE(change.has_value());
    in_operation("undo", "", [&](std::int64_t id) { registry_.take_back(id, change->operation_id); });
  }

  /// A second model with a version of its own on top of base's, and new modules.
  std::string second_model(const std::string& name) {
    Commit commit = next_commit(registry_, "base");
    add_modules(registry_, commit, name);
    commit.model = name;
    commit.expected_current = "";
    return commit_now(registry_, commit, "extend").version.hash;
  }

  std::vector<std::string> models() const {
    std::vector<std::string> names;
    for (const ModelRecord& model : registry_.models()) names.push_back(model.name);
    return names;
  }
  std::vector<std::string> tasks() const {
    std::vector<std::string> names;
    for (const TaskRecord& task : registry_.tasks()) names.push_back(task.name);
    return names;
  }

  std::string first_;
};

TEST_F(NamesTest, ARenamedTaskKeepsItsScoresAndStatistics) {
  rename(Thing::task, "qa", "questions");
  EXPECT_THAT(tasks(), ElementsAre("questions"));
  ASSERT_EQ(registry_.scores(first_, "questions").size(), 1U);
  EXPECT_EQ(registry_.scores(first_, "questions")[0].value, 1.5);
  EXPECT_THROW(registry_.task("qa"), UsageError);
  undo();
  EXPECT_THAT(tasks(), ElementsAre("qa"));
  EXPECT_EQ(registry_.scores(first_, "qa").size(), 1U);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, ARemovedTaskIsOutOfSightUntilItIsTakenBackWithItsScores) {
  remove(Thing::task, "qa");
  EXPECT_THAT(tasks(), IsEmpty());
  EXPECT_FALSE(registry_.has_task("qa"));
  EXPECT_THAT(registry_.scores(), IsEmpty());
  EXPECT_THROW(registry_.task("qa"), UsageError);
  undo();
  EXPECT_THAT(tasks(), ElementsAre("qa"));
  EXPECT_EQ(registry_.scores(first_, "qa").at(0).value, 1.5) << "bit for bit";
  EXPECT_FALSE(registry_.last_name_change().has_value()) << "taken back once";
}

TEST_F(NamesTest, ReplacedDataComesBackWithItsScores) {
  add_task("qa", "hash 2", true);
  EXPECT_THAT(registry_.scores(), IsEmpty());
  score("qa", first_, 2.5);
  undo();
  EXPECT_EQ(registry_.task("qa").content_hash, "hash 1");
  EXPECT_EQ(registry_.scores().at(0).value, 1.5);
  EXPECT_EQ(registry_.scores().size(), 1U) << "the replacement's are out of sight in their turn";
  EXPECT_EQ(registry_.gc(false, 0).tasks, 1);
  EXPECT_EQ(registry_.task("qa").content_hash, "hash 1");
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, AMovedTaskGoesBackToItsPath) {
  registry_.move_task(begin("task move"), "qa", "/elsewhere/qa");
  EXPECT_EQ(registry_.task("qa").data_path, "/elsewhere/qa");
  undo();
  EXPECT_EQ(registry_.task("qa").data_path, "/data/qa");
}

TEST_F(NamesTest, ChangesAreTakenBackNewestFirst) {
  rename(Thing::task, "qa", "b");
  rename(Thing::task, "b", "c");
  remove(Thing::task, "c");
  for (const char* expected : {"c", "b", "qa"}) {
    undo();
    EXPECT_THAT(tasks(), ElementsAre(expected));
  }
  EXPECT_THAT(error_of([&] { registry_.take_back(begin("undo"), 3); }), HasSubstr("taken back already"));
}

TEST_F(NamesTest, WhatATaskWasCalledIsFollowedToItsNameNow) {
  const std::int64_t then = begin("train");
  registry_.finish_operation(then, Outcome::done);
  rename(Thing::task, "qa", "b");
  rename(Thing::task, "b", "c");
  add_task("qa", "hash 9");
  EXPECT_EQ(registry_.task_name_now("qa", then), "c");
  const std::int64_t later = begin("train");
  registry_.finish_operation(later, Outcome::done);
  EXPECT_EQ(registry_.task_name_now("qa", later), "qa");
  remove(Thing::task, "c");
  EXPECT_FALSE(registry_.has_task(registry_.task_name_now("qa", then)));
  undo();
  EXPECT_EQ(registry_.task_name_now("qa", then), "c");
}

TEST_F(NamesTest, ARenamedModelTakesItsVersionsAndStaysTheCurrentOne) {
  commit_now(registry_, next_commit(registry_, "base"));
  rename(Thing::model, "base", "english");
  EXPECT_EQ(registry_.current_model(), "english");
  EXPECT_EQ(to_string(registry_.resolve("")), "english@2");
  EXPECT_EQ(registry_.resolve("english@1").hash, first_);
  EXPECT_THROW(registry_.resolve("base@1"), UsageError);
  undo();
  EXPECT_EQ(to_string(registry_.resolve("")), "base@2");
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, ARemovedModelIsNamedByItsHashAloneAndComesBack) {
  const std::string second = second_model("tuned");
  remove(Thing::model, "tuned");
  EXPECT_THAT(models(), ElementsAre("base"));
  for (const char* ref : {"tuned", "tuned@1", "tuned (removed 6)"}) {
    EXPECT_THROW(registry_.resolve(ref), UsageError) << ref;
  }
  const VersionRecord version = registry_.resolve(second.substr(0, 12));
  EXPECT_TRUE(version.removed);
  EXPECT_EQ(version.model, "tuned");
  EXPECT_EQ(registry_.resolve(to_string(version)).hash, second) << "a reference that works";
  undo();
  EXPECT_THAT(models(), ElementsAre("base", "tuned"));
  EXPECT_EQ(registry_.resolve("tuned@1").hash, second);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, TheCurrentModelStays) {
  EXPECT_THAT(error_of([&] { remove(Thing::model, "base"); }), AllOf(HasSubstr("only model"), HasSubstr("init")));
  second_model("tuned");
  EXPECT_THAT(error_of([&] { remove(Thing::model, "base"); }), AllOf(HasSubstr("current"), HasSubstr("mformer use")));
  registry_.set_current_model("tuned");
  remove(Thing::model, "base");
  EXPECT_THAT(models(), ElementsAre("tuned"));
}

TEST_F(NamesTest, WhatARunningCommandUsesStaysAsItIs) {
  second_model("tuned");
  OperationStart start;
  start.command = "finetune";
  start.model = "tuned";
  start.data = {{"train", "qa", "/data/qa", "hash 1"}};
  const std::int64_t running = registry_.begin_operation(start);
  for (const auto& attempt : std::vector<std::function<void()>>{
           [&] { remove(Thing::model, "tuned"); }, [&] { rename(Thing::model, "tuned", "other"); },
           [&] { remove(Thing::task, "qa"); }, [&] { rename(Thing::task, "qa", "other"); }}) {
    EXPECT_THAT(error_of(attempt), HasSubstr("in use: finetune"));
  }
  registry_.finish_operation(running, Outcome::failed);
  rename(Thing::model, "tuned", "other");
  rename(Thing::task, "qa", "other");
}

TEST_F(NamesTest, ANameThatIsTakenOrCantBeOneIsRefused) {
  second_model("tuned");
  tag("release", first_);
  for (const char* taken : {"tuned", "release"}) {
    EXPECT_THAT(error_of([&] { rename(Thing::model, "base", taken); }), HasSubstr("already")) << taken;
    EXPECT_THAT(error_of([&] { tag(taken, first_); }), HasSubstr("already")) << taken;
  }
  EXPECT_THAT(error_of([&] { rename(Thing::model, "base", "a@1"); }), HasSubstr("can't be the name"));
  EXPECT_THAT(error_of([&] { rename(Thing::task, "qa", ""); }), HasSubstr("can't be the name"));
  EXPECT_THAT(error_of([&] { rename(Thing::task, "qaa", "b"); }), HasSubstr("did you mean 'qa'"));
  EXPECT_THAT(error_of([&] { remove(Thing::model, "tune"); }), HasSubstr("did you mean 'tuned'"));
  EXPECT_THAT(models(), ElementsAre("base", "tuned"));
}

TEST_F(NamesTest, ATakenBackNameMustBeFree) {
  remove(Thing::task, "qa");
  add_task("qa", "hash 2");
  EXPECT_THAT(error_of([&] { undo(); }), HasSubstr("'qa' already"));
  EXPECT_EQ(registry_.task("qa").content_hash, "hash 2");
  rename(Thing::task, "qa", "other");
  undo();
  EXPECT_EQ(registry_.task("qa").content_hash, "hash 2") << "the rename was newer";
}

TEST_F(NamesTest, ATagNeverMovesAndEveryReferenceUnderstandsIt) {
  tag("release", first_);
  commit_now(registry_, next_commit(registry_, "base"));
  EXPECT_EQ(registry_.resolve("release").hash, first_);
  EXPECT_EQ(registry_.tags().at(0).name, "release");
  EXPECT_THAT(error_of([&] { registry_.resolve("releas"); }), HasSubstr("did you mean 'release'"));
  EXPECT_THAT(error_of([&] { registry_.set_current_model("release"); }), HasSubstr("is a tag"));
  remove(Thing::tag, "release");
  EXPECT_THROW(registry_.resolve("release"), UsageError);
  undo();
  EXPECT_EQ(registry_.resolve("release").hash, first_);
  undo();
  EXPECT_THAT(registry_.tags(), IsEmpty()) << "and once more: as before it was made";
}

TEST_F(NamesTest, ANewModelCantHaveATagsName) {
  tag("release", first_);
  EXPECT_THAT(error_of([&] { begin("extend", "release"); }), HasSubstr("is a tag"));
}

TEST_F(NamesTest, UndoOfOneModelLeavesOtherNamesAlone) {
  second_model("tuned");
  rename(Thing::model, "tuned", "fine");
  rename(Thing::task, "qa", "b");
  undo("fine");
  EXPECT_THAT(models(), ElementsAre("base", "tuned"));
  EXPECT_THAT(tasks(), ElementsAre("b"));
  remove(Thing::model, "tuned");
  undo("tuned");
  EXPECT_THAT(models(), ElementsAre("base", "tuned"));
}

// ---- gc -------------------------------------------------------------------------------------------------------------

TEST_F(NamesTest, GcFreesARemovedModelsOwnObjectsAndNoOthers) {
  const std::vector<std::string> before = registry_.objects().list();
  const std::string second = second_model("tuned");
  score("qa", second, 3.5);
  remove(Thing::model, "tuned");
  EXPECT_EQ(registry_.gc(false).versions, 0) << "younger than the grace";
  const GcResult planned = Registry::open(folder_.path(), OpenMode::read_only).gc(true, 0);
  const GcResult freed = registry_.gc(false, 0);
  EXPECT_EQ(freed.models, 1);
  EXPECT_EQ(freed.versions, 1);
  EXPECT_GT(freed.objects, 0);
  EXPECT_EQ(planned.objects, freed.objects);
  EXPECT_EQ(planned.bytes, freed.bytes);
  EXPECT_EQ(registry_.objects().list(), before);
  EXPECT_THROW(registry_.version(second), UsageError);
  EXPECT_EQ(registry_.scores().size(), 1U);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
  EXPECT_FALSE(registry_.last_name_change().has_value()) << "too late to take it back";
  EXPECT_EQ(registry_.gc(false, 0).versions, 0);
}

TEST_F(NamesTest, GcKeepsWhatALivingModelDescendsFrom) {
  const std::string second = second_model("tuned");
  registry_.set_current_model("tuned");
  remove(Thing::model, "base");
  EXPECT_EQ(registry_.gc(false, 0).versions, 0);
  EXPECT_TRUE(registry_.is_ancestor(first_, second));
  EXPECT_EQ(registry_.manifest(first_).layers.size(), 2U);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, GcKeepsWhatATagNames) {
  const std::string second = second_model("tuned");
  tag("keep", second);
  remove(Thing::model, "tuned");
  EXPECT_EQ(registry_.gc(false, 0).versions, 0);
  EXPECT_EQ(registry_.resolve("keep").hash, second);
  remove(Thing::tag, "keep");
  EXPECT_EQ(registry_.gc(false, 0).versions, 1);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, GcKeepsTheSecondBranchOfAMerge) {
  const std::string branch = second_model("branch");
  OperationStart start;
  start.command = "merge";
  start.arguments_json = R"({"a": "base@1", "b": "branch@1", "b_hash": ")" + branch + "\"}";
  start.model = "base";
  Commit merged = next_commit(registry_, "base");
  merged.manifest = registry_.manifest(branch);
  merged.operation_id = registry_.begin_operation(start);
  registry_.commit_version(merged);
  remove(Thing::model, "branch");
  EXPECT_EQ(registry_.gc(false, 0).versions, 0);
  EXPECT_EQ(registry_.version(branch).hash, branch) << "inspect lineage names it";
}

TEST_F(NamesTest, GcKeepsWeightsThatAnotherModelShares) {
  second_model("tuned");
  Commit twin = next_commit(registry_, "tuned");
  twin.model = "twin";
  twin.parent = twin.expected_current = "";
  const std::string kept = commit_now(registry_, twin).version.hash;
  remove(Thing::model, "tuned");
  const GcResult freed = registry_.gc(false, 0);
  EXPECT_EQ(freed.versions, 1);
  EXPECT_EQ(freed.objects, 0) << "the twin has all of them";
  EXPECT_EQ(registry_.modules(kept).size(), 12U);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, WhatLedToAFreedNameIsNotTakenBackEither) {
  rename(Thing::task, "qa", "b");
  remove(Thing::task, "b");
  EXPECT_EQ(registry_.gc(false, 0).tasks, 1);
  EXPECT_FALSE(registry_.last_name_change().has_value()) << "an undo goes on with the model's versions";
}

TEST_F(NamesTest, GcFreesNothingWhileACommandRuns) {
  second_model("tuned");
  remove(Thing::model, "tuned");
  const std::int64_t running = begin("train", "base");
  const GcResult result = registry_.gc(false, 0);
  EXPECT_THAT(result.waits_for, HasSubstr("train"));
  EXPECT_EQ(result.versions, 0);
  registry_.finish_operation(running, Outcome::done);
  EXPECT_EQ(registry_.gc(false, 0).versions, 1);
}

TEST_F(NamesTest, ACommandWhoseModelIsGoneByItsEndKeepsItsResult) {
  second_model("tuned");
  Commit commit = next_commit(registry_, "tuned");
  rename(Thing::model, "tuned", "fine");  // after the command read the model, before it began
  const CommitResult result = commit_now(registry_, commit);
  EXPECT_TRUE(result.kept_beside);
  EXPECT_EQ(to_string(result.version), "tuned@1");
  EXPECT_THAT(models(), ElementsAre("base", "fine", "tuned"));
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

/// Removes, renames, takes back, tags and frees until killed.
[[noreturn]] void change_names_forever(const fs::path& dir) {
  Registry registry = Registry::open(dir, OpenMode::read_write);
  const auto run = [&](const std::function<void(std::int64_t)>& work) {
    OperationStart start;
    start.command = "names";
    const std::int64_t id = registry.begin_operation(start);
    work(id);
  };
  while (true) {
    const std::string name = "m" + random_uid();
    Commit commit = next_commit(registry, "base");
    add_modules(registry, commit, name);
    commit.model = name;
    commit.expected_current = "";
    commit_now(registry, commit);
    run([&](std::int64_t id) { registry.rename(id, Thing::task, "qa", "questions"); });
    run([&](std::int64_t id) { registry.take_back(id, registry.last_name_change()->operation_id); });
    run([&](std::int64_t id) { registry.remove(id, Thing::task, "qa"); });
    run([&](std::int64_t id) { registry.take_back(id, registry.last_name_change()->operation_id); });
    run([&](std::int64_t id) { registry.make_tag(id, name + "-tag", registry.resolve(name).hash); });
    run([&](std::int64_t id) { registry.remove(id, Thing::tag, name + "-tag"); });
    run([&](std::int64_t id) { registry.remove(id, Thing::model, name); });
    registry.gc(false, 0);
  }
}

/// No registry may be open while a process that opens it again is forked off: SQLite forbids that.
TEST(NamesCrashTest, KilledAnywhereNamesAndWhatTheyNameAreWhole) {
  const TemporaryFolder folder;
  std::string first;
  {
    Registry registry = Registry::create(folder.path());
    first = commit_now(registry, new_model(registry, "base", "x"), "init").version.hash;
    TaskRecord task;
    task.name = "qa";
    task.data_path = "/data/qa";
    task.content_hash = "hash 1";
    registry.add_task(task);
    registry.put_score({first, "qa", "held_out", "loss@0", 1.5, 10, 0, 0});
  }
  constexpr int kKills = 20;
  std::mt19937 random(20261128);
  std::uniform_int_distribution<int> delay_us(500, 120'000);
  std::int64_t operations = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const pid_t writer = ::fork();
    if (writer == 0) {
      try {
        change_names_forever(folder.path());
      } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        ::_exit(1);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us(random)));
    ::kill(writer, SIGKILL);
    int status = 0;
    ::waitpid(writer, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself";

    Registry registry = Registry::open(folder.path(), OpenMode::read_write);
    ASSERT_THAT(registry.fsck(), IsEmpty()) << "after kill " << kill;
    operations = registry.operations(1).at(0).id;
    // Where it was when it was killed, undo goes on.
    while (!registry.has_task("qa")) {
      OperationStart start;
      start.command = "undo";
      registry.take_back(registry.begin_operation(start), registry.last_name_change()->operation_id);
    }
    ASSERT_EQ(registry.scores(first, "qa").at(0).value, 1.5);
  }
  EXPECT_GT(operations, 2 * kKills) << "the writers hardly got anything done: the test proves little";
}

// ---- Places ---------------------------------------------------------------------------------------------------------

class PlacesTest : public RegistryTest {
 protected:
  static void add(Registry& registry, const std::string& name, const fs::path& data) {
    TaskRecord task;
    task.name = name;
    task.data_path = data.string();
    task.content_hash = "hash of " + name;
    registry.add_task(task);
  }
  static std::string path_of(const Registry& registry, const std::string& name) {
    return registry.task(name).data_path;
  }
};

TEST_F(PlacesTest, WhatLiesInTheWorkspaceMovesWithIt) {
  const fs::path here = folder_.path() / "here", there = folder_.path() / "there";
  {
    Registry registry = Registry::create(here);
    add(registry, "english", here / "texts" / "english");
    add(registry, "all", here);
    add(registry, "outside", folder_.path() / "hereafter");
    EXPECT_EQ(path_of(registry, "english"), (here / "texts" / "english").string());
  }
  fs::rename(here, there);
  const Registry moved = Registry::open(there, OpenMode::read_only);
  EXPECT_EQ(path_of(moved, "english"), (there / "texts" / "english").string());
  EXPECT_EQ(path_of(moved, "all"), there.string());
  EXPECT_EQ(path_of(moved, "outside"), (folder_.path() / "hereafter").string());
}

TEST_F(PlacesTest, LinksToTheWorkspaceMakeNoDifference) {
  const fs::path here = folder_.path() / "here", link = folder_.path() / "link";
  {
    Registry registry = Registry::create(here);
    fs::create_directories(here / "english");
    fs::create_directory_symlink(here, link);
    add(registry, "english", link / "english");
  }
  EXPECT_EQ(path_of(Registry::open(link, OpenMode::read_only), "english"), (link / "english").string());
  EXPECT_EQ(path_of(Registry::open(here, OpenMode::read_only), "english"), (here / "english").string());
}

TEST_F(PlacesTest, APathThatIsNotUtf8IsKeptByteForByte) {
  const fs::path data = folder_.path() / "caf\xE9";
  add(registry_, "coffee", data);
  EXPECT_EQ(path_of(registry_, "coffee"), data.string());
}

// ---- Texts ----------------------------------------------------------------------------------------------------------

TEST(PrintableTest, WhatDoesNotShowOrTurnsTheTextIsWrittenOut) {
  EXPECT_EQ(printable("plain, Größe, 東京"), "plain, Größe, 東京");
  EXPECT_EQ(printable("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(printable("a\u009Bb"), "a\\x9bb") << "one character that begins a terminal's command";
  EXPECT_EQ(printable("a\u202Eb"), "a\\u202eb");
  EXPECT_EQ(printable("a\u061Cb\u200Bc\uFEFF"), "a\\u061cb\\u200bc\\ufeff");
  EXPECT_EQ(printable("caf\xE9"), "caf\\xe9");
  EXPECT_TRUE(is_printable("क्\u200Dष")) << "a joiner is a part of the script";
  EXPECT_FALSE(is_printable("a\xC2"));
}

TEST(PrintableTest, NamesMustShow) {
  for (const char* bad : {"a\u009Bb", "a\u202Eb", "a\u00A0b", "caf\xE9", "a\x1b[31m", " a", "a ", "\u3000"}) {
    EXPECT_THAT(error_of([&] { require_valid_name("task", bad); }), HasSubstr("can't be the name of a task")) << bad;
  }
  EXPECT_NO_THROW(require_valid_name("task", "my data"));
  EXPECT_NO_THROW(require_valid_name("task", "corpus-1.5"));
  EXPECT_THROW(require_valid_name("model", "my model"), UsageError);
}

TEST(PrintableTest, NamesFromBeforeTheyHadToShowCanBeRead) {
  EXPECT_TRUE(was_valid_name("eng\u009blish"));
  EXPECT_TRUE(was_valid_name("caf\xE9"));
  EXPECT_TRUE(was_valid_name("my data"));
  for (const char* never : {"", "a\x1b", "a@1", "-a", "a,b"}) EXPECT_FALSE(was_valid_name(never)) << never;
}

TEST(ShellWordTest, AWordIsReadBackByTheShellAsItIs) {
  for (const char* word :
       {"plain/path-1.5", "my data", "it's", "", "caf\xE9", "a\x1b[31m'\\1", "Größe", "$(ls)", "~"}) {
    const std::string command = "printf %s " + shell_word(word);
    FILE* pipe = ::popen(("bash -c " + shell_word(command)).c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::string read(100, '\0');
    read.resize(::fread(read.data(), 1, read.size(), pipe));
    ::pclose(pipe);
    EXPECT_EQ(read, word) << command;
  }
}

}  // namespace
}  // namespace mformer::testing
