// Ways to change a file that neither the program nor SQLite takes: whoever takes one is told to make it a point of
// faults.c, or no test would see what its failure does. msync is none of them: faults.c lets nothing but SQLite's index
// of its log be mapped to be written.
#pragma once

#include <sys/uio.h>

#include "points.h"

#define NOT_FORESEEN_ON_FILE(type, name, file, parameters, ...) \
  type name parameters {                                        \
    char path[PATH_MAX];                                        \
    if (is_open_below(file, path)) not_foreseen(#name, path);   \
    return (type)syscall(__VA_ARGS__);                          \
  }
#define NOT_FORESEEN_ON_NAME(name, folder, path_name, parameters, ...)      \
  int name parameters {                                                     \
    char path[PATH_MAX];                                                    \
    if (is_named_below(folder, path_name, path)) not_foreseen(#name, path); \
    return (int)syscall(__VA_ARGS__);                                       \
  }
NOT_FORESEEN_ON_FILE(ssize_t, copy_file_range, to,
                     (int from, off64_t* at_from, int to, off64_t* at_to, size_t size, unsigned flags),
                     SYS_copy_file_range, from, at_from, to, at_to, size, flags)
NOT_FORESEEN_ON_FILE(ssize_t, splice, to,
                     (int from, off64_t* at_from, int to, off64_t* at_to, size_t size, unsigned flags), SYS_splice,
                     from, at_from, to, at_to, size, flags)
NOT_FORESEEN_ON_FILE(ssize_t, pwritev, file, (int file, const struct iovec* pieces, int number, off_t offset),
                     SYS_pwritev, file, pieces, number, offset, 0)
NOT_FORESEEN_ON_NAME(linkat, to_folder, to,
                     (int from_folder, const char* from, int to_folder, const char* to, int flags), SYS_linkat,
                     from_folder, from, to_folder, to, flags)
NOT_FORESEEN_ON_NAME(link, AT_FDCWD, to, (const char* from, const char* to), SYS_linkat, AT_FDCWD, from, AT_FDCWD, to,
                     0)
NOT_FORESEEN_ON_NAME(truncate, AT_FDCWD, name, (const char* name, off_t size), SYS_truncate, name, size)
int truncate64(const char* name, off64_t size) {
  return truncate(name, size);
}
