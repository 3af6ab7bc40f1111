/* Stands between a process and its files (LD_PRELOAD): records what it does to them, and lets one call
 * fail. Compiled by the lab itself. Everything is about paths below LAB_ROOT; other files pass through.
 *
 *   LAB_ROOT=DIR        what is looked at
 *   LAB_LOG=FILE        append a record of every call that changes something, with its data
 *   LAB_FAIL_AT=N       the N-th such call below LAB_FAIL_ROOT fails ...
 *   LAB_FAIL_ERRNO=E    ... with this number
 *   LAB_FAIL_COUNT=M    ... and the next M - 1 ones too
 *   LAB_FAIL_SHORT=1    the N-th, if it is a write, writes half instead; the next M ones fail
 *   LAB_SYNC_US=U       every fsync and fdatasync takes U microseconds longer
 *
 * One lock is held around each call and its record, so the order of records is the order of effects.
 * Not recorded: reads, mapped memory (the archive maps nothing for writing), copy_file_range (refused,
 * so that callers fall back to read and write), sync_file_range (it makes nothing durable).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPEN = 1, WRITE, TRUNCATE, SYNC, RENAME, LINK, UNLINK, MKDIR, RMDIR, CLOSE, ALLOCATE, START, END };

/* The layout that src/record.rs reads. */
struct record {
  uint32_t kind;
  int32_t fd;
  int64_t a, b;
  int32_t error;
  uint32_t path_bytes, other_bytes, data_bytes;
};

#define FDS 65536
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *paths[FDS];
static const char *root, *fail_root;
static size_t root_bytes, fail_root_bytes;
static int log_fd = -1, fail_errno, fail_short;
static long fail_at, fail_count = 1, sync_us, calls;

#define REAL(result, name, ...) static result (*real_##name)(__VA_ARGS__)
REAL(int, open, const char *, int, ...);
REAL(int, openat, int, const char *, int, ...);
REAL(int, close, int);
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
REAL(ssize_t, writev, int, const struct iovec *, int);
REAL(int, ftruncate, int, off_t);
REAL(int, fallocate, int, int, off_t, off_t);
REAL(int, fsync, int);
REAL(int, fdatasync, int);
REAL(int, rename, const char *, const char *);
REAL(int, link, const char *, const char *);
REAL(int, unlink, const char *);
REAL(int, unlinkat, int, const char *, int);
REAL(int, mkdir, const char *, mode_t);
REAL(int, rmdir, const char *);

static long number(const char *name) {
  const char *text = getenv(name);
  return text ? atol(text) : 0;
}

static void put(enum kind kind, int fd, int64_t a, int64_t b, int error, const char *path, const char *other,
                const void *data, size_t data_bytes) {
  if (log_fd < 0) return;
  struct record head = {kind, fd, a, b, error, path ? strlen(path) : 0, other ? strlen(other) : 0, data_bytes};
  struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path_bytes}, {(void *)other, head.other_bytes}, {(void *)data, data_bytes}};
  size_t wanted = sizeof head + head.path_bytes + head.other_bytes + data_bytes;
  if (real_writev(log_fd, parts, 4) != (ssize_t)wanted) {
    static const char message[] = "crash lab: the log cannot be written\n";
    (void)!real_write(2, message, sizeof message - 1);
    _exit(99);
  }
}

__attribute__((constructor)) static void begin(void) {
#define FIND(name, symbol) real_##name = dlsym(RTLD_NEXT, symbol)
  FIND(open, "open64"), FIND(openat, "openat64"), FIND(close, "close"), FIND(write, "write"), FIND(pwrite, "pwrite64");
  FIND(writev, "writev"), FIND(ftruncate, "ftruncate64"), FIND(fallocate, "fallocate64"), FIND(fsync, "fsync");
  FIND(fdatasync, "fdatasync"), FIND(rename, "rename"), FIND(link, "link"), FIND(unlink, "unlink");
  FIND(unlinkat, "unlinkat"), FIND(mkdir, "mkdir"), FIND(rmdir, "rmdir");
  root = getenv("LAB_ROOT");
  root_bytes = root ? strlen(root) : 0;
  fail_root = getenv("LAB_FAIL_ROOT");
  fail_root_bytes = fail_root ? strlen(fail_root) : 0;
  fail_at = number("LAB_FAIL_AT");
  fail_errno = (int)number("LAB_FAIL_ERRNO");
  fail_short = (int)number("LAB_FAIL_SHORT");
  if (getenv("LAB_FAIL_COUNT")) fail_count = number("LAB_FAIL_COUNT");
  sync_us = number("LAB_SYNC_US");
  const char *log = getenv("LAB_LOG");
  if (log) log_fd = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  put(START, getpid(), 0, 0, 0, NULL, NULL, NULL, 0);
}

