// Taking away what an extension added must give back what was there before it, and harm nothing else.

#include "core/workflows/drop.h"

#include <gtest/gtest.h>

#include "core/history/diff.h"
#include "core/model/domains.h"
#include "core/workflows/merge.h"
#include "tests/core/workflows/branches.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

using testing::Branches;
using testing::expect_error;
using ::testing::HasSubstr;
using testing::same_bits;

class DropTest : public ::testing::Test {
 protected:
  DropReport run(const std::string& ref, std::vector<std::string> selectors, bool dry_run = false) {
    DropCommand command;
    command.selectors = std::move(selectors);
    command.eval_tokens = 200;
    command.dry_run = dry_run;
    Session session = branches_.workspace().session("drop");
    return drop(session, branches_.load(ref), command);
  }

  Branches branches_;
};

TEST_F(DropTest, GivesTheVersionBeforeTheExtensionBackToTheLastBitAndByte) {
  branches_.extend("base", "base", "german", 1);
  const DropReport report = run("base", {"born=extend:german"});
  EXPECT_EQ(report.dropped_att, 2);
  EXPECT_EQ(report.dropped_mlp, 2);
  const LoadedVersion before = branches_.load("base@1"), after = branches_.load("base@3");
  EXPECT_TRUE(same_bits(after.model, before.model));
  EXPECT_EQ(after.record.content_hash, before.record.content_hash) << "the same objects, the same config";
  EXPECT_EQ(report.stored_after, branches_.registry().version_bytes(before.record.hash));
  EXPECT_EQ(report.size_after.weights, size_of(before.model).weights);
}

TEST_F(DropTest, LeavesALaterExtensionAsItWas) {
  branches_.extend("base", "base", "german", 1);
  branches_.extend("base", "base", "french", 2);
  run("base", {"born=extend:german"});
  const LoadedVersion before = branches_.load("base@3"), after = branches_.load("base@4");
  EXPECT_EQ(after.manifest.parts, before.manifest.parts);
  for (std::size_t l = 0; l < 2; ++l) {
    const auto &old = before.manifest.layers[l].mlp, &now = after.manifest.layers[l].mlp;
    ASSERT_EQ(now.size(), 6U);
    EXPECT_TRUE(std::equal(now.begin(), now.begin() + 5, old.begin()));
    EXPECT_EQ(now.back(), old.back());
    EXPECT_TRUE(after.model.blocks[l].mlp.modules[5].row.equal(before.model.blocks[l].mlp.modules[6].row));
  }
}

TEST_F(DropTest, UndoesAMerge) {
  branches_.extend("base", "de", "german", 1);
  branches_.extend("base", "fr", "french", 2);
  Session session = branches_.workspace().session("merge");
  merge(session, branches_.load("de"), branches_.load("fr"), {}, branches_.registry());
  run("de", {"born=extend:french"});
  EXPECT_EQ(branches_.load("de@3").record.content_hash, branches_.load("de@1").record.content_hash);
}

TEST_F(DropTest, TakesAllThatAnyOfSeveralSelectorsPicks) {
  branches_.extend("base", "base", "german", 1);
  branches_.extend("base", "base", "french", 2);
  EXPECT_EQ(run("base", {"born=extend:german,layer=0", "born=extend:french", "born=extend,kind=mlp"}).dropped_mlp, 4);
  EXPECT_EQ(branches_.load("base@4").model.blocks[1].att.modules.size(), 5U);
}

TEST_F(DropTest, ReportsTheLossesOfEveryTaskBeforeAndAfter) {
  const TaskData task = branches_.workspace().add_task("german", branches_.workspace().corpus("german"));
  branches_.extend("base", "base", "german", 1);
  const DropReport expected = run("base", {"born=extend:german"}, /*dry_run=*/true);
  EXPECT_EQ(branches_.registry().versions("base").size(), 2U);
  const DropReport report = run("base", {"born=extend:german"});
  Session session = branches_.workspace().session("eval");
  ASSERT_EQ(report.tasks.size(), 1U);
  for (const auto& [loss, ref] : {std::pair{report.tasks[0].before, "base@2"}, {report.tasks[0].after, "base@1"}}) {
    EXPECT_EQ(loss, evaluate_task(session, branches_.load(ref).model, task, Split::held_out, 200)->loss);
  }
  EXPECT_EQ(expected.tasks[0].after, report.tasks[0].after);
  EXPECT_EQ(expected.size_after.bytes, report.size_after.bytes);
}

