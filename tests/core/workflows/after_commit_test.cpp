// A version that is made is said to be made, whatever happens while its report is measured.

#include <gtest/gtest.h>

#include <stdexcept>

#include "core/workflows/drop.h"
#include "core/workflows/extend.h"
#include "core/workflows/finetune.h"
#include "core/workflows/graft.h"
#include "core/workflows/merge.h"
#include "core/workflows/prune.h"
#include "tests/core/workflows/branches.h"

namespace mformer {
namespace {

using testing::Branches;
using testing::TinyWorkspace;

/// What comes when the version is there: a Ctrl-C, or an error in whatever is measured or shown.
enum class Event { interrupt, error };

class AfterCommit : public ::testing::TestWithParam<Event> {
 protected:
  void SetUp() override {
    for (const char* name : {"english", "german"}) workspace().add_task(name, workspace().corpus(name));
  }
  TinyWorkspace& workspace() { return branches_.workspace(); }
  Registry& registry() { return branches_.registry(); }

  std::size_t versions() {
    std::size_t count = 0;
    for (const ModelRecord& model : registry().models()) count += registry().versions(model.name).size();
    return count;
  }
  Session session(const std::string& command) {
    Session session = workspace().session(command);
    const auto made = [this, before = versions()] { return versions() > before; };
    if (GetParam() == Event::interrupt) {
      session.watcher.should_stop = made;
    } else {
      session.watcher.progress = [made](const std::string&, std::int64_t, std::int64_t, double, double) {
        if (made()) throw std::runtime_error("the terminal is gone");
      };
    }
    return session;
  }
  template <typename Report>
  void expect_made(const Report& report) {
    ASSERT_TRUE(report.version.has_value());
    EXPECT_EQ(report.cut_off, GetParam() == Event::interrupt ? "it was interrupted" : "the terminal is gone");
    const OperationRecord operation = registry().operation(report.version->operation_id);
    EXPECT_EQ(operation.outcome, Outcome::done);
    EXPECT_EQ(operation.version_after, report.version->hash);
    EXPECT_EQ(registry().model(report.version->model).current_version, report.version->hash);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(registry().folder() / "runs")) {
      EXPECT_NE(entry.path().filename(), "snapshot.safetensors") << "the run is not finished";
    }
  }
  template <typename Command>
  Command quick(const std::string& task) {
    Command command;
    command.task = task;
    command.eval_tokens = 200;
    if constexpr (requires { command.options.steps; }) command.options.steps = 4;
    command.options.batch_size = 2, command.options.snapshot_every = 1;
    return command;
  }

  Branches branches_;
};

TEST_P(AfterCommit, TrainHasMadeItsVersion) {
  Session session = this->session("train");
  expect_made(pretrain(session, branches_.load("base"), quick<PretrainCommand>("english")));
}

TEST_P(AfterCommit, ExtendHasMadeItsVersion) {
  Session session = this->session("extend");
  expect_made(extend(session, branches_.load("base"), quick<ExtendCommand>("german")));
}

TEST_P(AfterCommit, FinetuneHasMadeItsVersion) {
  Session session = this->session("finetune");
  const FinetuneReport report = finetune(session, branches_.load("base"), quick<FinetuneCommand>("german"));
  expect_made(report);
  ASSERT_EQ(report.tasks.size(), 2U);
  EXPECT_TRUE(report.tasks[0].before && !report.tasks[0].after) << "what was measured before is told";
}

TEST_P(AfterCommit, PruneHasMadeItsVersion) {
  auto command = quick<PruneCommand>("german");
  command.keep = 0.5, command.stat_tokens = 300, command.tune_steps = 4;
  Session session = this->session("prune");
  expect_made(prune(session, branches_.load("base"), command));
}

TEST_P(AfterCommit, DropHasMadeItsVersion) {
  branches_.extend("base", "base", "german", 1);
  DropCommand command;
  command.selectors = {"born=extend:german"};
  Session session = this->session("drop");
  const DropReport report = drop(session, branches_.load("base"), command);
  std::filesystem::create_directories(registry().folder() / "runs");
  expect_made(report);
}

TEST_P(AfterCommit, GraftHasMadeItsVersion) {
  auto smaller = quick<PruneCommand>("german");
  smaller.keep = 0.5, smaller.stat_tokens = 300, smaller.into = "small", smaller.tune_steps = 1;
  Session undisturbed = workspace().session("prune");
  prune(undisturbed, branches_.load("base"), smaller);
  Session session = this->session("graft");
  expect_made(graft(session, branches_.load("base"), branches_.load("small"), {}));
}

TEST_P(AfterCommit, MergeHasMadeItsVersion) {
  branches_.extend("base", "left", "english", 1);
  branches_.extend("base", "right", "german", 2);
  MergeCommand command;
  command.review_steps = 2, command.options.batch_size = 2;
  const LoadedVersion left = branches_.load("left"), right = branches_.load("right");
  Session session = this->session("merge");
  session.arguments_json = R"({"b_hash":")" + right.record.hash + "\"}";
  expect_made(merge(session, left, right, command, registry()));
}

INSTANTIATE_TEST_SUITE_P(Events, AfterCommit, ::testing::Values(Event::interrupt, Event::error));

}  // namespace
}  // namespace mformer
