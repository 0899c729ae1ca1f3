#pragma once

namespace mformer {

/// Tells the C library to keep the memory that is freed instead of giving it back to the system. A training step frees
/// and allocates the same large tensors each time; mapping them anew costs a page fault for every 4 KiB, which alone
/// can double the time of a step. For the whole process, once, before the first large allocation.
void retain_freed_memory();

/// The reverse, for work on tensors one after the other that together are larger than the memory: what is freed goes
/// back to the system at once. Left to itself the C library keeps more with every tensor of another size, in the end
/// two thirds of all that passed.
void return_freed_memory();

}  // namespace mformer
