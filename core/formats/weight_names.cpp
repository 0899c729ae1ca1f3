#include "core/formats/weight_names.h"

#include <algorithm>

namespace mformer {
namespace {

constexpr std::string_view kPrefixes[] = {"module.", "_orig_mod.", "model.", "_fsdp_wrapped_module."};
constexpr std::string_view kInside[] = {"_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."};

bool is_wrapper(std::string_view prefix) {
  while (!prefix.empty()) {
    const auto known = std::find_if(std::begin(kPrefixes), std::end(kPrefixes),
                                    [&](std::string_view one) { return prefix.starts_with(one); });
    if (known == std::end(kPrefixes)) return false;
    prefix.remove_prefix(known->size());
  }
  return true;
}

}  // namespace

WeightNames::WeightNames(const std::vector<std::string>& stored, const std::vector<std::string_view>& all_known) {
  for (const std::string& name : stored) {
    for (const std::string_view known : all_known) {
      if (name.size() <= known.size() || !name.ends_with(known)) continue;
      const std::string prefix = name.substr(0, name.size() - known.size());
      const auto has_prefix = [&](const std::string& one) { return one.starts_with(prefix); };
      if (is_wrapper(prefix) && std::all_of(stored.begin(), stored.end(), has_prefix)) {
        prefix_ = prefix;
        return;
      }
    }
  }
}

std::string WeightNames::unwrapped(std::string_view stored) const {
  if (stored.starts_with(prefix_)) stored.remove_prefix(prefix_.size());
  std::string name(stored);
  for (const std::string_view inside : kInside) {
    for (std::size_t at = name.find(inside); at != std::string::npos; at = name.find(inside)) {
      name.erase(at, inside.size());
    }
  }
  return name;
}

}  // namespace mformer
