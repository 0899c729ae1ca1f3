#include <ATen/ops/empty.h>

#include "core/model/forward.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// `room` [batch, positions, heads, head_size] with space for `needed` positions, its first `used` positions copied. In
/// memory the positions of a head are neighbours: threads that read different heads share no page.
at::Tensor with_room(const at::Tensor& room, const at::Tensor& like, std::int64_t used, std::int64_t needed) {
  if (room.defined() && room.size(1) >= needed) return room;
  const std::int64_t positions = std::max<std::int64_t>({needed, 2 * used, 64});
  at::Tensor larger = at::empty({like.size(0), like.size(2), positions, like.size(3)}, like.options()).transpose(1, 2);
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
  const std::int64_t tokens = key.size(1), total = length_ + tokens, needed = std::max(total, positions_);
  const auto append_to = [&](at::Tensor& stored, const at::Tensor& fresh) {
    stored = with_room(stored, fresh, length_, needed);
    stored.narrow(1, length_, tokens).copy_(fresh.detach());
    return stored.narrow(1, 0, total);
  };
  const at::Tensor keys = append_to(room.key, key);
  if (key.is_same(value)) return {keys, keys};
  return {keys, append_to(room.value, value)};
}

}  // namespace mformer
