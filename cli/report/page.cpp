#include "cli/report/page.h"

#include <array>
#include <cstddef>
#include <stdexcept>

#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

std::string base64(const std::array<std::byte, 32>& digest) {
  static const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < digest.size(); i += 3) {
    unsigned group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < digest.size() ? std::to_integer<unsigned>(digest[i + k]) : 0U);
    }
    for (const int shift : {18, 12, 6, 0}) text += letters[group >> shift & 63];
  }
  text.back() = '=';  // 32 bytes fill all but the last letter
  return text;
}

/// JSON in ASCII, in which no tag can begin or end: whatever it holds, the page's block ends where we end it.
std::string json_for_html(const nlohmann::ordered_json& data) {
  std::string text;
  for (const char c : data.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace)) {
    if (c == '<')
      text += "\\u003c";
    else if (c == '>')
      text += "\\u003e";
    else if (c == '&')
      text += "\\u0026";
    else
      text += c;
  }
  return text;
}

void put(std::string& page, const std::string& name, const std::string& text) {
  const std::string mark = "{{" + name + "}}";
  const std::size_t place = page.find(mark);
  if (place == std::string::npos) throw std::logic_error("the page has no place for its " + name);
  page.replace(place, mark.size(), text);
}

std::string hash_of(const std::string& text) {
  return "'sha256-" + base64(sha256_digest(as_bytes(text))) + "'";
}

}  // namespace

std::string report_page(const nlohmann::ordered_json& data) {
  const std::string style = page_style(), script = page_script();
  std::string page = page_html();
  put(page, "policy",
      "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + hash_of(style) + "; script-src " +
          hash_of(script));
  put(page, "style", style);
  put(page, "script", script);
  put(page, "data", json_for_html(data));  // last: nothing is looked for in it
  return page;
}

}  // namespace mformer::cli
