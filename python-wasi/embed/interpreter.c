// Starting CPython: isolated from everything but the tree the host mounts.
#include "abi.h"
#include "python.h"

#include <locale.h>
#include <stdio.h>
#include <unistd.h>

// Where the tree has what exists at boot. The runner puts the function's code in
// front when it loads it: before that, no tenant's code is reachable.
#define PREFIX L"/usr"
#define STDLIB L"/usr/lib/python3.13"
static const wchar_t *const search_paths[] = {
    L"/function/runtime",
    STDLIB,
    STDLIB L"/site-packages",
};

// broken reports a failed start on stderr. The interpreter may not exist, so no
// Python call may be used.
static int32_t broken(const char *step, PyStatus status) {
  fprintf(stderr, "vivarium: %s: %s: %s\n", step,
          status.func != NULL ? status.func : "python",
          status.err_msg != NULL ? status.err_msg : "no message");
  return VIVARIUM_BROKEN;
}

static PyStatus preinitialize(void) {
  // An isolated interpreter leaves the locale alone: the C library would stay in
  // ASCII, and so would strftime and whatever asks for the encoding.
  if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
    return PyStatus_Error("the C library has no locale C.UTF-8");
  }
  PyPreConfig config;
  PyPreConfig_InitIsolatedConfig(&config);
  config.utf8_mode = 1;
  return Py_PreInitialize(&config);
}

// set_paths sets what CPython would otherwise search for on disk.
static PyStatus set_paths(PyConfig *config) {
  struct {
    wchar_t **member;
    const wchar_t *value;
  } const paths[] = {
      {&config->program_name, L""},    {&config->executable, L""},
      {&config->base_executable, L""}, {&config->home, PREFIX},
      {&config->prefix, PREFIX},       {&config->base_prefix, PREFIX},
      {&config->exec_prefix, PREFIX},  {&config->base_exec_prefix, PREFIX},
      {&config->stdlib_dir, STDLIB},
  };
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    PyStatus status =
        PyConfig_SetString(config, paths[i].member, paths[i].value);
    if (PyStatus_Exception(status)) {
      return status;
    }
  }
  config->module_search_paths_set = 1;
  for (size_t i = 0; i < sizeof search_paths / sizeof search_paths[0]; i++) {
    PyStatus status =
        PyWideStringList_Append(&config->module_search_paths, search_paths[i]);
    if (PyStatus_Exception(status)) {
      return status;
    }
  }
  return PyStatus_Ok();
}

static PyStatus initialize(void) {
  PyConfig config;
  PyConfig_InitIsolatedConfig(&config);
  config.site_import = 0;
  config.install_signal_handlers = 0;
  config.write_bytecode = 0;
  // A hash seed from the host's randomness, drawn at boot.
  config.use_hash_seed = 0;
  config.buffered_stdio = 1;
  PyStatus status = set_paths(&config);
  if (!PyStatus_Exception(status)) {
    status = Py_InitializeFromConfig(&config);
  }
  PyConfig_Clear(&config);
  return status;
}

// buffer_by_line makes a stream line-buffered. Streams other than terminals are
// block-buffered by default, which would mix up the order of stdout and stderr
// and hold lines back until the end.
static int buffer_by_line(const char *name) {
  PyObject *stream = PySys_GetObject(name);
  if (stream == NULL) {
    PyErr_Format(PyExc_RuntimeError, "sys.%s is missing", name);
    return -1;
  }
  PyObject *reconfigure = PyObject_GetAttrString(stream, "reconfigure");
  if (reconfigure == NULL) {
    return -1;
  }
  PyObject *result = NULL;
  PyObject *names = Py_BuildValue("(s)", "line_buffering");
  if (names != NULL) {
    PyObject *const values[] = {Py_True};
    result = PyObject_Vectorcall(reconfigure, values, 0, names);
    Py_DECREF(names);
  }
  Py_DECREF(reconfigure);
  if (result == NULL) {
    return -1;
  }
  Py_DECREF(result);
  return 0;
}

int32_t interpreter_start(void) {
  // Before the interpreter starts, or import would not find it.
  if (PyImport_AppendInittab(RESPOND_MODULE, respond_module_init) < 0) {
    return broken("inittab", PyStatus_NoMemory());
  }
#ifdef VIVARIUM_PACKAGES
  if (PyImport_ExtendInittab(package_modules) < 0) {
    return broken("inittab", PyStatus_NoMemory());
  }
#endif
  PyStatus status = preinitialize();
  if (PyStatus_Exception(status)) {
    return broken("preinitialize", status);
  }
  status = initialize();
  if (PyStatus_Exception(status)) {
    return broken("initialize", status);
  }
  if (buffer_by_line("stdout") < 0 || buffer_by_line("stderr") < 0) {
    print_exception();
    return VIVARIUM_BROKEN;
  }
  return VIVARIUM_OK;
}
