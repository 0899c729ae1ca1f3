#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "modules_registry/error.h"
#include "modules_registry/registry.h"

namespace mformer::testing {

/// An empty folder that goes at the end of the test. Open to all users, so that a test may drop its privileges.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A model of `layers` layers with `modules` modules of each kind, whose objects hold the text `seed` + their place.
/// The modules are new: the commit's new_modules names them all.
Commit new_model(Registry& registry, std::string_view name, std::string_view seed, int layers = 2, int modules = 2);

/// Appends one new module of each kind to every layer, and changes the routers: what extend does.
void add_modules(Registry& registry, Commit& commit, std::string_view seed);

/// Begins an operation for the commit's model and commits.
CommitResult commit_now(Registry& registry, Commit commit, std::string_view command = "train");

/// A commit on top of the model's current version, with the same manifest.
Commit next_commit(const Registry& registry, const std::string& model);

/// Runs `work` in a child process; its exit code, or 128 + signal. An exception in it gives 99.
int in_child(const std::function<int()>& work);

/// The same without root's privileges, if we have them: as user "nobody".
int in_unprivileged_child(const std::function<int()>& work);

/// Runs `work` and returns the message, a line break and the hint of the Error that it must throw.
std::string error_of(const std::function<void()>& work);

/// A workspace in a temporary folder.
class RegistryTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  Registry registry_ = Registry::create(folder_.path());
};

}  // namespace mformer::testing
