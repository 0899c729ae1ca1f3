#include "modules_registry/registry_copy.h"

#include <gmock/gmock.h>

#include <fstream>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

namespace fs = std::filesystem;

TEST(RegistryCopy, BeginsAsTheOriginalAndKeepsWhatIsWrittenToItself) {
  const TemporaryFolder original, elsewhere;
  fs::create_directories(original.path() / "data");
  std::ofstream(original.path() / "data" / "text.txt") << "text";
  Registry registry = Registry::create(original.path());
  registry.set_setting("key", "value");
  const std::string hash = registry.objects().put(as_bytes("weights"));
  registry.objects().flush();
  fs::create_directories(original.path() / ".mformer" / "cache");
  std::ofstream(original.path() / ".mformer" / "cache" / "tokens") << "ids";

  for (const char* given : {"", ".mformer"}) {  // both name it
    const fs::path to = elsewhere.path() / ("copy" + std::string(given));
    fs::create_directories(to);
    copy_registry(original.path() / given, to);
    Registry copy = Registry::open(to, OpenMode::read_write);
    EXPECT_EQ(copy.setting("key"), "value");
    EXPECT_EQ(copy.objects().size(hash), 7);
    EXPECT_NO_THROW(copy.objects().verified_path(hash));
    EXPECT_TRUE(fs::exists(to / "data" / "text.txt"));
    EXPECT_TRUE(fs::exists(to / ".mformer" / "cache" / "tokens"));
    copy.set_setting("key", "another");
    const std::string own = copy.objects().put(as_bytes("more"));
    copy.objects().flush();
    EXPECT_TRUE(copy.fsck().empty());
    EXPECT_FALSE(registry.objects().contains(own));
  }
  fs::remove_all(elsewhere.path());  // no link is followed
  EXPECT_EQ(registry.setting("key"), "value");
  EXPECT_NO_THROW(registry.objects().verified_path(hash));
  EXPECT_TRUE(fs::exists(original.path() / "data" / "text.txt"));
  EXPECT_TRUE(registry.fsck().empty());
}

}  // namespace
}  // namespace mformer::testing
