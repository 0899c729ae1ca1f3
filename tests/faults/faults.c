// faults.so, for LD_PRELOAD: counts the calls by which a program changes files below one folder, or its SQLite registry
// there, and makes one of them fail or be the program's last. Told by environment variables:
//   MFORMER_FAULTS_BELOW    the folder, absolute and without links
//   MFORMER_FAULTS_POINTS   a file, outside, that gets a line "<number> <call> <path>" for each point; a program that
//   this
//                           one becomes (exec) counts on
//   MFORMER_FAULTS_AT       number of the point, from 1; 0 = none
//   MFORMER_FAULTS_HOW      what happens there:
//     eio, enospc, eintr    the call fails once, with that error; a step of SQL as SQLite says it (IOERR, FULL)
//     short                 a write writes half
//     full                  no space from then on: half is written, then all that needs space fails
//     dead                  every call fails from then on with EIO
//     kill, kill-after      SIGKILL before or after the call
//   MFORMER_FAULTS_JOURNAL  a file, outside, that gets every change with its bytes (journal.h)
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "points.h"

static int open_at(int folder, const char* name, int flags, mode_t mode) {
  char path[PATH_MAX];
  const int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
  if (!writes || (flags & O_TMPFILE) == O_TMPFILE || !is_named_below(folder, name, path)) {
    return (int)syscall(SYS_openat, folder, name, flags, mode);
  }
  const int is_new = (flags & O_CREAT) != 0 && access(path, F_OK) != 0;
  const int code = point("open", path, kMayBeInterrupted | (is_new ? kSpace : 0));
  if (code > 0) return fail(code);
  journal_lock();
  const int file = (int)syscall(SYS_openat, folder, name, flags, mode);
  if (file >= 0) journal_open(file, is_new, (flags & O_TRUNC) != 0, path);
  journal_unlock();
  after();
  return file;
}

static mode_t mode_of(int flags, va_list rest) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define DEFINE_OPEN(name)                        \
  int name(const char* path, int flags, ...) {   \
    va_list rest;                                \
    va_start(rest, flags);                       \
    const mode_t mode = mode_of(flags, rest);    \
    va_end(rest);                                \
    return open_at(AT_FDCWD, path, flags, mode); \
  }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPENAT(name)                                \
  int name(int folder, const char* path, int flags, ...) { \
    va_list rest;                                          \
    va_start(rest, flags);                                 \
    const mode_t mode = mode_of(flags, rest);              \
    va_end(rest);                                          \
    return open_at(folder, path, flags, mode);             \
  }
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

int creat(const char* path, mode_t mode) {
  return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

/// Streams of C++ open their files so, and write to them with write and writev.
FILE* fopen64(const char* path, const char* mode) {
  int flags = mode[0] == 'r' ? 0 : O_CREAT | (mode[0] == 'w' ? O_TRUNC : O_APPEND);
  if (mode[0] != 'r' && mode[0] != 'w' && mode[0] != 'a') return errno = EINVAL, NULL;
  flags |= strchr(mode, '+') != NULL ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
  if (strchr(mode, 'e') != NULL) flags |= O_CLOEXEC;
  if (strchr(mode, 'x') != NULL) flags |= O_EXCL;
  const int file = open_at(AT_FDCWD, path, flags, 0666);
  return file < 0 ? NULL : fdopen(file, mode);
}
FILE* fopen(const char* path, const char* mode) {
  return fopen64(path, mode);
}

/// A write of `size` bytes that begin at `bytes`, at `offset`, or where the file stands if that is negative.
static ssize_t write_at(const char* call, int file, const void* bytes, size_t size, off_t offset) {
  char path[PATH_MAX];
  const int watched = is_open_below(file, path);
  if (watched) {
    if (size <= kSector) call = offset < 0 ? "write-little" : "pwrite-little";
    const int code = point(call, path, kSpace | kMayBeInterrupted | (size > kSector ? kMayBeShort : 0));
    if (code > 0) return fail(code);
    if (code == kShort) size /= 2;
    journal_lock();
  }
  const off_t begun = watched && offset < 0 ? lseek(file, 0, SEEK_CUR) : offset;
  const ssize_t written =
      offset < 0 ? syscall(SYS_write, file, bytes, size) : syscall(SYS_pwrite64, file, bytes, size, offset);
  if (watched) {
    // What is appended begins where the file ended.
    if (written > 0) journal_write(file, offset < 0 ? lseek(file, 0, SEEK_CUR) - written : begun, written, bytes, path);
    journal_unlock();
    after();
  }
  return written;
}

ssize_t write(int file, const void* bytes, size_t size) {
  return write_at("write", file, bytes, size, -1);
}
ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  return write_at("pwrite", file, bytes, size, offset);
}
ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  return write_at("pwrite", file, bytes, size, offset);
}

