// The parts of the embedding and their interfaces.
//
// abi.c knows the exports and nothing of Python; the other files know Python
// and nothing of WebAssembly, except for the one import in respond.c.
#ifndef VIVARIUM_ABI_H
#define VIVARIUM_ABI_H

#include <stddef.h>
#include <stdint.h>

// The version of the ABI between host and guest: the exports, the imports, the
// documents on stdin, the tree of files. It is incremented whenever a host of the
// old version could not run the new guest.
#define VIVARIUM_ABI_VERSION 5

// What the exports return. The runner's load and invoke may return OK and
// DISCARD themselves; BROKEN means that they did not return normally.
enum {
  VIVARIUM_OK = 0,      // the instance may serve further calls
  VIVARIUM_DISCARD = 1, // responded, but the instance must not be used again
  VIVARIUM_BROKEN = 2,  // the runner broke; stderr has its message
};

// The runner's two entry points.
enum vivarium_call {
  VIVARIUM_CALL_LOAD,
  VIVARIUM_CALL_INVOKE,
};

// sqlite_start connects SQLite to the system. It returns VIVARIUM_OK, or
// VIVARIUM_BROKEN after writing why to stderr.
int32_t sqlite_start(void);

// sqlite_reseed makes SQLite seed itself again when it next needs randomness.
void sqlite_reseed(void);

// host_seed fills memory with randomness that the clones of an image may share. It
// returns 0, or WASI's error.
__attribute__((import_module("vivarium"), import_name("seed"))) int32_t
host_seed(void *out, size_t size);

// openssl_start gives OpenSSL its randomness. It returns VIVARIUM_OK, or
// VIVARIUM_BROKEN after writing why to stderr.
int32_t openssl_start(void);

// interpreter_start starts CPython. It returns VIVARIUM_OK, or VIVARIUM_BROKEN
// after writing why to stderr.
int32_t interpreter_start(void);

// runner_import imports the Python runner and keeps its entry points. It
// returns VIVARIUM_OK, or VIVARIUM_BROKEN after writing why to stderr.
int32_t runner_import(void);

// runner_call reads stdin to its end, passes the bytes to the entry point, and
// returns the entry point's status.
int32_t runner_call(enum vivarium_call call);

// The file calls that the C library lacks. Each returns 0, or -1 with errno set. A
// path is relative to the directory that fd refers to, AT_FDCWD for the working
// directory. The four numbers of a space are total and free bytes, total and free
// names.
int files_chmod(int fd, const char *path, int mode, int follow);
int files_fchmod(int fd, int mode);
int files_space(int fd, const char *path, uint64_t space[4]);

// files_umask sets the mask of permissions that new files don't get, and returns
// the previous one.
int files_umask(int mask);

// network_result converts the error of a host call about sockets or names to what a
// function of the C library returns: 0, or -1 with errno set. strerror then tells
// why a call was refused.
int network_result(int32_t error);

// immortalize_all exempts all existing objects from reference counting.
void immortalize_all(void);

#endif
