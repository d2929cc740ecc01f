// POSIX threads, which the C library for WASI lacks.
//
// A thread is a call stack of its own in this one module. Of an instance's threads
// one runs at a time, and another goes on only when that one waits, in a host call:
// so nothing here needs an atomic operation, and a lock that is free costs no host
// call. Package wasm of the host has the other half.
#include "abi.h"

#define Py_BUILD_CORE
#include "python.h"

#include "internal/pycore_ceval.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#define IMPORT(name) \
  __attribute__((import_module("vivarium"), import_name(name))) extern int32_t

// thread_start begins a thread: the host calls vivarium_thread with it, on a stack
// that ends at top.
IMPORT("thread_start") host_start(void *thread, void *top);
// thread_wait waits until thread_wake is called for the address, unless what is there
// is not expected. It returns 0, EAGAIN, EINTR when the guest is interrupted, or
// ETIMEDOUT after so many nanoseconds, of which -1 are without end.
IMPORT("thread_wait")
host_wait(volatile int *address, int expected, int64_t nanoseconds);
// thread_wake lets up to count threads go on that wait for an address.
IMPORT("thread_wake") host_wake(volatile int *address, int count);
// thread_yield lets the threads that are ready go first.
IMPORT("thread_yield") host_yield(void);
// thread_interrupt ends a thread's wait in another host call, if it is in one.
IMPORT("thread_interrupt") host_interrupt(const void *thread);
// thread_locals says which words of memory each thread has for itself.
IMPORT("thread_locals") host_locals(void *const *words, size_t count);

// What a thread gets when it asks for nothing. CPython's limit of recursion is
// lowered accordingly, see __wrap__PyThreadState_Bind.
#define DEFAULT_STACK (1 << 20)
#define MAIN_STACK (8 << 20)
#define MIN_STACK (16 << 10)
// Bytes at the top that nobody uses: the allocator keeps its books next to them.
#define STACK_MARGIN 64

#define MAX_KEYS 128

struct __pthread {
  volatile int done; // what pthread_join waits for
  int detached;
  void *(*start)(void *);
  void *argument, *result;
  char *stack;
  size_t stack_size;
  void *values[MAX_KEYS];
  // What the host calls the stack that the thread is on; it knows the first by none.
  const void *on;
  // Of a coroutine, the thread that it is a part of, and CPython's state of that.
  struct __pthread *home;
  void *state;
};

static struct __pthread main_thread = {.stack_size = MAIN_STACK};
static struct __pthread *current = &main_thread;

// The stack of the thread that ended last: it could not free what it ran on.
static char *unused_stack = NULL;

// Destructors of keys; a key that is not there has taken_key.
static void (*destructors[MAX_KEYS])(void *);
static unsigned char keys[MAX_KEYS];

// ---- threads

// begin gives a thread its stack, and lets it begin when another one waits. It returns
// NULL if there is no memory for it, or there are too many.
static struct __pthread *begin(struct __pthread thread) {
  thread.stack_size = (thread.stack_size + 15) & ~(size_t)15;
  struct __pthread *t = calloc(1, sizeof *t);
  thread.stack = aligned_alloc(16, thread.stack_size);
  if (t != NULL && thread.stack != NULL) {
    *t = thread;
    t->on = t;
    void *const locals[] = {&current, &errno, &_Py_tss_tstate};
    host_locals(locals, sizeof locals / sizeof locals[0]);
    if (host_start(t, t->stack + t->stack_size - STACK_MARGIN) == 0) {
      return t;
    }
  }
  free(t);
  free(thread.stack);
  return NULL;
}

int pthread_create(pthread_t *restrict out, const pthread_attr_t *restrict attr,
                   void *(*start)(void *), void *restrict argument) {
  struct __pthread thread = {.stack_size = DEFAULT_STACK, .start = start,
                             .argument = argument};
  if (attr != NULL) {
    thread.stack_size = attr->__u.__s[0] != 0 ? attr->__u.__s[0] : DEFAULT_STACK;
    thread.detached = attr->__u.__i[1];
  }
  struct __pthread *t = begin(thread);
  if (t == NULL) {
    return EAGAIN;
  }
  *out = t;
  return 0;
}

