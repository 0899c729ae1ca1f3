// Fresh weights, copies and the list of parameters.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <set>

#include "core/model/activation.h"
#include "core/model/layers.h"
#include "core/model/model.h"
#include "modules_registry/error.h"
#include "tests/support/naive_model.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::same_bits;
using testing::tiny_config;
using testing::tiny_model;

ModelConfig wide_config(const std::string& gate_type) {
  ModelConfig config = tiny_config(gate_type);
  config.n_embd = 64;
  config.att_hidden = 32;
  config.ffd_hidden = 96;
  config.gating_size = 48;
  config.vocab_size = 500;
  config.initializer_range = 0.02;
  return config;
}

void expect_normal(const at::Tensor& x, double spread, const std::string& name) {
  const double n = static_cast<double>(x.numel());
  // Five standard errors of mean and spread.
  EXPECT_NEAR(x.mean().item<double>(), 0.0, 5 * spread / std::sqrt(n)) << name;
  EXPECT_NEAR(x.std().item<double>(), spread, 5 * spread / std::sqrt(2 * n)) << name;
}

void expect_uniform_by_fan_in(const at::Tensor& x, const std::string& name) {
  const double bound = 1.0 / static_cast<double>(x.size(0));
  EXPECT_LE(x.abs().max().item<double>(), bound) << name;
  EXPECT_GT(x.abs().max().item<double>(), 0.98 * bound) << name;
  EXPECT_NEAR(x.std().item<double>(), bound / std::sqrt(3.0), 0.05 * bound) << name;
}

class FreshModel : public ::testing::TestWithParam<std::string> {};

TEST_P(FreshModel, HasTheDocumentedSpreadInEveryParameter) {
  Model model = make_model(wide_config(GetParam()), 7);
  for (const ParameterRef& ref : parameters(model)) {
    const at::Tensor& x = *ref.tensor;
    EXPECT_EQ(x.scalar_type(), at::kFloat) << ref.name;
    const bool norm = ref.name.find("ln_") != std::string::npos;
    if (ref.name.ends_with(".in") || ref.name.ends_with(".out")) {
      expect_uniform_by_fan_in(x, ref.name);
    } else if (ref.name.ends_with(".row")) {
      expect_normal(x, GetParam() == "gmm" ? 1.0 : 0.02, ref.name);
    } else if (norm && ref.name.ends_with(".weight")) {
      EXPECT_TRUE(x.eq(1).all().item<bool>()) << ref.name;
    } else if (ref.name.ends_with(".bias") || ref.name.ends_with(".temperature")) {
      EXPECT_TRUE(x.eq(0).all().item<bool>()) << ref.name;
    } else {
      expect_normal(x, 0.02, ref.name);
    }
  }
}

TEST_P(FreshModel, HasTheSameBitsForTheSameSeedOnly) {
  const ModelConfig config = tiny_config(GetParam());
  EXPECT_TRUE(same_bits(make_model(config, 7), make_model(config, 7)));
  EXPECT_FALSE(make_model(config, 7).wte.equal(make_model(config, 8).wte));
}

TEST_P(FreshModel, HasAsManyWeightsAsTheConfigSays) {
  for (const bool tied : {false, true}) {
    ModelConfig config = tiny_config(GetParam());
    config.tie_word_embeddings = tied;
    EXPECT_EQ(size_of(make_model(config, 1)).weights, config.parameter_count()) << tied;
  }
}

INSTANTIATE_TEST_SUITE_P(Gates, FreshModel, ::testing::Values("mlp", "linear", "gmm"),
                         [](const auto& instance) { return instance.param; });

TEST(MakeModel, RefusesAConfigThatNoModelCanHave) {
  ModelConfig config = tiny_config();
  config.k_mlp = 6;
  EXPECT_THROW(make_model(config, 1), Error);
}

