#pragma once

#include "core/text/decoder.h"
#include "core/text/json_fields.h"
#include "core/text/normalizer.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/tokenizer.h"

namespace mformer {

/// The steps of a tokenizer.json around its model. Each is done exactly as the `tokenizers` package does it or refused:
/// the functions throw Error naming the file, the field and what was expected.

/// `normalizer`; one without steps when it is null.
Normalizer read_normalizer(const JsonFields& root);

struct ReadPreTokenizer {
  PreTokenizer steps;
  bool byte_level = false;  ///< they end in ByteLevel: words are bytes, and tokens are written in byte letters
};

/// `pre_tokenizer`; one without steps when it is null.
ReadPreTokenizer read_pre_tokenizer(const JsonFields& root);

/// The tokens that `post_processor` puts around a text. Whether they exist is for the caller to check.
TokenFrame read_frame(const JsonFields& root);

/// `decoder`; one without steps when it is null.
Decoder read_decoder(const JsonFields& root);

/// Parts of these. add_replace_step reads a Replace step, which normalizers and decoders may have.
[[noreturn]] void refuse_type(const JsonFields& step);
void add_replace_step(const JsonFields& step, Normalizer& out);
PreTokenizer::Prepend read_prepend(const JsonFields& metaspace);
std::string read_character(const JsonFields& step, std::string_view name);

/// The steps of a Sequence at `list`, or the single step that `outer` is. Sequences in sequences are opened too.
std::vector<JsonFields> steps_of(const JsonFields& outer, std::string_view list);

}  // namespace mformer
