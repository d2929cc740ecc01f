// The parts of the embedding and what they promise each other.
//
// abi.c knows the exports and nothing of Python; the other files know Python
// and nothing of WebAssembly, but for the one import in respond.c.
#ifndef VIVARIUM_ABI_H
#define VIVARIUM_ABI_H

#include <stdint.h>

// The version of the contract between host and guest: the exports, the imports,
// the documents on stdin, the tree of files. It goes up by one whenever a host
// of the old version could not serve the guest of the new one.
#define VIVARIUM_ABI_VERSION 3

// What the exports return. The runner's load and invoke may return OK and
// DISCARD themselves; BROKEN means that they did not come to return at all.
enum {
  VIVARIUM_OK = 0,      // the instance may serve further calls
  VIVARIUM_DISCARD = 1, // answered, but the instance must not be used again
  VIVARIUM_BROKEN = 2,  // the runner broke; what it has to say is on stderr
};

// The runner's two entry points.
enum vivarium_call {
  VIVARIUM_CALL_LOAD,
  VIVARIUM_CALL_INVOKE,
};

// sqlite_start gives SQLite its ways to the system. It returns VIVARIUM_OK, or
// VIVARIUM_BROKEN after it has told why on stderr.
int32_t sqlite_start(void);

// sqlite_reseed has SQLite ask for randomness when it next needs some.
void sqlite_reseed(void);

// openssl_start gives OpenSSL its randomness. It returns VIVARIUM_OK, or
// VIVARIUM_BROKEN after it has told why on stderr.
int32_t openssl_start(void);

// interpreter_start starts CPython. It returns VIVARIUM_OK, or VIVARIUM_BROKEN
// after it has told why on stderr.
int32_t interpreter_start(void);

// runner_import imports the Python runner and keeps its entry points. It
// returns VIVARIUM_OK, or VIVARIUM_BROKEN after it has told why on stderr.
int32_t runner_import(void);

// runner_call reads stdin to its end, gives the bytes to the entry point, and
// returns the status that it returned.
int32_t runner_call(enum vivarium_call call);

// The file calls that the C library lacks. Each returns 0, or -1 with errno set. A
// path is relative to the directory that fd is open for, AT_FDCWD for the working
// directory. The four numbers of a space are bytes, those that are free, names, and
// those that are free.
int files_chmod(int fd, const char *path, int mode, int follow);
int files_fchmod(int fd, int mode);
int files_space(int fd, const char *path, uint64_t space[4]);

// files_umask sets the mask of permissions that new files don't get, and returns
// the one before.
int files_umask(int mask);

// network_result is what a function of the C library returns for an error of a host
// call about sockets or names: 0, or -1 with errno set. strerror then tells why a
// call was refused.
int network_result(int32_t error);

// immortalize_all takes all objects that there are out of reference counting.
void immortalize_all(void);

#endif
