#pragma once

#include <filesystem>
#include <functional>

#include "modules_registry/files.h"

namespace mformer {

/// Takes the next bytes of a file; throws Error when they can't be written.
using ByteSink = std::function<void(Bytes)>;

/// As write_file_atomically() of files.h, for bytes that are made one after the other: `write` hands them to the sink, in
/// order. What it throws comes through, and `path` is what it was. The disk is kept at work meanwhile.
void write_file_atomically(const std::filesystem::path& path, const std::function<void(const ByteSink&)>& write,
                           unsigned mode = 0666);

}  // namespace mformer
