#pragma once

#include <string>

namespace mformer::cli {

/// The folder of the checkpoint that a user means: `text` itself, or, of a folder in the layout of a hub's local cache
/// (`models--ORG--NAME`, with refs/main and snapshots), the snapshot that refs/main names (the only one where it names
/// none). What is no path here may also be ORG/NAME of a model in that cache: HF_HUB_CACHE or HUGGINGFACE_HUB_CACHE,
/// else HF_HOME/hub, else ~/.cache/huggingface/hub. Nothing is downloaded. Throws Error where the cache has it, but not
/// whole.
std::string checkpoint_place(const std::string& text);

}  // namespace mformer::cli
