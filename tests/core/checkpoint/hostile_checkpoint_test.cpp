// Checkpoints whose small files are damaged or written to hurt: each is read, or refused in a sentence of ours.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/checkpoint/finite.h"
#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/tensor_io.h"
#include "modules_registry/files.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_domains.h"

namespace mformer {
namespace {

std::vector<std::string> tensors_not_finite(Model model) {
  std::set<std::string> parameters;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (ref.part != ParameterRef::Part::domain && !is_finite(*ref.tensor)) parameters.insert(ref.name);
  });
  return tensors_with(model, parameters);
}

using nlohmann::json;
using testing::expect_error;
using ::testing::HasSubstr;
using testing::tiny_model;

Model model_with_domain() {
  Model model = tiny_model();
  testing::add_domain(model, "german", testing::tuned_for_domain(model, 5));
  return model;
}

TEST(IsFinite, NoticesWhatIsNotFiniteInEveryTypeAtEveryPlaceAndNothingElse) {
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf, at::kFloat, at::kDouble}) {
    at::Tensor matrix = at::zeros({9, 11}, type);
    matrix[0][0] = type == at::kHalf ? 65504.0 : 3e38;  // near the largest
    matrix[0][1] = type == at::kHalf ? -65504.0 : -3e38;
    matrix[0][2] = 1e-40;  // none of the normal numbers, or zero
    EXPECT_TRUE(is_finite(matrix)) << type;
    for (const double value : {HUGE_VAL, -HUGE_VAL, std::nan("")}) {
      for (const std::int64_t place : {0, 50, 98}) {
        at::Tensor broken = matrix.clone();
        broken.view({-1})[place] = value;
        EXPECT_FALSE(is_finite(broken)) << type << " " << value;
        EXPECT_FALSE(is_finite(broken.t())) << type << " " << value;
        EXPECT_TRUE(is_finite(broken.slice(0, place / 11 == 0 ? 1 : 0, place == 98 ? 8 : 9).slice(1, 7, 8))) << type;
      }
    }
  }
  EXPECT_TRUE(is_finite(at::Tensor()));
  EXPECT_TRUE(is_finite(at::empty({0, 3})));
  EXPECT_TRUE(is_finite(at::full({3}, 127, at::kChar)));
}

class HostileCheckpoint : public ::testing::Test {
 protected:
  void save(const Model& model, std::uint64_t shard_bytes = 1'000'000) {
    std::filesystem::remove_all(folder());
    HubWriteOptions options;
    options.max_shard_bytes = shard_bytes;
    save_hub_model(folder(), model, options);
  }
  std::filesystem::path folder() const { return scratch_ / "model"; }
  json document(const char* name) const { return json::parse(read_file(folder() / name)); }
  void write(const char* name, const std::string& text) const { scratch_.write(std::string("model/") + name, text); }

  /// Loads the folder with each value in the place of each value of the file, at any depth; the number that was read.
  int try_all(const char* name, const std::vector<json>& values) {
    const json good = document(name);
    int read = 0;
    const json leaves = good.flatten();
    for (const auto& [path, unused] : leaves.items()) {
      for (json::json_pointer place(path); !place.empty(); place.pop_back()) {
        if (!tried_.insert(name + place.to_string()).second) break;
        for (const json& value : values) {
          json changed = good;
          changed[place] = value;
          write(name, changed.dump());
          read += loads(std::string(name) + " " + place.to_string() + " = " + value.dump().substr(0, 40)) ? 1 : 0;
        }
      }
    }
    write(name, good.dump());
    return read;
  }

  /// Whether the folder is read; a failed test when it is refused otherwise than by an Error of ordinary size.
  bool loads(const std::string& what) const {
    try {
      load_hub_model(open_hub_folder(folder()));
      return true;
    } catch (const Error& error) {
      const std::string sentence = error.what();
      EXPECT_LT(sentence.size(), 700U) << what << ": " << sentence;
      for (const char* foreign : {"json.exception", "_M_range_check", "vector::", "bad_alloc", "Expected"}) {
        EXPECT_EQ(sentence.find(foreign), std::string::npos) << what << ": " << sentence;
      }
    } catch (const std::exception& error) {
      ADD_FAILURE() << what << ": " << error.what();
    }
    return false;
  }

