#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {

std::span<const Reader> readers() {
  static constexpr Reader kReaders[] = {{"bundle", read_bundle},
                                        {"chat_document", read_chat_document},
                                        {"chat_files", read_chat_files},
                                        {"config", read_config},
                                        {"corpus", read_corpus},
                                        {"defaults", read_defaults},
                                        {"gguf", read_gguf},
                                        {"gzip", read_gzip},
                                        {"hub_cache", read_hub_cache},
                                        {"json_line", read_json_line},
                                        {"parcel", read_parcel},
                                        {"pickle", read_pickle},
                                        {"pickle_program", read_pickle_program},
                                        {"questions", read_questions_file},
                                        {"regex", read_regex},
                                        {"safetensors", read_safetensors},
                                        {"sentencepiece", read_sentencepiece},
                                        {"session", read_session},
                                        {"template", read_template},
                                        {"token_file", read_token_file},
                                        {"tokenizer", read_tokenizer},
                                        {"weight_index", read_weight_index},
                                        {"words", read_words}};
  return kReaders;
}

}  // namespace mformer::fuzz
