#pragma once

namespace mformer {

/// For work on tensors one after the other that together are larger than the memory: those of 256 KiB and more take
/// the memory of earlier ones that were freed, of which 256 MiB are kept. The C library (glibc before 2.38) finds no
/// use for aligned memory that was freed, and keeps more with every tensor; mapping all of it anew costs a page fault
/// for every 4 KiB. For the whole process, once, before the first large tensor.
void recycle_tensor_memory();

}  // namespace mformer
