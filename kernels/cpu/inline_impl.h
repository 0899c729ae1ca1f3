#pragma once

// For files that are compiled for one kind of processor: all has internal linkage, since no function compiled there may
// stand in for another file's, and is inlined.

#define MFORMER_INLINE [[gnu::always_inline]] static inline

namespace mformer::kernels::cpu {
namespace {

template <typename To>
MFORMER_INLINE To read(const void* from) {
  To to;
  __builtin_memcpy(&to, from, sizeof to);
  return to;
}

}  // namespace
}  // namespace mformer::kernels::cpu
