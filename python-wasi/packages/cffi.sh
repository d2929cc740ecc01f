# cffi: what modules that cffi has generated call. There is no libffi: WebAssembly can't
# call a function by a description of its type, nor make one. Functions of an API module
# don't need it; calling through a pointer raises NotImplementedError, and
# ffi.callback MemoryError.
version=2.1.1
licence=MIT-0
sources="pypi cffi-2.1.1.tar.gz dd31f52ea1086513bb9df30f8fcee9b8918323ae067a3d5b78bc826a000712be"

build() {
  mkdir "$work/libffi"
  cat >"$work/libffi/ffi.h" <<'HEADER'
#pragma once
#include <Python.h>
#include <stddef.h>

enum { FFI_DEFAULT_ABI = 1, FFI_TYPE_STRUCT = 13 };
typedef enum { FFI_OK, FFI_BAD_ABI } ffi_status;
typedef int ffi_abi;
typedef unsigned long ffi_arg;
typedef struct _ffi_type {
  size_t size;
  unsigned short alignment, type;
  struct _ffi_type **elements;
} ffi_type;
typedef struct { unsigned nargs; ffi_type **arg_types; ffi_type *rtype; } ffi_cif;
typedef struct { void *user_data; } ffi_closure;

#define NUMBER(name, c) static ffi_type ffi_type_##name = {sizeof(c), _Alignof(c), 1, NULL};
NUMBER(void, char) NUMBER(pointer, void *) NUMBER(float, float) NUMBER(double, double)
NUMBER(longdouble, long double)
NUMBER(uint8, char) NUMBER(uint16, short) NUMBER(uint32, int) NUMBER(uint64, long long)
NUMBER(sint8, char) NUMBER(sint16, short) NUMBER(sint32, int) NUMBER(sint64, long long)

static inline ffi_status ffi_prep_cif(ffi_cif *cif, ffi_abi abi, unsigned count, ffi_type *result, ffi_type **arguments) {
  *cif = (ffi_cif){count, arguments, result};
  // libffi sets the size of a structure from its members.
  for (unsigned i = 0; i <= count; i++) {
    ffi_type *type = i < count ? arguments[i] : result;
    if (type->type != FFI_TYPE_STRUCT || type->size != 0)
      continue;
    for (ffi_type **member = type->elements; *member != NULL; member++) {
      size_t align = (*member)->alignment;
      type->size = (type->size + align - 1) / align * align + (*member)->size;
      if (type->alignment < align)
        type->alignment = align;
    }
  }
  return FFI_OK;
}
static inline ffi_status ffi_prep_closure(ffi_closure *closure, ffi_cif *cif,
    void (*function)(ffi_cif *, void *, void **, void *), void *data) {
  return FFI_BAD_ABI;
}
// Called in one place, between Py_BEGIN_ALLOW_THREADS and Py_END_ALLOW_THREADS.
#define ffi_call(cif, function, result, arguments) do { \
    Py_BLOCK_THREADS \
    PyErr_SetString(PyExc_NotImplementedError, "cffi can't call through a pointer here: there is no libffi"); \
    goto error; \
  } while (0)
HEADER
  extension _cffi_backend "-I$work/libffi" -D_WASI_EMULATED_MMAN '-Ddup(fd)=(errno = ENOSYS, -1)' -- \
    src/c/_cffi_backend.c
  cp "$kit/sysroot/lib/wasm32-wasi/libwasi-emulated-mman.a" "$out/archives/"
  python_files src/cffi
}
