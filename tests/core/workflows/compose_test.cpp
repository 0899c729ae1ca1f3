// Every workflow after every other: each works on what the one before made, or says in one sentence why not.

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/model/domains.h"
#include "core/workflows/drop.h"
#include "core/workflows/extend.h"
#include "core/workflows/finetune.h"
#include "core/workflows/freeze.h"
#include "core/workflows/graft.h"
#include "core/workflows/keep_curve.h"
#include "core/workflows/merge.h"
#include "core/workflows/prune.h"
#include "core/workflows/undo.h"
#include "tests/core/workflows/branches.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using ::testing::HasSubstr;

/// A workspace with the model "base", extended once, "branch", a domain on what that was before, and "small", pruned.
class Start {
 public:
  Start() {
    branches_.workspace().add_task("english", branches_.workspace().corpus("english"));
    branches_.workspace().add_task("german", branches_.workspace().corpus("german"));
    branches_.extend("base", "base", "english", 9);  // so that there is something to undo and to drop
    branches_.add_domain("base@1", "branch", "qa", 5);
    branches_.commit("base", "small", "english", [](Model& model) {
      ModuleSelection keep = all_modules(model);
      for (auto& positions : keep.mlp) positions.resize(3);
      model = select(model, keep);
    });
  }
  fs::path folder() { return branches_.registry().folder(); }

 private:
  testing::Branches branches_;
};

/// A workspace on which the workflows run as from the command line: always on what the model "base" points to.
class Place {
 public:
  explicit Place(const fs::path& from) : registry_(copied(from)) {}
  Place(const Place& other) = delete;

  fs::path folder() const { return registry_.folder(); }
  Registry& registry() { return registry_; }
  LoadedVersion load(const std::string& ref = "base") {
    LoadedVersion version = load_version(registry_, registry_.resolve(ref));
    version.target = "base";
    return version;
  }
  Session session(const std::string& command) { return {registry_, command, "{}", 1, "test", {}}; }

 private:
  Registry copied(const fs::path& from) {
    fs::copy(from, folder_ / ".mformer", fs::copy_options::recursive);
    return Registry::open(folder_.path(), OpenMode::read_write);
  }

  TemporaryFolder folder_;
  Registry registry_;
};

template <typename Command>
Command quick(const std::string& task) {
  Command command;
  command.task = task;
  command.eval_tokens = 100;
  if constexpr (requires { command.options.steps; }) command.options.steps = 1;  // prune has two kinds of steps
  command.options.batch_size = 2;
  command.options.context = 16;
  return command;
}

using Step = std::function<void(Place&)>;

const std::map<std::string, Step>& steps() {
  static const std::map<std::string, Step> all = {
      {"train",
       [](Place& at) {
         Session session = at.session("train");
         pretrain(session, at.load(), quick<PretrainCommand>("english"));
       }},
      {"extend",
       [](Place& at) {
         Session session = at.session("extend");
         auto command = quick<ExtendCommand>("german");
         command.experts = command.heads = 1;
         extend(session, at.load(), command);
       }},
      {"extend --single-mask",
       [](Place& at) {
         Session session = at.session("extend");
         auto command = quick<ExtendCommand>("german");
         command.experts = command.heads = 1;
         command.single_mask = true;
         command.rehearse = 0;
         extend(session, at.load(), command);
       }},
      {"finetune",
       [](Place& at) {
         Session session = at.session("finetune");
         finetune(session, at.load(), quick<FinetuneCommand>("german"));
       }},
      {"finetune --keep",
       [](Place& at) {
         Session session = at.session("finetune");
         auto command = quick<FinetuneCommand>("english");
         command.choice = ModuleChoice{0.75};
         finetune(session, at.load(), command);
       }},
      {"prune",
       [](Place& at) {
         Session session = at.session("prune");
         auto command = quick<PruneCommand>("english");
         command.keep = 0.75;
         command.stat_tokens = 200;
         prune(session, at.load(), command);
       }},
      {"freeze",
       [](Place& at) {
         Session session = at.session("freeze");
         set_frozen(session, at.load().record, "base", "unfrozen,kind=mlp,layer=0", true, false);
       }},
      {"drop",
       [](Place& at) {
         Session session = at.session("drop");
         DropCommand command;
         command.selectors = {"born=extend"};
         command.eval_tokens = 100;
         drop(session, at.load(), command);
       }},
      {"merge",
       [](Place& at) {
         const LoadedVersion branch = at.load("branch");
         Session session = at.session("merge");
         session.arguments_json = R"({"b":"branch@1","b_hash":")" + branch.record.hash + "\"}";
         MergeCommand command;
         command.eval_tokens = 100;
         merge(session, at.load(), branch, command, at.registry());
       }},
      {"graft",
       [](Place& at) {
         Session session = at.session("graft");
         GraftCommand command;
         command.eval_tokens = 100;
         graft(session, at.load(), at.load("small"), command);
       }},
      {"undo",
       [](Place& at) {
         Session session = at.session("undo");
         undo(session, "base", plan_undo(at.registry(), "base"));
       }},
  };
  return all;
}

