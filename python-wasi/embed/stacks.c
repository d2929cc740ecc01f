// Where the threads of Python stand when the time of a call is up.
//
// The host calls vivarium_stacks in the middle of whatever the guest does and throws
// the instance away afterwards. So nothing here allocates, takes a lock or changes an
// object: it only reads, like CPython's faulthandler, of which it differs in what it
// leaves out.
#include "abi.h"

#define Py_BUILD_CORE
#include "python.h"

#include "internal/pycore_frame.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

// What is told at most: threads, the innermost frames of each, characters of a name.
#define MAX_THREADS 32
#define MAX_FRAMES 32
#define MAX_NAME 200

static char line[4 * 2 * MAX_NAME + 64];
static size_t used;

static void add(const char *text) {
  size_t size = strnlen(text, sizeof line - used);
  memcpy(line + used, text, size);
  used += size;
}

static void add_number(long number) {
  char digits[24];
  snprintf(digits, sizeof digits, "%ld", number);
  add(digits);
}

// add_name adds the beginning of a string object in UTF-8.
static void add_name(PyObject *name) {
  if (name == NULL || !PyUnicode_Check(name)) {
    add("?");
    return;
  }
  Py_ssize_t size = Py_MIN(PyUnicode_GET_LENGTH(name), MAX_NAME);
  for (Py_ssize_t n = 0; n < size; n++) {
    Py_UCS4 c = PyUnicode_READ_CHAR(name, n);
    char b[5] = {0};
    if (c < 0x80) {
      b[0] = c < ' ' ? '?' : (char)c;
    } else if (c < 0x800) {
      b[0] = (char)(0xc0 | c >> 6), b[1] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
      b[0] = (char)(0xe0 | c >> 12), b[1] = (char)(0x80 | (c >> 6 & 0x3f));
      b[2] = (char)(0x80 | (c & 0x3f));
    } else {
      b[0] = (char)(0xf0 | c >> 18), b[1] = (char)(0x80 | (c >> 12 & 0x3f));
      b[2] = (char)(0x80 | (c >> 6 & 0x3f)), b[3] = (char)(0x80 | (c & 0x3f));
    }
    add(b);
  }
}

static void end_line(void) {
  add("\n");
  (void)!write(STDERR_FILENO, line, used);
  used = 0;
}

static int starts_with(PyObject *name, const char *prefix) {
  Py_ssize_t size = (Py_ssize_t)strlen(prefix);
  if (name == NULL || !PyUnicode_Check(name) || PyUnicode_GET_LENGTH(name) < size) {
    return 0;
  }
  for (Py_ssize_t n = 0; n < size; n++) {
    if (PyUnicode_READ_CHAR(name, n) != (Py_UCS4)prefix[n]) {
      return 0;
    }
  }
  return 1;
}

// is_told tells whether a frame is one of the function's, or of what it calls: those of
// the runner, of import and of the start of a thread say nothing to its author.
static int is_told(const _PyInterpreterFrame *frame) {
  if (frame->owner == FRAME_OWNED_BY_CSTACK || !PyCode_Check(frame->f_executable)) {
    return 0;
  }
  PyCodeObject *code = (PyCodeObject *)frame->f_executable;
  return !starts_with(code->co_filename, "/function/runtime/") &&
         !starts_with(code->co_filename, "<frozen importlib") &&
         !starts_with(code->co_filename, "/usr/lib/python3.13/importlib/") &&
         !starts_with(code->co_qualname, "Thread._bootstrap");
}

static void tell_frame(_PyInterpreterFrame *frame) {
  PyCodeObject *code = (PyCodeObject *)frame->f_executable;
  add("  File \"");
  add_name(code->co_filename);
  add("\", line ");
  int number = PyUnstable_InterpreterFrame_GetLine(frame);
  add_number(number > 0 ? number : code->co_firstlineno);
  add(", in ");
  add_name(code->co_qualname);
  end_line();
}

static void tell_thread(PyThreadState *state, int is_main) {
  if (is_main) {
    add("The main thread");
  } else {
    add("Thread ");
    add_number((long)state->thread_id);
  }
  add(" was here (most recent call last):");
  end_line();
  _PyInterpreterFrame *frames[MAX_FRAMES], *frame = state->current_frame;
  int count = 0;
  for (; frame != NULL && count < MAX_FRAMES; frame = frame->previous) {
    if (is_told(frame)) {
      frames[count++] = frame;
    }
  }
  if (frame != NULL) {
    add("  ...");
    end_line();
  }
  while (count > 0) {
    tell_frame(frames[--count]);
  }
}

__attribute__((export_name("vivarium_stacks"))) void
vivarium_stacks(int32_t waiting) {
  PyInterpreterState *interpreter = _PyRuntime.interpreters.main;
  if (interpreter == NULL) {
    return;
  }
  unsigned long main_thread = _PyRuntime.main_thread;
  PyThreadState *state;
  int count = 0;
  for (state = interpreter->threads.head; state != NULL; state = state->next) {
    count++;
  }
  used = 0;
  add("The time is up.");
  if (waiting && count > 1) {
    add(" All ");
    add_number(count);
    add(" threads were waiting for each other.");
  } else if (waiting) {
    add(" The only thread was waiting for another one.");
  }
  end_line();
  // The newest is first in the list, the main thread last.
  for (state = interpreter->threads.head; state != NULL; state = state->next) {
    if (state->thread_id == main_thread) {
      tell_thread(state, 1);
    }
  }
  int told = 0;
  for (state = interpreter->threads.head; state != NULL; state = state->next) {
    if (state->thread_id != main_thread && ++told <= MAX_THREADS) {
      tell_thread(state, 0);
    }
  }
  if (told > MAX_THREADS) {
    add("and ");
    add_number(told - MAX_THREADS);
    add(" threads more");
    end_line();
  }
}
