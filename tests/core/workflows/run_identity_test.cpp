// What decides a result decides which unfinished run a command goes on with.

#include <gtest/gtest.h>

#include "core/workflows/extend.h"
#include "core/workflows/finetune.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::TinyWorkspace;

class RunIdentityTest : public ::testing::Test {
 protected:
  void SetUp() override { workspace_.add_task("english", workspace_.corpus("english")); }

  template <typename Command>
  Command german() {
    Command command;
    command.task = "german", command.data = workspace_.corpus("german"), command.into = "other";
    command.eval_tokens = 200;
    command.options.steps = 6, command.options.batch_size = 2;
    return command;
  }
  /// Starts the command and stops it after its third step.
  template <typename Work>
  void cut(const std::string& name, const Work& work) {
    Session session = workspace_.session(name);
    bool stop = false;
    session.watcher.progress = [&](const std::string& stage, std::int64_t done, std::int64_t, double, double) {
      stop = stage == name && done >= 3;
    };
    session.watcher.should_stop = [&] { return stop; };
    EXPECT_THROW(work(session), TrainingInterrupted);
  }
  template <typename Work>
  std::int64_t first_step(const std::string& name, const Work& work) {
    Session session = workspace_.session(name);
    return work(session).training.first_step;
  }

  TinyWorkspace workspace_;
  LoadedVersion base_ = workspace_.load();
};

TEST_F(RunIdentityTest, HasTheTasksThatAReplayReads) {
  auto command = german<PretrainCommand>();
  const auto work = [&](Session& session) { return pretrain(session, base_, command); };
  for (const double replay : {0.0, 0.5}) {
    command.replay = replay;
    cut("train", work);
    workspace_.add_task(replay > 0 ? "code" : "qa", workspace_.corpus(replay > 0 ? "code" : "qa"));
    EXPECT_EQ(first_step("train", work), replay > 0 ? 0 : 3) << replay;
  }
}

TEST_F(RunIdentityTest, HasTheTasksThatARehearsalReads) {
  auto command = german<ExtendCommand>();
  const auto work = [&](Session& session) { return extend(session, base_, command); };
  for (const bool single_mask : {false, true}) {
    command.single_mask = single_mask;
    cut("extend", work);
    workspace_.add_task(single_mask ? "code" : "qa", workspace_.corpus(single_mask ? "code" : "qa"));
    EXPECT_EQ(first_step("extend", work), single_mask ? 0 : 3) << single_mask;
  }
}

TEST_F(RunIdentityTest, HasTheModulesThatAreTrained) {
  auto command = german<FinetuneCommand>();
  command.modules = "kind=mlp";
  const auto work = [&](Session& session) { return finetune(session, base_, command); };
  cut("finetune", work);
  command.modules = "kind=att";  // the same arguments: as a selector by statistics that have changed
  EXPECT_EQ(first_step("finetune", work), 0);
}

}  // namespace
}  // namespace mformer
