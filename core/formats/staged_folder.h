#pragma once

#include <filesystem>
#include <string>

#include "modules_registry/scratch_folder.h"

namespace mformer {

/// Why the folder is not an export of ours, as the second half of a sentence: "it holds 'notes.txt', which no export
/// has". Empty if it is one: a config.json, an mformer_provenance.json that can be read as such, no file, folder or
/// link but those that write_hub_folder and its callers write, and a README.md only as it was written: users fill it in.
/// Throws Error if it can't be listed.
std::string why_not_an_export(const std::filesystem::path& folder);

/// Throws Error unless a checkpoint may be put at `target` without a loss: nothing is there, or an empty folder, or,
/// with `overwrite`, an export and nothing else. The hint names --overwrite only where it would be obeyed.
void require_replaceable(const std::filesystem::path& target, bool overwrite);

/// A new folder beside its target, in which a checkpoint is written before it is put in place. It is locked while this
/// object lives, so that the next one knows those of killed processes and removes them. What is removed, here and
/// there, are an export's files by their names, never a folder with whatever is in it.
class StagedFolder {
 public:
  /// `target` as of real_path(); its parent must be there. Throws Error if the folder can't be made.
  explicit StagedFolder(const std::filesystem::path& target);

  const std::filesystem::path& path() const { return scratch_.path(); }

  /// Puts the folder in the target's place and waits until that survives a power failure; at every moment the target
  /// is the old export or the new one. Throws Error with the target as it was: when it is not what require_replaceable
  /// allows (looked at again, after the exchange, when nobody can reach it by its name), or anything fails.
  ///
  /// On a file system that can't exchange two names the old export is moved to "<target>.old-…" first, and stays there
  /// if the process is killed before the new one is in place.
  void move_to(const std::filesystem::path& target, bool overwrite);

 private:
  void put_where_nothing_was(const std::filesystem::path& target, bool was_folder);
  void exchange_with(const std::filesystem::path& target);
  void move_in_two_steps(const std::filesystem::path& target);

  ScratchFolder scratch_;  ///< After a replacement its path is that of the old export, or none.
};

}  // namespace mformer
