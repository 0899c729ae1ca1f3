#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mformer {

/// The names that a parameter goes through when a model is saved from inside a wrapper: DataParallel puts `module.`
/// before them, torch.compile `_orig_mod.`, Lightning and the like `model.`, sharding and checkpointing
/// `_fsdp_wrapped_module.` and `_checkpoint_wrapped_module.` in between.
class WeightNames {
 public:
  /// Of files that hold tensors of these names. What stands before one of `known` (the embedding's name, the head's) is
  /// taken for a wrapper when it is made of the prefixes above and every name starts with it.
  explicit WeightNames(const std::vector<std::string>& stored = {}, const std::vector<std::string_view>& known = {});

  /// The parameter's own name.
  std::string unwrapped(std::string_view stored) const;

 private:
  std::string prefix_;
};

}  // namespace mformer