/* How many calls could have failed. */
__attribute__((destructor)) static void end(void) { put(END, -1, calls, 0, 0, NULL, NULL, NULL, 0); }

static int is_below(const char *path, const char *dir, size_t bytes) {
  return bytes && path && !strncmp(path, dir, bytes) && (path[bytes] == '/' || !path[bytes]);
}
static int watched(const char *path) { return is_below(path, root, root_bytes); }
static const char *path_of(int fd) { return fd >= 0 && fd < FDS ? paths[fd] : NULL; }

/* What a call that changes something shall do: nothing special, fail, or write half. */
enum fate { PASS, FAIL, HALF };
static enum fate next_call(const char *path, int is_write) {
  if (!is_below(path, fail_root, fail_root_bytes)) return PASS;
  calls++;
  if (!fail_at || calls < fail_at) return PASS;
  if (fail_short) {
    if (calls == fail_at) return is_write ? HALF : PASS;
    return calls <= fail_at + fail_count ? FAIL : PASS;
  }
  return calls < fail_at + fail_count ? FAIL : PASS;
}

/* Runs a call under the lock unless it is to fail. */
#define RUN(path, is_write, call, failed)                        \
  enum fate fate = next_call(path, is_write);                    \
  __typeof__(call) result = fate == FAIL ? (failed) : (call);    \
  int error = result < 0 ? (fate == FAIL ? fail_errno : errno) : 0

#define DONE                         \
  pthread_mutex_unlock(&lock);       \
  if (error) errno = error;          \
  return result

static int opened(int dir, const char *path, int flags, mode_t mode) {
  char joined[8192];
  if (dir != AT_FDCWD && path[0] != '/' && path_of(dir)) {
    snprintf(joined, sizeof joined, "%s/%s", path_of(dir), path);
    path = joined;
    dir = AT_FDCWD;
  }
  if (!watched(path)) return real_openat(dir, path, flags, mode);
  pthread_mutex_lock(&lock);
  struct stat before;
  int existed = stat(path, &before) == 0;
  int changes = (!existed && (flags & O_CREAT)) || (flags & O_TRUNC);
  enum fate fate = changes ? next_call(path, 0) : PASS;
  int result = fate == FAIL ? -1 : real_openat(dir, path, flags, mode);
  int error = result < 0 ? (fate == FAIL ? fail_errno : errno) : 0;
  if (result >= 0 && result < FDS) {
    free(paths[result]);
    paths[result] = strdup(path);
  }
  if (result >= 0 || changes) put(OPEN, result, flags, existed, error, path, NULL, NULL, 0);
  DONE;
}

static mode_t mode_of(int flags, va_list list) { return flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0; }
#define OPEN_AS(name)                             \
  int name(const char *path, int flags, ...) {    \
    va_list list;                                 \
    va_start(list, flags);                        \
    mode_t mode = mode_of(flags, list);           \
    va_end(list);                                 \
    return opened(AT_FDCWD, path, flags, mode);   \
  }
#define OPENAT_AS(name)                                    \
  int name(int dir, const char *path, int flags, ...) {    \
    va_list list;                                          \
    va_start(list, flags);                                 \
    mode_t mode = mode_of(flags, list);                    \
    va_end(list);                                          \
    return opened(dir, path, flags, mode);                 \
  }
OPEN_AS(open)
OPEN_AS(open64)
OPENAT_AS(openat)
OPENAT_AS(openat64)
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
  if (!path_of(fd)) return real_close(fd);
  pthread_mutex_lock(&lock);
  put(CLOSE, fd, 0, 0, 0, paths[fd], NULL, NULL, 0);
  free(paths[fd]);
  paths[fd] = NULL;
  int result = real_close(fd), error = result < 0 ? errno : 0;
  DONE;
}

ssize_t write(int fd, const void *data, size_t bytes) {
  if (!path_of(fd)) return real_write(fd, data, bytes);
  pthread_mutex_lock(&lock);
  enum fate fate = next_call(paths[fd], 1);
  ssize_t result = fate == FAIL ? -1 : real_write(fd, data, fate == HALF && bytes > 1 ? bytes / 2 : bytes);
  int error = result < 0 ? (fate == FAIL ? fail_errno : errno) : 0;
  off_t behind = lseek(fd, 0, SEEK_CUR);
  put(WRITE, fd, result < 0 ? behind : behind - result, result, error, paths[fd], NULL, data, result < 0 ? 0 : (size_t)result);
  DONE;
}

