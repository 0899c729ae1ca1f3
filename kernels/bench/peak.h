#pragma once

namespace mformer::kernels::bench {

/// float32 operations a second that all threads reach together in products which stay in their cores' caches, measured
/// once a process: what the other benchmarks are held against.
double float32_peak();

}  // namespace mformer::kernels::bench
