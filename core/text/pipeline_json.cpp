#include "core/text/pipeline_json.h"

#include <array>
#include <optional>
#include <utility>

#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;
using Behavior = PreTokenizer::Behavior;

[[noreturn]] void refuse_type(const JsonFields& step) {
  step.refuse("type", "is '" + step.text("type", "") + "', which is not supported");
}

PreTokenizer::Delimiter read_pattern(const JsonFields& step) {
  const JsonFields pattern = step.object("pattern");
  pattern.allow_only({"Regex", "String"});
  try {
    if (pattern.at("Regex").is_string()) return Regex(pattern.text("Regex", ""));
    if (pattern.at("String").is_string()) {
      const auto text = pattern.text("String", "");
      return text.empty() ? Regex("") : Regex::literal(text);
    }
  } catch (const Error& error) {
    step.refuse("pattern", std::string("can't be used: ") + error.what());
  }
  step.refuse("pattern", R"(must be {"Regex": …} or {"String": …})");
}

Behavior read_behavior(const JsonFields& step, const std::string& fallback) {
  constexpr std::array<std::pair<std::string_view, Behavior>, 5> kBehaviors{
      {{"Isolated", Behavior::isolated},
       {"Removed", Behavior::removed},
       {"MergedWithPrevious", Behavior::merged_with_previous},
       {"MergedWithNext", Behavior::merged_with_next},
       {"Contiguous", Behavior::contiguous}}};
  const auto name = step.text("behavior", fallback);
  for (const auto& [known, behavior] : kBehaviors) {
    if (name == known) return behavior;
  }
  step.refuse("behavior", "is '" + name + "', not Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous");
}

void read_byte_level(const JsonFields& step, PreTokenizer& out) {
  step.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  if (step.flag("add_prefix_space", true)) out.add_prefix_space();
  if (step.flag("use_regex", true)) out.add_split(Regex(kGpt2Pattern), Behavior::isolated);
}

void read_delimiter_split(const JsonFields& step, PreTokenizer& out) {
  step.allow_only({"type", "delimiter"});
  const auto delimiter = step.text("delimiter", "");
  if (delimiter.empty()) step.refuse("delimiter", "must be a character");
  out.add_split(Regex::literal(delimiter), Behavior::removed);
}

/// Adds one step; true when it was the ByteLevel step, after which text is no longer text.
bool add_pre_tokenizer_step(const JsonFields& step, PreTokenizer& out) {
  const auto type = step.text("type", "");
  if (type == "ByteLevel") {
    read_byte_level(step, out);
    return true;
  }
  if (type == "Split") {
    step.allow_only({"type", "pattern", "behavior", "invert"});
    out.add_split(read_pattern(step), read_behavior(step, ""), step.flag("invert", false));
  } else if (type == "Digits") {
    step.allow_only({"type", "individual_digits"});
    const bool single = step.flag("individual_digits", false);
    out.add_split(&CharClass::numeric(), single ? Behavior::isolated : Behavior::contiguous);
  } else if (type == "Punctuation") {
    step.allow_only({"type", "behavior"});
    out.add_split(&CharClass::punctuation(), read_behavior(step, "Isolated"));
  } else if (type == "Whitespace") {
    step.allow_only({"type"});
    out.add_words_and_signs();
  } else if (type == "WhitespaceSplit") {
    step.allow_only({"type"});
    out.add_split(&CharClass::space(), Behavior::removed);
  } else if (type == "BertPreTokenizer") {
    step.allow_only({"type"});
    out.add_split(&CharClass::space(), Behavior::removed);
    out.add_split(&CharClass::punctuation(), Behavior::isolated);
  } else if (type == "CharDelimiterSplit") {
    read_delimiter_split(step, out);
  } else {
    refuse_type(step);
  }
  return false;
}

