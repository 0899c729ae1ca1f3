#include "core/formats/generation_config.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/formats/model_config.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

using nlohmann::json;

[[noreturn]] void refuse_end_tokens(const json& value, const std::string& source) {
  throw Error(source + ": 'eos_token_id' must be a whole number or a list of them, not " +
                  printable(shortened(value.dump(), 40)),
              "correct the file");
}

}  // namespace

std::vector<std::int64_t> read_end_tokens(const json& value, const std::string& source) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (value.is_null() || (value.is_number_integer() && value == -1)) return {};
  std::vector<std::int64_t> ids;
  for (const json& id : value.is_array() ? value : json::array({value})) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > std::uint64_t{kMost}) refuse_end_tokens(value, source);
    ids.push_back(id.get<std::int64_t>());
  }
  return ids;
}

void take_generation_config(ModelConfig& config, std::string_view text, bool replace, const std::string& source) {
  constexpr int kMaxDepth = 64;  // printing deeper JSON could exhaust the stack
  json document;
  try {
    document = json::parse(text, [&](int depth, json::parse_event_t, const json&) {
      if (depth > kMaxDepth) throw Error(source + ": nested too deeply for a config", "correct the file");
      return true;
    });
  } catch (const json::exception&) {
    throw Error(source + ": not valid JSON", "correct the file, or remove it: it only says how texts are generated");
  }
  if (!document.is_object()) throw Error(source + ": not a JSON object", "correct the file, or remove it");
  const auto found = document.find("eos_token_id");
  if (found == document.end()) return;
  std::vector<std::int64_t> ids = replace ? std::vector<std::int64_t>() : config.end_tokens();
  const std::vector<std::int64_t> more = read_end_tokens(*found, source);
  ids.insert(ids.end(), more.begin(), more.end());
  config.set_end_tokens(ids);
}

std::string generation_config_json(const ModelConfig& config) {
  json document = json::object();
  const std::vector<std::int64_t> ends = config.end_tokens();
  if (config.bos_token_id >= 0) document["bos_token_id"] = config.bos_token_id;
  if (ends.size() == 1) document["eos_token_id"] = ends.front();
  if (ends.size() > 1) document["eos_token_id"] = ends;
  return document.dump(2) + "\n";
}

}  // namespace mformer
