#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "core/families/family.h"

namespace mformer {

/// A parameter, or what belongs to one (its gradient, say), by its own name.
using ByParameter = std::function<at::Tensor(const std::string&)>;

/// The stored tensor that these parameters make. Shares memory with the parameter where it is one, as it is.
at::Tensor assemble(const StoredTensor& stored, const ByParameter& parameter);

/// The piece's part of the stored tensor (of the matrix that it is about, where `piece.index` is -1), turned as the
/// parameter stands: a view.
at::Tensor stored_part(const at::Tensor& whole, const Piece& piece);

/// What `count` columns of the parameter (of a vector: elements) the piece fills: a view.
at::Tensor own_part(const at::Tensor& parameter, const Piece& piece, std::int64_t count);

/// Makes the stored tensor a matrix at a time where it is stacked, and hands over one after the other: contiguous, of
/// this type.
void assemble_in_order(const StoredTensor& stored, const ByParameter& parameter, at::ScalarType type,
                       const std::function<void(const at::Tensor&)>& take);

}  // namespace mformer
