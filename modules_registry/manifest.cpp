#include "modules_registry/manifest.h"

#include "modules_registry/files.h"

namespace mformer {

namespace {

/// Free text is preceded by its length, so that no two manifests share a text.
void append_text(std::string& out, std::string_view label, std::string_view text) {
  out.append(label).append(" ").append(std::to_string(text.size())).append(" ").append(text).append("\n");
}

void append_modules(std::string& out, std::string_view router, Kind kind, const std::vector<ManifestModule>& modules) {
  out.append(to_string(kind)).append(" ").append(std::to_string(modules.size())).append(" ");
  out.append(router.empty() ? "-" : router).append("\n");
  for (const ManifestModule& module : modules) {
    append_text(out, "module", module.uid);
    out.append(module.object_hash).append(module.frozen ? " frozen\n" : " free\n");
  }
}

}  // namespace

std::string canonical_text(const Manifest& manifest) {
  std::string out = "mformer manifest 1\n";
  append_text(out, "config", manifest.config_json);
  append_text(out, "tokenizer", manifest.tokenizer_object);
  out.append("parts ").append(std::to_string(manifest.parts.size())).append("\n");
  for (const TrunkPart& part : manifest.parts) {
    append_text(out, "part", part.name);
    out.append(part.object_hash).append("\n");
  }
  out.append("layers ").append(std::to_string(manifest.layers.size())).append("\n");
  for (const LayerManifest& layer : manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      append_modules(out, layer.router(kind), kind, layer.modules(kind));
    }
  }
  return out;
}

std::string content_hash(const Manifest& manifest) {
  return sha256_hex(canonical_text(manifest));
}

std::string version_hash(const Manifest& manifest, std::string_view parent, std::string_view operation_uid) {
  return manifest_hashes(manifest, parent, operation_uid).version;
}

ManifestHashes manifest_hashes(const Manifest& manifest, std::string_view parent, std::string_view operation_uid) {
  const std::string text = canonical_text(manifest);
  std::string origin = "mformer version 1\n";
  append_text(origin, "parent", parent);
  append_text(origin, "operation", operation_uid);
  return {sha256_hex(text), sha256_hex(origin + text)};
}

}  // namespace mformer
