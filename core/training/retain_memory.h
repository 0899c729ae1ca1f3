#pragma once

namespace mformer {

/// Tells the C library to keep the memory that is freed instead of giving it back to the system. A training step frees
/// and allocates the same large tensors each time; mapping them anew costs a page fault for every 4 KiB, which alone
/// can double the time of a step. For the whole process, once, before the first large allocation.
void retain_freed_memory();

}  // namespace mformer
