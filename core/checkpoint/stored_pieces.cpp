#include "core/checkpoint/stored_pieces.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "kernels/matrix_copy.h"

namespace mformer {
namespace {

at::Tensor narrowed(const at::Tensor& x, std::int64_t dimension, const Span& span) {
  return span.count < 0 ? x : x.narrow(dimension, span.first, span.count);
}

/// Whether the tensor is one whole parameter, as it is.
bool is_one_parameter(const StoredTensor& stored) {
  if (stored.pieces.size() != 1) return false;
  const Piece& piece = stored.pieces.front();
  const bool turned = piece.transposed && stored.shape.size() > 1;
  return piece.index < 0 && piece.rows.count < 0 && piece.columns.count < 0 && !turned && piece.to == 0;
}

}  // namespace

at::Tensor stored_part(const at::Tensor& whole, const Piece& piece) {
  at::Tensor part = piece.index < 0 ? whole : whole.select(0, piece.index);
  part = narrowed(part, 0, piece.rows);
  if (part.dim() < 2) return part;
  part = narrowed(part, 1, piece.columns);
  return piece.transposed ? part.t() : part;
}

at::Tensor own_part(const at::Tensor& parameter, const Piece& piece, std::int64_t count) {
  const std::int64_t last = parameter.dim() - 1;
  return parameter.size(last) == count ? parameter : parameter.narrow(last, piece.to, count);
}

at::Tensor assemble(const StoredTensor& stored, const ByParameter& parameter) {
  if (is_one_parameter(stored)) return parameter(stored.pieces.front().parameter);
  at::Tensor whole;
  for (const Piece& piece : stored.pieces) {
    const at::Tensor own = parameter(piece.parameter);
    if (!whole.defined()) whole = at::empty(stored.shape, own.options());
    const at::Tensor part = stored_part(whole, piece);
    kernels::copy_matrix(part, own_part(own, piece, part.size(-1)));
  }
  return whole;
}

void assemble_in_order(const StoredTensor& stored, const ByParameter& parameter, at::ScalarType type,
                       const std::function<void(const at::Tensor&)>& take) {
  const auto is_before = [](const Piece& a, const Piece& b) { return a.index < b.index; };
  const bool stacked = !stored.pieces.empty() && stored.pieces.front().index >= 0 &&
                       std::is_sorted(stored.pieces.begin(), stored.pieces.end(), is_before);
  if (!stacked) return take(assemble(stored, parameter).to(type).contiguous());
  StoredTensor matrix{stored.name, {stored.shape.begin() + 1, stored.shape.end()}, {}, stored.type};
  for (std::size_t i = 0; i < stored.pieces.size(); ++i) {
    matrix.pieces.push_back(stored.pieces[i]);
    matrix.pieces.back().index = -1;
    if (i + 1 < stored.pieces.size() && stored.pieces[i + 1].index == stored.pieces[i].index) continue;
    take(assemble(matrix, parameter).to(type).contiguous());
    matrix.pieces.clear();
  }
}

}  // namespace mformer
