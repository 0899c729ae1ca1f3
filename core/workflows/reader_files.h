#pragma once

#include <map>
#include <string>

#include "core/workspace/version_store.h"

namespace mformer {

/// Small files that other programs look for beside a checkpoint, by name: `generation_config.json` says which tokens
/// end a text, as generate() obeys them, and `tokenizer_config.json`, where there is a tokenizer, what a reader of
/// tokenizer.json has to know: how the end and the beginning are called, and the length of the context. A chat template
/// stands in `chat_template.jinja` and there too, for older readers. What can't be said is left out.
std::map<std::string, std::string> reader_files(const LoadedVersion& version);

}  // namespace mformer
