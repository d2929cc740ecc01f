// The functions of _vivarium for os: those that CPython leaves out, since the C
// library for WASI has nothing behind them.
#include "abi.h"
#include "python.h"

#include <fcntl.h>

PyObject *os_chmod(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *path;
  int mode, dir, follow;
  if (!PyArg_ParseTuple(args, "O&iip:chmod", PyUnicode_FSConverter, &path, &mode,
                        &dir, &follow)) {
    return NULL;
  }
  int status = files_chmod(dir < 0 ? AT_FDCWD : dir, PyBytes_AS_STRING(path),
                           mode, follow);
  PyObject *name = PyUnicode_DecodeFSDefault(PyBytes_AS_STRING(path));
  Py_DECREF(path);
  if (status < 0 && name != NULL) {
    PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, name);
  }
  Py_XDECREF(name);
  return status < 0 || name == NULL ? NULL : Py_NewRef(Py_None);
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
  PyObject *path;
  int dir;
  uint64_t space[4];
  if (!PyArg_ParseTuple(args, "O&i:space", PyUnicode_FSConverter, &path, &dir)) {
    return NULL;
  }
  int status =
      files_space(dir < 0 ? AT_FDCWD : dir, PyBytes_AS_STRING(path), space);
  Py_DECREF(path);
  if (status < 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  return Py_BuildValue("KKKK", space[0], space[1], space[2], space[3]);
}