static void destroy_values(struct __pthread *t) {
  for (int round = 0; round < PTHREAD_DESTRUCTOR_ITERATIONS; round++) {
    int found = 0;
    for (int key = 0; key < MAX_KEYS; key++) {
      void *value = t->values[key];
      t->values[key] = NULL;
      if (value != NULL && keys[key] && destructors[key] != NULL) {
        found = 1;
        destructors[key](value);
      }
    }
    if (!found) {
      return;
    }
  }
}

__attribute__((export_name("vivarium_thread"))) void
vivarium_thread(struct __pthread *t) {
  current = t->home != NULL ? t->home : t;
  current->on = t;
  errno = 0;
  _Py_tss_tstate = t->state;
  t->result = t->start(t->argument);
  destroy_values(t);
  free(unused_stack);
  unused_stack = t->stack;
  t->done = 1;
  if (t->detached) {
    free(t);
  } else {
    host_wake(&t->done, INT_MAX);
  }
}

int pthread_join(pthread_t t, void **result) {
  if (t == current) {
    return EDEADLK;
  }
  while (!t->done) {
    host_wait(&t->done, 0, -1);
  }
  if (result != NULL) {
    *result = t->result;
  }
  free(t);
  return 0;
}

int pthread_detach(pthread_t t) {
  if (t->done) {
    free(t);
  } else {
    t->detached = 1;
  }
  return 0;
}

pthread_t pthread_self(void) { return current; }

int(pthread_equal)(pthread_t a, pthread_t b) { return a == b; }

int sched_yield(void) {
  host_yield();
  return 0;
}

int pthread_attr_init(pthread_attr_t *attr) {
  *attr = (pthread_attr_t){0};
  return 0;
}

int pthread_attr_destroy(pthread_attr_t *attr) {
  (void)attr;
  return 0;
}

int pthread_attr_setstacksize(pthread_attr_t *attr, size_t size) {
  if (size < MIN_STACK || size > PTRDIFF_MAX) {
    return EINVAL;
  }
  attr->__u.__s[0] = size;
  return 0;
}

int pthread_attr_setdetachstate(pthread_attr_t *attr, int state) {
  attr->__u.__i[1] = state == PTHREAD_CREATE_DETACHED;
  return 0;
}

// ---- coroutines: several stacks of one thread, for packages/greenlet

// coroutine_start makes start begin, on a stack of its own, when the present one waits
// or ends. It returns 0, or EAGAIN as pthread_create does.
int coroutine_start(void *(*start)(void *), void *argument) {
  struct __pthread coroutine = {.stack_size = DEFAULT_STACK, .start = start,
                                .argument = argument, .detached = 1,
                                .home = current, .state = _Py_tss_tstate};
  return begin(coroutine) != NULL ? 0 : EAGAIN;
}

// coroutine_wait waits until coroutine_resume is called for the same word.
void coroutine_wait(volatile int *waits) {
  const void *stack = current->on;
  *waits = 1;
  while (*waits) {
    host_wait(waits, 1, -1);
  }
  current->on = stack;
}

// coroutine_resume makes the coroutine that waits go on when the present one waits or
// ends.
void coroutine_resume(volatile int *waits) {
  *waits = 0;
  host_wake(waits, 1);
}

// recursion_limit returns how deeply calls of C may be nested on a stack.
static int recursion_limit(size_t stack_size) {
  return (int)((int64_t)Py_C_RECURSION_LIMIT * stack_size / MAIN_STACK);
}

int coroutine_recursion_limit(void) { return recursion_limit(DEFAULT_STACK); }

