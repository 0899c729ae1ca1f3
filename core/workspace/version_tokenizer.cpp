#include "core/workspace/version_tokenizer.h"

#include <memory>

#include "core/formats/chat_format.h"
#include "core/text/chat_template.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {

Tokenizer tokenizer_of(const Registry& registry, const VersionRecord& version) {
  const Manifest manifest = registry.manifest(version.hash);
  if (manifest.tokenizer_object.empty()) refuse_without_tokenizer(version);
  const std::string name = to_string(version);
  const Tokenizer tokenizer = Tokenizer::from_json(
      read_file(registry.objects().verified_path(manifest.tokenizer_object)), "the tokenizer of " + name);
  return tokenizer_for(ModelConfig::from_json(manifest.config_json, "the config of " + name), tokenizer, name);
}

Tokenizer tokenizer_for(const ModelConfig& config, const Tokenizer& tokenizer, const std::string& version) {
  const Tokenizer ending = tokenizer.ending_with(config.eos_token_id);
  const auto format = chat_format_of(config);
  if (!format) return ending;
  const ChatFormat named = with_token_names(*format, ending, config.bos_token_id, config.eos_token_id);
  return ending.chatting_by(std::make_shared<ChatTemplate>(named, ending, "the chat template of " + version));
}

void refuse_without_tokenizer(const VersionRecord& version) {
  throw Error("the model " + to_string(version) + " has no tokenizer",
              "import it from a folder with a tokenizer.json, or start with: mformer init --tokenizer FILE");
}

}  // namespace mformer
