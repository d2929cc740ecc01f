// Making what boot created immortal.
//
// Counting a reference is a write, and an instance no longer shares a page with
// its image once it writes to it: a few hundred pages in a first call, each with
// a fault and a copy. What exists since boot lives as long as the interpreter
// anyway, so nothing is lost by not counting.
#include "abi.h"
#include "python.h"

static void immortalize(PyObject *object);

static int immortalize_referent(PyObject *object, void *unused) {
  (void)unused;
  immortalize(object);
  return 0;
}

// immortalize_code follows a code object, which the collector does not track.
static void immortalize_code(PyCodeObject *code) {
  PyObject *const members[] = {
      code->co_consts,       code->co_names,    code->co_exceptiontable,
      code->co_linetable,    code->co_filename, code->co_name,
      code->co_qualname,     code->co_localsplusnames,
      code->co_localspluskinds,
  };
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
    immortalize(members[i]);
  }
}

// immortalize exempts an object, and what only it leads to, from counting. What
// the collector tracks is handled on its own.
static void immortalize(PyObject *object) {
  if (object == NULL || _Py_IsImmortal(object)) {
    return;
  }
  object->ob_refcnt = _Py_IMMORTAL_REFCNT;
  if (PyCode_Check(object)) {
    immortalize_code((PyCodeObject *)object);
  } else if (PyObject_IS_GC(object) && !PyObject_GC_IsTracked(object) &&
             Py_TYPE(object)->tp_traverse != NULL) {
    // A tuple or dict of only plain values.
    Py_TYPE(object)->tp_traverse(object, immortalize_referent, NULL);
  }
}

static int immortalize_tracked(PyObject *object, void *unused) {
  (void)unused;
  immortalize(object);
  Py_TYPE(object)->tp_traverse(object, immortalize_referent, NULL);
  return 1;
}

// is_definition tells whether an object is what import statements, def and class
// create: code, not data. A function may well rely on its data being freed (weak
// references, __del__, the memory), but hardly on its own code being freed.
static int is_definition(PyObject *object) {
  return PyType_Check(object) || PyFunction_Check(object) ||
         PyModule_Check(object) || PyCFunction_Check(object) ||
         PyCode_Check(object) ||
         Py_IS_TYPE(object, &PyStaticMethod_Type) ||
         Py_IS_TYPE(object, &PyClassMethod_Type) ||
         Py_IS_TYPE(object, &PyProperty_Type) ||
         Py_IS_TYPE(object, &PyMethodDescr_Type) ||
         Py_IS_TYPE(object, &PyMemberDescr_Type) ||
         Py_IS_TYPE(object, &PyGetSetDescr_Type) ||
         Py_IS_TYPE(object, &PyWrapperDescr_Type);
}

// immortalize_part handles what belongs to a definition: names, constants, the
// dict of its members.
static int immortalize_part(PyObject *object, void *definition) {
  const Py_ssize_t large = 64 << 10;
  if (is_definition(object) || PyLong_Check(object) || PyFloat_Check(object) ||
      (PyUnicode_Check(object) && PyUnicode_GET_LENGTH(object) < large) ||
      (PyBytes_Check(object) && PyBytes_GET_SIZE(object) < large) ||
      (PyTuple_Check(object) && PyTuple_GET_SIZE(object) < large) ||
      (PyDict_CheckExact(object) && !PyFunction_Check(definition))) {
    immortalize(object);
  }
  return 0;
}

static int immortalize_definition(PyObject *object, void *unused) {
  (void)unused;
  if (is_definition(object)) {
    immortalize(object);
    Py_TYPE(object)->tp_traverse(object, immortalize_part, object);
  }
  return 1;
}

PyObject *immortalize_definitions(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  PyUnstable_GC_VisitObjects(immortalize_definition, NULL);
  Py_RETURN_NONE;
}

void immortalize_all(void) {
  PyUnstable_GC_VisitObjects(immortalize_tracked, NULL);
}