// ---- values of a thread's own

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) {
  for (int n = 0; n < MAX_KEYS; n++) {
    if (!keys[n]) {
      keys[n] = 1;
      destructors[n] = destructor;
      *key = n;
      return 0;
    }
  }
  return EAGAIN;
}

int pthread_key_delete(pthread_key_t key) {
  keys[key] = 0;
  main_thread.values[key] = NULL;
  return 0;
}

void *pthread_getspecific(pthread_key_t key) { return current->values[key]; }

int pthread_setspecific(pthread_key_t key, const void *value) {
  current->values[key] = (void *)value;
  return 0;
}

int pthread_once(pthread_once_t *control, void (*initialize)(void)) {
  if (*control == 0) {
    *control = 1;
    initialize();
  }
  return 0;
}

// ---- waiting

// remaining returns the nanoseconds until a time of a clock, 0 when it has passed.
static int64_t remaining(clockid_t clock, const struct timespec *until) {
  struct timespec now;
  clock_gettime(clock, &now);
  int64_t seconds = (int64_t)until->tv_sec - now.tv_sec;
  if (seconds > INT64_MAX / 2000000000) {
    return INT64_MAX;
  }
  int64_t left = seconds * 1000000000 + until->tv_nsec - now.tv_nsec;
  return left > 0 ? left : 0;
}

// wait_for waits until a word is another one than value, or the time has come. Others
// see in waiters that somebody waits.
static int wait_for(volatile int *word, int value, volatile int *waiters,
                    clockid_t clock, const struct timespec *until) {
  int64_t left = -1;
  if (until != NULL && (left = remaining(clock, until)) == 0) {
    return ETIMEDOUT;
  }
  ++*waiters;
  int error = host_wait(word, value, left);
  --*waiters;
  return error;
}

static void wake(volatile int *word, int count, volatile int *waiters) {
  if (*waiters > 0) {
    host_wake(word, count);
  }
}

// ---- mutexes: locked, waiters, kind, how often, by whom

#define MUTEX_LOCKED(m) ((m)->__u.__vi[0])
#define MUTEX_WAITERS(m) (&(m)->__u.__vi[1])
#define MUTEX_KIND(m) ((m)->__u.__vi[2])
#define MUTEX_COUNT(m) ((m)->__u.__vi[3])
#define MUTEX_OWNER(m) ((m)->__u.__p[4])

int pthread_mutexattr_init(pthread_mutexattr_t *attr) {
  attr->__attr = 0;
  return 0;
}

int pthread_mutexattr_destroy(pthread_mutexattr_t *attr) {
  (void)attr;
  return 0;
}

int pthread_mutexattr_settype(pthread_mutexattr_t *attr, int type) {
  attr->__attr = type;
  return 0;
}

int pthread_mutex_init(pthread_mutex_t *restrict m,
                       const pthread_mutexattr_t *restrict attr) {
  *m = (pthread_mutex_t){0};
  MUTEX_KIND(m) = attr != NULL ? (int)attr->__attr : 0;
  return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *m) {
  (void)m;
  return 0;
}

static int lock(pthread_mutex_t *m, int wait, const struct timespec *until) {
  if (MUTEX_LOCKED(m) && MUTEX_OWNER(m) == current) {
    if (MUTEX_KIND(m) == PTHREAD_MUTEX_RECURSIVE) {
      MUTEX_COUNT(m)++;
      return 0;
    }
    if (MUTEX_KIND(m) == PTHREAD_MUTEX_ERRORCHECK) {
      return EDEADLK;
    }
  }
  while (MUTEX_LOCKED(m)) {
    if (!wait) {
      return EBUSY;
    }
    if (wait_for(&MUTEX_LOCKED(m), 1, MUTEX_WAITERS(m), CLOCK_REALTIME,
                 until) == ETIMEDOUT) {
      return ETIMEDOUT;
    }
  }
  MUTEX_LOCKED(m) = 1;
  MUTEX_OWNER(m) = current;
  return 0;
}

