#pragma once

#include <filesystem>
#include <optional>

#include "modules_registry/scratch_folder.h"

namespace mformer {

/// A workspace in the making. It lies in a folder of its own until it is put in place whole: nobody sees it before, two
/// that are made at once don't meet, and one that fails or is killed takes nothing with it but itself.
class NewWorkspace {
 public:
  /// What becomes of objects that one which fails or is killed has put: they go with it, or the next one that keeps
  /// them too, in the same `dir`, has them from the beginning.
  enum class Objects { go, stay };

  /// Makes `dir`, if it is missing, and in it the unfinished registry. Throws Error if `dir` has a .mformer with
  /// anything in it.
  explicit NewWorkspace(const std::filesystem::path& dir, Objects objects = Objects::go);
  ~NewWorkspace();
  NewWorkspace(const NewWorkspace&) = delete;
  NewWorkspace& operator=(const NewWorkspace&) = delete;

  /// For Registry::open, until put_in_place().
  const std::filesystem::path& folder() const { return scratch_->path(); }

  /// Makes it the workspace of `dir`; nobody may have its registry open. On disk when it returns. Throws Error, and
  /// `dir` is as it was, if another process was faster, or anything fails.
  void put_in_place();

 private:
  std::filesystem::path dir_, target_;
  bool made_dir_, keeps_objects_;
  std::optional<ScratchFolder> scratch_;
};

}  // namespace mformer
