#pragma once

#include <string_view>

/// One function a kind of file, in readers/NAME.cpp: what it throws and what it must not is said in fuzz.h.
namespace mformer::fuzz {

void read_bundle(std::string_view input);
void read_chat_document(std::string_view input);
void read_chat_files(std::string_view input);
void read_config(std::string_view input);
void read_corpus(std::string_view input);
void read_defaults(std::string_view input);
void read_gguf(std::string_view input);
void read_gzip(std::string_view input);
void read_hub_cache(std::string_view input);
void read_json_line(std::string_view input);
void read_parcel(std::string_view input);
void read_pickle(std::string_view input);
void read_pickle_program(std::string_view input);
void read_questions_file(std::string_view input);
void read_regex(std::string_view input);
void read_safetensors(std::string_view input);
void read_sentencepiece(std::string_view input);
void read_session(std::string_view input);
void read_template(std::string_view input);
void read_token_file(std::string_view input);
void read_tokenizer(std::string_view input);
void read_weight_index(std::string_view input);
void read_words(std::string_view input);

}  // namespace mformer::fuzz
