// OpenSSL's randomness. Its own generator keeps a state between two draws, which the
// clones of an image would share, and with it their keys. Here each draw is the
// host's.
#include "abi.h"

// RAND_METHOD is of old, and simpler than a provider, which took its place.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/random.h>

__attribute__((import_module("vivarium"), import_name("seed"))) extern int32_t
host_seed(void *out, size_t size);

// Whether what is drawn may be shared by the clones of an image.
static int shared = 0;

static int draw(unsigned char *out, int size) {
  if (shared) {
    return host_seed(out, (size_t)size) == 0;
  }
  for (int done = 0; done < size;) {
    int part = size - done < 256 ? size - done : 256;
    if (getentropy(out + done, (size_t)part) != 0) {
      return 0;
    }
    done += part;
  }
  return 1;
}

static int ready(void) { return 1; }

SSL_CTX *__real_SSL_CTX_new(const SSL_METHOD *method);

// A new context draws the keys of the session tickets that it would give away as a
// server, and of cookies. Many modules make a context when they are imported; for
// keys that nobody uses they would not be frozen. As elsewhere the servers of one
// program, clones of one version share them.
SSL_CTX *__wrap_SSL_CTX_new(const SSL_METHOD *method) {
  shared = 1;
  SSL_CTX *context = __real_SSL_CTX_new(method);
  shared = 0;
  return context;
}

int32_t openssl_start(void) {
  static const RAND_METHOD method = {
      .bytes = draw, .pseudorand = draw, .status = ready};
  if (RAND_set_rand_method(&method) != 1) {
    fprintf(stderr, "vivarium: openssl: it takes no other randomness\n");
    return VIVARIUM_BROKEN;
  }
  return VIVARIUM_OK;
}
