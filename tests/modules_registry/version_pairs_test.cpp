#include "modules_registry/version_pairs.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "modules_registry/files.h"
#include "modules_registry/recent.h"
#include "registry_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::HasSubstr;

class VersionPairsTest : public RegistryTest {
 protected:
  std::string put(const std::string& text) { return registry_.objects().put(as_bytes(text)); }

  /// Another version of the model, of which `change` changes the manifest.
  std::string next(const std::function<void(Manifest&)>& change) {
    Commit commit = next_commit(registry_, "base");
    change(commit.manifest);
    return commit_now(registry_, commit).version.hash;
  }

  bool is_in_turn(const LayerManifest& one, const LayerManifest& other, Kind kind) {
    const auto uid = [](const ManifestModule& module) { return module.uid; };
    return std::ranges::equal(one.modules(kind), other.modules(kind), {}, uid, uid) &&
           registry_.object_bytes(one.router(kind)) == registry_.object_bytes(other.router(kind));
  }

  /// What is left of a layer and kind of `one` beside `other`.
  std::vector<ManifestModule> rest(const LayerManifest& one, const LayerManifest& other, Kind kind) {
    std::vector<ManifestModule> left = one.modules(kind);
    if (!is_in_turn(one, other, kind)) return left;
    std::erase_if(left, [&](const ManifestModule& module) {
      const auto& others = other.modules(kind);
      return std::find(others.begin(), others.end(), module) != others.end();
    });
    return left;
  }

  /// Whether what was left out is alike in both, and what is left is whole.
  void expect_rest(const std::string& before, const std::string& after, const VersionPair& pair) {
    const Manifest old = registry_.manifest(before), now = registry_.manifest(after);
    ASSERT_EQ(pair.before.layers.size(), old.layers.size());
    ASSERT_EQ(pair.after.layers.size(), now.layers.size());
    std::size_t modules = 0;
    for (std::size_t layer = 0; layer < now.layers.size(); ++layer) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        modules += now.layers[layer].modules(kind).size();
        if (layer >= old.layers.size()) continue;
        const bool same = old.layers[layer].modules(kind) == now.layers[layer].modules(kind) &&
                          old.layers[layer].router(kind) == now.layers[layer].router(kind);
        EXPECT_EQ(pair.before.layers[layer].modules(kind), rest(old.layers[layer], now.layers[layer], kind));
        EXPECT_EQ(pair.after.layers[layer].modules(kind), rest(now.layers[layer], old.layers[layer], kind));
        const std::string &router = old.layers[layer].router(kind), &other = now.layers[layer].router(kind);
        const bool changed = router != other && is_in_turn(old.layers[layer], now.layers[layer], kind);
        EXPECT_EQ(pair.changed_routers.contains({static_cast<int>(layer), kind}), changed);
        EXPECT_EQ(pair.before.layers[layer].router(kind), same ? "" : old.layers[layer].router(kind));
        EXPECT_EQ(pair.after.layers[layer].router(kind), same ? "" : now.layers[layer].router(kind));
      }
    }
    const std::vector<TrunkPart> none;
    EXPECT_EQ(pair.before.parts, old.parts == now.parts ? none : old.parts);
    EXPECT_EQ(pair.after.parts, old.parts == now.parts ? none : now.parts);
    EXPECT_EQ(pair.before.config_json, old.config_json);
    EXPECT_EQ(pair.after.tokenizer_object, now.tokenizer_object);
    EXPECT_EQ(pair.modules, static_cast<std::int64_t>(modules));
    EXPECT_EQ(pair.new_bytes, registry_.added_bytes(after));
  }
};

TEST_F(VersionPairsTest, HaveWhatTheTwoManifestsDoNotHaveInCommon) {
  std::vector<std::string> versions = {commit_now(registry_, new_model(registry_, "base", "x", 3, 3)).version.hash};
  std::mt19937 random(1);
  for (int step = 0; step < 40; ++step) {
    versions.push_back(next([&](Manifest& manifest) {
      const std::string text = std::string(static_cast<std::size_t>(step) + 1, 'a') + std::to_string(step);
      LayerManifest& layer = manifest.layers[random() % 3];
      const Kind kind = random() % 2 == 0 ? Kind::att : Kind::mlp;
      ManifestModule& module = layer.modules(kind)[random() % 3];
      switch (random() % 8) {
        case 0:
          module.object_hash = put(text);
          break;
        case 1:
          module.frozen = !module.frozen;
          break;
        case 2:
          layer.router(kind) = put(text);
          break;
        case 3:
          manifest.parts[random() % manifest.parts.size()].object_hash = put(text);
          break;
        case 4:
          manifest.tokenizer_object = put(text);
          break;
        case 5:
          manifest.config_json = "{\"step\": " + std::to_string(step) + "}";
          break;
        case 6:
          layer.router(kind) =
              put(std::string(static_cast<std::size_t>(registry_.objects().size(layer.router(kind))), 'r'));
          break;
        // What another layer has already, as an object or a router, adds no bytes.
        default:
          module.object_hash = manifest.layers[random() % 3].att_router;
      }
    }));
  }
  VersionPairs pairs(registry_);
  for (std::size_t i = versions.size() - 1; i > 0; --i) {
    SCOPED_TRACE(i);
    expect_rest(versions[i - 1], versions[i], pairs.of(versions[i - 1], versions[i]));
  }
  VersionPairs others(registry_);  // not neighbours, in any order
  for (int i = 0; i < 40; ++i) {
    const std::size_t one = random() % versions.size(), other = random() % versions.size();
    EXPECT_EQ(others.of(versions[one], versions[other]).before.config_json,
              registry_.manifest(versions[one]).config_json);
  }
}

TEST_F(VersionPairsTest, OfAVersionMadeOfNoneHaveAllOfIt) {
  const std::string hash = commit_now(registry_, new_model(registry_, "base", "x")).version.hash;
  const VersionPair pair = VersionPairs(registry_).of("", hash);
  EXPECT_EQ(pair.before, (Manifest{"{}", "", {}, {}}));
  EXPECT_EQ(pair.after, registry_.manifest(hash));
  EXPECT_EQ(pair.new_bytes, registry_.version_bytes(hash));
}

TEST_F(VersionPairsTest, NameAVersionThatIsNotThere) {
  VersionPairs pairs(registry_);
  EXPECT_THAT(error_of([&] { pairs.of("", std::string(64, '0')); }), HasSubstr("there is no version"));
}

TEST(Recent, KeepsWhatWasAskedForLately) {
  int made = 0;
  Recent<int, int> recent(3);
  const auto ask = [&](int key) { return recent.get(key, [&](int wanted) { return ++made, 10 * wanted; }); };
  for (const int key : {1, 2, 3, 1, 2, 3}) EXPECT_EQ(ask(key), 10 * key);
  EXPECT_EQ(made, 3);
  for (const int key : {4, 1, 5, 1, 6, 1}) EXPECT_EQ(ask(key), 10 * key);
  EXPECT_EQ(made, 6) << "what is asked for again and again is never made again";
  EXPECT_EQ(ask(2), 20);
  EXPECT_EQ(made, 7);
}

}  // namespace
}  // namespace mformer::testing
