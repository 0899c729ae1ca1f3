#pragma once

#include <string>
#include <string_view>

#include "modules_registry/records.h"

namespace mformer {

/// One text for each manifest and one manifest for each text: what content_hash is the SHA-256 of. docs/registry.md
/// writes the format down.
std::string canonical_text(const Manifest& manifest);

/// SHA-256 of the canonical text.
std::string content_hash(const Manifest& manifest);

/// The identity of a version: SHA-256 of the manifest's text, the parent's hash ("" for none) and the uid of the
/// operation that made it.
std::string version_hash(const Manifest& manifest, std::string_view parent, std::string_view operation_uid);

/// Both, of one text.
struct ManifestHashes {
  std::string content;
  std::string version;
};
ManifestHashes manifest_hashes(const Manifest& manifest, std::string_view parent, std::string_view operation_uid);

}  // namespace mformer
