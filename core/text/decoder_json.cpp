#include "core/text/pipeline_json.h"

namespace mformer {
namespace {

using nlohmann::json;

std::size_t read_count(const JsonFields& step, const char* name) {
  const json& count = step.at(name);
  if (!count.is_number_integer() || count < 0 || count > INT32_MAX) step.refuse(name, "must be a number from 0 on");
  return count.get<std::size_t>();
}

void add_strip_step(const JsonFields& step, Decoder& out) {
  step.allow_only({"type", "content", "start", "stop"});
  if (read_count(step, "stop") != 0) step.refuse("stop", "is not 0, which is not supported");
  out.add_strip(read_character(step, "content"), read_count(step, "start"));
}

void add_decoder_step(const JsonFields& step, Decoder& out) {
  const auto type = step.text("type", "");
  if (type == "ByteLevel") {
    step.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    out.add_byte_level();
  } else if (type == "Replace") {
    Normalizer replace;
    add_replace_step(step, replace);
    out.add_replace(std::move(replace));
  } else if (type == "ByteFallback") {
    step.allow_only({"type"});
    out.add_byte_fallback();
  } else if (type == "Fuse") {
    step.allow_only({"type"});
    out.add_fuse();
  } else if (type == "Strip") {
    add_strip_step(step, out);
  } else if (type == "Metaspace") {
    const bool strips_first = read_prepend(step) != PreTokenizer::Prepend::never;
    out.add_metaspace(read_character(step, "replacement"), strips_first);
  } else {
    refuse_type(step);
  }
}

}  // namespace

Decoder read_decoder(const JsonFields& root) {
  Decoder out(root.at("decoder").is_null());
  if (root.at("decoder").is_null()) return out;
  for (const JsonFields& step : steps_of(root.object("decoder"), "decoders")) add_decoder_step(step, out);
  return out;
}

}  // namespace mformer
