// Readers that make tensors: a whole checkpoint, the field of its domains, the snapshot of a training.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "core/checkpoint/domain_config.h"
#include "core/checkpoint/hub_model.h"
#include "core/training/snapshot.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/tiny_model.h"

namespace mformer::fuzz {
namespace {

/// After a byte 0 the weights.
void read_checkpoint(std::string_view input) {
  const Scratch& scratch = Scratch::folder();
  const std::size_t end = std::min(input.find('\0'), input.size());
  scratch.write("config.json", input.substr(0, end));
  scratch.write("model.safetensors", input.substr(std::min(end + 1, input.size())));
  const Model model = load_hub_model(open_hub_folder(scratch.path()));
  HubWriteOptions options;
  options.native = true;
  must_succeed("a model that was read can be written", [&] {
    save_hub_model(scratch.path() / "written", model, options);
    return true;
  });
  std::filesystem::remove_all(scratch.path() / "written");
}

/// The value of "mformer_domains" for a small model.
void read_domains(std::string_view input) {
  static const Model small = testing::tiny_model();
  Model model = small;
  model.config.extra = {{kDomainsField, parse_config_object(input, "input").value("domains", nlohmann::json())}};
  take_domains(model, "input");
  const ModelConfig written = config_with_domains(model);
  must(model.domains.empty() || written.extra.contains(kDomainsField), "domains are not lost");
}

void read_snapshot(std::string_view input) {
  const Scratch& scratch = Scratch::folder();
  scratch.write("snapshot.safetensors", input);
  AdamW optimizer({{"a", at::zeros({2, 3})}}, {});
  load_snapshot(scratch.path(), optimizer);
}

}  // namespace

std::span<const Reader> readers() {
  static constexpr Reader kReaders[] = {
      {"checkpoint", read_checkpoint}, {"domains", read_domains}, {"snapshot", read_snapshot}};
  return kReaders;
}

}  // namespace mformer::fuzz
