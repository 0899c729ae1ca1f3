// Owns the precompiled header of cmake/LibTorch.cmake: a target needs a source file.
