// The module vivarium_profile of an instrumented guest: dump() returns what was counted
// so far, in the format of LLVM's profiles.
#include "python.h"

// Of LLVM's InstrProfilingInternal.h, which does not go with the C library's headers.
typedef struct {
  const void *Data;
  size_t ElmSize, NumElm;
  int UseZeroPadding;
} ProfDataIOVec;
typedef struct ProfDataWriter {
  uint32_t (*Write)(struct ProfDataWriter *, ProfDataIOVec *, uint32_t);
  void *WriterCtx;
} ProfDataWriter;
typedef struct VPDataReaderType VPDataReaderType;
extern VPDataReaderType *lprofGetVPDataReader(void);
extern int lprofWriteData(ProfDataWriter *, VPDataReaderType *, int skip_names);

// What instrumented code refers to, so that a profile's runtime is linked.
int __llvm_profile_runtime;

// append adds pieces to the bytearray that dump() returns. A piece without data is
// so many zeros.
static uint32_t append(ProfDataWriter *writer, ProfDataIOVec *pieces, uint32_t count) {
  PyObject *profile = writer->WriterCtx;
  for (uint32_t i = 0; i < count; i++) {
    Py_ssize_t size = (Py_ssize_t)(pieces[i].ElmSize * pieces[i].NumElm), end = PyByteArray_GET_SIZE(profile);
    if (PyByteArray_Resize(profile, end + size) < 0)
      return 1;
    if (pieces[i].Data)
      memcpy(PyByteArray_AS_STRING(profile) + end, pieces[i].Data, (size_t)size);
    else
      memset(PyByteArray_AS_STRING(profile) + end, 0, (size_t)size);
  }
  return 0;
}

static PyObject *dump(PyObject *self, PyObject *args) {
  PyObject *profile = PyByteArray_FromStringAndSize(NULL, 0);
  if (!profile)
    return NULL;
  ProfDataWriter writer = {append, profile};
  if (lprofWriteData(&writer, lprofGetVPDataReader(), 0) != 0) {
    Py_CLEAR(profile);
    if (!PyErr_Occurred())
      PyErr_SetString(PyExc_RuntimeError, "the profile can't be written");
  }
  return profile;
}

static PyMethodDef methods[] = {
    {"dump", dump, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "vivarium_profile", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_vivarium_profile(void) { return PyModule_Create(&definition); }

struct _inittab package_modules[] = {
    {"vivarium_profile", PyInit_vivarium_profile},
    {NULL, NULL},
};

// What the runtime of profiles allocates its lists of called functions with.
void *minicov_alloc_zeroed(size_t size, size_t align) { return calloc(1, size); }
void minicov_dealloc(void *memory, size_t size, size_t align) { free(memory); }
