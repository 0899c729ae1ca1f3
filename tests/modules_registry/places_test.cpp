#include "registry_fixture.h"

namespace mformer::testing {
namespace {

namespace fs = std::filesystem;

class PlacesTest : public RegistryTest {
 protected:
  static void add(Registry& registry, const std::string& name, const fs::path& data) {
    TaskRecord task;
    task.name = name;
    task.data_path = data.string();
    task.content_hash = "hash of " + name;
    registry.add_task(task);
  }
  static std::string path_of(const Registry& registry, const std::string& name) {
    return registry.task(name).data_path;
  }
};

TEST_F(PlacesTest, WhatLiesInTheWorkspaceMovesWithIt) {
  const fs::path here = folder_.path() / "here", there = folder_.path() / "there";
  {
    Registry registry = Registry::create(here);
    add(registry, "english", here / "texts" / "english");
    add(registry, "all", here);
    add(registry, "outside", folder_.path() / "hereafter");
    EXPECT_EQ(path_of(registry, "english"), (here / "texts" / "english").string());
  }
  fs::rename(here, there);
  const Registry moved = Registry::open(there, OpenMode::read_only);
  EXPECT_EQ(path_of(moved, "english"), (there / "texts" / "english").string());
  EXPECT_EQ(path_of(moved, "all"), there.string());
  EXPECT_EQ(path_of(moved, "outside"), (folder_.path() / "hereafter").string());
}

TEST_F(PlacesTest, LinksToTheWorkspaceMakeNoDifference) {
  const fs::path here = folder_.path() / "here", link = folder_.path() / "link";
  {
    Registry registry = Registry::create(here);
    fs::create_directories(here / "english");
    fs::create_directory_symlink(here, link);
    add(registry, "english", link / "english");
  }
  EXPECT_EQ(path_of(Registry::open(link, OpenMode::read_only), "english"), (link / "english").string());
  EXPECT_EQ(path_of(Registry::open(here, OpenMode::read_only), "english"), (here / "english").string());
}

TEST_F(PlacesTest, APathThatIsNotUtf8IsKeptByteForByte) {
  const fs::path data = folder_.path() / "caf\xE9";
  add(registry_, "coffee", data);
  EXPECT_EQ(path_of(registry_, "coffee"), data.string());
}

}  // namespace
}  // namespace mformer::testing
