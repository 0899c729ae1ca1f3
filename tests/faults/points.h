// Which calls are points of faults.so, and what is to happen at one.
#pragma once

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "journal.h"

// The next definition of a function: the C library's, or SQLite's.
#define REAL(type, name, ...)       \
  static type (*real)(__VA_ARGS__); \
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, name)

// Only long writes are cut: file systems take space by the block, and disks write whole sectors.
enum Needs { kSpace = 1, kMayBeInterrupted = 2, kMayBeShort = 4 };
enum { kSector = 512 };
enum { kShort = -1 };  // in place of an error's code

static char below[PATH_MAX];
static size_t below_length = 0;  // 0: nothing is watched
static int points = -1;
static long at = 0;
static const char* how = "";
static atomic_long count;
static atomic_int last = 0;  // the program ends after this call

static void raw_write(int file, const char* text, size_t size) {
  if (syscall(SYS_write, file, text, size) < 0) abort();
}

static int open_outside(const char* variable) {
  const char* path = getenv(variable);
  return path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

static long lines_in(int file) {
  char block[4096];
  long lines = 0;
  for (ssize_t size; (size = read(file, block, sizeof block)) > 0;) {
    for (ssize_t i = 0; i < size; ++i) lines += block[i] == '\n';
  }
  return lines;
}

__attribute__((constructor)) static void begin(void) {
  const char* folder = getenv("MFORMER_FAULTS_BELOW");
  if (folder == NULL) return;
  points = open_outside("MFORMER_FAULTS_POINTS");
  if (points >= 0) atomic_store(&count, lines_in(points));
  journal_file = open_outside("MFORMER_FAULTS_JOURNAL");
  if (getenv("MFORMER_FAULTS_AT") != NULL) at = atol(getenv("MFORMER_FAULTS_AT"));
  if (getenv("MFORMER_FAULTS_HOW") != NULL) how = getenv("MFORMER_FAULTS_HOW");
  snprintf(below, sizeof below, "%s/", folder);
  below_length = strlen(below);
}

static int is_watched(const char* path) {
  return below_length > 0 && strncmp(path, below, below_length) == 0;
}

/// Whether the file of a descriptor is watched; its path.
static int is_open_below(int file, char* path) {
  if (below_length == 0) return 0;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t size = readlink(link, path, PATH_MAX - 1);
  path[size < 0 ? 0 : size] = '\0';
  return size > 0 &&
         (is_watched(path) || (strncmp(path, below, below_length - 1) == 0 && path[below_length - 1] == '\0'));
}

/// Whether the path, relative to an open folder, is watched; the path from the root.
static int is_named_below(int folder, const char* name, char* path) {
  if (below_length == 0 || name == NULL) return 0;
  char base[PATH_MAX] = "";
  if (name[0] != '/') {
    char link[64];
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    const ssize_t size = readlink(link, base, sizeof base - 2);
    if (size < 0) return 0;
    base[size] = '/';
    base[size + 1] = '\0';
    while (name[0] == '.' && name[1] == '/') name += 2;
  }
  if (snprintf(path, PATH_MAX, "%s%s", base, name) >= PATH_MAX) return 0;
  return is_watched(path);
}

/// One more point: 0 to go on, or the error with which the call is to fail, or kShort.
static int point(const char* call, const char* path, int needs) {
  const long number = atomic_fetch_add(&count, 1) + 1;
  if (points >= 0) {
    char line[PATH_MAX + 64];
    const int size = snprintf(line, sizeof line, "%ld %s %s\n", number, call, path);
    raw_write(points, line, (size_t)size);
  }
  if (at == 0 || number < at) return 0;
  if (strcmp(how, "dead") == 0) return EIO;
  if (strcmp(how, "full") == 0) {
    if (number == at && (needs & kMayBeShort)) return kShort;
    return needs & kSpace ? ENOSPC : 0;
  }
  if (number > at) return 0;
  if (strcmp(how, "kill") == 0) kill(getpid(), SIGKILL);
  if (strcmp(how, "kill-after") == 0) atomic_store(&last, 1);
  if (strcmp(how, "eio") == 0) return EIO;
  if (strcmp(how, "enospc") == 0 && (needs & kSpace)) return ENOSPC;
  if (strcmp(how, "eintr") == 0 && (needs & kMayBeInterrupted)) return EINTR;
  return strcmp(how, "short") == 0 && (needs & kMayBeShort) ? kShort : 0;
}

static void after(void) {
  if (atomic_load(&last)) kill(getpid(), SIGKILL);
}

/// Ends the program, aloud: a way to write that this library can't make fail is never passed over.
static void not_foreseen(const char* call, const char* path) {
  fprintf(stderr, "faults.so: %s of %s is not foreseen; count it among the points\n", call, path);
  abort();
}

static int fail(int code) {
  errno = code;
  return -1;
}
