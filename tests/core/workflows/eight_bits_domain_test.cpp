// extend --store int8: a domain whose matrices the registry keeps in 8 bits.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/checkpoint/eight_bits.h"
#include "core/history/commit.h"
#include "core/model/domains.h"
#include "core/surgery/domain_extension.h"
#include "core/workflows/extend.h"
#include "core/workflows/finetune.h"
#include "tests/support/expect_error.h"
#include "tests/support/short_extension.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::same_bits;
using testing::TinyWorkspace;

class EightBitsDomainTest : public ::testing::Test {
 protected:
  EightBitsDomainTest() { workspace_.add_task("english", workspace_.corpus("english")); }

  ExtendReport run(const std::string& task, bool eight_bits) {
    ExtendCommand command = testing::short_extension(workspace_, task);
    command.eight_bits = eight_bits;
    Session session = workspace_.session("extend");
    return extend(session, workspace_.load(), command);
  }

  TinyWorkspace workspace_;
};

TEST_F(EightBitsDomainTest, TakesLessRoomAndReadsTheBitsThatWereMeasured) {
  const ExtendReport report = run("german", true);
  const LoadedVersion now = workspace_.load();
  ASSERT_TRUE(now.model.domains.at(0).eight_bits);
  Model again = now.model;
  round_domain(again, "german");
  EXPECT_TRUE(same_bits(again, now.model)) << "what was read is what 8 bits hold";
  const ExtendReport numbers = run("code", false);
  EXPECT_FALSE(workspace_.load().model.domains.at(1).eight_bits);
  // A weight takes 34 / 32 bytes instead of 4; of tiny objects the headers and routers are most of what is left.
  EXPECT_LT(report.added_bytes, 0.7 * static_cast<double>(numbers.added_bytes));
  EXPECT_TRUE(workspace_.registry().fsck().empty());
}

TEST_F(EightBitsDomainTest, KeepsItsObjectsWhenTheModelIsWrittenAgain) {
  run("german", true);
  const LoadedVersion first = workspace_.load();
  const ExtendReport report = run("code", false);
  EXPECT_TRUE(report.difference.value().nothing_old_changed());
  const LoadedVersion now = workspace_.load();
  for (const TrunkPart& part : first.manifest.parts) {
    EXPECT_NE(std::find(now.manifest.parts.begin(), now.manifest.parts.end(), part), now.manifest.parts.end())
        << part.name;
  }
  EXPECT_TRUE(same_bits(view_of(now.model, "german"), view_of(first.model, "german")));
}

TEST_F(EightBitsDomainTest, KeepsEveryBitInSixteenBitsToo) {
  run("german", false);
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    Model model = workspace_.load().model;
    convert(model, dtype);
    for_each_module(model, [](Module& module) { module.uid.clear(); });
    round_domain(model, "german");
    Registry& registry = workspace_.registry();
    const Manifest manifest = store_model(registry, model, "");
    Commit commit;
    commit.model = std::string("stored-") + at::toString(dtype);
    commit.operation_id = registry.begin_operation({"import", "{}", 0, "test", commit.model, {}});
    commit.manifest = manifest;
    commit.new_modules = birth_records(model, {}, "import", "");
    LoadedVersion read = load_version(registry, registry.commit_version(commit).version);
    EXPECT_TRUE(same_bits(read.model, model)) << dtype;
    EXPECT_EQ(store_model(registry, read.model, "").parts, manifest.parts) << dtype;
  }
}

TEST_F(EightBitsDomainTest, StoresAsNumbersWhatIsTrainedLater) {
  run("german", true);
  const LoadedVersion before = workspace_.load();
  FinetuneCommand command;
  command.task = "german";
  command.domain = "german";
  command.eval_tokens = 200;
  command.options.steps = 2;
  command.options.batch_size = 2;
  Session session = workspace_.session("finetune");
  finetune(session, before, command);
  const LoadedVersion now = workspace_.load();
  EXPECT_FALSE(same_bits(view_of(now.model, "german"), view_of(before.model, "german")));
  Model rounded = now.model;
  round_domain(rounded, "german");
  EXPECT_FALSE(same_bits(rounded, now.model)) << "no bit of what was trained is rounded away";
}

TEST_F(EightBitsDomainTest, IsRefusedWithoutADomain) {
  ExtendCommand command;
  command.task = "german";
  command.data = workspace_.corpus("german");
  command.single_mask = command.eight_bits = true;
  Session session = workspace_.session("extend");
  testing::expect_error<UsageError>([&] { extend(session, workspace_.load(), command); }, "--single-mask makes none");
}

}  // namespace
}  // namespace mformer