ssize_t writev(int file, const struct iovec* pieces, int number) {
  ssize_t all = 0;
  for (int i = 0; i < number; ++i) {
    if (pieces[i].iov_len == 0) continue;
    const ssize_t written = write_at("write", file, pieces[i].iov_base, pieces[i].iov_len, -1);
    if (written < 0) return all > 0 ? all : -1;
    all += written;
    if ((size_t)written < pieces[i].iov_len) break;
  }
  return all;
}

/// A call with a descriptor and nothing that the journal needs but what `note` says.
#define ON_FILE(name, needs, call, note)       \
  char path[PATH_MAX];                         \
  if (!is_open_below(file, path)) return call; \
  const int code = point(name, path, needs);   \
  if (code > 0) return fail(code);             \
  journal_lock();                              \
  const int result = (int)call;                \
  if (result == 0) note;                       \
  journal_unlock();                            \
  after();                                     \
  return result

int fsync(int file) {
  ON_FILE("fsync", kSpace | kMayBeInterrupted, syscall(SYS_fsync, file), journal_sync(file, path));
}
int fdatasync(int file) {
  ON_FILE("fdatasync", kSpace | kMayBeInterrupted, syscall(SYS_fdatasync, file), journal_sync(file, path));
}
int syncfs(int file) {
  ON_FILE("syncfs", kSpace, syscall(SYS_syncfs, file), journal_sync_all(path));
}
int sync_file_range(int file, off64_t offset, off64_t size, unsigned flags) {
  // Promises nothing that outlives a power failure.
  ON_FILE("sync_file_range", kSpace, syscall(SYS_sync_file_range, file, offset, size, flags), (void)0);
}
static int grows(int file, off_t size) {
  struct stat status;
  return fstat(file, &status) == 0 && size > status.st_size;
}
int ftruncate(int file, off_t size) {
  ON_FILE("ftruncate", kMayBeInterrupted | (grows(file, size) ? kSpace : 0), syscall(SYS_ftruncate, file, size),
          journal_size(file, size, path));
}
int ftruncate64(int file, off64_t size) {
  return ftruncate(file, size);
}
int fallocate(int file, int mode, off_t offset, off_t size) {
  ON_FILE("fallocate", kSpace | kMayBeInterrupted, syscall(SYS_fallocate, file, mode, offset, size), (void)0);
}
int posix_fallocate(int file, off_t offset, off_t size) {
  return fallocate(file, 0, offset, size) == 0 ? 0 : errno;
}
int close(int file) {
  char path[PATH_MAX];
  struct stat status;
  const int writes = below_length > 0 && (fcntl(file, F_GETFL) & O_ACCMODE) != O_RDONLY;
  if (!writes || !is_open_below(file, path) || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    return (int)syscall(SYS_close, file);
  }
  const int code = point("close", path, kSpace | kMayBeInterrupted);
  const int result = (int)syscall(SYS_close, file);  // it is closed, whatever it says
  after();
  return code > 0 ? fail(code) : result;
}

/// A call with a name.
#define ON_NAME(call_name, needs, folder, name, call, note)  \
  char path[PATH_MAX];                                       \
  if (!is_named_below(folder, name, path)) return (int)call; \
  const int code = point(call_name, path, needs);            \
  if (code > 0) return fail(code);                           \
  journal_lock();                                            \
  const int result = (int)call;                              \
  if (result == 0) note;                                     \
  journal_unlock();                                          \
  after();                                                   \
  return result

