#pragma once

#include <string>
#include <string_view>

namespace mformer {

/// The tensors of a module's object, those that it has: of its parameters, "h.0.att.3.in" say, the last word.
inline constexpr const char* kModuleTensors[] = {"in", "in_scale", "out", "out_scale", "in_bias", "head_norm"};

/// The tensors of a router's object, those that it has, beside "rows": its modules' rows, stacked.
inline constexpr const char* kRouterTensors[] = {"weight", "bias", "temperature"};

/// Where a parameter of the trunk lies: "h.0.ln_1.bias" as `bias` in the part "h.0.ln_1"; one without such an ending is
/// alone in its part, as `weight`.
struct PartOfTrunk {
  std::string part, tensor;
};

inline PartOfTrunk part_of_trunk(const std::string& parameter) {
  for (const std::string_view ending : {".weight", ".bias", ".in", ".out", ".gate"}) {
    if (!parameter.ends_with(ending)) continue;
    return {parameter.substr(0, parameter.size() - ending.size()), std::string(ending.substr(1))};
  }
  return {parameter, "weight"};
}

}  // namespace mformer
