#include <utility>

#include "core/text/pipeline_json.h"

namespace mformer {
namespace {

using nlohmann::json;

std::vector<int32_t> ids_of_special(const JsonFields& processor, const JsonFields& piece) {
  piece.allow_only({"id", "type_id"});
  const auto name = piece.text("id", "");
  const JsonFields all = processor.object("special_tokens");
  if (all.at(name).is_null()) piece.refuse("id", "names '" + name + "', which special_tokens lacks");
  const json& ids = all.object(name).at("ids");
  std::vector<int32_t> out;
  for (const json& id : ids) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX) all.refuse(name, "has the id " + shown(id));
    out.push_back(id.get<int32_t>());
  }
  if (!ids.is_array()) all.refuse(name, "has no list of ids");
  return out;
}

TokenFrame read_template(const JsonFields& processor) {
  processor.allow_only({"type", "single", "pair", "special_tokens"});
  const json& single = processor.at("single");
  if (!single.is_array()) processor.refuse("single", "must be a list");
  TokenFrame frame;
  size_t texts = 0;
  for (size_t at = 0; at < single.size(); ++at) {
    const JsonFields piece(single[at], processor.file(), processor.path_of("single") + "[" + std::to_string(at) + "]");
    if (!piece.at("SpecialToken").is_null()) {
      const auto ids = ids_of_special(processor, piece.object("SpecialToken"));
      auto& side = texts == 0 ? frame.before : frame.after;
      side.insert(side.end(), ids.begin(), ids.end());
    } else {
      if (piece.object("Sequence").text("id", "") != "A") piece.refuse("Sequence", "is not the text (A)");
      ++texts;
    }
  }
  if (texts != 1) processor.refuse("single", "must name the text (A) once");
  return frame;
}

/// ["<s>", 1]
int32_t read_named_id(const JsonFields& processor, const char* name) {
  const json& pair = processor.at(name);
  const bool fits = pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_number_integer();
  if (!fits || pair[1] < 0 || pair[1] > INT32_MAX) {
    processor.refuse(name, R"(must be a token and its id, like ["<s>", 1])");
  }
  return pair[1].get<int32_t>();
}

TokenFrame read_class_and_separator(const JsonFields& processor) {
  processor.allow_only({"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
  return {{read_named_id(processor, "cls")}, {read_named_id(processor, "sep")}};
}

}  // namespace

TokenFrame read_frame(const JsonFields& root) {
  TokenFrame frame;
  bool any = false;
  if (root.at("post_processor").is_null()) return frame;
  for (const JsonFields& step : steps_of(root.object("post_processor"), "processors")) {
    const auto type = step.text("type", "");
    if (type == "ByteLevel") continue;  // which only concerns offsets
    if (type != "TemplateProcessing" && type != "BertProcessing" && type != "RobertaProcessing") refuse_type(step);
    if (std::exchange(any, true)) step.refuse("type", "is a second template, which is not supported");
    frame = type == "TemplateProcessing" ? read_template(step) : read_class_and_separator(step);
  }
  return frame;
}

}  // namespace mformer
