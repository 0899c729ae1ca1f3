// What faults.so writes down for power.py. Each change is a line "<kind> <inode> <a> <b> <path>[\t<other path>]\n",
// followed by b bytes where the kind is W:
//   O  a file was opened to be written: a = 1 if it is new, b = 1 if it was emptied
//   W  b bytes were written at a            T  the file's size became a
//   S  a file or folder is on disk          Y  all of the file system is
//   M  a new folder                         U  a name is gone, of a file or an empty folder
//   R  the first name became the second     X  two names were exchanged
#pragma once

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int journal_file = -1;
static pthread_mutex_t journal_mutex = PTHREAD_MUTEX_INITIALIZER;

/// From before a change until it is written down, so that the order is that of the changes.
static void journal_lock(void) {
  if (journal_file >= 0) pthread_mutex_lock(&journal_mutex);
}
static void journal_unlock(void) {
  if (journal_file >= 0) pthread_mutex_unlock(&journal_mutex);
}

static unsigned long inode_of(int file) {
  struct stat status;
  return file >= 0 && fstat(file, &status) == 0 ? (unsigned long)status.st_ino : 0;
}

static void journal_add(char kind, int file, long a, long b, const char* path, const char* other, const void* bytes) {
  if (journal_file < 0) return;
  char line[2 * PATH_MAX + 128];
  const int size = snprintf(line, sizeof line, "%c %lu %ld %ld %s%s%s\n", kind, inode_of(file), a, b, path,
                            other[0] == '\0' ? "" : "\t", other);
  if (syscall(SYS_write, journal_file, line, size) != size) abort();
  if (bytes != NULL && syscall(SYS_write, journal_file, bytes, b) != b) abort();
}

static void journal_open(int file, int is_new, int emptied, const char* path) {
  journal_add('O', file, is_new, emptied, path, "", NULL);
}
static void journal_write(int file, off_t offset, ssize_t size, const void* bytes, const char* path) {
  journal_add('W', file, (long)offset, (long)size, path, "", bytes);
}
static void journal_size(int file, off_t size, const char* path) {
  journal_add('T', file, (long)size, 0, path, "", NULL);
}
static void journal_sync(int file, const char* path) {
  journal_add('S', file, 0, 0, path, "", NULL);
}
static void journal_sync_all(const char* path) {
  journal_add('Y', -1, 0, 0, path, "", NULL);
}
static void journal_name(char kind, const char* path, const char* other) {
  journal_add(kind, -1, 0, 0, path, other, NULL);
}