int pthread_mutex_lock(pthread_mutex_t *m) { return lock(m, 1, NULL); }

int pthread_mutex_trylock(pthread_mutex_t *m) { return lock(m, 0, NULL); }

int pthread_mutex_timedlock(pthread_mutex_t *restrict m,
                            const struct timespec *restrict until) {
  return lock(m, 1, until);
}

int pthread_mutex_unlock(pthread_mutex_t *m) {
  if (MUTEX_COUNT(m) > 0) {
    MUTEX_COUNT(m)--;
    return 0;
  }
  MUTEX_LOCKED(m) = 0;
  wake(&MUTEX_LOCKED(m), 1, MUTEX_WAITERS(m));
  return 0;
}

// ---- conditions: signals so far, waiters, clock

#define COND_SIGNALS(c) ((c)->__u.__vi[0])
#define COND_WAITERS(c) (&(c)->__u.__vi[1])
#define COND_MONOTONIC(c) ((c)->__u.__vi[2])

// CPython's lock lets a thread that gives it up wait until another one has taken it,
// so that it does not take it again at once. Whoever runs next here is the host's
// choice, and may be about to wait for something else: then nobody would take it. That
// thread only lets the others go first.
static int is_switch(const pthread_cond_t *c) {
  PyInterpreterState *interpreter = _PyRuntime.interpreters.main;
  return interpreter != NULL && interpreter->ceval.gil != NULL &&
         c == &interpreter->ceval.gil->switch_cond;
}

int pthread_condattr_init(pthread_condattr_t *attr) {
  attr->__attr = 0;
  return 0;
}

int pthread_condattr_destroy(pthread_condattr_t *attr) {
  (void)attr;
  return 0;
}

int pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock) {
  attr->__attr = clock == CLOCK_MONOTONIC;
  return 0;
}

int pthread_cond_init(pthread_cond_t *restrict c,
                      const pthread_condattr_t *restrict attr) {
  *c = (pthread_cond_t){0};
  COND_MONOTONIC(c) = attr != NULL ? (int)attr->__attr : 0;
  return 0;
}

int pthread_cond_destroy(pthread_cond_t *c) {
  (void)c;
  return 0;
}

int pthread_cond_timedwait(pthread_cond_t *restrict c,
                           pthread_mutex_t *restrict m,
                           const struct timespec *restrict until) {
  clockid_t clock = COND_MONOTONIC(c) ? CLOCK_MONOTONIC : CLOCK_REALTIME;
  int signals = COND_SIGNALS(c);
  pthread_mutex_unlock(m);
  int error = 0;
  if (is_switch(c)) {
    host_yield();
  } else {
    error = wait_for(&COND_SIGNALS(c), signals, COND_WAITERS(c), clock, until);
  }
  lock(m, 1, NULL);
  return error == ETIMEDOUT ? ETIMEDOUT : 0;
}

int pthread_cond_wait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m) {
  return pthread_cond_timedwait(c, m, NULL);
}

static int signal_cond(pthread_cond_t *c, int count) {
  COND_SIGNALS(c)++;
  wake(&COND_SIGNALS(c), count, COND_WAITERS(c));
  return 0;
}

int pthread_cond_signal(pthread_cond_t *c) { return signal_cond(c, 1); }

int pthread_cond_broadcast(pthread_cond_t *c) { return signal_cond(c, INT_MAX); }

// ---- locks of many readers: readers, -1 for a writer; waiters

#define RW_HOLDERS(l) ((l)->__u.__vi[0])
#define RW_WAITERS(l) (&(l)->__u.__vi[1])

int pthread_rwlock_init(pthread_rwlock_t *restrict l,
                        const pthread_rwlockattr_t *restrict attr) {
  (void)attr;
  *l = (pthread_rwlock_t){0};
  return 0;
}

int pthread_rwlock_destroy(pthread_rwlock_t *l) {
  (void)l;
  return 0;
}

