// What the C library's time zones (libtz, see recipe/cpython.sh) need of the
// system: the files of the zone database, in memory.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// No zone's file has a tenth of that, but TZ can name any file.
#define LARGEST (1 << 20)

// __map_file returns a file's contents and size, or NULL. It replaces musl's
// function, which maps the file.
const unsigned char *__map_file(const char *path, size_t *size) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) {
    return NULL;
  }
  struct stat status;
  unsigned char *content = NULL;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
      status.st_size > 0 && status.st_size <= LARGEST) {
    content = malloc((size_t)status.st_size);
  }
  if (content != NULL &&
      read(fd, content, (size_t)status.st_size) != status.st_size) {
    free(content);
    content = NULL;
  }
  close(fd);
  if (content != NULL) {
    *size = (size_t)status.st_size;
  }
  return content;
}

// __munmap frees what __map_file returned.
int __munmap(void *content, size_t size) {
  (void)size;
  free(content);
  return 0;
}

extern char *__tzname[2];

// The name of a time's zone, for strftime. The C library's own function returns
// only names that it made itself, in case the member is unset; CPython passes
// copies of them, and nothing for a time without a zone.
const char *__wrap___tm_to_tzname(const struct tm *time) {
  return time->__tm_zone != NULL ? time->__tm_zone
                                 : __tzname[time->tm_isdst > 0];
}
