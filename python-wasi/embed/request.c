// Reading the request: stdin up to its end.
#include "python.h"

#include <errno.h>
#include <unistd.h>

// Nearly every request fits and needs only one copy into a bytes object of the
// right size; larger ones grow a bytes object while they are read.
#define FIRST_READ (64 * 1024)

static char first[FIRST_READ];

// read_full reads until the buffer is full or the input has ended. It returns
// the number of bytes read, or -1 with errno set.
static Py_ssize_t read_full(char *buffer, Py_ssize_t size) {
  Py_ssize_t filled = 0;
  while (filled < size) {
    ssize_t n = read(STDIN_FILENO, buffer + filled, (size_t)(size - filled));
    if (n < 0) {
      if (errno == EINTR || errno == EAGAIN) {
        continue;
      }
      return -1;
    }
    if (n == 0) {
      break;
    }
    filled += n;
  }
  return filled;
}

PyObject *request_read(void) {
  // File descriptor 0, not sys.stdin: that one belongs to the function, which
  // may have replaced or closed it.
  Py_ssize_t filled = read_full(first, FIRST_READ);
  if (filled < 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  if (filled < FIRST_READ) {
    return PyBytes_FromStringAndSize(first, filled);
  }

  Py_ssize_t size = 4 * FIRST_READ;
  PyObject *request = PyBytes_FromStringAndSize(NULL, size);
  if (request == NULL) {
    return NULL;
  }
  memcpy(PyBytes_AS_STRING(request), first, FIRST_READ);
  for (;;) {
    Py_ssize_t n =
        read_full(PyBytes_AS_STRING(request) + filled, size - filled);
    if (n < 0) {
      Py_DECREF(request);
      return PyErr_SetFromErrno(PyExc_OSError);
    }
    filled += n;
    if (filled < size) {
      break;
    }
    if (size > PY_SSIZE_T_MAX / 2) {
      Py_DECREF(request);
      return PyErr_NoMemory();
    }
    size *= 2;
    // On failure _PyBytes_Resize frees the object, sets it to NULL, and sets
    // MemoryError.
    if (_PyBytes_Resize(&request, size) < 0) {
      return NULL;
    }
  }
  if (_PyBytes_Resize(&request, filled) < 0) {
    return NULL;
  }
  return request;
}
