#pragma once

#include <filesystem>

namespace mformer {

/// The path as the file system has it: absolute, without links, `.`, `..` or a slash at the end. It need not exist.
std::filesystem::path real_path(const std::filesystem::path& path);

/// Whether `inner` is `outer` or lies somewhere in it, however the two are written: relative, through links, with `..`,
/// in other letters where the file system takes no notice of case. Either may be missing.
bool lies_in(const std::filesystem::path& inner, const std::filesystem::path& outer);

/// The folder with a workspace's registry and objects (a `.mformer`, under whatever name) that `path` is or lies in;
/// empty if there is none.
std::filesystem::path registry_around(const std::filesystem::path& path);

}  // namespace mformer
