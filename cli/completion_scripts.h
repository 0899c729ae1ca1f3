#pragma once

namespace mformer::cli {

/// What a shell reads to complete the arguments of `mformer`: it asks the program for candidates
/// (`mformer completion candidates`), whatever its version is then.
extern const char* const bash_completion;
extern const char* const zsh_completion;
extern const char* const fish_completion;

}  // namespace mformer::cli
