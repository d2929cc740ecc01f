// What the C library lacks, because WASI preview 1 has no place for it: permissions,
// and free space. The linker substitutes these functions for the library's (--wrap in
// recipe/guest.sh), so that CPython, SQLite and all others find what they find on
// other systems.
#include "abi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>
#include <wasi/libc-find-relpath.h>

#define IMPORT(name) \
  __attribute__((import_module("vivarium"), import_name(name))) extern int32_t

// WASI's calls with a mode, and what WASI lacks: package wasip1 of the host.
IMPORT("path_open")
host_path_open(int32_t fd, int32_t lookup, const char *path, size_t size,
               int32_t how, int64_t rights, int64_t inheriting, int32_t flags,
               int32_t mode, __wasi_fd_t *opened);
IMPORT("path_create_directory")
host_path_mkdir(int32_t fd, const char *path, size_t size, int32_t mode);
IMPORT("path_chmod")
host_path_chmod(int32_t fd, int32_t lookup, const char *path, size_t size,
                int32_t mode);
IMPORT("fd_chmod") host_fd_chmod(int32_t fd, int32_t mode);
IMPORT("path_space")
host_path_space(int32_t fd, const char *path, size_t size, uint64_t space[4]);

// result converts an error number to what a function of the C library returns.
static int result(int32_t error) {
  if (error == 0) {
    return 0;
  }
  errno = error;
  return -1;
}

static mode_t mask = 022;

int files_umask(int new_mask) {
  int old = mask;
  mask = new_mask & 0777;
  return old;
}

// The mode that open and mkdir were given. The library drops it on the way to the
// WASI call, where it is added again; other ways to open files, such as fopen, have
// no mode.
#define UNASKED 0666
static mode_t asked = UNASKED;

int __real_open(const char *path, int flags, ...);
int __real_openat(int fd, const char *path, int flags, ...);
int __real_mkdir(const char *path, mode_t mode);
int __real_mkdirat(int fd, const char *path, mode_t mode);

// readable adds the access mode that is 0 elsewhere to flags without one.
static int readable(int flags) {
  return flags & (O_RDWR | O_EXEC | O_SEARCH) ? flags : flags | O_RDONLY;
}

static mode_t mode_in(int flags, va_list arguments) {
  return flags & O_CREAT ? (mode_t)va_arg(arguments, int) : UNASKED;
}

int __wrap_open(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  asked = mode_in(flags, arguments);
  va_end(arguments);
  int fd = __real_open(path, readable(flags));
  asked = UNASKED;
  return fd;
}

int __wrap_openat(int dir, const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  asked = mode_in(flags, arguments);
  va_end(arguments);
  int fd = __real_openat(dir, path, readable(flags));
  asked = UNASKED;
  return fd;
}

int __wrap_mkdir(const char *path, mode_t mode) {
  asked = mode;
  int status = __real_mkdir(path, mode);
  asked = UNASKED;
  return status;
}

int __wrap_mkdirat(int dir, const char *path, mode_t mode) {
  asked = mode;
  int status = __real_mkdirat(dir, path, mode);
  asked = UNASKED;
  return status;
}

__wasi_errno_t __wrap___wasi_path_open(
    __wasi_fd_t fd, __wasi_lookupflags_t lookup, const char *path,
    __wasi_oflags_t how, __wasi_rights_t rights, __wasi_rights_t inheriting,
    __wasi_fdflags_t flags, __wasi_fd_t *opened) {
  return host_path_open(fd, lookup, path, strlen(path), how, rights, inheriting,
                        flags, asked & ~mask & 07777, opened);
}

__wasi_errno_t __wrap___wasi_path_create_directory(__wasi_fd_t fd,
                                                   const char *path) {
  return host_path_mkdir(fd, path, strlen(path), asked & ~mask & 07777);
}

// To the library an empty path is the current directory. Elsewhere there is nothing of
// that name.
int __real___wasilibc_find_relpath_alloc(const char *path, const char **prefix,
                                         char **relative, size_t *size,
                                         int can_realloc);
int __real_chdir(const char *path);

int __wrap___wasilibc_find_relpath_alloc(const char *path, const char **prefix,
                                         char **relative, size_t *size,
                                         int can_realloc) {
  if (*path == '\0') {
    return result(ENOENT);
  }
  return __real___wasilibc_find_relpath_alloc(path, prefix, relative, size,
                                              can_realloc);
}

