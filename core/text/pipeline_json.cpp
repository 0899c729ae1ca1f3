#include "core/text/pipeline_json.h"

#include <array>
#include <utility>

#include "core/text/utf8.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;
using Behavior = PreTokenizer::Behavior;

constexpr size_t kMostSteps = 256;

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

using Prepend = PreTokenizer::Prepend;

/// With "first" the package asks where in the original text a piece begins. Only where each character stands for one
/// of the original text is that the beginning of the text.
bool keeps_places(const JsonFields& normalizer) {
  for (const JsonFields& step : steps_of(normalizer, "normalizers")) {
    if (step.text("type", "") != "Replace") return false;
    const json& pattern = step.at("pattern");
    const auto from = pattern.is_object() && pattern.contains("String") ? pattern.at("String") : json();
    for (const json& text : {from, step.at("content")}) {
      if (!text.is_string()) return false;
      const auto& value = text.get_ref<const std::string&>();
      if (value.empty() || utf8_length(value) != value.size()) return false;
    }
  }
  return true;
}

void read_metaspace(const JsonFields& root, const JsonFields& step, PreTokenizer& out) {
  const Prepend prepend = read_prepend(step);
  if (prepend == Prepend::at_start && !root.at("normalizer").is_null() && !keeps_places(root.object("normalizer"))) {
    step.refuse("prepend_scheme",
                "is 'first', which is only supported without a normalizer but Replace of single "
                "characters by others");
  }
  const std::string mark = read_character(step, "replacement");
  out.add_metaspace(mark, prepend);
  if (step.flag("split", true)) out.add_split(Regex::literal(mark), Behavior::merged_with_next);
}

void add_pre_tokenizer_step(const JsonFields& root, const JsonFields& step, PreTokenizer& out) {
  const auto type = step.text("type", "");
  if (type == "ByteLevel") {
    read_byte_level(step, out);
  } else if (type == "Metaspace") {
    read_metaspace(root, step, out);
  } else if (type == "Split") {
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
    add_replace_step(step, out);
  } else if (type == "Strip") {
    add_strip(step, out);
  } else {
    refuse_type(step);
  }
}

}  // namespace

void refuse_type(const JsonFields& step) {
  step.refuse("type", "is '" + step.text("type", "") + "', which is not supported");
}

void add_replace_step(const JsonFields& step, Normalizer& out) {
  step.allow_only({"type", "pattern", "content"});
  if (!step.at("content").is_string()) step.refuse("content", "must be a text");
  Regex pattern = std::get<Regex>(read_pattern(step));
  Regex::Scratch scratch;
  if (pattern.find("", 0, scratch)) step.refuse("pattern", "matches the empty text, which is not supported");
  out.add_replace(std::move(pattern), step.text("content", ""));
}

std::string read_character(const JsonFields& step, std::string_view name) {
  const std::string text = step.text(name, "");
  if (text.empty() || utf8_length(text) != text.size()) step.refuse(name, "must be one character");
  return text;
}

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
    // Each step of a pre-tokenizer runs within the one before it.
    if (steps.size() > kMostSteps) outer.refuse(list, "has more than " + std::to_string(kMostSteps) + " steps");
  }
  return steps;
}

Normalizer read_normalizer(const JsonFields& root) {
  Normalizer out;
  if (root.at("normalizer").is_null()) return out;
  for (const JsonFields& step : steps_of(root.object("normalizer"), "normalizers")) add_normalizer_step(step, out);
  return out;
}

Prepend read_prepend(const JsonFields& step) {
  step.allow_only({"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
  constexpr std::array<std::pair<std::string_view, Prepend>, 3> kSchemes{
      {{"always", Prepend::always}, {"never", Prepend::never}, {"first", Prepend::at_start}}};
  const bool prefix = step.flag("add_prefix_space", true);
  const auto name = step.text("prepend_scheme", prefix ? "always" : "never");
  for (const auto& [known, prepend] : kSchemes) {
    if (name != known) continue;
    if (!prefix && prepend != Prepend::never) {
      step.refuse("add_prefix_space", "is false, but prepend_scheme is '" + name + "'");
    }
    return prepend;
  }
  step.refuse("prepend_scheme", "is '" + name + "', not always, never or first");
}

ReadPreTokenizer read_pre_tokenizer(const JsonFields& root) {
  ReadPreTokenizer out;
  if (root.at("pre_tokenizer").is_null()) return out;
  bool placed = true;
  for (const JsonFields& step : steps_of(root.object("pre_tokenizer"), "pretokenizers")) {
    if (out.byte_level) step.refuse("type", "comes after ByteLevel, which is not supported");
    const bool metaspace = step.text("type", "") == "Metaspace";
    if (metaspace && !placed && read_prepend(step) == Prepend::at_start) {
      step.refuse("prepend_scheme", "is 'first' after another Metaspace, which is not supported");
    }
    if (metaspace) placed = false;
    add_pre_tokenizer_step(root, step, out.steps);
    out.byte_level = step.text("type", "") == "ByteLevel";
  }
  return out;
}

}  // namespace mformer
