#include "core/text/pre_tokenizer.h"

#include <algorithm>
#include <utility>

#include "core/text/utf8.h"

namespace mformer {
namespace {

struct Piece {
  size_t begin, end;
  bool delimiter;
};

/// Calls `visit(piece)` with stretches and delimiters in order; delimiters may be empty, stretches not.
template <typename Visit>
void visit_pieces(const PreTokenizer::Delimiter& delimiter, std::string_view text, Regex::Scratch& scratch,
                  const Visit& visit) {
  size_t done = 0;
  const auto found = [&](size_t begin, size_t end) {
    if (done < begin) visit(Piece{done, begin, false});
    visit(Piece{begin, end, true});
    done = end;
  };
  if (const auto* pattern = std::get_if<Regex>(&delimiter)) {
    pattern->for_each_match(text, scratch, [&](Regex::Match match) { found(match.begin, match.end); });
  } else {
    const CharClass& members = *std::get<const CharClass*>(delimiter);
    for (size_t at = 0; at < text.size();) {
      const auto lead = static_cast<unsigned char>(text[at]);
      const size_t length = lead < 0x80 ? 1 : utf8_length(text.substr(at));
      if (members.contains(lead < 0x80 ? lead : utf8_decode(text.substr(at)))) found(at, at + length);
      at += length;
    }
  }
  if (done < text.size()) visit(Piece{done, text.size(), false});
}

/// Joins pieces as the package does. A delimiter only joins a neighbour when the piece before it was none.
std::vector<Piece> merged(std::vector<Piece> pieces, PreTokenizer::Behavior behavior) {
  const bool backwards = behavior == PreTokenizer::Behavior::merged_with_next;
  if (backwards) std::ranges::reverse(pieces);
  std::vector<Piece> out;
  bool after_delimiter = false;
  for (const Piece& piece : pieces) {
    const bool joins = behavior == PreTokenizer::Behavior::contiguous ? piece.delimiter == after_delimiter
                                                                      : piece.delimiter && !after_delimiter;
    after_delimiter = piece.delimiter;
    if (!joins || out.empty()) {
      out.push_back(piece);
    } else if (backwards) {
      out.back().begin = piece.begin;
    } else {
      out.back().end = piece.end;
    }
  }
  if (backwards) std::ranges::reverse(out);
  return out;
}

}  // namespace

void PreTokenizer::add_prefix_space() {
  steps_.emplace_back(PrefixSpace{});
}

void PreTokenizer::add_metaspace(std::string mark, Prepend prepend) {
  steps_.emplace_back(Metaspace{std::move(mark), prepend});
}

void PreTokenizer::add_split(Delimiter delimiter, Behavior behavior, bool invert) {
  steps_.emplace_back(Split{std::move(delimiter), behavior, invert});
}

void PreTokenizer::add_words_and_signs() {
  steps_.emplace_back(WordsAndSigns{});
}

void PreTokenizer::for_each_word(std::string_view text, TextPlace place, Regex::Scratch& scratch,
                                 const Sink& word) const {
  run({0, text, place}, scratch, word);
}

void PreTokenizer::run(const Stretch& from, Regex::Scratch& scratch, const Sink& word) const {
  if (from.text.empty()) return;
  if (from.step == steps_.size()) return word(from.text);
  const Step& step = steps_[from.step];
  if (std::holds_alternative<Split>(step)) {
    split(from, scratch, word);
  } else if (std::holds_alternative<WordsAndSigns>(step)) {
    words_and_signs(from, scratch, word);
  } else if (std::holds_alternative<Metaspace>(step)) {
    metaspace(from, scratch, word);
  } else {
    prefix_space(from, scratch, word);
  }
}

void PreTokenizer::prefix_space(const Stretch& from, Regex::Scratch& scratch, const Sink& word) const {
  if (from.text.front() == ' ' || from.place == TextPlace::goes_on) {
    run(from.part(0, from.text.size()), scratch, word);
  } else {
    const std::string text = " " + std::string(from.text);
    run({from.step + 1, text, from.place}, scratch, word);
  }
}

void PreTokenizer::metaspace(const Stretch& from, Regex::Scratch& scratch, const Sink& word) const {
  const auto& [mark, prepend] = std::get<Metaspace>(steps_[from.step]);
  std::string text;
  for (const char byte : from.text) {
    if (byte == ' ') {
      text += mark;
    } else {
      text += byte;
    }
  }
  const bool wanted = prepend == Prepend::always ? from.place != TextPlace::goes_on
                                                 : prepend == Prepend::at_start && from.place == TextPlace::at_start;
  if (wanted && !text.starts_with(mark)) text.insert(0, mark);
  run({from.step + 1, text, from.place}, scratch, word);
}

void PreTokenizer::split(const Stretch& from, Regex::Scratch& scratch, const Sink& word) const {
  const Split& step = std::get<Split>(steps_[from.step]);
  const std::string_view text = from.text;
  const auto next = [&](const Piece& piece) { run(from.part(piece.begin, piece.end), scratch, word); };
  if (step.behavior == Behavior::isolated) return visit_pieces(step.delimiter, text, scratch, next);
  if (step.behavior == Behavior::removed) {
    return visit_pieces(step.delimiter, text, scratch, [&](const Piece& piece) {
      if (piece.delimiter == step.invert) next(piece);
    });
  }
  std::vector<Piece> pieces;
  visit_pieces(step.delimiter, text, scratch, [&](const Piece& piece) {
    pieces.push_back({piece.begin, piece.end, piece.delimiter != step.invert});
  });
  for (const Piece& piece : merged(std::move(pieces), step.behavior)) next(piece);
}

void PreTokenizer::words_and_signs(const Stretch& from, Regex::Scratch& scratch, const Sink& word) const {
  const std::string_view text = from.text;
  enum class Kind { letters, signs, spaces };
  size_t begin = 0;
  Kind kind = Kind::spaces;
  for (size_t at = 0; at <= text.size();) {
    const bool ends = at == text.size();
    const char32_t letter = ends ? ' ' : utf8_decode(text.substr(at));
    const Kind now = CharClass::word().contains(letter)    ? Kind::letters
                     : CharClass::space().contains(letter) ? Kind::spaces
                                                           : Kind::signs;
    if (now != kind) {
      if (kind != Kind::spaces) run(from.part(begin, at), scratch, word);
      begin = at;
      kind = now;
    }
    at += ends ? 1 : utf8_length(text.substr(at));
  }
}

}  // namespace mformer
