// The C library's functions that compare and search memory, sixteen bytes at a time: they
// stand in for musl's, which take a byte or a word at a time, and each access costs a
// check of bounds here.
#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

// VECTORS: without no_builtin, Clang may make of a loop below the call that it implements.
#define VECTORS __attribute__((target("simd128"), no_builtin))

enum { BLOCK = 16, RUN = 4 * BLOCK };

// load returns the size bytes at p, as the lowest of a number.
#define load(type, p)                                                          \
  ({                                                                           \
    type value;                                                                \
    __builtin_memcpy(&value, p, sizeof value);                                 \
    value;                                                                     \
  })

// order compares by the first byte that differs.
static int order(uint64_t a, uint64_t b) {
  if (a == b)
    return 0;
  int shift = __builtin_ctzll(a ^ b) & ~7;
  return (int)(a >> shift & 0xff) - (int)(b >> shift & 0xff);
}

VECTORS static inline v128_t same(const unsigned char *a, const unsigned char *b) {
  return wasm_i8x16_eq(wasm_v128_load(a), wasm_v128_load(b));
}

// same_run loads the last block first: the check of its bounds is the others', too.
VECTORS static inline v128_t same_run(const unsigned char *a, const unsigned char *b) {
  v128_t last = wasm_v128_and(same(a + 3 * BLOCK, b + 3 * BLOCK), same(a + 2 * BLOCK, b + 2 * BLOCK));
  return wasm_v128_and(last, wasm_v128_and(same(a + BLOCK, b + BLOCK), same(a, b)));
}

VECTORS int memcmp(const void *left, const void *right, size_t n) {
  const unsigned char *a = left, *b = right;
  while (n >= RUN && wasm_i8x16_all_true(same_run(a, b)))
    a += RUN, b += RUN, n -= RUN;
  while (n >= BLOCK) {
    uint32_t equal = wasm_i8x16_bitmask(same(a, b));
    if (equal != 0xffff) {
      int i = __builtin_ctz(~equal);
      return a[i] - b[i];
    }
    a += BLOCK, b += BLOCK, n -= BLOCK;
  }
  // Two loads that overlap are all of what is left.
  if (n >= 8) {
    int begin = order(load(uint64_t, a), load(uint64_t, b));
    return begin != 0 ? begin : order(load(uint64_t, a + n - 8), load(uint64_t, b + n - 8));
  }
  if (n >= 4) {
    int begin = order(load(uint32_t, a), load(uint32_t, b));
    return begin != 0 ? begin : order(load(uint32_t, a + n - 4), load(uint32_t, b + n - 4));
  }
  for (; n > 0; a++, b++, n--)
    if (*a != *b)
      return *a - *b;
  return 0;
}

// first and last return where a byte is among the sixteen at p.
VECTORS static inline const unsigned char *first(const unsigned char *p, v128_t bytes) {
  v128_t found = wasm_i8x16_eq(wasm_v128_load(p), bytes);
  return wasm_v128_any_true(found) ? p + __builtin_ctz(wasm_i8x16_bitmask(found)) : NULL;
}

VECTORS static inline const unsigned char *last(const unsigned char *p, v128_t bytes) {
  v128_t found = wasm_i8x16_eq(wasm_v128_load(p), bytes);
  return wasm_v128_any_true(found) ? p + 31 - __builtin_clz(wasm_i8x16_bitmask(found)) : NULL;
}

VECTORS void *memchr(const void *memory, int wanted, size_t n) {
  const unsigned char *p = memory, *end = p + n, byte = (unsigned char)wanted, *found;
  if (n >= BLOCK) {
    v128_t bytes = wasm_u8x16_splat(byte);
    for (; (size_t)(end - p) > BLOCK; p += BLOCK)
      if ((found = first(p, bytes)) != NULL)
        return (void *)found;
    return (void *)first(end - BLOCK, bytes); // some of it a second time
  }
  for (; p < end; p++)
    if (*p == byte)
      return (void *)p;
  return NULL;
}

VECTORS void *memrchr(const void *memory, int wanted, size_t n) {
  const unsigned char *p = memory, byte = (unsigned char)wanted, *found;
  if (n >= BLOCK) {
    v128_t bytes = wasm_u8x16_splat(byte);
    for (; n > BLOCK; n -= BLOCK)
      if ((found = last(p + n - BLOCK, bytes)) != NULL)
        return (void *)found;
    return (void *)last(p, bytes);
  }
  while (n-- > 0)
    if (p[n] == byte)
      return (void *)(p + n);
  return NULL;
}