TEST_F(DropTest, RefusesToLeaveALayerWithFewerModulesThanATokenUses) {
  const std::string hint = expect_error<TooLittleLeft>([&] { run("base", {"layer=1,kind=att,index=0-2"}); },
                                                       "layer 1 would keep 1 att modules, but each token uses 2");
  EXPECT_THAT(hint, HasSubstr("--born extend:TASK"));
  EXPECT_EQ(branches_.registry().versions("base").size(), 1U);
}

TEST_F(DropTest, RefusesModulesOfTheFirstVersionThatWereTrainedSince) {
  branches_.commit("base", "base", "german", [](Model& model) { model.blocks[0].mlp.modules[3].in.add_(1e-3); });
  const std::string uid = branches_.load("base").model.blocks[0].mlp.modules[3].uid;
  EXPECT_THAT(expect_error<Error>([&] { run("base", {"kind=mlp,layer=0,index=3"}); }, "module " + uid),
              HasSubstr("mformer prune"));
  EXPECT_EQ(run("base", {"kind=mlp,layer=0,index=2"}).dropped_mlp, 1) << "untrained ones may go";
}

TEST_F(DropTest, TakesAWholeDomainWithItsPrivateParts) {
  branches_.add_domain("base", "base", "german", 1);
  branches_.add_domain("base", "base", "french", 2);
  const LoadedVersion before = branches_.load("base@3");
  const DropReport report = run("base", {"born=extend:german"});
  EXPECT_EQ(report.domains, std::vector<std::string>{"german"});
  const LoadedVersion after = branches_.load("base@4");
  EXPECT_EQ(hypotheses(after.model), (std::vector<std::string>{"base", "french"}));
  for (const char* name : {"base", "french"}) {
    EXPECT_TRUE(same_bits(view_of(after.model, name), view_of(before.model, name))) << name;
  }
  EXPECT_TRUE(std::none_of(after.manifest.parts.begin(), after.manifest.parts.end(),
                           [](const TrunkPart& part) { return part.name.starts_with("domain german/"); }));
  run("base", {"born=extend:french"});
  EXPECT_EQ(branches_.load("base@5").record.content_hash, branches_.load("base@1").record.content_hash);
}

TEST_F(DropTest, LeavesADomainThatKeepsSomeOfItsModules) {
  branches_.add_domain("base", "base", "german", 1);
  EXPECT_TRUE(run("base", {"born=extend:german,layer=0"}).domains.empty());
  const LoadedVersion before = branches_.load("base@2"), after = branches_.load("base@3");
  EXPECT_TRUE(same_bits(view_of(after.model, "base"), view_of(before.model, "base")));
  EXPECT_EQ(view_of(after.model, "german").blocks[0].mlp.modules.size(), 4U);
  EXPECT_EQ(view_of(after.model, "german").blocks[1].mlp.modules.size(), 5U);
}

TEST_F(DropTest, TakesOneOfTwoDomainsOfATaskByItsName) {
  branches_.add_domain("base", "base", "german", 1);
  branches_.commit("base", "base", "german", [](Model& model) { Branches::grow_domain(model, "german-2", 2); });
  const LoadedVersion before = branches_.load("base@3");
  EXPECT_EQ(run("base", {"born=extend:german"}, /*dry_run=*/true).domains.size(), 2U) << "a birth names the task";
  EXPECT_EQ(run("base", {"domain=german"}).domains, std::vector<std::string>{"german"});
  const LoadedVersion after = branches_.load("base@4");
  EXPECT_EQ(hypotheses(after.model), (std::vector<std::string>{"base", "german-2"}));
  EXPECT_TRUE(same_bits(view_of(after.model, "german-2"), view_of(before.model, "german-2")));
  EXPECT_THAT(expect_error<UsageError>([&] { run("base", {"domain=german"}); }, "no domain 'german'"),
              HasSubstr("german-2"));
  EXPECT_EQ(run("base", {"domain=german-2,layer=0"}).dropped_mlp, 1);
}