/// What a step after another says where it does not work; by "first, second".
const std::map<std::string, std::string>& refusals() {
  // Neither a changed old module nor a changed trunk can be merged; what was removed can be neither merged nor grafted.
  static const std::map<std::string, std::string> all = {
      {"drop, drop", "selects no module"},
      {"undo, drop", "selects no module"},
      {"train, merge", "changed between base@1"},
      {"finetune, merge", "changed between base@1"},
      {"finetune --keep, merge", "changed between base@1"},
      {"prune, merge", "was removed: the set of modules changed"},
      {"freeze, freeze", "selects no module"},
      {"undo, merge", "nothing to merge"},
      {"prune, graft", "can't be grafted"},
      {"finetune --keep, graft", "can't be grafted"},
      {"drop, graft", "can't be grafted"},
      {"undo, graft", "can't be grafted"},
      {"undo, undo", "nothing to undo"},
      {"extend, train", "has domains"},
      {"merge, train", "has domains"},
      {"graft, train", "has domains"},
      {"extend, extend --single-mask", "has domains"},
      {"merge, extend --single-mask", "has domains"},
      {"graft, extend --single-mask", "has domains"},
  };
  return all;
}

void expect_usable(Place& at, const std::string& what) {
  EXPECT_TRUE(at.registry().fsck().empty()) << what;
  Session session = at.session("eval");
  const LoadedVersion now = at.load();
  const TaskData task = open_task(session, *now.tokenizer, "german", "");
  const auto loss = evaluate_task(session, now.model, task, Split::held_out, 100);
  ASSERT_TRUE(loss.has_value()) << what;
  EXPECT_TRUE(std::isfinite(loss->loss)) << what;
}

// 121 pairs, each in a workspace of its own that is read again in the end: that takes its seconds.
TEST(Compose, EveryWorkflowWorksAfterEveryOtherOrSaysInASentenceWhyNot) {
  Start start;
  for (const auto& [first, run_first] : steps()) {
    Place between(start.folder());
    ASSERT_NO_THROW(run_first(between)) << first;
    for (const auto& [second, run_second] : steps()) {
      const std::string pair = first + ", " + second;
      Place at(between.folder());
      const std::string before = at.load().record.hash;
      try {
        run_second(at);
        EXPECT_EQ(refusals().count(pair), 0U) << pair << ": was to be refused";
        EXPECT_NE(at.load().record.hash, before) << pair;
      } catch (const Error& e) {
        ASSERT_EQ(refusals().count(pair), 1U) << pair << ": " << e.what();
        EXPECT_THAT(e.what(), HasSubstr(refusals().at(pair))) << pair;
        EXPECT_FALSE(e.hint().empty()) << pair;
        EXPECT_EQ(at.load().record.hash, before) << pair;
      }
      expect_usable(at, pair);
    }
  }
}

}  // namespace
}  // namespace mformer