  TemporaryFolder scratch_;
  std::set<std::string> tried_;
};

std::vector<json> strange_values() {
  json deep = 1;
  for (int i = 0; i < 200; ++i) deep = json::array({deep});
  return {nullptr,
          true,
          -1,
          0,
          7,
          1.5,
          1e308,
          std::numeric_limits<std::int64_t>::max(),
          std::numeric_limits<std::uint64_t>::max(),
          "",
          "x",
          std::string(100'000, 'A'),
          "\x1b]0;t\x07",
          json::array(),
          json::object(),
          json::array({-1}),
          json::array({json::array({99})}),
          deep};
}

TEST_F(HostileCheckpoint, EveryFieldOfTheConfigMayBeAnything) {
  save(model_with_domain());
  EXPECT_GT(try_all("config.json", strange_values()), 50);  // other names, rates and ids are no fault
  EXPECT_TRUE(loads("as it was"));
}

TEST_F(HostileCheckpoint, EveryFieldOfAnIndexMayBeAnything) {
  save(tiny_model(), 20'000);
  try_all("model.safetensors.index.json", {nullptr, -1, "", "..", "a/b", json::array(), json::object(),
                                           std::string(100'000, 'A'), std::string("a\0b", 3)});
  EXPECT_TRUE(loads("as it was"));
}

TEST_F(HostileCheckpoint, EveryFieldOfAGenerationConfigMayBeAnything) {
  save(tiny_model());
  write("generation_config.json", R"({"eos_token_id": [1, 2], "temperature": 0.7})");
  try_all("generation_config.json", strange_values());
  for (const char* text : {"", "[]", "{", "nan", "{\"eos_token_id\": 1e400}", "{\"eos_token_id\": 2147483648}"}) {
    write("generation_config.json", text);
    EXPECT_FALSE(loads(text)) << text;
  }
}

TEST_F(HostileCheckpoint, NumbersThatAreNoSizesAreNamed) {
  save(tiny_model());
  const std::string good = read_file(folder() / "config.json");
  const auto with = [&](const std::string& number) {
    std::string text = good;
    const std::string field = "\"n_embd\": ";
    const std::size_t at = text.find(field) + field.size();
    return text.replace(at, text.find(',', at) - at, number);
  };
  for (const char* number : {"1e400", "-1e400", "9223372036854775808", "-9223372036854775809", "16.0", "1e3", "NaN",
                             "Infinity", "-0", "-0.0", "0x10", "1_000", "99999999999999999999999999"}) {
    write("config.json", with(number));
    EXPECT_FALSE(loads(number)) << number;
  }
}

TEST_F(HostileCheckpoint, ADomainThatNamesModulesThatAreNotThereIsRefusedByDomainLayerAndPosition) {
  save(model_with_domain());
  json config = document("config.json");
  const auto refused = [&](const json& value, const char* field, const std::string& what) {
    json changed = config;
    changed["mformer_domains"][0][field] = value;
    write("config.json", changed.dump());
    expect_error<Error>([&] { load_hub_model(open_hub_folder(folder())); }, what);
  };
  refused({{-1}, json::array()}, "att",
          "the domain 'german' names module -1 of layer 0 in 'att', which has the modules");
  refused({json::array(), {9999999999}}, "hidden_mlp", "names module 9999999999 of layer 1 in 'hidden_mlp'");
  refused(json::array(), "mlp", "an 'mlp' that is no list of 2 layers but []");
  refused("x/../y", "name", "can't be the name of a domain");
  refused("base", "name", "has a name that is taken");
  refused(1, "alone", "neither true nor false");
  json twice = config;
  twice["mformer_domains"].push_back(config["mformer_domains"][0]);
  twice["mformer_domains"][1]["name"] = "other";
  write("config.json", twice.dump());
  expect_error<Error>([&] { load_hub_model(open_hub_folder(folder())); }, "which the domain 'german' has already");
}

TEST_F(HostileCheckpoint, APrivatePartThatDoesNotFitItsPlaceIsRefused) {
  const Model good = model_with_domain();
  const auto refused = [&](const char* part, const std::function<void(PrivatePart&)>& change, const std::string& what) {
    Model model = good;
    bool found = false;
    for (PrivatePart& one : model.domains[0].parts) {
      if (one.name != part) continue;
      change(one);
      found = true;
    }
    ASSERT_TRUE(found) << part;
    save(model);
    expect_error<Error>([&] { load_hub_model(open_hub_folder(folder())); }, what);
  };
  const auto narrow = [](PrivatePart& p) { p.value = p.value.narrow(0, 0, p.value.size(0) - 1); };
  refused("ln_f.weight", narrow, "'ln_f.weight' of the domain 'german' has the shape");
  refused("h.0.att.rows", narrow, "'h.0.att.rows' of the domain 'german' has the shape");
  refused("wte", narrow, "'wte' of the domain 'german' has the shape");
  refused(
      "ln_f.weight", [](PrivatePart& p) { p.value = p.value.to(at::kLong); }, "no tensor of floating-point");
  refused(
      "ln_f.weight", [](PrivatePart& p) { p.name = "h.7.ln_1.weight"; }, "has no place in the model");
  refused(
      "wte", [](PrivatePart& p) { p.rows = p.rows + 1'000'000; }, "replaces rows beyond");
  refused(
      "wte", [](PrivatePart& p) { p.rows = p.rows - 1'000'000; }, "replaces rows beyond");
  refused(
      "wte", [](PrivatePart& p) { p.rows = p.rows.to(at::kFloat); }, "no list of whole numbers");
}

TEST_F(HostileCheckpoint, TheEndTokensOfBothConfigsAreReadAndWrittenAgain) {
  save(tiny_model());
  json config = document("config.json");
  config["eos_token_id"] = {3, 5, 3};
  write("config.json", config.dump());
  write("generation_config.json", R"({"eos_token_id": 9})");
  const ModelConfig read = open_hub_folder(folder()).config();
  EXPECT_EQ(read.end_tokens(), (std::vector<std::int64_t>{3, 5, 9}));
  EXPECT_EQ(json::parse(read.to_json())["eos_token_id"], json::array({3, 5, 9}));
  EXPECT_EQ(ModelConfig::from_json(read.to_json(), "again"), read);

  config.erase("eos_token_id");  // then the default of the format is nobody's word
  write("config.json", config.dump());
  EXPECT_EQ(open_hub_folder(folder()).config().end_tokens(), std::vector<std::int64_t>{9});
  write("generation_config.json", R"({"eos_token_id": null})");
  EXPECT_TRUE(open_hub_folder(folder()).config().end_tokens().empty());
}

TEST_F(HostileCheckpoint, TensorsThatAreNotFiniteAreFoundByTheirNames) {
  Model model = model_with_domain();
  EXPECT_TRUE(tensors_not_finite(model).empty());
  model.ln_f.bias = model.ln_f.bias.clone();
  model.ln_f.bias[3] = std::numeric_limits<double>::quiet_NaN();
  at::Tensor& last = model.blocks[1].mlp.modules.back().out;
  last = last.clone();
  last[0][0] = -std::numeric_limits<double>::infinity();
  for (PrivatePart& part : model.domains[0].parts) {
    if (part.name == "ln_f.weight") part.value = at::full_like(part.value, std::numeric_limits<double>::infinity());
  }
  EXPECT_THAT(tensors_not_finite(model),
              ::testing::UnorderedElementsAre("transformer.ln_f.bias", "transformer.h.1.mlpf.output_experts.weight",
                                              "german/ln_f.weight"));
}

TEST_F(HostileCheckpoint, ATiedHeadThatDiffersFromTheEmbeddingIsRefused) {
  Model model = tiny_model();
  save(model);
  json config = document("config.json");
  config["tie_word_embeddings"] = true;
  write("config.json", config.dump());
  const std::string hint = expect_error<Error>([&] { load_hub_model(open_hub_folder(folder())); },
                                               "differ, though config.json says that they are one");
  EXPECT_THAT(hint, HasSubstr("\"tie_word_embeddings\": false"));
  model.lm_head = model.wte;
  save(model);
  write("config.json", config.dump());
  EXPECT_TRUE(load_hub_model(open_hub_folder(folder())).config.tie_word_embeddings);
}

}  // namespace
}  // namespace mformer
