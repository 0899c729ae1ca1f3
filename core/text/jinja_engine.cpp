#include "core/text/jinja_engine.h"

#include <algorithm>
#include <ctime>
#include <minja/minja.hpp>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/text/jinja_spaces.h"
#include "core/text/utf8.h"

namespace mformer {
namespace {

constexpr const char* kNow = "mformer_now";
/// with_spaces_done() did all that is to do.
constexpr minja::Options kKeepSpaces{.trim_blocks = false, .lstrip_blocks = false, .keep_trailing_newline = true};

minja::Value strftime_at(std::time_t now) {
  return minja::Value::callable([now](const std::shared_ptr<minja::Context>&, minja::ArgumentsValue& arguments) {
    arguments.expectArgs("strftime_now", {1, 1}, {0, 0});
    const auto format = arguments.args[0].get<std::string>();
    std::tm local{};
    localtime_r(&now, &local);
    char text[512];
    const std::size_t length = std::strftime(text, sizeof text, format.c_str(), &local);
    if (length == 0 && !format.empty()) throw std::runtime_error("strftime_now gives too long a text");
    return minja::Value(std::string(text, length));
  });
}

/// What Python takes for space.
bool is_python_space(char32_t c) {
  constexpr std::u32string_view kSpaces =
      U"\t\n\v\f\r\x1C\x1D\x1E\x1F \x85\xA0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A"
      U"\u2028\u2029\u202F\u205F\u3000";
  return kSpaces.find(c) != std::u32string_view::npos;
}

std::string stripped(std::string_view text) {
  std::size_t begin = text.size(), end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t character = utf8_length(text.substr(at)), length = std::max<std::size_t>(character, 1);
    if (character == 0 || !is_python_space(utf8_decode(text.substr(at)))) {
      begin = std::min(begin, at);
      end = at + length;
    }
    at += length;
  }
  return begin < end ? std::string(text.substr(begin, end - begin)) : "";
}

/// The filter that nearly every template uses: minja's knows only the spaces of ASCII.
minja::Value trim() {
  return minja::Value::callable([](const std::shared_ptr<minja::Context>&, minja::ArgumentsValue& arguments) {
    arguments.expectArgs("trim", {1, 1}, {0, 0});
    const minja::Value& text = arguments.args[0];
    return text.is_null() ? text : minja::Value(stripped(text.get<std::string>()));
  });
}

/// Filters that minja lacks.
minja::Value first() {
  return minja::Value::callable([](const std::shared_ptr<minja::Context>&, minja::ArgumentsValue& arguments) {
    arguments.expectArgs("first", {1, 1}, {0, 0});
    minja::Value& list = arguments.args[0];
    if (list.is_array()) return list.empty() ? minja::Value() : list.at(0);
    const auto text = list.get<std::string>();
    return minja::Value(text.substr(0, std::max<std::size_t>(utf8_length(text), 1)));
  });
}

minja::Value replace() {
  return minja::Value::callable([](const std::shared_ptr<minja::Context>&, minja::ArgumentsValue& arguments) {
    arguments.expectArgs("replace", {3, 3}, {0, 0});
    const auto text = arguments.args[0].get<std::string>(), from = arguments.args[1].get<std::string>(),
               to = arguments.args[2].get<std::string>();
    if (from.empty()) throw std::runtime_error("replace can't look for an empty text");
    std::string result;
    std::size_t done = 0;
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, done)) {
      result.append(text, done, at - done).append(to);
      done = at + from.size();
    }
    return minja::Value(result.append(text, done));
  });
}

}  // namespace

struct JinjaEngine::Root {
  std::shared_ptr<minja::TemplateNode> node;
};

JinjaEngine::JinjaEngine(const std::string& text)
    : root_(std::make_unique<Root>(Root{minja::Parser::parse(with_spaces_done(text), kKeepSpaces)})) {}

JinjaEngine::~JinjaEngine() = default;

std::string JinjaEngine::render(const std::string& context) const {
  auto variables = nlohmann::ordered_json::parse(context);
  std::time_t now = 0;
  if (const auto field = variables.find(kNow); field != variables.end()) {
    now = field->get<std::int64_t>();
    variables.erase(field);
  }
  const auto scope = minja::Context::make(minja::Value(variables));
  scope->set("strftime_now", strftime_at(now));
  scope->set("trim", trim());
  scope->set("first", first());
  scope->set("replace", replace());
  return root_->node->render(scope);
}

}  // namespace mformer
