#include "core/training/retain_memory.h"

#include <malloc.h>

namespace mformer {

void retain_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);         // large blocks from the heap, too
  mallopt(M_TRIM_THRESHOLD, -1);  // never shrink the heap
  mallopt(M_TOP_PAD, 64 << 20);   // grow it 64 MiB at a time
#endif
}

}  // namespace mformer