int mkdirat(int folder, const char* name, mode_t mode) {
  ON_NAME("mkdir", kSpace, folder, name, syscall(SYS_mkdirat, folder, name, mode), journal_name('M', path, ""));
}
int mkdir(const char* name, mode_t mode) {
  return mkdirat(AT_FDCWD, name, mode);
}
int unlinkat(int folder, const char* name, int flags) {
  ON_NAME(flags & AT_REMOVEDIR ? "rmdir" : "unlink", 0, folder, name, syscall(SYS_unlinkat, folder, name, flags),
          journal_name('U', path, ""));
}
int unlink(const char* name) {
  return unlinkat(AT_FDCWD, name, 0);
}
int rmdir(const char* name) {
  return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}
int remove(const char* name) {
  struct stat status;
  return unlinkat(AT_FDCWD, name, lstat(name, &status) == 0 && S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  char target[PATH_MAX] = "";
  is_named_below(to_folder, to, target);
  ON_NAME("rename", kSpace, from_folder, from, syscall(SYS_renameat2, from_folder, from, to_folder, to, flags),
          journal_name(flags & RENAME_EXCHANGE ? 'X' : 'R', path, target));
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  return renameat2(from_folder, from, to_folder, to, 0);
}
int rename(const char* from, const char* to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int symlink(const char* target, const char* name) {
  ON_NAME("symlink", kSpace, AT_FDCWD, name, syscall(SYS_symlinkat, target, AT_FDCWD, name), (void)0);
}
/// What std::filesystem::copy_file writes with. The bytes for the journal are read from where they came.
ssize_t sendfile(int file, int from, off_t* offset, size_t size) {
  char path[PATH_MAX];
  const int watched = is_open_below(file, path);
  const int code = watched ? point("sendfile", path, kSpace | kMayBeInterrupted) : 0;
  if (code > 0) return fail(code);
  if (!watched) return syscall(SYS_sendfile, file, from, offset, size);
  journal_lock();
  const off_t begun = lseek(file, 0, SEEK_CUR), read_at = offset == NULL ? lseek(from, 0, SEEK_CUR) : *offset;
  const ssize_t written = syscall(SYS_sendfile, file, from, offset, size);
  if (written > 0 && journal_file >= 0) {
    void* bytes = malloc((size_t)written);
    if (bytes == NULL || syscall(SYS_pread64, from, bytes, written, read_at) != written) abort();
    journal_write(file, begun, written, bytes, path);
    free(bytes);
  }
  journal_unlock();
  after();
  return written;
}

/// The time of a file, by which gc knows what is still in use. Nothing promises that it outlives a power failure.
int utimensat(int folder, const char* name, const struct timespec times[2], int flags) {
  ON_NAME("utimens", 0, folder, name, syscall(SYS_utimensat, folder, name, times, flags), (void)0);
}
int futimens(int file, const struct timespec times[2]) {
  ON_FILE("utimens", 0, syscall(SYS_utimensat, file, NULL, times, 0), (void)0);
}

/// SQLite shares the index of its log in memory so: what is written there the disk need never see, as the file is made
/// anew of the log. The call itself takes memory.
void* mmap64(void* address, size_t size, int protection, int flags, int file, off64_t offset) {
  char path[PATH_MAX];
  const int writes = (flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0;
  if (!writes || file < 0 || !is_open_below(file, path)) {
    return (void*)syscall(SYS_mmap, address, size, protection, flags, file, offset);  // NOLINT
  }
  if (strcmp(path + strlen(path) - 4, "-shm") != 0) not_foreseen("mmap", path);
  const int code = point("mmap", path, kSpace);
  if (code > 0) return errno = code == ENOSPC ? ENOMEM : code, MAP_FAILED;
  void* const result = (void*)syscall(SYS_mmap, address, size, protection, flags, file, offset);  // NOLINT
  after();
  return result;
}
void* mmap(void* address, size_t size, int protection, int flags, int file, off_t offset) {
  return mmap64(address, size, protection, flags, file, offset);
}

#include "sql_faults.h"
#include "unforeseen.h"
