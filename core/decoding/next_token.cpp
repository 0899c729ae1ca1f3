#include "core/decoding/next_token.h"

#include <ATen/ops/multinomial.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "modules_registry/error.h"

namespace mformer {
namespace {

/// The first of the largest; −1 where one is no number, or where the largest is infinite.
template <typename T>
std::int64_t likeliest_of(const at::Tensor& logits) {
  const T* x = logits.const_data_ptr<T>();
  T most = -std::numeric_limits<T>::infinity();
  std::int64_t at = -1;
  for (std::int64_t i = 0; i < logits.size(0); ++i) {
    if (x[i] <= most) continue;
    most = x[i], at = i;
    if (std::isnan(most)) return -1;
  }
  return std::isfinite(most) ? at : -1;
}

/// The ids of the likeliest that `how` leaves, by descending probability, the first of equals first. Mostly they are a
/// few of very many: no more are brought in order than it takes.
std::vector<std::int64_t> kept_ids(const std::vector<double>& p, const Sampling& how) {
  std::vector<std::int64_t> ids(p.size());
  std::iota(ids.begin(), ids.end(), 0);
  const std::size_t most = how.top_k > 0 ? std::min(p.size(), static_cast<std::size_t>(how.top_k)) : p.size();
  const auto before = [&](std::int64_t a, std::int64_t b) {
    const double left = p[static_cast<std::size_t>(a)], right = p[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  };
  std::size_t sorted = 0;
  double sum = 0;
  while (sorted < most) {
    const std::size_t end = how.top_p < 1 ? std::min(most, std::max<std::size_t>(128, 8 * sorted)) : most;
    const auto first = ids.begin() + static_cast<std::ptrdiff_t>(sorted);
    const auto last = ids.begin() + static_cast<std::ptrdiff_t>(end);
    std::partial_sort(first, last, ids.end(), before);
    for (; sorted < end; ++sorted) {
      const double one = p[static_cast<std::size_t>(ids[sorted])];
      sum += one;
      if (how.top_p < 1 && sorted > 0 && sum - one >= how.top_p) {
        ids.resize(sorted);
        return ids;
      }
    }
  }
  ids.resize(most);
  return ids;
}

}  // namespace

std::int64_t draw_token(const at::Tensor& logits, const Sampling& how, std::int64_t tokens, at::Generator& generator) {
  const at::Tensor here = logits.narrow(0, 0, std::min<std::int64_t>(tokens, logits.size(0))).to(at::kCPU).contiguous();
  const bool as_it_is = how.temperature == 0 && here.scalar_type() == at::kFloat;
  const at::Tensor real = as_it_is ? here : here.to(at::kDouble);
  const std::int64_t likeliest = as_it_is ? likeliest_of<float>(real) : likeliest_of<double>(real);
  if (likeliest < 0) {
    throw Error("the model's logits are not finite numbers, so there is no next token",
                "weights that are not finite (of a training that went astray) do that: mformer undo goes back; "
                "--dtype float32 helps where bfloat16 was too narrow");
  }
  if (how.temperature == 0.0) return likeliest;
  // Counted from the largest on, the logits can't overflow however small the temperature is: it stays 0.
  const at::Tensor all = at::softmax((real - real[likeliest]) / how.temperature, 0);
  // Bringing a whole vocabulary in order can take longer than the model takes for the token.
  const bool all_are_left = how.top_p >= 1 && (how.top_k == 0 || how.top_k >= all.size(0));
  if (all_are_left) return at::multinomial(all, 1, false, generator).item<std::int64_t>();
  const auto* values = all.const_data_ptr<double>();
  const std::vector<double> p(values, values + all.size(0));
  const std::vector<std::int64_t> ids = kept_ids(p, how);
  std::vector<double> kept;
  kept.reserve(ids.size());
  for (const std::int64_t id : ids) kept.push_back(p[static_cast<std::size_t>(id)]);
  const at::Tensor choice = at::multinomial(at::tensor(kept, at::kDouble), 1, false, generator);
  return ids[static_cast<std::size_t>(choice.item<std::int64_t>())];
}

}  // namespace mformer
