#pragma once

#include <string>

namespace mformer::cli {

/// The folder of the checkpoint that a user means: `text` itself, or, of a folder in the layout of a hub's local cache
/// (`models--ORG--NAME`, with refs/main and snapshots), the snapshot that refs/main names (the only one where it names
/// none). What is no path here may also be ORG/NAME of a model in that cache: HF_HUB_CACHE or HUGGINGFACE_HUB_CACHE,
/// else HF_HOME/hub, else ~/.cache/huggingface/hub. Nothing is downloaded. Throws Error where the cache has it, but not
/// whole.
std::string checkpoint_place(const std::string& text);

/// The folder of that cache in which a model ORG/NAME lies, whether there is one or not. Throws UsageError for another
/// text, Error where nothing says where the cache is.
std::string hub_model_folder(const std::string& text);

}  // namespace mformer::cli