TEST_F(DropTest, IsComparedWithTheVersionBeforeByObjects) {
  branches_.add_domain("base", "base", "german", 1);
  branches_.commit("base", "base", "german", [](Model& model) {
    model.domains[0].parts[1].value = model.domains[0].parts[1].value * 2;
    model.blocks[0].mlp.router.bias = model.blocks[0].mlp.router.bias + 1;
  });
  run("base", {"domain=german"});
  Registry& registry = branches_.registry();
  const auto compare = [&](const std::string& before, const std::string& after) {
    return diff_versions(registry, branches_.load(before).manifest, branches_.load(after).manifest);
  };
  EXPECT_TRUE(compare("base@1", "base@2").nothing_old_changed());
  EXPECT_TRUE(compare("base@1", "base@2").old_routers.empty()) << "rows came, but none changed";
  const VersionDiff changed = compare("base@2", "base@3");
  EXPECT_FALSE(changed.nothing_old_changed());
  EXPECT_EQ(changed.old_routers, std::vector<std::string>{"h.0.mlp"});
  EXPECT_TRUE(changed.trunk.empty());
  ASSERT_EQ(changed.domains.size(), 1U);
  EXPECT_EQ(changed.domains[0].changed, 1);
  EXPECT_EQ(changed.domains[0].added + changed.domains[0].removed, 0);
  const VersionDiff dropped = compare("base@3", "base@4");
  EXPECT_EQ(dropped.domains[0].removed, 6);
  EXPECT_FALSE(dropped.nothing_old_changed());
  EXPECT_TRUE(compare("base@4", "base@4").same());
}

TEST_F(DropTest, KnowsWhatBelongsToNoDomainAsBase) {
  EXPECT_EQ(run("base", {"domain=base,kind=mlp,layer=0,index=0"}, /*dry_run=*/true).dropped_mlp, 1);
  branches_.add_domain("base", "base", "german", 1);
  expect_error<Error>([&] { run("base", {"domain=base,layer=0,index=5"}); }, "selects no module");
}

TEST_F(DropTest, TakesADomainThatHasNoModule) {
  branches_.commit("base", "base", "german", [](Model& model) {
    model.domains.push_back({"german", false, {{"ln_f.weight", {}, model.ln_f.weight * 2}}});
  });
  EXPECT_EQ(run("base", {"domain=german"}).domains, std::vector<std::string>{"german"});
  EXPECT_EQ(branches_.load("base@3").record.content_hash, branches_.load("base@1").record.content_hash);
}

TEST_F(DropTest, DoesNotHoldAgainstAModuleWhatAnotherModelMadeOfIt) {
  const auto train = [](Model& model) { model.blocks[0].mlp.modules[3].in.add_(1e-3); };
  branches_.commit("base", "tuned", "german", train);
  EXPECT_EQ(run("base@1", {"kind=mlp,layer=0,index=3"}, /*dry_run=*/true).dropped_mlp, 1);
  expect_error<Error>([&] { run("tuned", {"kind=mlp,layer=0,index=3"}); }, "was trained since");
  branches_.extend("base@1", "grown", "german", 1);
  EXPECT_EQ(run("grown", {"kind=mlp,layer=0,index=3"}).dropped_mlp, 1);
}

TEST_F(DropTest, RefusesToLeaveAHypothesisWithTooFewModules) {
  branches_.add_domain("base", "base", "german", 1);
  expect_error<TooLittleLeft>(
      [&] {
        run("base", {"born=extend:german,layer=0", "kind=att,layer=0,index=1-2"});
      },
      "layer 0 would keep 1 att modules for 'german'");
}

TEST_F(DropTest, RefusesToDropNothing) {
  expect_error<UsageError>([&] { run("base", {}); }, "no modules were named");
  expect_error<Error>([&] { run("base", {"born=extend:german"}); }, "selects no module");
}

}  // namespace
}  // namespace mformer
