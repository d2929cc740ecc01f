// OpenSSL's randomness. Its own generator keeps state between draws, which the clones
// of an image would share, and with it their keys. Here each draw is made by the
// host.
#include "abi.h"

// RAND_METHOD is deprecated, but simpler than the providers that replaced it.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/random.h>

// Whether the clones of an image may share what is drawn.
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

// A new context draws keys for the session tickets that it would issue as a server,
// and for cookies. Many modules create a context when they are imported; because of
// keys that are never used they could not be frozen. So the clones of one version
// share them, as the servers of one program do elsewhere.
SSL_CTX *__wrap_SSL_CTX_new(const SSL_METHOD *method) {
  shared = 1;
  SSL_CTX *context = __real_SSL_CTX_new(method);
  shared = 0;
  // Without instructions for AES the other cipher is three times as fast. Servers
  // that know it follow the client's preference.
  if (context != NULL) {
    SSL_CTX_set_ciphersuites(context, "TLS_CHACHA20_POLY1305_SHA256:"
                                      "TLS_AES_256_GCM_SHA384:"
                                      "TLS_AES_128_GCM_SHA256");
  }
  return context;
}

// Whoever makes an RSA key makes sure that OpenSSL has a generator, which would be
// another one than that it draws from afterwards: ours. The result is never looked into.
EVP_RAND_CTX *__wrap_RAND_get0_private(OSSL_LIB_CTX *context) {
  static char generator;
  (void)context;
  return (EVP_RAND_CTX *)&generator;
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
