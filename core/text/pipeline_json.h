#pragma once

#include "core/text/json_fields.h"
#include "core/text/normalizer.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/tokenizer.h"

namespace mformer {

/// The steps of a tokenizer.json around its model. Each is done exactly as the `tokenizers` package does it or refused:
/// the functions throw Error naming the file, the field and what was expected.

/// `normalizer`; one without steps when it is null.
Normalizer read_normalizer(const JsonFields& root);

/// `pre_tokenizer`, which must end in ByteLevel.
PreTokenizer read_pre_tokenizer(const JsonFields& root);

/// The tokens that `post_processor` puts around a text. Whether they exist is for the caller to check.
TokenFrame read_frame(const JsonFields& root);

/// Refuses a `decoder` other than ByteLevel.
void check_decoder(const JsonFields& root);

/// The steps of a Sequence at `list`, or the single step that `outer` is. Sequences in sequences are opened too.
std::vector<JsonFields> steps_of(const JsonFields& outer, std::string_view list);

}  // namespace mformer
