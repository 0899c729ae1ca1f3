#pragma once

namespace mformer {

/// Where a stretch of text stands. It decides what a tokenizer puts before it.
enum class TextPlace {
  at_start,     ///< a text begins with it
  after_other,  ///< something of the same text stands before it: an added token, a byte that is no text, another word
  goes_on       ///< it continues a text that was encoded before, as an answer does its prompt: nothing is put before it
};

}  // namespace mformer
