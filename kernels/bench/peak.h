#pragma once

namespace mformer::kernels::bench {

/// float32 operations a second that all threads reach together in products which stay in their cores' caches, measured
/// once a process: what the other benchmarks are held against.
double float32_peak();

/// Bytes a second that all threads read together from 1 GiB of memory, measured once a process.
double read_bandwidth();

}  // namespace mformer::kernels::bench
