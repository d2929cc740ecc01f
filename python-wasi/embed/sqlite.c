// What SQLite needs of the system, and its Unix support does not find here.
#include "abi.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

// SQLite's own numbers for what wasi-libc has no names for.
#define GET_LOCK 12
#define SET_LOCK 13
#define UNLOCKED 2

// randomness seeds SQLite's generator. Otherwise it would use the second and the
// process id, which anyone can guess.
static int randomness(sqlite3_vfs *vfs, int size, char *out) {
  (void)vfs;
  if (getentropy(out, (size_t)size) != 0) {
    // SQLite ignores the return value: it would continue unseeded.
    abort();
  }
  return size;
}

// file_control is fcntl with locks always granted: they are for other processes, of
// which there are none. SQLite itself separates the connections of one process.
static int file_control(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  int result = 0;
  if (command == GET_LOCK) {
    va_arg(arguments, struct flock *)->l_type = UNLOCKED;
  } else if (command != SET_LOCK) {
    result = fcntl(fd, command, va_arg(arguments, int));
  }
  va_end(arguments);
  return result;
}

int32_t sqlite_start(void) {
  // For WASI the default is another one, which locks with files next to the
  // database.
  sqlite3_vfs *unix_files = sqlite3_vfs_find("unix");
  if (unix_files == NULL ||
      unix_files->xSetSystemCall(unix_files, "fcntl",
                                 (sqlite3_syscall_ptr)file_control) !=
          SQLITE_OK ||
      sqlite3_vfs_register(unix_files, 1) != SQLITE_OK) {
    fprintf(stderr, "vivarium: sqlite: it has no files of Unix\n");
    return VIVARIUM_BROKEN;
  }
  unix_files->xRandomness = randomness;
  return VIVARIUM_OK;
}

void sqlite_reseed(void) { sqlite3_randomness(0, NULL); }
