#pragma once

#include <string>
#include <vector>

namespace mformer::cli {

/// Keeps the arguments for the functions below. Call once, in main; `argv` must outlive the program's work.
void remember_arguments(char** argv);

/// The words behind the program's name, as they were typed; none where main did not remember them.
std::vector<std::string> typed_words();

/// Becomes the program that computes, mformer-compute, with the same arguments, environment, streams and process: it
/// lies in ../libexec/mformer of the folder in which this program really is. Does not return. Throws Interrupted where
/// the user asked to stop before, and Error where that program is missing or can't be started.
void hand_over();

}  // namespace mformer::cli
