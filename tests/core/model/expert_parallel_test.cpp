// Models whose modules are spread over processes, here threads: what they compute is what the whole model computes.

#include "core/model/expert_parallel.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>

#include "core/checkpoint/hub_model.h"
#include "core/model/domains.h"
#include "core/model/forward.h"
#include "modules_registry/error.h"
#include "tests/support/process_threads.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::as_processes;
using testing::relative_error;
using testing::tiny_config;
using testing::tiny_ids;
using testing::tiny_model;

/// No rank's tokens have another's shape, and one has a single token.
at::Tensor ids_of_rank(int rank) {
  return rank == 2 ? tiny_ids(1, 1) : tiny_ids(1 + rank % 2, 5 + 3 * rank, 7 + rank);
}

Model spread_copy(const Model& model, ProcessGroup& group) {
  Model spread = clone(model);
  spread_modules(spread, group);
  return spread;
}

/// Sum of squares: a loss for which every hidden value matters.
at::Tensor loss_of(const Model& model, const at::Tensor& ids) {
  return forward(model, ids).hidden.to(at::kDouble).square().sum();
}

/// Sums of some hundred products in float64. Rows have the same sums wherever they are worked on, but how these are
/// grouped depends on how many rows a product has.
constexpr double kOtherGrouping = 1e-12;

void expect_same(const at::Tensor& got, const at::Tensor& wanted) {
  ASSERT_EQ(got.sizes(), wanted.sizes());
  EXPECT_TRUE(wanted.numel() == 0 || relative_error(got, wanted) <= kOtherGrouping);
}

void track(Model& model) {
  for_each_parameter(model, [](const ParameterRef& ref) {
    if (!ref.tensor->is_meta()) ref.tensor->requires_grad_(true);
  });
}

/// The families' folders, "" for a tiny ModuleFormer, by the gate's name after it.
Model model_of(const std::string& name) {
  const std::string own = "moduleformer-";
  if (name.starts_with(own)) return tiny_model(tiny_config(name.substr(own.size())));
  return load_hub_model(open_hub_folder(std::filesystem::path(MFORMER_TEST_DATA) / "golden-families" / name));
}

TEST(RankOfModule, NumbersDifferByOneAtMostAndLieSideBySide) {
  for (const std::int64_t modules : {1, 2, 3, 5, 8, 40, 41}) {
    for (const int ranks : {1, 2, 3, 4, 7}) {
      std::vector<std::int64_t> held(ranks);
      int before = 0;
      for (std::int64_t m = 0; m < modules; ++m) {
        const int rank = rank_of_module(m, modules, ranks);
        ASSERT_GE(rank, before);
        ASSERT_LT(rank, ranks);
        before = rank, ++held[rank];
      }
      const auto [least, most] = std::minmax_element(held.begin(), held.end());
      EXPECT_LE(*most - *least, 1) << modules << " modules on " << ranks;
    }
  }
}

using Spread = ::testing::TestWithParam<std::tuple<std::string, int>>;

TEST_P(Spread, EveryProcessGetsWhatTheWholeModelGives) {
  const auto& [name, ranks] = GetParam();
  Model whole = model_of(name);
  convert(whole, at::kDouble);
  as_processes(ranks, [&](ProcessGroup& group) {
    const at::NoGradGuard no_grad;
    const Model spread = spread_copy(whole, group);
    for (int pass = 0; pass < 2; ++pass) {
      const at::Tensor ids = ids_of_rank((group.rank() + pass) % 4);
      ForwardOptions how;
      how.norms = true;
      const ForwardOutput expected = forward(whole, ids, how), output = forward(spread, ids, how);
      expect_same(output.hidden, expected.hidden);
      for (std::size_t l = 0; l < output.routing.size(); ++l) {
        expect_same(output.routing[l].mlp.output_norms, expected.routing[l].mlp.output_norms);
      }
    }
  });
}

