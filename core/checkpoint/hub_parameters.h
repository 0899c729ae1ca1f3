#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <map>
#include <string>
#include <vector>

#include "core/checkpoint/hub_folder.h"
#include "core/checkpoint/stored_pieces.h"
#include "core/model/model.h"

namespace mformer {

/// A checkpoint that is read parameter by parameter, so that a model larger than the memory can pass through. Of a
/// stored tensor that stacks matrices, or rows of which are parameters, only what a parameter needs is read; one of
/// which columns are parameters is kept until all of them were asked for, in any order.
class HubParameters {
 public:
  /// Throws Error as load_hub_model() does, whatever the weights are. `folder` must outlive this.
  explicit HubParameters(const HubFolder& folder);
  HubParameters(const HubParameters&) = delete;
  HubParameters& operator=(const HubParameters&) = delete;

  /// The checkpoint's model without its weights: tensors on at::kMeta, but for the private parts of its domains. Their
  /// dtype is the widest of the file's; int8 modules and their scales stay what they are.
  const Model& outline() const { return outline_; }

  /// The parameter of this name, a tensor of its own; undefined where the model has none. Throws Error when the file
  /// can't be read any more.
  at::Tensor operator()(const std::string& name);

 private:
  struct Source {
    const StoredTensor* stored;
    const Piece* piece;
  };
  struct Kept {
    at::Tensor whole;
    std::size_t unread = 0;  ///< Pieces of it that were not asked for yet.
  };
  /// The piece's part of the stored tensor, turned as the parameter stands.
  at::Tensor part(const Source& source);
  at::Tensor kept_part(const Source& source);

  const HubFolder& folder_;
  Model outline_;
  std::vector<StoredTensor> stored_;
  std::map<std::string, std::vector<Source>> sources_;
  std::map<std::string, at::Tensor> shapes_;  ///< On at::kMeta.
  std::map<const StoredTensor*, Kept> kept_;
};

}  // namespace mformer