TEST(MakeModule, DrawsADifferentModuleEachTime) {
  at::Generator generator = at::detail::createCPUGenerator(1);
  const Module a = make_module(tiny_config(), 0, Kind::att, generator),
               b = make_module(tiny_config(), 0, Kind::att, generator);
  EXPECT_EQ(a.in.sizes(), at::IntArrayRef({16, 8}));
  EXPECT_EQ(a.out.sizes(), at::IntArrayRef({8, 16}));
  EXPECT_EQ(a.row.sizes(), at::IntArrayRef({8}));
  EXPECT_FALSE(a.in.equal(b.in));
}

TEST(Parameters, HaveNamesThatAreUniqueAndPlacesThatAreTheirs) {
  Model model = tiny_model();
  std::set<std::string> names;
  for (const ParameterRef& ref : parameters(model)) {
    EXPECT_TRUE(names.insert(ref.name).second) << ref.name;
    if (ref.part != ParameterRef::Part::module) continue;
    const Module& module = model.blocks[ref.layer].bank(ref.kind).modules[ref.module];
    EXPECT_TRUE(ref.tensor == &module.in || ref.tensor == &module.out || ref.tensor == &module.row) << ref.name;
  }
  EXPECT_EQ(names.count("h.1.mlp.4.row"), 1U);
}

TEST(Parameters, ListATiedHeadOnce) {
  ModelConfig config = tiny_config();
  config.tie_word_embeddings = true;
  Model model = tiny_model(config);
  for (const ParameterRef& ref : parameters(model)) EXPECT_NE(ref.name, "lm_head");
  Model copy = clone(model);
  EXPECT_TRUE(copy.lm_head.is_same(copy.wte));
  convert(copy, at::kBFloat16);
  EXPECT_TRUE(copy.lm_head.is_same(copy.wte));
}

TEST(Clone, SharesNothing) {
  const Model model = tiny_model();
  Model copy = clone(model);
  ASSERT_TRUE(same_bits(model, copy));
  for_each_parameter(copy, [](const ParameterRef& ref) { ref.tensor->add_(1.0); });
  EXPECT_TRUE(same_bits(model, tiny_model()));
}

TEST(Convert, ChangesTheTypeOfEveryParameterAndNotOfTheOriginal) {
  const Model model = tiny_model();
  Model half = model;
  convert(half, at::kBFloat16);
  for (const ParameterRef& ref : parameters(half)) EXPECT_EQ(ref.tensor->scalar_type(), at::kBFloat16) << ref.name;
  EXPECT_EQ(model.wte.scalar_type(), at::kFloat);
  EXPECT_EQ(size_of(half).bytes * 2, size_of(model).bytes);
}

TEST(Layers, ActivateByTheFormulaOfTheName) {
  const at::Tensor x = at::linspace(-6, 6, 101, at::kDouble);
  for (const auto& [function, name] : spellings<ActivationFunction>()) {
    const at::Tensor y = layers::activate(activation_of(function), x);
    EXPECT_LE(testing::relative_error(y, testing::naive_activation(function, x)), 1e-12) << name;
  }
}

TEST(Layers, DropOutInTrainingOnlyAndKeepTheMean) {
  ForwardOptions how;
  const at::Tensor x = at::ones({20000});
  EXPECT_TRUE(layers::dropout(x, 0.25, how).equal(x));
  how.training = true;
  how.generator = at::detail::createCPUGenerator(1);
  const at::Tensor dropped = layers::dropout(x, 0.25, how);
  EXPECT_NEAR(dropped.eq(0).to(at::kDouble).mean().item<double>(), 0.25, 0.02);
  EXPECT_NEAR(dropped.mean().item<double>(), 1.0, 0.02);
  how.generator = at::detail::createCPUGenerator(1);
  EXPECT_TRUE(layers::dropout(x, 0.25, how).equal(dropped)) << "the same seed drops the same";
  EXPECT_TRUE(layers::dropout(x, 0.0, how).equal(x));
}

}  // namespace
}  // namespace mformer