TEST_P(Spread, GradientsAddUpToThoseOfTheWholeModelOnAllTokens) {
  const auto& [name, ranks] = GetParam();
  Model whole = model_of(name);
  convert(whole, at::kDouble);
  Model reference = clone(whole);
  track(reference);
  for (int rank = 0; rank < ranks; ++rank) loss_of(reference, ids_of_rank(rank)).backward();
  std::map<std::string, at::Tensor> sums;
  std::mutex mutex;
  as_processes(ranks, [&, count = ranks](ProcessGroup& group) {
    Model spread = spread_copy(whole, group);
    track(spread);
    loss_of(spread, ids_of_rank(group.rank())).backward();
    const std::lock_guard lock(mutex);
    for_each_parameter(spread, [&](const ParameterRef& ref) {
      EXPECT_TRUE(!ref.tensor->is_meta() || (ref.is_map() && count > 1)) << ref.name;
      if (!ref.tensor->grad().defined()) return;
      at::Tensor& sum = sums[ref.name];
      sum = sum.defined() ? sum + ref.tensor->grad() : ref.tensor->grad();
    });
  });
  // Sums of some hundred products in float64, in another order.
  for_each_parameter(reference, [&](const ParameterRef& ref) {
    const at::Tensor expected = ref.tensor->grad();
    if (!expected.defined() || expected.abs().max().item<double>() == 0) return;
    ASSERT_TRUE(sums[ref.name].defined()) << ref.name;
    EXPECT_LE(relative_error(sums[ref.name], expected), 1e-10) << ref.name;
  });
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<std::string, int>>& info) {
  std::string name = std::get<0>(info.param) + "_" + std::to_string(std::get<1>(info.param));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(ModelsAndRanks, Spread,
                         ::testing::Combine(::testing::Values("moduleformer-mlp", "moduleformer-gmm",
                                                              "moduleformer-linear", "granitemoe", "jetmoe",
                                                              "qwen2_moe"),
                                            ::testing::Values(1, 2, 3, 4)),
                         name_of);

TEST(SpreadModules, OtherProcessesMatricesTakeNoMemory) {
  const Model whole = tiny_model();
  std::mutex mutex;
  std::int64_t maps = 0;
  as_processes(4, [&](ProcessGroup& group) {
    Model spread = spread_copy(whole, group);
    std::int64_t own = 0;
    for_each_parameter(spread, [&](const ParameterRef& ref) {
      if (ref.is_map() && !ref.tensor->is_meta()) own += ref.tensor->numel();
      EXPECT_TRUE(ref.is_map() || !ref.tensor->is_meta()) << ref.name;
    });
    const std::lock_guard lock(mutex);
    maps += own;
  });
  std::int64_t all = 0;
  for (const ParameterRef& ref : parameters(const_cast<Model&>(whole))) all += ref.is_map() ? ref.tensor->numel() : 0;
  EXPECT_EQ(maps, all);
}

TEST(SpreadModules, NoRowIsDroppedWhereAllTokensWantTheSameModules) {
  Model whole = tiny_model(tiny_config("linear"));
  convert(whole, at::kDouble);
  for (Block& block : whole.blocks) {
    // Rows of the router that are the same: the first k modules are every token's choice.
    for (Module& module : block.mlp.modules) module.row.zero_();
  }
  as_processes(3, [&](ProcessGroup& group) {
    const at::NoGradGuard no_grad;
    const Model spread = spread_copy(whole, group);
    const at::Tensor ids = tiny_ids(3, 11, group.rank());
    const ForwardOutput output = forward(spread, ids);
    EXPECT_EQ(output.routing[0].mlp.decision.indices.max().item<std::int64_t>(), whole.config.k_mlp - 1);
    expect_same(output.hidden, forward(whole, ids).hidden);
  });
}

TEST(SpreadModules, APartOfTheModulesIsTheSamePartOfTheWholeModel) {
  Model whole = tiny_model();
  convert(whole, at::kDouble);
  ModuleSelection keep = all_modules(whole);
  keep.mlp[0] = {1, 4}, keep.mlp[1] = {3, 4}, keep.att[0] = {0, 3};
  as_processes(2, [&](ProcessGroup& group) {
    const at::NoGradGuard no_grad;
    const Model part = select(spread_copy(whole, group), keep);
    const at::Tensor ids = ids_of_rank(group.rank());
    expect_same(forward(part, ids).hidden, forward(select(whole, keep), ids).hidden);
  });
}

TEST(SpreadModules, TheSameTokensGiveTheSameBitsAgain) {
  const Model whole = tiny_model();
  std::map<int, at::Tensor> first;
  std::mutex mutex;
  for (int run = 0; run < 2; ++run) {
    as_processes(3, [&](ProcessGroup& group) {
      const at::NoGradGuard no_grad;
      const at::Tensor hidden = forward(spread_copy(whole, group), ids_of_rank(group.rank())).hidden;
      const std::lock_guard lock(mutex);
      at::Tensor& kept = first[group.rank()];
      EXPECT_TRUE(!kept.defined() || kept.equal(hidden)) << group.rank();
      kept = hidden;
    });
  }
}

TEST(SpreadModules, InBfloat16TheRowsThatTravelAreTheRoundedOnes) {
  const Model whole = tiny_model();
  as_processes(2, [&](ProcessGroup& group) {
    const at::NoGradGuard no_grad;
    ForwardOptions how;
    how.bfloat16 = true;
    const at::Tensor ids = ids_of_rank(group.rank());
    const std::int64_t before = group.bytes_sent();
    const Model spread = spread_copy(whole, group);
    const at::Tensor hidden = forward(spread, ids, how).hidden;
    const std::int64_t rounded = group.bytes_sent() - before;
    forward(spread, ids);
    EXPECT_LT(rounded, (group.bytes_sent() - before - rounded) * 3 / 4);
    // Sums in float32 of factors with 8 bits, which are rounded to 8 bits again between the maps.
    EXPECT_LE(relative_error(hidden, forward(whole, ids, how).hidden), 2e-2);
  });
}

TEST(SpreadModules, AProcessThatIsGoneEndsThePassWithASentence) {
  testing::Mailboxes boxes;
  boxes.silence(1);
  const Model whole = tiny_model();
  const auto pass = [&](ProcessGroup& group) {
    const at::NoGradGuard no_grad;
    forward(spread_copy(whole, group), tiny_ids(1, 5));
  };
  EXPECT_THROW(as_processes(2, pass, boxes, {.timeout = 0.2}), ProcessError);
}

}  // namespace
}  // namespace mformer
