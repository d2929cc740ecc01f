// Randomness for packages in Rust. Their hash tables need seeds that a caller can't
// guess, and which the clones of a version may share, as they share Python's own hash
// seed: were these drawn like keys, no import of such a package could be frozen. Seeds
// come this way; keys and all else come from WASI's random_get, which the host
// observes. recipe/rust.sh checks which crates do which.
#include "abi.h"
#include "python.h"

// std's import of random_get, which only std::hash::RandomState calls. The name is
// that in the standard library of recipe/rust.sh. A function here is found before
// the import is.
int32_t std_hash_seed(void *out, size_t size)
    __asm__("_ZN4wasi13lib_generated22wasi_snapshot_preview110random_get17h35a90"
            "aa00a517039E");

int32_t std_hash_seed(void *out, size_t size) { return host_seed(out, size); }

// What the crate getrandom calls in a package whose crates use it for hash tables
// alone. The result is Rust's Result<(), Error>, which is 0 if it is Ok.
int32_t __getrandom_v03_custom(void *out, size_t size) {
  return host_seed(out, size);
}

// PyEval_SaveThread and PyEval_RestoreThread of packages in Rust (recipe/rust.sh).
// PyO3 counts how deep a thread is in Python in a word that all threads have in
// common here, so none may get its turn between the two. Nothing is lost: of the
// threads of an instance one runs at a time, and what these packages do meanwhile is
// to compute.
PyThreadState *RsEval_SaveThread(void) { return PyThreadState_Get(); }

void RsEval_RestoreThread(PyThreadState *state) { (void)state; }
