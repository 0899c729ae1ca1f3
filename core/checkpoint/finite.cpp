#include "core/checkpoint/finite.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/families/family.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// Whether no element has all bits of its exponent, which is what infinities and what is no number have.
template <class Word>
bool has_no_full_exponent(const at::Tensor& tensor, Word exponent) {
  const auto* const words = static_cast<const Word*>(tensor.const_data_ptr());
  const std::int64_t count = tensor.numel();
  Word any = 0;
  for (std::int64_t i = 0; i < count; ++i) any |= static_cast<Word>((words[i] & exponent) == exponent);
  return any == 0;
}

}  // namespace

bool is_finite(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_floating_point() || tensor.numel() == 0) return true;
  const at::Tensor lying = tensor.detach().cpu().contiguous();
  switch (lying.scalar_type()) {
    case at::kBFloat16:
      return has_no_full_exponent<std::uint16_t>(lying, 0x7F80);
    case at::kHalf:
      return has_no_full_exponent<std::uint16_t>(lying, 0x7C00);
    case at::kFloat:
      return has_no_full_exponent<std::uint32_t>(lying, 0x7F800000);
    default:
      return lying.isfinite().all().item<bool>();
  }
}

void require_within(const at::Tensor& numbers, double most, const std::string& name, const std::string& kind) {
  if (numbers.numel() == 0) return;
  const double largest = numbers.abs().max().item<double>();
  if (!std::isfinite(largest) || largest <= most) return;  // what is not finite already is no loss
  throw Error("'" + name + "' holds the number " + std::to_string(static_cast<std::int64_t>(largest)) +
                  ", which is too large for " + kind,
              "choose --dtype bfloat16 or float32, without --quantize");
}

std::vector<std::string> tensors_with(const Model& outline, const std::set<std::string>& parameters) {
  std::vector<std::string> names;
  for (const StoredTensor& stored : family_of(outline.config).tensors(outline.config)) {
    const auto is_one = [&](const Piece& piece) { return parameters.contains(piece.parameter); };
    if (std::any_of(stored.pieces.begin(), stored.pieces.end(), is_one)) names.push_back(stored.name);
  }
  for (const Domain& domain : outline.domains) {
    for (const PrivatePart& part : domain.parts) {
      if (!is_finite(part.value)) names.push_back(domain.name + "/" + part.name);
    }
  }
  return names;
}

}  // namespace mformer
