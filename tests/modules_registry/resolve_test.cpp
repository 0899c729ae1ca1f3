#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ResolveTest : public RegistryTest {
 protected:
  void SetUp() override {
    first_ = commit_now(registry_, new_model(registry_, "base", "x")).version;
    second_ = commit_now(registry_, next_commit(registry_, "base")).version;
  }

  VersionRecord first_;
  VersionRecord second_;
};

TEST_F(ResolveTest, ANameMeansItsCurrentVersion) {
  EXPECT_EQ(registry_.resolve("base").hash, second_.hash);
  EXPECT_EQ(registry_.resolve("").hash, second_.hash) << "nothing means the current model";
}

TEST_F(ResolveTest, ANumberMeansThatVersion) {
  EXPECT_EQ(registry_.resolve("base@1").hash, first_.hash);
  EXPECT_EQ(registry_.resolve("base@2").hash, second_.hash);
}

TEST_F(ResolveTest, TheBeginningOfAHashIsEnough) {
  EXPECT_EQ(registry_.resolve(first_.hash).hash, first_.hash);
  EXPECT_EQ(registry_.resolve(first_.hash.substr(0, 12)).hash, first_.hash);
  std::string upper = first_.hash.substr(0, 12);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(registry_.resolve(upper).hash, first_.hash);
  EXPECT_THROW(registry_.resolve(first_.hash.substr(0, 3)), UsageError) << "three digits are too few";
  EXPECT_THROW(registry_.resolve(first_.hash + "0"), UsageError);
}

TEST_F(ResolveTest, ANameWinsOverAHash) {
  const std::string name = first_.hash.substr(0, 8);
  const VersionRecord other = commit_now(registry_, new_model(registry_, name, "y")).version;
  EXPECT_EQ(registry_.resolve(name).hash, other.hash);
}

TEST_F(ResolveTest, AnAmbiguousBeginningListsTheVersions) {
  const std::string prefix = first_.hash.substr(0, 8);
  SQLite::Database((registry_.folder() / "registry.db").string(), SQLite::OPEN_READWRITE)
      .exec(
          "INSERT INTO versions SELECT NULL, substr(hash, 1, 63) || substr('01', 1 + (substr(hash, 64) = '0'), 1), "
          "content_hash, parent_hash, operation_id, model, 3, created_ms, config_json, tokenizer_object "
          "FROM versions WHERE number = 1");
  EXPECT_THAT(error_of([&] { registry_.resolve(prefix); }),
              AllOf(HasSubstr("more than one version"), HasSubstr("base@1 ("), HasSubstr("base@3 ("),
                    HasSubstr("more digits")));
  EXPECT_EQ(registry_.resolve(first_.hash).hash, first_.hash);
}

TEST_F(ResolveTest, AnUnknownReferenceNamesItsNeighbours) {
  EXPECT_THAT(error_of([&] { registry_.resolve("bsae"); }),
              AllOf(HasSubstr("no model or version 'bsae'"), HasSubstr("did you mean 'base'?")));
  EXPECT_THAT(error_of([&] { registry_.resolve("bsae@1"); }), HasSubstr("did you mean 'base'?"));
  EXPECT_THAT(error_of([&] { registry_.resolve("base@3"); }),
              AllOf(HasSubstr("no version '3'"), HasSubstr("base@1 to base@2")));
  for (const char* bad : {"base@", "base@0", "base@-1", "base@2x", "base@99999999999999", "@", "base@1@2"}) {
    EXPECT_THROW(registry_.resolve(bad), UsageError) << bad;
  }
}

TEST(ResolveEmptyTest, AnEmptyWorkspaceSaysHowToMakeAModel) {
  const TemporaryFolder folder;
  const Registry registry = Registry::create(folder.path());
  EXPECT_THAT(error_of([&] { registry.resolve(""); }), HasSubstr("mformer init"));
  EXPECT_THAT(error_of([&] { registry.resolve("base"); }), HasSubstr("mformer init"));
}

}  // namespace
}  // namespace mformer::testing
