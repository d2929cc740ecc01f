// The way from an export to the Python runner.
#include "abi.h"
#include "python.h"

#define RUNNER_MODULE "runtime"

// The runner's entry points, in the order of enum vivarium_call. Owned for the
// life of the instance: a function may tamper with sys.modules, but not with
// these.
static const char *const entry_names[] = {"load", "invoke"};
static PyObject *entries[2];

void print_exception(void) {
  PyObject *exception = PyErr_GetRaisedException();
  if (exception == NULL) {
    return;
  }
  PyErr_DisplayException(exception);
  Py_DECREF(exception);
}

int32_t runner_import(void) {
  PyObject *module = PyImport_ImportModule(RUNNER_MODULE);
  if (module == NULL) {
    print_exception();
    return VIVARIUM_BROKEN;
  }
  for (int i = 0; i < 2; i++) {
    entries[i] = PyObject_GetAttrString(module, entry_names[i]);
    if (entries[i] == NULL) {
      Py_DECREF(module);
      print_exception();
      return VIVARIUM_BROKEN;
    }
  }
  Py_DECREF(module);
  return VIVARIUM_OK;
}

int32_t runner_call(enum vivarium_call call) {
  PyObject *request = request_read();
  if (request == NULL) {
    print_exception();
    return VIVARIUM_BROKEN;
  }
  PyObject *result = PyObject_CallOneArg(entries[call], request);
  Py_DECREF(request);
  if (result == NULL) {
    // The runner turns a function's exceptions into responses; one that arrives
    // here is the runner's own.
    print_exception();
    return VIVARIUM_BROKEN;
  }
  int status = PyLong_AsInt(result);
  Py_DECREF(result);
  if (status == -1 && PyErr_Occurred()) {
    print_exception();
    return VIVARIUM_BROKEN;
  }
  return status;
}
