#include "modules_registry/manifest.h"

#include <gtest/gtest.h>

#include "modules_registry/files.h"

namespace mformer::testing {
namespace {

Manifest example() {
  const auto hash = [](std::string_view text) { return sha256_hex(text); };
  Manifest manifest;
  manifest.config_json = "{}";
  manifest.tokenizer_object = hash("tokenizer");
  manifest.parts = {{"wte", hash("wte")}, {"ln_f", hash("ln_f")}};
  manifest.layers.resize(2);
  for (LayerManifest& layer : manifest.layers) {
    layer.att_router = hash("att");
    layer.mlp_router = hash("mlp");
    layer.att = {{"a1", hash("a1"), false}, {"a2", hash("a2"), true}};
    layer.mlp = {{"m1", hash("m1"), false}};
  }
  return manifest;
}

TEST(ManifestTest, EveryChangeChangesTheContentHash) {
  const std::string before = content_hash(example());
  const auto changed = [&](auto change) {
    Manifest manifest = example();
    change(manifest);
    return content_hash(manifest) != before;
  };
  EXPECT_FALSE(changed([](Manifest&) {}));
  EXPECT_TRUE(changed([](Manifest& m) { m.config_json += " "; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.tokenizer_object.clear(); }));
  EXPECT_TRUE(changed([](Manifest& m) { std::swap(m.parts[0], m.parts[1]); }));
  EXPECT_TRUE(changed([](Manifest& m) { m.parts[0].name = "wpe"; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.layers.pop_back(); }));
  EXPECT_TRUE(changed([](Manifest& m) { m.layers[1].att_router = m.layers[1].mlp_router; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.layers[0].att[0].frozen = true; }));
  EXPECT_TRUE(changed([](Manifest& m) { std::swap(m.layers[0].att[0], m.layers[0].att[1]); }));
  EXPECT_TRUE(changed([](Manifest& m) { m.layers[0].mlp[0].object_hash = m.layers[0].att[0].object_hash; }));
  EXPECT_TRUE(changed([](Manifest& m) { m.layers[0].mlp.swap(m.layers[0].att); }));
}

TEST(ManifestTest, TextCantPretendToBeStructure) {
  Manifest one = example();
  one.parts = {{"a", ""}, {"b", ""}};
  Manifest other = example();
  other.parts = {{"a\n\npart 1 b", ""}};
  EXPECT_NE(canonical_text(one), canonical_text(other));
  EXPECT_NE(content_hash(one), content_hash(other));
}

TEST(ManifestTest, AVersionIsItsManifestItsParentAndItsOperation) {
  const Manifest manifest = example();
  const std::string hash = version_hash(manifest, "parent", "operation");
  EXPECT_EQ(hash, version_hash(manifest, "parent", "operation"));
  EXPECT_NE(hash, version_hash(manifest, "", "operation"));
  EXPECT_NE(hash, version_hash(manifest, "parent", "other"));
}

TEST(ManifestTest, TheTextNeverChangesItsForm) {
  // Stored versions are checked against it: changing the form would make fsck call every old version damaged.
  EXPECT_EQ(content_hash(Manifest{}), sha256_hex(std::string_view("mformer manifest 1\nconfig 0 \ntokenizer 0 \n"
                                                                  "parts 0\nlayers 0\n")));
}

}  // namespace
}  // namespace mformer::testing
