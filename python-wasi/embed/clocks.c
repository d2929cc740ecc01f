// The guest's CPU time. wasi-libc's own emulation uses elapsed time instead, which
// includes sleep.
#include <sys/times.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

// In nanoseconds, as CLOCKS_PER_SEC says.
clock_t clock(void) {
  __wasi_timestamp_t now;
  if (__wasi_clock_time_get(__WASI_CLOCKID_PROCESS_CPUTIME_ID, 0, &now) != 0) {
    return (clock_t)-1;
  }
  return (clock_t)now;
}

// In ticks, whose length sysconf knows.
clock_t times(struct tms *out) {
  __wasi_timestamp_t now;
  clock_t used = clock();
  if (used == (clock_t)-1 ||
      __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &now) != 0) {
    return (clock_t)-1;
  }
  const clock_t tick = CLOCKS_PER_SEC / sysconf(_SC_CLK_TCK);
  *out = (struct tms){.tms_utime = used / tick};
  return (clock_t)now / tick;
}
