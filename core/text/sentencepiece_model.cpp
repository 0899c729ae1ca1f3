#include "core/text/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "core/text/json_fields.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

/// A field of a message in the wire format of protocol buffers.
struct WireField {
  uint64_t number = 0;
  uint64_t value = 0;        // of integers, and the bits of a float
  std::string_view bytes{};  // of texts and messages
  bool holds_bytes = false;
};

/// Reads a message field by field. Its errors say what is wrong with the file, which they don't name.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}

  std::optional<WireField> next() {
    if (rest_.empty()) return std::nullopt;
    const uint64_t tag = varint();
    WireField field{.number = tag >> 3U};
    switch (tag & 7U) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = little_endian(8);
        break;
      case 2:
        field.bytes = take(varint());
        field.holds_bytes = true;
        break;
      case 5:
        field.value = little_endian(4);
        break;
      default:
        throw Error("holds a field of an unknown kind");
    }
    return field;
  }

 private:
  std::string_view take(uint64_t count) {
    if (count > rest_.size()) throw Error("ends within a field");
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1).front());
      value |= static_cast<uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) return value;
    }
    throw Error("holds a number that is too long");
  }

  uint64_t little_endian(size_t count) {
    uint64_t value = 0;
    unsigned shift = 0;
    for (const char byte : take(count)) {
      value |= static_cast<uint64_t>(static_cast<uint8_t>(byte)) << shift;
      shift += 8;
    }
    return value;
  }

  std::string_view rest_;
};

std::string text_in(const WireField& field) {
  if (!field.holds_bytes || utf8_valid_prefix(field.bytes) != field.bytes.size()) {
    throw Error("holds a name that is no text");
  }
  return std::string(field.bytes);
}

int64_t integer_in(const WireField& field) {
  return static_cast<int64_t>(field.value);
}

SentencePieceModel::Piece read_piece(std::string_view message) {
  SentencePieceModel::Piece piece;
  WireReader reader(message);
  while (const auto field = reader.next()) {
    if (field->number == 1) piece.text = text_in(*field);
    if (field->number == 2) piece.score = std::bit_cast<float>(static_cast<uint32_t>(field->value));
    if (field->number != 3) continue;
    if (field->value < 1 || field->value > 6) throw Error("holds a piece of an unknown type");
    piece.type = static_cast<SentencePieceModel::PieceType>(field->value);
  }
  if (piece.text.empty()) throw Error("holds a piece without a name");
  if (!std::isfinite(piece.score)) throw Error("holds a score that is no number");
  return piece;
}

void read_trainer(std::string_view message, SentencePieceModel& model) {
  WireReader reader(message);
  while (const auto field = reader.next()) {
    if (field->number == 3) model.model_type = integer_in(*field);
    if (field->number == 24) model.whitespace_as_suffix = field->value != 0;
    if (field->number == 35) model.byte_fallback = field->value != 0;
    if (field->number == 41) model.bos_id = integer_in(*field);
    if (field->number == 42) model.eos_id = integer_in(*field);
    if (field->number == 45) model.unknown_piece = text_in(*field);
  }
}

void read_normalizer_spec(std::string_view message, SentencePieceModel& model) {
  WireReader reader(message);
  while (const auto field = reader.next()) {
    if (field->number == 2) model.normalization = std::string(field->bytes);
    if (field->number == 3) model.add_dummy_prefix = field->value != 0;
    if (field->number == 4) model.remove_extra_whitespaces = field->value != 0;
    if (field->number == 5) model.escape_whitespaces = field->value != 0;
  }
}

SentencePieceModel read_model_proto(std::string_view bytes) {
  SentencePieceModel model;
  std::unordered_set<std::string> names;
  WireReader reader(bytes);
  while (const auto field = reader.next()) {
    if (field->number >= 1 && field->number <= 3 && !field->holds_bytes) throw Error("is of another format");
    if (field->number == 1) {
      model.pieces.push_back(read_piece(field->bytes));
      const std::string& text = model.pieces.back().text;
      if (!names.insert(text).second) throw Error("holds the piece '" + cut(printable(text), 60) + "' twice");
    }
    if (field->number == 2) read_trainer(field->bytes, model);
    if (field->number == 3) read_normalizer_spec(field->bytes, model);
  }
  if (model.pieces.empty()) throw Error("holds no pieces");
  return model;
}

}  // namespace

SentencePieceModel parse_sentencepiece_model(std::string_view bytes, const std::string& name) {
  try {
    return read_model_proto(bytes);
  } catch (const Error& error) {
    throw Error("'" + name + "' is no model of sentencepiece: it " + error.what(),
                "name the tokenizer.json of the model, if it has one: --tokenizer FILE");
  }
}

}  // namespace mformer
