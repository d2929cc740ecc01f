// Hashes of much data, which the host computes: it has the processor's instructions for
// them.
#include "abi.h"

// The functions of one hash each are deprecated, but what OpenSSL's providers call.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

// Fewer blocks take less time here than the call does.
enum { MIN_BLOCKS = 4 };

__attribute__((import_module("vivarium"), import_name("digest"))) int32_t
host_digest(int32_t algorithm, void *state, const void *data, size_t blocks);

// BY_HOST defines OpenSSL's function that adds data to a hash: what completes a block
// that was begun, and what begins one, is its own to do.
#define BY_HOST(update, context, word, algorithm, state, block)                \
  int __real_##update(context *c, const void *data, size_t size);              \
  int __wrap_##update(context *c, const void *data, size_t size) {             \
    size_t done = c->num != 0 ? (block) - c->num : 0;                          \
    if (size >= done + MIN_BLOCKS * (block)) {                                 \
      __real_##update(c, data, done);                                          \
      size_t blocks = (size - done) / (block);                                 \
      const unsigned char *rest = (const unsigned char *)data + done;          \
      if (host_digest(algorithm, &c->state, rest, blocks) == 0) {              \
        uint64_t bits = (uint64_t)blocks * (block) * 8;                        \
        word low = c->Nl + (word)bits;                                         \
        c->Nh += (low < c->Nl) + (sizeof(word) == 4 ? (word)(bits >> 32) : 0); \
        c->Nl = low;                                                           \
        done += blocks * (block);                                              \
      }                                                                        \
      data = (const unsigned char *)data + done;                               \
      size -= done;                                                            \
    }                                                                          \
    return __real_##update(c, data, size);                                     \
  }

BY_HOST(SHA1_Update, SHA_CTX, SHA_LONG, 1, h0, SHA_CBLOCK)
BY_HOST(SHA256_Update, SHA256_CTX, SHA_LONG, 256, h, SHA256_CBLOCK)
BY_HOST(SHA512_Update, SHA512_CTX, SHA_LONG64, 512, h, SHA512_CBLOCK)
