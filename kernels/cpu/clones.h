#pragma once

// One binary for every x86-64: the loader picks the widest vectors the processor has.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define MFORMER_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MFORMER_CLONES
#endif
