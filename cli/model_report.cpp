#include "cli/model_report.h"

#include <algorithm>

#include "cli/terminal/format.h"
#include "core/formats/chat_format.h"

namespace mformer::cli {
namespace {

std::vector<std::int64_t> per_layer(const ModelConfig& config, std::int64_t (ModelConfig::*count)(std::int64_t) const) {
  std::vector<std::int64_t> counts;
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) counts.push_back((config.*count)(layer));
  return counts;
}

/// "4", or "2 to 4" where layers differ.
std::string span_of(const std::vector<std::int64_t>& counts) {
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  return *least == *most ? std::to_string(*least) : std::to_string(*least) + " to " + std::to_string(*most);
}

}  // namespace

void report_model(terminal::Report& report, const InitReport& made, const std::string& name, bool dry_run) {
  const std::vector<std::int64_t> att = per_layer(made.config, &ModelConfig::n_att);
  const std::vector<std::int64_t> mlp = per_layer(made.config, &ModelConfig::n_mlp);
  nlohmann::ordered_json& data = report.data();
  data["dry_run"] = dry_run;
  data["model"] = dry_run ? name : to_string(made.version);
  if (!dry_run) data["hash"] = made.version.hash;
  data["model_version"] = dry_run ? nlohmann::ordered_json() : version_json(made.version);
  data["parameters"] = made.size.weights;
  data["active_parameters"] = made.config.active_parameter_count();
  data["layers"] = made.config.n_layer;
  data["att_modules"] = att;
  data["mlp_modules"] = mlp;
  data["bytes"] = made.size.bytes;
  const bool chats = chat_format_of(made.config).has_value();
  data["tokenizer"] = made.tokenizer;
  data["chat_template"] = chats;
  data["not_finite"] = made.not_finite;
  report.text() << (dry_run ? "would make " + name : "made " + to_string(made.version)) << "\n\nparameters  "
                << terminal::format_count(made.size.weights) << ", of which a token uses "
                << terminal::format_count(made.config.active_parameter_count()) << "\nlayers      "
                << made.config.n_layer << ", each with " << span_of(att) << " attention and " << span_of(mlp)
                << " feed-forward modules\nbytes       "
                << terminal::format_bytes(static_cast<std::uint64_t>(made.size.bytes)) << "\ntokenizer   ";
  if (made.tokenizer) {
    report.text() << "a vocabulary of " << terminal::format_count(made.config.vocab_size)
                  << (chats ? ", and a chat template\n" : "\n");
  } else {
    report.text() << "none: the model can be looked at, but not trained on text\n";
  }
  if (made.not_finite.empty()) return;
  report.text() << "\nwarning: weights that are not finite numbers, so that losses and texts are none either, in:\n";
  for (const std::string& tensor : made.not_finite) report.text() << "  " << tensor << '\n';
}

}  // namespace mformer::cli
