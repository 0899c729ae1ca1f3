#include <ATen/ops/empty.h>

#include <cstring>

#include "core/model/forward.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// `room` [batch, positions, heads, head_size] with space for `needed` positions, its first `used` positions copied. In
/// memory the positions of a head are neighbours: threads that read different heads share no page.
at::Tensor with_room(const at::Tensor& room, const KeyValueCache::Kind& kind, std::int64_t used, std::int64_t needed) {
  if (room.defined() && room.size(1) >= needed) return room;
  const std::int64_t positions = std::max<std::int64_t>({needed, 2 * used, 64});
  at::Tensor larger = at::empty({kind.batch, kind.heads, positions, kind.size}, kind.options).transpose(1, 2);
  if (used > 0) larger.narrow(1, 0, used).copy_(room.narrow(1, 0, used));
  return larger;
}

/// Writes `fresh` to the positions from `first` on. A decoded token is so little that a copy by LibTorch, with what it
/// looks at beforehand, would take longer than all else that is done with it.
void put(const at::Tensor& fresh, std::int64_t first, const at::Tensor& room) {
  const std::int64_t tokens = fresh.size(1);
  const bool plain = fresh.device().is_cpu() && fresh.stride(3) == 1 && fresh.scalar_type() == room.scalar_type();
  if (!plain) {
    room.narrow(1, first, tokens).copy_(fresh.detach());
    return;
  }
  const auto bytes = static_cast<std::int64_t>(fresh.element_size());
  const auto* from = static_cast<const char*>(fresh.const_data_ptr());
  auto* to = static_cast<char*>(room.mutable_data_ptr());
  for (std::int64_t b = 0; b < fresh.size(0); ++b) {
    for (std::int64_t h = 0; h < fresh.size(2); ++h) {
      for (std::int64_t t = 0; t < tokens; ++t) {
        const std::int64_t at = b * room.stride(0) + (first + t) * room.stride(1) + h * room.stride(2);
        const std::int64_t source = b * fresh.stride(0) + t * fresh.stride(1) + h * fresh.stride(2);
        std::memcpy(to + at * bytes, from + source * bytes, static_cast<std::size_t>(fresh.size(3) * bytes));
      }
    }
  }
}

}  // namespace

KeyValueCache::Layer& KeyValueCache::layer_of(std::size_t layer, std::int64_t batch) {
  if (layers_.size() <= layer) layers_.resize(layer + 1);
  Layer& room = layers_[layer];
  if (room.key.defined() && room.key.size(0) != batch) {
    throw Error("the key/value cache holds a batch of " + std::to_string(room.key.size(0)) + ", not " +
                std::to_string(batch));
  }
  return room;
}

std::pair<at::Tensor, at::Tensor> KeyValueCache::room(std::size_t layer, const Kind& kind, std::int64_t tokens) {
  Layer& room = layer_of(layer, kind.batch);
  const std::int64_t needed = std::max(length_ + tokens, positions_);
  for (at::Tensor* stored : {&room.key, &room.value}) *stored = with_room(*stored, kind, length_, needed);
  return {room.key, room.value};
}

std::pair<at::Tensor, at::Tensor> KeyValueCache::append(std::size_t layer, const at::Tensor& key,
                                                        const at::Tensor& value) {
  Layer& room = layer_of(layer, key.size(0));
  const std::int64_t tokens = key.size(1), total = length_ + tokens, needed = std::max(total, positions_);
  const auto append_to = [&](at::Tensor& stored, const at::Tensor& fresh) {
    stored = with_room(stored, {fresh.size(0), fresh.size(2), fresh.size(3), fresh.options()}, length_, needed);
    put(fresh, length_, stored);
    return stored.narrow(1, 0, total);
  };
  const at::Tensor keys = append_to(room.key, key);
  if (key.is_same(value)) return {keys, keys};
  return {keys, append_to(room.value, value)};
}

}  // namespace mformer