void add_replace(const JsonFields& step, Normalizer& out) {
  step.allow_only({"type", "pattern", "content"});
  if (!step.at("content").is_string()) step.refuse("content", "must be a text");
  Regex pattern = std::get<Regex>(read_pattern(step));
  Regex::Scratch scratch;
  if (pattern.find("", 0, scratch)) step.refuse("pattern", "matches the empty text, which is not supported");
  out.add_replace(std::move(pattern), step.text("content", ""));
}

void add_strip(const JsonFields& step, Normalizer& out) {
  step.allow_only({"type", "strip_left", "strip_right"});
  for (const auto* side : {"strip_left", "strip_right"}) {
    if (!step.at(side).is_boolean()) step.refuse(side, "must be true or false");
  }
  out.add_strip(step.flag("strip_left", false), step.flag("strip_right", false));
}

void add_normalizer_step(const JsonFields& step, Normalizer& out) {
  constexpr std::array<std::pair<std::string_view, Normalizer::Form>, 4> kForms{{{"NFC", Normalizer::Form::nfc},
                                                                                 {"NFD", Normalizer::Form::nfd},
                                                                                 {"NFKC", Normalizer::Form::nfkc},
                                                                                 {"NFKD", Normalizer::Form::nfkd}}};
  const auto type = step.text("type", "");
  for (const auto& [name, form] : kForms) {
    if (type == name) {
      step.allow_only({"type"});
      return out.add_form(form);
    }
  }
  if (type == "Lowercase") {
    step.allow_only({"type"});
    out.add_lowercase();
  } else if (type == "StripAccents") {
    step.allow_only({"type"});
    out.add_strip_accents();
  } else if (type == "Prepend") {
    step.allow_only({"type", "prepend"});
    out.add_prepend(step.text("prepend", ""));
  } else if (type == "Replace") {
    add_replace(step, out);
  } else if (type == "Strip") {
    add_strip(step, out);
  } else {
    refuse_type(step);
  }
}

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

}  // namespace

std::vector<JsonFields> steps_of(const JsonFields& outer, std::string_view list) {
  if (outer.text("type", "") != "Sequence") return {outer};
  outer.allow_only({"type", list});
  const json& items = outer.at(list);
  if (!items.is_array()) outer.refuse(list, "must be a list");
  std::vector<JsonFields> steps;
  size_t index = 0;
  for (const json& item : items) {
    const JsonFields step(item, outer.file(), outer.path_of(list) + "[" + std::to_string(index++) + "]");
    for (JsonFields& each : steps_of(step, list)) steps.push_back(std::move(each));
  }
  return steps;
}

Normalizer read_normalizer(const JsonFields& root) {
  Normalizer out;
  if (root.at("normalizer").is_null()) return out;
  for (const JsonFields& step : steps_of(root.object("normalizer"), "normalizers")) add_normalizer_step(step, out);
  return out;
}

PreTokenizer read_pre_tokenizer(const JsonFields& root) {
  PreTokenizer out;
  bool complete = false;
  for (const JsonFields& step : steps_of(root.object("pre_tokenizer"), "pretokenizers")) {
    if (complete) step.refuse("type", "comes after ByteLevel, which is not supported");
    complete = add_pre_tokenizer_step(step, out);
  }
  if (!complete) root.refuse("pre_tokenizer", "has no ByteLevel step");
  return out;
}

TokenFrame read_frame(const JsonFields& root) {
  TokenFrame frame;
  bool any = false;
  if (root.at("post_processor").is_null()) return frame;
  for (const JsonFields& step : steps_of(root.object("post_processor"), "processors")) {
    const auto type = step.text("type", "");
    if (type == "TemplateProcessing") {
      if (std::exchange(any, true)) step.refuse("type", "is a second template, which the package can't apply");
      frame = read_template(step);
    } else if (type != "ByteLevel") {  // which only concerns offsets
      refuse_type(step);
    }
  }
  return frame;
}

void check_decoder(const JsonFields& root) {
  const auto steps = steps_of(root.object("decoder"), "decoders");
  if (steps.size() != 1 || steps.front().text("type", "") != "ByteLevel") root.refuse("decoder", "is not ByteLevel");
}

}  // namespace mformer
