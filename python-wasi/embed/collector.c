// What the collector tracks, the frozen included.
//
// The objects of an image are frozen (gc.freeze), so that collecting leaves their pages
// as they are. For the module gc such objects don't exist; a program that looks for
// what refers to its own objects expects to find them all the same.
#include "python.h"

static int append(PyObject *found, PyObject *object) {
  return object == found || PyList_Append(found, object) == 0;
}

// search is what is looked for, and what was found of it.
typedef struct {
  PyObject *objects; // a tuple
  PyObject *found;   // a list
  int failed;
} search;

// gather visits everything that is tracked, and returns what the visitor has found.
static PyObject *gather(gcvisitobjects_t visit, PyObject *objects) {
  search s = {.objects = objects, .found = PyList_New(0)};
  if (s.found == NULL) {
    return NULL;
  }
  PyUnstable_GC_VisitObjects(visit, &s);
  if (s.failed) {
    Py_CLEAR(s.found);
  }
  return s.found;
}

static int add_object(PyObject *object, void *arg) {
  search *s = arg;
  s->failed = !append(s->found, object);
  return !s->failed;
}

PyObject *tracked_objects(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  return gather(add_object, NULL);
}

static int is_one_of(PyObject *object, void *objects) {
  for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(objects); n++) {
    if (PyTuple_GET_ITEM(objects, n) == object) {
      return 1;
    }
  }
  return 0;
}

static int add_referrer(PyObject *object, void *arg) {
  search *s = arg;
  if (object != s->objects && Py_TYPE(object)->tp_traverse(object, is_one_of, s->objects)) {
    s->failed = !append(s->found, object);
  }
  return !s->failed;
}

PyObject *tracked_referrers(PyObject *module, PyObject *objects) {
  (void)module;
  return gather(add_referrer, objects);
}
