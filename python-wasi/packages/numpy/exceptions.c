// What C++ throws ends the instance: to unwind the stack needs instructions that not
// every WebAssembly has. Packages throw when memory runs out, mostly.
#include <stdio.h>
#include <stdlib.h>

void *__cxa_allocate_exception(size_t size) { return malloc(size); }

_Noreturn void __cxa_throw(void *exception, void *type, void (*destroy)(void *)) {
  // The name is after the virtual table, in a std::type_info.
  fprintf(stderr, "a C++ exception of type %s can't be caught here\n", ((const char **)type)[1]);
  abort();
}
