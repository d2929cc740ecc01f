// The functions of _vivarium for os: those that CPython leaves out because the C
// library for WASI does not support them.
#include "abi.h"
#include "python.h"

#include <fcntl.h>

PyObject *os_chmod(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *name, *path;
  int mode, dir, follow;
  if (!PyArg_ParseTuple(args, "Oiip:chmod", &name, &mode, &dir, &follow) ||
      !PyUnicode_FSConverter(name, &path)) {
    return NULL;
  }
  int status = files_chmod(dir < 0 ? AT_FDCWD : dir, PyBytes_AS_STRING(path),
                           mode, follow);
  Py_DECREF(path);
  if (status < 0) {
    return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, name);
  }
  Py_RETURN_NONE;
}

PyObject *os_fchmod(PyObject *module, PyObject *args) {
  (void)module;
  int fd, mode;
  if (!PyArg_ParseTuple(args, "ii:fchmod", &fd, &mode)) {
    return NULL;
  }
  if (files_fchmod(fd, mode) < 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  Py_RETURN_NONE;
}

PyObject *os_umask(PyObject *module, PyObject *arg) {
  (void)module;
  int mask = PyLong_AsInt(arg);
  if (mask == -1 && PyErr_Occurred()) {
    return NULL;
  }
  return PyLong_FromLong(files_umask(mask));
}

PyObject *os_space(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *name, *path;
  int dir;
  uint64_t space[4];
  if (!PyArg_ParseTuple(args, "Oi:space", &name, &dir) ||
      !PyUnicode_FSConverter(name, &path)) {
    return NULL;
  }
  int status =
      files_space(dir < 0 ? AT_FDCWD : dir, PyBytes_AS_STRING(path), space);
  Py_DECREF(path);
  if (status < 0) {
    return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, name);
  }
  return Py_BuildValue("KKKK", space[0], space[1], space[2], space[3]);
}
