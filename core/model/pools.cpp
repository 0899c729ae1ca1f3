#include "core/model/pools.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace mformer {
namespace {

constexpr double kNoise = 0.2;  // of the logarithm of a mean probability

/// [documents, modules]: the mean of each document's rows of probs.
at::Tensor mean_by_document(const at::Tensor& probs, const std::vector<std::int64_t>& lengths) {
  std::vector<at::Tensor> means;
  means.reserve(lengths.size());
  std::int64_t first = 0;
  for (const std::int64_t length : lengths) {
    means.push_back(probs.narrow(0, first, length).mean(0));
    first += length;
  }
  return at::stack(means);
}

}  // namespace

std::vector<std::int64_t> document_lengths(const at::Tensor& inputs, std::int64_t end_of_text) {
  const at::Tensor ids = inputs.contiguous();
  const auto* id = ids.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> lengths;
  for (std::int64_t row = 0; row < ids.size(0); ++row) {
    std::int64_t length = 0;
    for (std::int64_t t = 0; t < ids.size(1); ++t) {
      ++length;
      if (id[row * ids.size(1) + t] != end_of_text && t + 1 < ids.size(1)) continue;
      lengths.push_back(length);
      length = 0;
    }
  }
  return lengths;
}

DocumentPools draw_documents(const at::Tensor& inputs, const PoolOptions& options, at::Generator generator) {
  DocumentPools documents;
  documents.pools = options.pools;
  documents.lengths = document_lengths(inputs, options.end_of_text);
  const auto count = static_cast<std::int64_t>(documents.lengths.size());
  const at::Tensor drawn = at::empty({count}, at::kDouble).uniform_(0.0, 1.0, std::move(generator));
  for (std::int64_t d = 0; d < count; ++d) {
    documents.confined.push_back(drawn.const_data_ptr<double>()[d] < options.share ? 1 : 0);
  }
  return documents;
}

DocumentPools documents_of_rows(const DocumentPools& all, std::int64_t first, std::int64_t rows, std::int64_t tokens) {
  DocumentPools own;
  own.pools = all.pools;
  std::int64_t at = 0;  // no document goes beyond the end of a row
  for (std::size_t d = 0; d < all.lengths.size(); at += all.lengths[d++]) {
    if (at < first * tokens) {
      ++own.before;
    } else if (at < (first + rows) * tokens) {
      own.lengths.push_back(all.lengths[d]), own.confined.push_back(all.confined[d]);
    } else {
      ++own.after;
    }
  }
  return own;
}

at::Tensor pool_mask(const at::Tensor& probs, std::int64_t k, const DocumentPools& documents,
                     const std::optional<at::Generator>& generator) {
  const std::int64_t modules = probs.size(1);
  const std::int64_t size = std::max(k, (modules + documents.pools - 1) / documents.pools);
  const at::Tensor mean = mean_by_document(probs.detach(), documents.lengths);
  const std::int64_t own = mean.size(0), all = documents.before + own + documents.after;
  const at::Tensor drawn = at::empty({all, modules}, mean.options().device(at::kCPU)).normal_(0.0, kNoise, generator);
  const at::Tensor noise = drawn.narrow(0, documents.before, own).to(mean.device());
  const at::Tensor best = std::get<1>((mean.clamp_min(1e-20).log() + noise).topk(size, 1));
  at::Tensor allowed = at::zeros(mean.sizes(), mean.options().dtype(at::kBool)).scatter_(1, best, true);
  const auto there = [&](const std::vector<std::int64_t>& x) { return at::tensor(x, at::kLong).to(mean.device()); };
  allowed = allowed.logical_or(there(documents.confined).eq(0).unsqueeze(1));
  return allowed.repeat_interleave(there(documents.lengths), 0);
}

}  // namespace mformer
