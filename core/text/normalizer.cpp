#include "core/text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "core/text/char_class.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

// The library sorts marks by exchanging neighbours, which takes the square of their number: longer runs are sorted
// here.
constexpr size_t kLongRun = 1024;

utf8proc_option_t options_of(Normalizer::Form form) {
  const bool composed = form == Normalizer::Form::nfc || form == Normalizer::Form::nfkc;
  const bool compatible = form == Normalizer::Form::nfkc || form == Normalizer::Form::nfkd;
  return static_cast<utf8proc_option_t>(UTF8PROC_STABLE | (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                                        (compatible ? UTF8PROC_COMPAT : 0));
}

/// The decomposed characters of `run` with their marks in order.
std::string sorted_decomposition(std::string_view run, utf8proc_option_t options) {
  constexpr size_t kMostOfOne = 32;  // characters that one may decompose to; 18 in Unicode so far
  std::vector<char32_t> letters;
  std::array<utf8proc_int32_t, kMostOfOne> parts{};
  const auto decomposing = static_cast<utf8proc_option_t>((options & ~UTF8PROC_COMPOSE) | UTF8PROC_DECOMPOSE);
  while (!run.empty()) {
    int boundary = 0;
    const auto letter = static_cast<utf8proc_int32_t>(utf8_decode(run));
    const auto count = utf8proc_decompose_char(letter, parts.data(), kMostOfOne, decomposing, &boundary);
    if (count < 0 || count > static_cast<utf8proc_ssize_t>(kMostOfOne)) throw std::bad_alloc();
    letters.insert(letters.end(), parts.begin(), parts.begin() + count);
    run.remove_prefix(utf8_length(run));
  }
  const auto order = [](char32_t letter) {
    return utf8proc_get_property(static_cast<utf8proc_int32_t>(letter))->combining_class;
  };
  for (auto at = letters.begin(); at != letters.end();) {
    const auto end = std::find_if(at, letters.end(), [&](char32_t letter) { return order(letter) == 0; });
    std::stable_sort(at, end, [&](char32_t a, char32_t b) { return order(a) < order(b); });
    at = end == letters.end() ? end : end + 1;
  }
  std::string out;
  for (const char32_t letter : letters) utf8_append(out, letter);
  return out;
}

void append_form(std::string_view run, utf8proc_option_t options, std::string& out) {
  std::string sorted;
  if (run.size() > kLongRun) {
    sorted = sorted_decomposition(run, options);
    run = sorted;
  }
  utf8proc_uint8_t* made = nullptr;
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(run.data()),
                                   static_cast<utf8proc_ssize_t>(run.size()), &made, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(made, &std::free);
  if (length < 0) throw std::bad_alloc();
  out.append(reinterpret_cast<const char*>(made), static_cast<size_t>(length));
}

/// Characters below this are the same in every form and begin anew: they never change with what stands before them.
/// With NFC that is all of Latin before the combining marks.
char32_t first_active(Normalizer::Form form) {
  return form == Normalizer::Form::nfc ? 0x300 : 0x80;
}

bool apply_form(Normalizer::Form form, std::string_view text, std::string& out) {
  const auto options = options_of(form);
  const char32_t active = first_active(form);
  const CharClass& inert = CharClass::inert();
  // `run` is where the character begins that the next ones may change; what lies before it is written.
  size_t run = 0;
  bool any = false;
  bool in_run = false;
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const size_t length = lead < 0x80 ? 1 : utf8_length(text.substr(at));
    const char32_t letter = lead < 0x80 ? lead : utf8_decode(text.substr(at));
    const bool plain = letter < active || (letter >= 0x80 && inert.contains(letter));
    if (plain) {
      if (in_run) {
        append_form(text.substr(run, at - run), options, out);
      } else {
        out.append(text, run, at - run);
      }
      run = at;
      in_run = false;
    } else {
      // An inert character can't be changed by marks after it: they are a run of their own.
      const bool after_inert = !in_run && run < at && static_cast<unsigned char>(text[run]) >= 0x80 &&
                               inert.contains(utf8_decode(text.substr(run)));
      if (after_inert) {
        out.append(text, run, at - run);
        run = at;
      }
      in_run = any = true;
    }
    at += length;
  }
  if (in_run) {
    append_form(text.substr(run), options, out);
  } else {
    out.append(text, run);
  }
  return any;
}

bool strip(std::string_view text, bool left, bool right, std::string& out) {
  const CharClass& space = CharClass::space();
  size_t begin = 0;
  size_t end = 0;  // after the last character that is no space
  size_t first = text.size();
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8_length(text.substr(at));
    if (!space.contains(utf8_decode(text.substr(at)))) {
      first = std::min(first, at);
      end = at + length;
    }
    at += length;
  }
  if (left) begin = first;
  if (!right) end = text.size();
  if (begin == 0 && end == text.size()) return false;
  if (begin < end) out = text.substr(begin, end - begin);
  return true;
}

}  // namespace

void Normalizer::add_form(Form form) {
  steps_.emplace_back([form](std::string_view text, TextPlace, std::string& out, Regex::Scratch&) {
    const bool ascii = std::ranges::all_of(text, [](char unit) { return static_cast<unsigned char>(unit) < 0x80; });
    return !ascii && apply_form(form, text, out);
  });
}

void Normalizer::add_lowercase() {
  steps_.emplace_back([](std::string_view text, TextPlace, std::string& out, Regex::Scratch&) {
    out = lowercase(text);
    return true;
  });
}

void Normalizer::add_prepend(std::string prefix) {
  steps_.emplace_back(
      [prefix = std::move(prefix)](std::string_view text, TextPlace place, std::string& out, Regex::Scratch&) {
        if (text.empty() || place == TextPlace::goes_on) return false;
        out = prefix;
        out += text;
        return true;
      });
}

void Normalizer::add_replace(Regex pattern, std::string content) {
  steps_.emplace_back([pattern = std::move(pattern), content = std::move(content)](
                          std::string_view text, TextPlace, std::string& out, Regex::Scratch& scratch) {
    if (text.empty()) return false;
    size_t at = 0;
    bool any = false;
    pattern.for_each_match(text, scratch, [&](Regex::Match match) {
      // The package writes such a content twice in places, or fails.
      if (match.begin == match.end) {
        throw Error("a pattern of the tokenizer's Replace step matches the empty text here",
                    "docs/tokenizer.md lists what is supported");
      }
      out.append(text, at, match.begin - at);
      out += content;
      at = match.end;
      any = true;
    });
    out.append(text, at);
    return any;
  });
}

void Normalizer::add_strip(bool left, bool right) {
  steps_.emplace_back([left, right](std::string_view text, TextPlace, std::string& out, Regex::Scratch&) {
    return strip(text, left, right, out);
  });
}

void Normalizer::add_strip_accents() {
  steps_.emplace_back([](std::string_view text, TextPlace, std::string& out, Regex::Scratch&) {
    while (!text.empty()) {
      const size_t length = utf8_length(text);
      if (!CharClass::mark().contains(utf8_decode(text))) out += text.substr(0, length);
      text.remove_prefix(length);
    }
    return true;
  });
}

std::string_view Normalizer::apply(std::string_view text, TextPlace place, std::string& memory,
                                   Regex::Scratch& scratch) const {
  for (const Step& step : steps_) {
    std::string out;
    if (!step(text, place, out, scratch)) continue;
    memory = std::move(out);
    text = memory;
  }
  return text;
}

}  // namespace mformer
