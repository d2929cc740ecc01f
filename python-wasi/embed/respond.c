// _vivarium: the built-in module with which the runner responds to the host, and
// prepares to be frozen.
#include "abi.h"
#include "python.h"

// The host copies the bytes before it returns; it keeps no pointer.
__attribute__((import_module("vivarium"), import_name("respond"))) extern void
vivarium_respond(int32_t kind, const void *data, int32_t length);

PyDoc_STRVAR(
    respond_doc,
    "respond(kind, data, /)\n--\n\n"
    "Hand the response to the host: once per load and per invocation.\n"
    "\n"
    "kind: 0 = JSON text of the result, 1 = raw bytes,\n"
    "2 = JSON text of a function error. data: a bytes-like object.");

static PyObject *respond(PyObject *module, PyObject *args) {
  (void)module;
  int kind;
  Py_buffer data;
  if (!PyArg_ParseTuple(args, "iy*:respond", &kind, &data)) {
    return NULL;
  }
  if (kind < 0 || kind > 2) {
    PyBuffer_Release(&data);
    return PyErr_Format(PyExc_ValueError, "respond: kind %d is not 0, 1 or 2",
                        kind);
  }
  // Memory is 32 bits wide, so a buffer's length always fits.
  vivarium_respond(kind, data.buf, (int32_t)data.len);
  PyBuffer_Release(&data);
  Py_RETURN_NONE;
}

__attribute__((import_module("vivarium"), import_name("end_lines"))) extern void
vivarium_end_lines(void);

PyDoc_STRVAR(end_lines_doc,
             "end_lines()\n--\n\n"
             "End the line of stdout and of stderr that is not ended yet, if any.");

static PyObject *end_lines(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  vivarium_end_lines();
  Py_RETURN_NONE;
}

PyDoc_STRVAR(reseed_doc,
             "reseed()\n--\n\n"
             "Have what is written in C draw new randomness from the host.");

static PyObject *reseed(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  sqlite_reseed();
  Py_RETURN_NONE;
}

PyDoc_STRVAR(seed_doc,
             "seed(size, /)\n--\n\n"
             "Return bytes of randomness that the clones of an image may share.");

static PyObject *seed(PyObject *module, PyObject *arg) {
  (void)module;
  Py_ssize_t size = PyLong_AsSsize_t(arg);
  if (size == -1 && PyErr_Occurred()) {
    return NULL;
  }
  PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
  if (bytes == NULL) {
    return NULL;
  }
  if (host_seed(PyBytes_AS_STRING(bytes), (size_t)size) != 0) {
    Py_DECREF(bytes);
    PyErr_SetString(PyExc_OSError, "the host gives no randomness");
    return NULL;
  }
  return bytes;
}

PyDoc_STRVAR(memory_size_doc,
             "memory_size()\n--\n\n"
             "Return the bytes of linear memory. It never shrinks.");

static PyObject *memory_size(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  return PyLong_FromSize_t(__builtin_wasm_memory_size(0) * 65536);
}

PyDoc_STRVAR(
    immortalize_doc,
    "immortalize_definitions()\n--\n\n"
    "Take all functions, classes and modules out of reference counting:\n"
    "calling them then leaves the pages that hold them as they are.");

static PyMethodDef methods[] = {
    {"respond", respond, METH_VARARGS, respond_doc},
    {"memory_size", memory_size, METH_NOARGS, memory_size_doc},
    {"reseed", reseed, METH_NOARGS, reseed_doc},
    {"seed", seed, METH_O, seed_doc},
    {"immortalize_definitions", immortalize_definitions, METH_NOARGS,
     immortalize_doc},
    {"get_objects", tracked_objects, METH_NOARGS,
     "get_objects()\n--\n\nReturn all objects that the collector tracks."},
    {"get_referrers", tracked_referrers, METH_VARARGS,
     "get_referrers(*objects)\n--\n\nReturn those that refer to any of the objects."},
    {"end_lines", end_lines, METH_NOARGS, end_lines_doc},
    {"chmod", os_chmod, METH_VARARGS, "chmod(path, mode, dir_fd, follow, /)"},
    {"fchmod", os_fchmod, METH_VARARGS, "fchmod(fd, mode, /)"},
    {"umask", os_umask, METH_O, "umask(mask, /)"},
    {"space", os_space, METH_VARARGS,
     "space(path, dir_fd, /)\n--\n\n"
     "Return the bytes and the names that a file system can hold, and those that\n"
     "are free: (bytes, free bytes, names, free names)."},
    {"interrupt", interrupt_thread, METH_O,
     "interrupt(ident, /)\n--\n\n"
     "End the wait of a thread for files or for time to pass, if it is in one."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = RESPOND_MODULE,
    .m_doc = "The way from the runner to the host.",
    .m_size = 0,
    .m_methods = methods,
};

PyObject *respond_module_init(void) { return PyModuleDef_Init(&module); }