static ssize_t pwritten(int fd, const void *data, size_t bytes, off_t offset) {
  if (!path_of(fd)) return real_pwrite(fd, data, bytes, offset);
  pthread_mutex_lock(&lock);
  enum fate fate = next_call(paths[fd], 1);
  ssize_t result = fate == FAIL ? -1 : real_pwrite(fd, data, fate == HALF && bytes > 1 ? bytes / 2 : bytes, offset);
  int error = result < 0 ? (fate == FAIL ? fail_errno : errno) : 0;
  put(WRITE, fd, offset, result, error, paths[fd], NULL, data, result < 0 ? 0 : (size_t)result);
  DONE;
}
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) { return pwritten(fd, data, bytes, offset); }
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) { return pwritten(fd, data, bytes, offset); }

/* As several writes: a vector may be written in part at any time. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (!path_of(fd)) return real_writev(fd, parts, count);
  ssize_t all = 0;
  for (int i = 0; i < count; i++) {
    ssize_t one = write(fd, parts[i].iov_base, parts[i].iov_len);
    if (one < 0) return all ? all : one;
    all += one;
    if ((size_t)one < parts[i].iov_len) break;
  }
  return all;
}

static int truncated(int fd, off_t bytes) {
  if (!path_of(fd)) return real_ftruncate(fd, bytes);
  pthread_mutex_lock(&lock);
  RUN(paths[fd], 0, real_ftruncate(fd, bytes), -1);
  put(TRUNCATE, fd, bytes, 0, error, paths[fd], NULL, NULL, 0);
  DONE;
}
int ftruncate(int fd, off_t bytes) { return truncated(fd, bytes); }
int ftruncate64(int fd, off64_t bytes) { return truncated(fd, bytes); }

static int allocated(int fd, int mode, off_t from, off_t bytes) {
  if (!path_of(fd)) return real_fallocate(fd, mode, from, bytes);
  pthread_mutex_lock(&lock);
  RUN(paths[fd], 0, real_fallocate(fd, mode, from, bytes), -1);
  put(ALLOCATE, fd, mode & FALLOC_FL_KEEP_SIZE, from + bytes, error, paths[fd], NULL, NULL, 0);
  DONE;
}
int fallocate(int fd, int mode, off_t from, off_t bytes) { return allocated(fd, mode, from, bytes); }
int fallocate64(int fd, int mode, off64_t from, off64_t bytes) { return allocated(fd, mode, from, bytes); }

static int synced(int fd, int (*real)(int)) {
  if (sync_us) usleep((useconds_t)sync_us);
  if (!path_of(fd)) return real(fd);
  pthread_mutex_lock(&lock);
  RUN(paths[fd], 0, real(fd), -1);
  put(SYNC, fd, 0, 0, error, paths[fd], NULL, NULL, 0);
  DONE;
}
int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int rename(const char *from, const char *to) {
  if (!watched(from) && !watched(to)) return real_rename(from, to);
  pthread_mutex_lock(&lock);
  RUN(to, 0, real_rename(from, to), -1);
  put(RENAME, -1, 0, 0, error, from, to, NULL, 0);
  DONE;
}
int link(const char *from, const char *to) {
  if (!watched(to)) return real_link(from, to);
  pthread_mutex_lock(&lock);
  RUN(to, 0, real_link(from, to), -1);
  put(LINK, -1, 0, 0, error, from, to, NULL, 0);
  DONE;
}
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  (void)from_dir, (void)to_dir, (void)flags;
  return link(from, to);
}
int unlink(const char *path) {
  if (!watched(path)) return real_unlink(path);
  pthread_mutex_lock(&lock);
  RUN(path, 0, real_unlink(path), -1);
  put(UNLINK, -1, 0, 0, error, path, NULL, NULL, 0);
  DONE;
}
int rmdir(const char *path) {
  if (!watched(path)) return real_rmdir(path);
  pthread_mutex_lock(&lock);
  RUN(path, 0, real_rmdir(path), -1);
  put(RMDIR, -1, 0, 0, error, path, NULL, NULL, 0);
  DONE;
}
int unlinkat(int dir, const char *path, int flags) {
  char joined[8192];
  if (path[0] == '/' || dir == AT_FDCWD) {
    snprintf(joined, sizeof joined, "%s", path);
  } else if (path_of(dir)) {
    snprintf(joined, sizeof joined, "%s/%s", path_of(dir), path);
  } else {
    return real_unlinkat(dir, path, flags);
  }
  return flags & AT_REMOVEDIR ? rmdir(joined) : unlink(joined);
}
int mkdir(const char *path, mode_t mode) {
  if (!watched(path)) return real_mkdir(path, mode);
  pthread_mutex_lock(&lock);
  RUN(path, 0, real_mkdir(path, mode), -1);
  put(MKDIR, -1, 0, 0, error, path, NULL, NULL, 0);
  DONE;
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t bytes, unsigned flags) {
  (void)in, (void)from, (void)out, (void)to, (void)bytes, (void)flags;
  errno = ENOSYS;
  return -1;
}
