#include <ATen/ops/empty.h>

#include "core/model/forward.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// `room` with space for `needed` positions, its first `used` positions copied.
at::Tensor with_room(const at::Tensor& room, const at::Tensor& like, std::int64_t used, std::int64_t needed) {
  if (room.defined() && room.size(1) >= needed) return room;
  const std::int64_t positions = std::max<std::int64_t>({needed, 2 * used, 64});
  at::Tensor larger = at::empty({like.size(0), positions, like.size(2), like.size(3)}, like.options());
  if (used > 0) larger.narrow(1, 0, used).copy_(room.narrow(1, 0, used));
  return larger;
}

}  // namespace

std::pair<at::Tensor, at::Tensor> KeyValueCache::append(std::size_t layer, const at::Tensor& key,
                                                        const at::Tensor& value) {
  if (layers_.size() <= layer) layers_.resize(layer + 1);
  Layer& room = layers_[layer];
  if (room.key.defined() && room.key.size(0) != key.size(0)) {
    throw Error("the key/value cache holds a batch of " + std::to_string(room.key.size(0)) + ", not " +
                std::to_string(key.size(0)));
  }
  const std::int64_t tokens = key.size(1), total = length_ + tokens;
  room.key = with_room(room.key, key, length_, total);
  room.value = with_room(room.value, value, length_, total);
  room.key.narrow(1, length_, tokens).copy_(key.detach());
  room.value.narrow(1, length_, tokens).copy_(value.detach());
  return {room.key.narrow(1, 0, total), room.value.narrow(1, 0, total)};
}

}  // namespace mformer