int pthread_rwlock_rdlock(pthread_rwlock_t *l) {
  while (RW_HOLDERS(l) < 0) {
    wait_for(&RW_HOLDERS(l), RW_HOLDERS(l), RW_WAITERS(l), CLOCK_REALTIME, NULL);
  }
  RW_HOLDERS(l)++;
  return 0;
}

int pthread_rwlock_wrlock(pthread_rwlock_t *l) {
  while (RW_HOLDERS(l) != 0) {
    wait_for(&RW_HOLDERS(l), RW_HOLDERS(l), RW_WAITERS(l), CLOCK_REALTIME, NULL);
  }
  RW_HOLDERS(l) = -1;
  return 0;
}

int pthread_rwlock_unlock(pthread_rwlock_t *l) {
  RW_HOLDERS(l) = RW_HOLDERS(l) > 0 ? RW_HOLDERS(l) - 1 : 0;
  if (RW_HOLDERS(l) == 0) {
    wake(&RW_HOLDERS(l), INT_MAX, RW_WAITERS(l));
  }
  return 0;
}

// ---- semaphores: count, waiters

#define SEM_COUNT(s) ((s)->__val[0])
#define SEM_WAITERS(s) (&(s)->__val[1])

int sem_init(sem_t *s, int shared, unsigned count) {
  (void)shared;
  *s = (sem_t){{(int)count}};
  return 0;
}

int sem_destroy(sem_t *s) {
  (void)s;
  return 0;
}

int sem_trywait(sem_t *s) {
  if (SEM_COUNT(s) == 0) {
    errno = EAGAIN;
    return -1;
  }
  SEM_COUNT(s)--;
  return 0;
}

int sem_timedwait(sem_t *restrict s, const struct timespec *restrict until) {
  while (SEM_COUNT(s) == 0) {
    int error =
        wait_for(&SEM_COUNT(s), 0, SEM_WAITERS(s), CLOCK_REALTIME, until);
    if (error == ETIMEDOUT || error == EINTR) {
      errno = error;
      return -1;
    }
  }
  SEM_COUNT(s)--;
  return 0;
}

int sem_wait(sem_t *s) { return sem_timedwait(s, NULL); }

int sem_post(sem_t *s) {
  SEM_COUNT(s)++;
  wake(&SEM_COUNT(s), 1, SEM_WAITERS(s));
  return 0;
}

int sem_getvalue(sem_t *restrict s, int *restrict value) {
  *value = SEM_COUNT(s);
  return 0;
}

// ---- CPython

// vivarium_preempt asks the thread that holds CPython's lock to let others have it
// for a while. The host calls it in the middle of whatever that thread does, when
// others have been ready for so many microseconds.
__attribute__((export_name("vivarium_preempt"))) void
vivarium_preempt(uint32_t microseconds) {
  struct _gil_runtime_state *gil = _PyRuntime.interpreters.main->ceval.gil;
  PyThreadState *holder = (PyThreadState *)gil->last_holder;
  if (gil->locked > 0 && holder != NULL && microseconds >= gil->interval) {
    _Py_set_eval_breaker_bit(holder, _PY_GIL_DROP_REQUEST_BIT);
  }
}

PyObject *interrupt_thread(PyObject *module, PyObject *ident) {
  (void)module;
  unsigned long thread = PyLong_AsUnsignedLong(ident);
  if (thread == (unsigned long)-1 && PyErr_Occurred()) {
    return NULL;
  }
  host_interrupt(((struct __pthread *)thread)->on);
  Py_RETURN_NONE;
}

void __real__PyThreadState_Bind(PyThreadState *state);

// A thread on a small stack may not recurse as deeply in C as the first one.
void __wrap__PyThreadState_Bind(PyThreadState *state) {
  __real__PyThreadState_Bind(state);
  if (current != &main_thread) {
    state->c_recursion_remaining = recursion_limit(current->stack_size);
  }
}