int __wrap_chdir(const char *path) {
  return *path == '\0' ? result(ENOENT) : __real_chdir(path);
}

// The padding after the file type, which WASI leaves undefined, holds the other
// attributes.
#define READ_ONLY_AT 17
#define MODE_AT 18
#define PAGES_AT 20
#define PAGE 4096

static void describe(const __wasi_filestat_t *from, struct stat *st) {
  uint16_t mode;
  uint32_t pages;
  memcpy(&mode, (const char *)from + MODE_AT, sizeof mode);
  memcpy(&pages, (const char *)from + PAGES_AT, sizeof pages);
  memset(st, 0, sizeof *st);
  st->st_dev = from->dev;
  st->st_ino = from->ino;
  st->st_nlink = from->nlink;
  st->st_mode = mode;
  st->st_size = from->size;
  st->st_blksize = PAGE;
  st->st_blocks = (blkcnt_t)pages * (PAGE / 512);
  const __wasi_timestamp_t times[] = {from->atim, from->mtim, from->ctim};
  struct timespec *const to[] = {&st->st_atim, &st->st_mtim, &st->st_ctim};
  for (int i = 0; i < 3; i++) {
    // Signed: a file may be older than 1970.
    int64_t nanoseconds = (int64_t)times[i], part = nanoseconds % 1000000000;
    if (part < 0) {
      part += 1000000000;
    }
    to[i]->tv_sec = (nanoseconds - part) / 1000000000;
    to[i]->tv_nsec = part;
  }
}

int __wrap_fstat(int fd, struct stat *st) {
  __wasi_filestat_t from;
  int error = __wasi_fd_filestat_get(fd, &from);
  if (error == 0) {
    describe(&from, st);
  }
  return result(error);
}

int __wrap___wasilibc_nocwd_fstatat(int fd, const char *path, struct stat *st,
                                    int flags) {
  __wasi_filestat_t from;
  int error = __wasi_path_filestat_get(
      fd, flags & AT_SYMLINK_NOFOLLOW ? 0 : __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW,
      path, &from);
  if (error == 0) {
    describe(&from, st);
  }
  return result(error);
}

// As for root, who is denied only two things: to write to a read-only file system,
// and to execute what nobody may execute.
int __wrap___wasilibc_nocwd_faccessat(int fd, const char *path, int wanted,
                                      int flags) {
  __wasi_filestat_t from;
  struct stat st;
  int error = __wasi_path_filestat_get(
      fd, flags & AT_SYMLINK_NOFOLLOW ? 0 : __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW,
      path, &from);
  if (error != 0) {
    return result(error);
  }
  describe(&from, &st);
  if ((wanted & W_OK) && ((const char *)&from)[READ_ONLY_AT] != 0 &&
      !S_ISCHR(st.st_mode)) {
    return result(EROFS);
  }
  if ((wanted & X_OK) && S_ISREG(st.st_mode) && (st.st_mode & 0111) == 0) {
    return result(EACCES);
  }
  return 0;
}

// relative finds the directory that a path is relative to, as the library does for
// its own calls: that of a descriptor, or else "/". The caller frees *memory.
static int32_t relative(int fd, const char **path, char **memory) {
  *memory = NULL;
  if (fd != AT_FDCWD && (*path)[0] != '/') {
    return fd;
  }
  const char *prefix;
  size_t size = 0;
  int found = __wasilibc_find_relpath_alloc(*path, &prefix, memory, &size, 1);
  *path = *memory;
  return found;
}

int files_chmod(int fd, const char *path, int mode, int follow) {
  char *memory;
  int32_t dir = relative(fd, &path, &memory);
  int error = ENOENT;
  if (dir >= 0) {
    error = host_path_chmod(dir, follow ? __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW : 0,
                            path, strlen(path), mode);
  }
  free(memory);
  return result(error);
}

int files_fchmod(int fd, int mode) { return result(host_fd_chmod(fd, mode)); }

int files_space(int fd, const char *path, uint64_t space[4]) {
  char *memory;
  int32_t dir = relative(fd, &path, &memory);
  int error = ENOENT;
  if (dir >= 0) {
    error = host_path_space(dir, path, strlen(path), space);
  }
  free(memory);
  return result(error);
}
