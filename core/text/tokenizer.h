#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mformer {

class ChatTemplate;

/// Raised when the same file gives other ids than before: token files of older rules are made anew.
inline constexpr int kTokenizerRules = 3;

/// How text becomes ids. The defaults are those of the Python `tokenizers` package.
struct EncodeOptions {
  /// Special tokens written out in the text ("<|endoftext|>") are encoded like any other text instead of as that token.
  bool special_as_text = false;
  /// Adds the tokens of the file's template (TokenFrame), as the package does unless it is told not to.
  bool with_frame = false;
  /// The text goes on one that is encoded by itself, as an answer does its prompt: nothing is put before it that the
  /// file has before each text ("▁", a space).
  bool continues = false;
};

/// How ids become text.
struct DecodeOptions {
  bool skip_special = false;  ///< Special tokens are left out.
  /// The ids go on others: nothing is taken away that the file takes away where a text begins.
  bool continues = false;
};

/// The tokens that a file's template (TemplateProcessing) puts around every text; most files have none.
struct TokenFrame {
  std::vector<int32_t> before, after;
};

/// A BPE tokenizer as in a Hugging Face `tokenizer.json`, of byte letters or of the sentencepiece kind: the ids are
/// those of the `tokenizers` package, for any text (docs/tokenizer.md). A cheap handle to immutable data: copy it
/// freely; every member function may run in many threads at once.
///
/// Text is bytes. Bytes that are not valid UTF-8 become the token of each single byte, and the text on either side is
/// encoded as if it stood alone; so decode(encode(x)) == x for every byte string, as long as the vocabulary holds all
/// 256 bytes, the file asks for no prefix space, normalises nothing and drops nothing between words, and no added token
/// strips spaces or has a name of byte-level letters. In the sentencepiece kind a space in front is put there and taken
/// away again, and "▁" comes back as a space.
class Tokenizer {
 public:
  /// Reads `file`, a tokenizer.json or, by the ending ".model", a BPE model of sentencepiece with the settings in the
  /// files beside it, or a GGUF file, which then become a tokenizer.json (sentencepiece_json.h, gguf_tokenizer.h).
  /// Throws Error naming the file and the field when it can't be read, is neither, contradicts itself, or asks for
  /// something that is not supported (docs/tokenizer.md lists what is).
  static Tokenizer load(const std::filesystem::path& file);

  /// The same from the text of such a file; `name` stands for it in errors.
  static Tokenizer from_json(std::string json, const std::string& name);

  /// The ids of `text`; empty for an empty text unless with_frame adds some. Linear in the length but for single
  /// words of many kilobytes (n log n). Throws Error when a pattern of the file is too slow for this text.
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;

  /// encode() of each text, on up to `threads` threads (at least 1), results in the order of the texts. `options`, if
  /// any, gives those of a text by its index; it is called on all threads at once.
  using EncodeOptionsOf = std::function<EncodeOptions(size_t text)>;
  std::vector<std::vector<int32_t>> encode_many(std::span<const std::string_view> texts, int threads,
                                                const EncodeOptionsOf& options = {}) const;

  /// The bytes that `ids` stand for. Ids that are no token are left out, as the package does (ask contains() to refuse
  /// them). A text may end inside a character: for display, pass the result through replace_invalid_utf8 (utf8.h). That
  /// is what the package's decode returns, save that it shows each byte of a run of byte tokens ("<0xE2>") as U+FFFD
  /// where the run as a whole is no text.
  std::string decode(std::span<const int32_t> ids, DecodeOptions options = {}) const;

  /// One more than the largest id, added tokens included: the least number of rows of an embedding.
  int32_t vocab_size() const;

  bool contains(int32_t id) const;

  /// The id of a token by its name in the file ("Ġthe", "<|endoftext|>"), added tokens first.
  std::optional<int32_t> id_of(std::string_view token) const;

  /// The id that ends a document: the first of <|endoftext|>, <|end_of_text|>, </s> that exists, or else that of
  /// ending_with(). Throws Error if none.
  int32_t end_of_text() const;
  /// The same, or nothing.
  std::optional<int32_t> find_end_of_text() const;

  /// The same tokenizer where the token `id` ends a document, if the file names none of these and has this one: what
  /// a model's config says about it.
  Tokenizer ending_with(int64_t id) const;

  /// The same tokenizer of a model whose conversations this template writes; null = of one that has none.
  Tokenizer chatting_by(std::shared_ptr<const ChatTemplate> chat) const;
  /// Null where the model has no template.
  const ChatTemplate* chat() const { return chat_.get(); }

  /// hash(), and after it the token of ending_with() where that one counts and what chatting_by() gave: two equal ones
  /// make equal token files.
  std::string identity() const;

  /// The names of special tokens in the order of the file, and what stands for one in a text where that is another.
  std::vector<std::string> special_tokens() const;

  const TokenFrame& frame() const;

  /// The tokens of the template to put before a document or prompt of these `ids`: none when it begins with them
  /// already, because they were written out in the text. The tokens behind a text are no part of prompts.
  std::span<const int32_t> opening_of(std::span<const int32_t> ids) const;

  /// SHA-256 of the file's text, 64 hex digits: two equal hashes encode alike.
  const std::string& hash() const;

  /// The text of the tokenizer.json, byte for byte as loaded.
  const std::string& to_json() const;

  /// Writes to_json() to `file`, whole or not at all. Throws Error when it can't.
  void save(const std::filesystem::path& file) const;

 private:
  struct Data;
  explicit Tokenizer(std::shared_ptr<const Data> data);
  std::shared_ptr<const Data> data_;
  std::optional<int32_t> end_;  ///< Of ending_with(), where the file names none.
  std::shared_ptr<const ChatTemplate> chat_;
};

}  // namespace mformer
