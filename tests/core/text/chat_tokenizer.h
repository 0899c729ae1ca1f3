#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/text/tokenizer.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {

/// A small tokenizer of byte letters that has the special tokens of ChatML and of others, from id 1001 on.
inline Tokenizer chat_tokenizer(const std::vector<std::string>& special = {"<|im_start|>", "<|im_end|>", "<s>",
                                                                           "</s>"}) {
  auto document = nlohmann::json::parse(read_file(std::string(MFORMER_TEST_DATA) + "/tokenizer/small.json"));
  int id = 1001;
  for (const std::string& name : special) {
    document["added_tokens"].push_back({{"id", id++},
                                        {"content", name},
                                        {"single_word", false},
                                        {"lstrip", false},
                                        {"rstrip", false},
                                        {"normalized", false},
                                        {"special", true}});
  }
  return Tokenizer::from_json(document.dump(), "a small tokenizer");
}

/// The sentence and the hint with which `work` is refused; "" when it is not.
template <typename Work>
std::string refusal_by(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return std::string(error.what()) + "\n" + error.hint();
  }
  return "";
}

/// ChatML, with a system turn of its own where a conversation has none.
inline constexpr const char* kChatMl =
    "{%- if messages[0].role != 'system' -%}{{ '<|im_start|>system\nHelp.<|im_end|>\n' }}{%- endif -%}"
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}";

/// As Llama 2 and Mistral write: nothing marks where the assistant begins, blanks are taken from a turn's ends.
inline constexpr const char* kInstructions =
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% "
    "endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}";

}  // namespace mformer
