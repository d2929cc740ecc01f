# cryptography: linked with the OpenSSL that Python's ssl uses, which has no DSA and no
# legacy ciphers. All its randomness is OpenSSL's, which is the host's (embed/openssl.c).
version=50.0.2
licence="Apache-2.0 OR BSD-3-Clause"
sources="pypi cryptography-50.0.2.tar.gz 7b46165bb56eb4704e2eaaf86f3c940d19154535d9b0ca7d6d590b04060e00d5
pypi cffi-2.1.1.tar.gz dd31f52ea1086513bb9df30f8fcee9b8918323ae067a3d5b78bc826a000712be
pypi pycparser-3.0-py3-none-any.whl b727414169a36b7d524c1c3e31839a521725078d7b2ff038656844266160a992"
uses=rust.sh

build() {
  # cffi writes C code without its own module in C, which it only asks for two types.
  cat >"$work/cffi/src/_cffi_backend.py" <<'MODULE'
__version__ = "2.1.1"


class Type:
    def __init__(self, *args):
        pass

    def __iter__(self):
        return iter((type("CData", (), {}), type("CType", (), {})))


def __getattr__(name):
    return Type
MODULE
  # The kit's OpenSSL has no DSA, which the package takes for granted: its keys can be
  # neither made nor read.
  cat >"$work/dsa.h" <<'HEADER'
#pragma once
#include <openssl/bn.h>
#include <openssl/evp.h>
DSA *DSA_new(void);
void DSA_free(DSA *);
int DSA_generate_key(DSA *);
int DSA_generate_parameters_ex(DSA *, int, const unsigned char *, int, int *, unsigned long *, BN_GENCB *);
void DSA_get0_key(const DSA *, const BIGNUM **, const BIGNUM **);
void DSA_get0_pqg(const DSA *, const BIGNUM **, const BIGNUM **, const BIGNUM **);
int DSA_set0_key(DSA *, BIGNUM *, BIGNUM *);
int DSA_set0_pqg(DSA *, BIGNUM *, BIGNUM *, BIGNUM *);
DSA *EVP_PKEY_get1_DSA(EVP_PKEY *);
int EVP_PKEY_set1_DSA(EVP_PKEY *, DSA *);
HEADER
  cat >"$work/gaps.c" <<'SOURCE'
#include "dsa.h"
#include <openssl/err.h>
static int unsupported(void) { ERR_raise(ERR_LIB_DSA, ERR_R_UNSUPPORTED); return 0; }
DSA *DSA_new(void) { unsupported(); return NULL; }
DSA *EVP_PKEY_get1_DSA(EVP_PKEY *key) { unsupported(); return NULL; }
// Without a DSA none of these is called.
void DSA_free(DSA *dsa) {}
int DSA_generate_key(DSA *dsa) { return unsupported(); }
int DSA_generate_parameters_ex(DSA *dsa, int bits, const unsigned char *seed, int size, int *counter,
                               unsigned long *h, BN_GENCB *callback) { return unsupported(); }
void DSA_get0_key(const DSA *dsa, const BIGNUM **public, const BIGNUM **private) {}
void DSA_get0_pqg(const DSA *dsa, const BIGNUM **p, const BIGNUM **q, const BIGNUM **g) {}
int DSA_set0_key(DSA *dsa, BIGNUM *public, BIGNUM *private) { return unsupported(); }
int DSA_set0_pqg(DSA *dsa, BIGNUM *p, BIGNUM *q, BIGNUM *g) { return unsupported(); }
int EVP_PKEY_set1_DSA(EVP_PKEY *key, DSA *dsa) { return unsupported(); }
// The crate takes a BN_ULONG for 32 bits wide wherever pointers are; the kit's has 64.
int Rs_set_word(BIGNUM *number, unsigned word) { return BN_set_word(number, word); }
SOURCE
  (cd "$work" && library cryptography-gaps -- gaps.c)
  (
    export CFLAGS_wasm32_wasip1="-include $work/dsa.h"
    # The kit has no legacy provider.
    export CRYPTOGRAPHY_BUILD_OPENSSL_NO_LEGACY=1
    export PYTHONPATH=$work/cffi/src:$work/pycparser PYTHONHASHSEED=0
    cd src/rust
    rust_module cryptography.hazmat.bindings._rust PyInit__rust
  )
  (
    cd "$work"
    object=$("llvm-ar-$LLVM_MAJOR" t "$out/archives/libcryptography.a" | grep '^cryptography_rust.*rcgu\.o$')
    "llvm-ar-$LLVM_MAJOR" x "$out/archives/libcryptography.a" "$object"
    perl -pi -e 's/BN_set_word/Rs_set_word/g' "$object"
    "llvm-ar-$LLVM_MAJOR" r "$out/archives/libcryptography.a" "$object"
  )
  python_files src/cryptography
}
