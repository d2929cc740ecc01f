// greenlet._greenlet for this guest: the interface of greenlet's own module.
//
// A greenlet has a stack of calls of its own, which the host keeps (embed/threads.c),
// so nothing of a suspended one needs to be moved. What CPython keeps of a thread's
// calls is exchanged at each switch: struct calls. All greenlets of a thread have the
// thread's PyThreadState, and its hold on CPython's lock.
#define Py_BUILD_CORE
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>

#include "internal/pycore_obmalloc.h"

// Of embed/threads.c.
int coroutine_start(void *(*start)(void *), void *argument);
void coroutine_wait(volatile int *waits);
void coroutine_resume(volatile int *waits);
int coroutine_recursion_limit(void);

// What a thread state says about the calls that are under way.
struct calls {
  struct _PyInterpreterFrame *frame;
  int depth, c_remaining;
  _PyErr_StackItem *exc_info, exc_state;
  PyObject *delete_later;
  PyObject *context; // owned, may be NULL
  _PyStackChunk *chunk;
  PyObject **top, **limit;
};

// What a switch brings: an exception, a value, or arguments.
struct passed {
  PyObject *exception, *value, *args, *kwargs; // owned, NULL for what it isn't
};

struct thread;

typedef struct greenlet {
  PyObject_HEAD
  PyObject *dict, *weakrefs;
  PyObject *run;           // NULL once it has started
  struct greenlet *parent; // NULL for a thread's main greenlet
  struct thread *thread;   // of a main greenlet: its own
  enum { PENDING, STARTED, DEAD } state;
  volatile int waits;
  struct calls calls; // while it does not run
} Greenlet;

// A thread that has used greenlets. Its main greenlet owns it.
struct thread {
  Greenlet *main;    // borrowed
  Greenlet *current; // the one that runs; owned
  Greenlet *origin;  // during a switch: the one that ran before; owned
  struct passed passed; // during a switch
  PyObject *tracer;
  PyObject *doomed; // list of suspended greenlets that another thread has let go of
  int ended;
};

static Py_tss_t this_thread_key = Py_tss_NEEDS_INIT;
static PyObject *error, *greenlet_exit;
static PyTypeObject greenlet_type;

#define is_greenlet(object) PyObject_TypeCheck(object, &greenlet_type)

// ---- what is passed

static void drop(struct passed *p) {
  Py_CLEAR(p->exception);
  Py_CLEAR(p->value);
  Py_CLEAR(p->args);
  Py_CLEAR(p->kwargs);
}

// received returns what switch() returns, or NULL with the exception set.
static PyObject *received(struct passed *p) {
  PyObject *value = NULL;
  if (p->exception != NULL) {
    PyErr_SetRaisedException(Py_NewRef(p->exception));
  } else if (p->value != NULL) {
    value = Py_NewRef(p->value);
  } else if (p->kwargs == NULL) {
    value = PyTuple_GET_SIZE(p->args) == 1 ? PyTuple_GET_ITEM(p->args, 0) : p->args;
    Py_INCREF(value);
  } else if (PyTuple_GET_SIZE(p->args) == 0) {
    value = Py_NewRef(p->kwargs);
  } else {
    value = PyTuple_Pack(2, p->args, p->kwargs);
  }
  drop(p);
  return value;
}

// called returns what a function returns for what is passed.
static PyObject *called(PyObject *function, struct passed *p) {
  PyObject *result = NULL;
  if (p->exception != NULL) {
    PyErr_SetRaisedException(Py_NewRef(p->exception));
  } else if (p->value != NULL) {
    result = PyObject_CallOneArg(function, p->value);
  } else {
    result = PyObject_Call(function, p->args, p->kwargs);
  }
  drop(p);
  return result;
}

// pass_result makes what a function has returned, or the exception that is set, what
// is passed. To leave by GreenletExit is to return it.
static void pass_result(struct passed *p, PyObject *result) {
  *p = (struct passed){.value = result};
  if (result != NULL) {
    return;
  }
  PyObject *exception = PyErr_GetRaisedException();
  if (PyErr_GivenExceptionMatches(exception, greenlet_exit)) {
    p->value = exception;
  } else {
    p->exception = exception;
  }
}

// ---- a thread's calls

static void save(struct calls *c, PyThreadState *state) {
  *c = (struct calls){
      .frame = state->current_frame,
      .depth = state->py_recursion_limit - state->py_recursion_remaining,
      .c_remaining = state->c_recursion_remaining,
      .exc_info = state->exc_info,
      .exc_state = state->exc_state,
      .delete_later = state->delete_later,
      .context = state->context,
      .chunk = state->datastack_chunk,
      .top = state->datastack_top,
      .limit = state->datastack_limit,
  };
}

static void restore(struct calls *c, PyThreadState *state) {
  state->current_frame = c->frame;
  state->py_recursion_remaining = state->py_recursion_limit - c->depth;
  state->c_recursion_remaining = c->c_remaining;
  state->exc_info = c->exc_info != NULL ? c->exc_info : &state->exc_state;
  state->exc_state = c->exc_state;
  state->delete_later = c->delete_later;
  state->context = c->context;
  state->context_ver++; // what is cached of context variables was another one's
  state->datastack_chunk = c->chunk;
  state->datastack_top = c->top;
  state->datastack_limit = c->limit;
  c->context = NULL;
}

// free_frames frees the memory for frames of a greenlet that has returned.
static void free_frames(PyThreadState *state) {
  _PyStackChunk *chunk = state->datastack_chunk;
  state->datastack_chunk = NULL;
  state->datastack_top = state->datastack_limit = NULL;
  while (chunk != NULL) {
    _PyStackChunk *previous = chunk->previous;
    _PyObject_VirtualFree(chunk, chunk->size);
    chunk = previous;
  }
}

// ---- threads

static const char holder_name[] = "greenlet.thread";

// end_thread is called when a thread's state is cleared.
static void end_thread(PyObject *holder) {
  struct thread *t = PyCapsule_GetPointer(holder, holder_name);
  t->ended = 1;
  t->main->state = DEAD;
  Py_CLEAR(t->tracer);
  t->doomed = NULL; // kept: they can't run any more, and their stacks wait in them
  if (PyThread_tss_get(&this_thread_key) == t) {
    PyThread_tss_set(&this_thread_key, NULL);
  }
  Py_DECREF(t->main); // current
}

static struct thread *begin_thread(void) {
  PyObject *states = PyThreadState_GetDict(), *holder = NULL;
  struct thread *t = PyMem_Calloc(1, sizeof *t);
  Greenlet *g = (Greenlet *)greenlet_type.tp_alloc(&greenlet_type, 0);
  if (states == NULL || t == NULL || g == NULL ||
      (holder = PyCapsule_New(t, holder_name, NULL)) == NULL ||
      PyThread_tss_set(&this_thread_key, t) != 0 ||
      PyDict_SetItemString(states, holder_name, holder) != 0) {
    PyThread_tss_set(&this_thread_key, NULL);
    PyMem_Free(t);
    Py_XDECREF(g);
    Py_XDECREF(holder);
    return PyErr_Occurred() ? NULL : (struct thread *)PyErr_NoMemory();
  }
  *t = (struct thread){.main = g, .current = g};
  g->state = STARTED;
  g->thread = t;
  PyCapsule_SetDestructor(holder, end_thread);
  Py_DECREF(holder);
  return t;
}

static void kill_doomed(struct thread *t);

// this_thread returns the present thread, or NULL with an exception set.
static struct thread *this_thread(void) {
  struct thread *t = PyThread_tss_get(&this_thread_key);
  if (t == NULL) {
    return begin_thread();
  }
  if (t->doomed != NULL) {
    kill_doomed(t);
  }
  return t;
}

// thread_of returns the thread that a greenlet belongs to: that of its last ancestor.
static struct thread *thread_of(const Greenlet *g) {
  while (g->parent != NULL) {
    g = g->parent;
  }
  return g->thread;
}

// ---- switching

// call_tracer tells the tracer of a switch. Its exception takes the place of what was
// passed, and ends tracing.
static void call_tracer(struct thread *t, Greenlet *origin, struct passed *p) {
  PyObject *tracer = Py_NewRef(t->tracer);
  PyThreadState *state = PyThreadState_Get();
  PyThreadState_EnterTracing(state);
  PyObject *result = PyObject_CallFunction(tracer, "s(OO)", p->exception != NULL ? "throw" : "switch", origin,
                                           t->current);
  PyThreadState_LeaveTracing(state);
  Py_DECREF(tracer);
  if (result == NULL) {
    Py_CLEAR(t->tracer);
    drop(p);
    p->exception = PyErr_GetRaisedException();
  }
  Py_XDECREF(result);
}

// arrive ends a switch, in the greenlet that goes on: p is what was passed.
static void arrive(struct thread *t, struct passed *p) {
  Greenlet *origin = t->origin;
  *p = t->passed;
  t->passed = (struct passed){0};
  t->origin = NULL;
  if (t->tracer != NULL) {
    call_tracer(t, origin, p);
  }
  Py_DECREF(origin); // if nobody else holds it, it is ended here, by a switch to it
}

static void *enter(void *argument);

// is_at_home reports whether a greenlet belongs to a thread; if not, an exception is set.
static bool is_at_home(struct thread *t, const Greenlet *g) {
  const struct thread *other = thread_of(g);
  if (t != other) {
    PyErr_SetString(error, other == NULL || other->ended
                               ? "cannot switch to a different thread (which happens to have exited)"
                               : "Cannot switch to a different thread");
  }
  return t == other;
}

// set_out starts or resumes a greenlet with what is passed: it goes on when the present
// one waits or ends, which hands its hold on itself to the switch. The result is 0; 1
// if the greenlet is dead, or was started meanwhile; or -1 with an exception set.
static int set_out(struct thread *t, Greenlet *g, struct passed *p) {
  if (!is_at_home(t, g)) {
    return -1;
  }
  if (g->state == DEAD) {
    return 1;
  }
  if (g->state == STARTED) {
    coroutine_resume(&g->waits);
  } else {
    PyObject *run = PyObject_GetAttrString((PyObject *)g, "run");
    if (run == NULL) {
      return -1;
    }
    // To find out, and to let go of what it was before, may run anything.
    if (g->state == PENDING) {
      Py_XSETREF(g->run, Py_NewRef(run));
    }
    Py_DECREF(run);
    if (g->state != PENDING) {
      return 1;
    }
    if (!is_at_home(t, g)) {
      return -1;
    }
    if (coroutine_start(enter, g) != 0) {
      PyErr_SetString(PyExc_MemoryError, "can't start a greenlet: an instance has at most 1,024 of them and of "
                                         "threads, each with 1 MiB of its memory");
      return -1;
    }
    PyThreadState *state = PyThreadState_Get();
    g->calls = (struct calls){
        .depth = state->py_recursion_limit - state->py_recursion_remaining,
        .c_remaining = coroutine_recursion_limit(),
        .context = g->calls.context,
    };
    g->state = STARTED;
  }
  t->passed = *p;
  t->origin = t->current;
  t->current = (Greenlet *)Py_NewRef(g);
  return 0;
}

// enter is a greenlet's life, on its stack.
static void *enter(void *argument) {
  Greenlet *self = argument;
  PyThreadState *state = PyThreadState_Get();
  struct thread *t = PyThread_tss_get(&this_thread_key);
  restore(&self->calls, state);
  PyObject *run = self->run;
  self->run = NULL;
  struct passed p;
  arrive(t, &p);
  PyObject *result = called(run, &p);
  Py_DECREF(run);
  pass_result(&p, result);

  self->state = DEAD;
  Greenlet *next = (Greenlet *)Py_NewRef(self->parent);
  for (int outcome; (outcome = set_out(t, next, &p)) != 0;) {
    if (outcome < 0) {
      drop(&p);
      p.exception = PyErr_GetRaisedException();
    }
    if (outcome < 0 || next->state == DEAD) {
      Greenlet *parent = next->parent != NULL && next->parent->parent != NULL ? next->parent : t->main;
      Py_SETREF(next, (Greenlet *)Py_NewRef(parent));
    }
  }
  Py_DECREF(next); // the thread holds it
  self->calls.context = state->context;
  free_frames(state);
  return NULL;
}

// switch_to switches to a greenlet, or if it is dead to the closest ancestor that
// isn't. It takes over what is passed.
static PyObject *switch_to(Greenlet *target, struct passed p) {
  struct thread *t = this_thread();
  if (t == NULL || !is_at_home(t, target)) {
    drop(&p);
    return NULL;
  }
  Greenlet *self = t->current, *next = (Greenlet *)Py_NewRef(target);
  int outcome = 1;
  while (next != self && (outcome = set_out(t, next, &p)) > 0) {
    if (next->state == DEAD) {
      Py_SETREF(next, (Greenlet *)Py_NewRef(next->parent));
    }
  }
  Py_DECREF(next); // the thread holds the one that it goes on with
  if (outcome < 0) {
    drop(&p);
    return NULL;
  }
  if (outcome == 0) {
    PyThreadState *state = PyThreadState_Get();
    save(&self->calls, state);
    coroutine_wait(&self->waits);
    restore(&self->calls, state);
    arrive(t, &p);
  }
  return received(&p);
}

// ---- the end of those that nobody holds

// kill ends a suspended greenlet of the present thread by GreenletExit.
static void kill(struct thread *t, Greenlet *g) {
  PyObject *pending = PyErr_GetRaisedException();
  Greenlet *parent = g->parent, *heir = (Greenlet *)Py_NewRef(t->current);
  g->parent = heir; // it comes back here
  struct passed p = {.exception = PyObject_CallNoArgs(greenlet_exit)};
  PyObject *result = p.exception != NULL ? switch_to(g, p) : NULL;
  if (result == NULL) {
    PyErr_WriteUnraisable((PyObject *)g);
  }
  Py_XDECREF(result);
  if (g->parent == heir) {
    g->parent = parent;
    Py_DECREF(heir);
  } else {
    Py_DECREF(parent);
  }
  if (g->state == STARTED) {
    Py_INCREF(g); // it goes on regardless, on a stack that can't be freed
  }
  PyErr_SetRaisedException(pending);
}

static void kill_doomed(struct thread *t) {
  PyObject *doomed = t->doomed;
  t->doomed = NULL;
  for (Py_ssize_t n = 0; n < PyList_GET_SIZE(doomed); n++) {
    Greenlet *g = (Greenlet *)PyList_GET_ITEM(doomed, n);
    if (g->state == STARTED) {
      kill(t, g);
    }
  }
  Py_DECREF(doomed);
}

static void greenlet_finalize(PyObject *object) {
  Greenlet *self = (Greenlet *)object;
  struct thread *t = thread_of(self);
  if (self->state != STARTED || self->parent == NULL) {
    return;
  }
  if (t->ended) {
    Py_INCREF(self); // its stack waits in it, for ever
    return;
  }
  if (t == PyThread_tss_get(&this_thread_key)) {
    kill(t, self);
    return;
  }
  PyObject *pending = PyErr_GetRaisedException();
  if (t->doomed == NULL) {
    t->doomed = PyList_New(0);
  }
  if (t->doomed == NULL || PyList_Append(t->doomed, object) != 0) {
    PyErr_WriteUnraisable(object);
    Py_INCREF(self);
  }
  PyErr_SetRaisedException(pending);
}

// ---- the type

static PyObject *greenlet_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  (void)args, (void)kwargs;
  struct thread *t = this_thread();
  if (t == NULL) {
    return NULL;
  }
  PyObject *nothing = PyTuple_New(0); // init takes the arguments
  Greenlet *self = (Greenlet *)PyBaseObject_Type.tp_new(type, nothing, NULL);
  Py_DECREF(nothing);
  if (self != NULL) {
    self->parent = (Greenlet *)Py_NewRef(t->current);
  }
  return (PyObject *)self;
}

static int set_run(Greenlet *self, PyObject *run, void *closure) {
  (void)closure;
  if (self->state != PENDING) {
    PyErr_SetString(PyExc_AttributeError, self->thread != NULL
                                              ? "Main greenlets do not have a run attribute."
                                              : "run cannot be set after the start of the greenlet");
    return -1;
  }
  Py_XSETREF(self->run, Py_XNewRef(run));
  return 0;
}

static PyObject *get_run(Greenlet *self, void *closure) {
  (void)closure;
  if (self->state != PENDING || self->run == NULL) {
    PyErr_SetString(PyExc_AttributeError, "run");
    return NULL;
  }
  return Py_NewRef(self->run);
}

static int set_parent(Greenlet *self, PyObject *value, void *closure) {
  (void)closure;
  if (value == NULL) {
    PyErr_SetString(PyExc_AttributeError, "can't delete attribute");
    return -1;
  }
  if (self->thread != NULL) {
    PyErr_SetString(PyExc_AttributeError, "cannot set the parent of a main greenlet");
    return -1;
  }
  if (!is_greenlet(value)) {
    PyErr_Format(PyExc_TypeError, "GreenletChecker: Expected any type of greenlet, not %s", Py_TYPE(value)->tp_name);
    return -1;
  }
  for (Greenlet *g = (Greenlet *)value; g != NULL; g = g->parent) {
    if (g == self) {
      PyErr_SetString(PyExc_ValueError, "cyclic parent chain");
      return -1;
    }
  }
  struct thread *t = thread_of((Greenlet *)value);
  if (self->state != PENDING && t != thread_of(self)) {
    PyErr_SetString(PyExc_ValueError, "parent cannot be on a different thread");
    return -1;
  }
  Py_SETREF(self->parent, (Greenlet *)Py_NewRef(value));
  return 0;
}

static PyObject *get_parent(Greenlet *self, void *closure) {
  (void)closure;
  return self->parent != NULL ? Py_NewRef(self->parent) : Py_NewRef(Py_None);
}

static int greenlet_init(Greenlet *self, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"run", "parent", NULL};
  PyObject *run = NULL, *parent = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:greenlet", names, &run, &parent)) {
    return -1;
  }
  if (run != NULL && set_run(self, run, NULL) != 0) {
    return -1;
  }
  return parent == NULL || parent == Py_None ? 0 : set_parent(self, parent, NULL);
}

static int greenlet_traverse(Greenlet *self, visitproc visit, void *arg) {
  Py_VISIT(self->dict);
  Py_VISIT(self->run);
  Py_VISIT(self->parent);
  Py_VISIT(self->calls.context);
  if (self->thread != NULL) {
    Py_VISIT(self->thread->tracer);
  }
  return 0;
}

// The collector leaves main and suspended greenlets alone, see is_collectable.
static int greenlet_clear(Greenlet *self) {
  Py_CLEAR(self->dict);
  Py_CLEAR(self->run);
  Py_CLEAR(self->parent);
  Py_CLEAR(self->calls.context);
  return 0;
}

// What the frames of a suspended greenlet refer to is not visited: it is alive as long
// as somebody can switch to the greenlet.
static int is_collectable(PyObject *self) { return ((Greenlet *)self)->state != STARTED; }

static void greenlet_dealloc(Greenlet *self) {
  if (PyObject_CallFinalizerFromDealloc((PyObject *)self) != 0) {
    return;
  }
  PyObject_GC_UnTrack(self);
  if (self->weakrefs != NULL) {
    PyObject_ClearWeakRefs((PyObject *)self);
  }
  greenlet_clear(self);
  PyMem_Free(self->thread);
  Py_TYPE(self)->tp_free(self);
}

static PyObject *greenlet_switch(Greenlet *self, PyObject *args, PyObject *kwargs) {
  return switch_to(self, (struct passed){.args = Py_NewRef(args), .kwargs = Py_XNewRef(kwargs)});
}

static PyObject *greenlet_throw(Greenlet *self, PyObject *args) {
  PyObject *type = greenlet_exit, *value = NULL, *traceback = NULL;
  if (!PyArg_ParseTuple(args, "|OOO:throw", &type, &value, &traceback)) {
    return NULL;
  }
  if (traceback == Py_None) {
    traceback = NULL;
  } else if (traceback != NULL && !PyTraceBack_Check(traceback)) {
    PyErr_SetString(PyExc_TypeError, "throw() third argument must be a traceback object");
    return NULL;
  }
  PyObject *exception;
  if (PyExceptionClass_Check(type)) {
    if (value != NULL && PyErr_GivenExceptionMatches(value, type) && PyExceptionInstance_Check(value)) {
      exception = Py_NewRef(value);
    } else if (value == NULL || value == Py_None) {
      exception = PyObject_CallNoArgs(type);
    } else {
      exception = PyTuple_Check(value) ? PyObject_Call(type, value, NULL) : PyObject_CallOneArg(type, value);
    }
  } else if (!PyExceptionInstance_Check(type)) {
    PyErr_Format(PyExc_TypeError, "exceptions must be classes, or instances, not %s", Py_TYPE(type)->tp_name);
    return NULL;
  } else if (value != NULL && value != Py_None) {
    PyErr_SetString(PyExc_TypeError, "instance exception may not have a separate value");
    return NULL;
  } else {
    exception = Py_NewRef(type);
  }
  if (exception == NULL) {
    return NULL;
  }
  if (traceback != NULL && PyException_SetTraceback(exception, traceback) != 0) {
    Py_DECREF(exception);
    return NULL;
  }
  if (self->state == DEAD && PyErr_GivenExceptionMatches(exception, greenlet_exit)) {
    return switch_to(self, (struct passed){.value = exception});
  }
  return switch_to(self, (struct passed){.exception = exception});
}

static PyObject *get_dict(Greenlet *self, void *closure) { return PyObject_GenericGetDict((PyObject *)self, closure); }

static int set_dict(Greenlet *self, PyObject *value, void *closure) {
  return PyObject_GenericSetDict((PyObject *)self, value, closure);
}

static int runs(Greenlet *self) {
  struct thread *t = thread_of(self);
  return t != NULL && t->current == self;
}

static int has_ended(Greenlet *self) {
  struct thread *t = thread_of(self);
  return self->state == DEAD || (self->state == STARTED && (t == NULL || t->ended));
}

static PyObject *get_frame(Greenlet *self, void *closure) {
  (void)closure;
  PyThreadState *state = PyThreadState_Get();
  PyFrameObject *frame = NULL;
  if (runs(self)) {
    frame = PyThreadState_GetFrame(state);
  } else if (self->state == STARTED && !has_ended(self)) {
    struct _PyInterpreterFrame *present = state->current_frame;
    state->current_frame = self->calls.frame;
    frame = PyThreadState_GetFrame(state);
    state->current_frame = present;
  }
  return frame != NULL ? (PyObject *)frame : Py_NewRef(Py_None);
}

// context_of returns where a greenlet's context is, or NULL with an exception set.
static PyObject **context_of(Greenlet *self, const char *doing) {
  if (!runs(self)) {
    return &self->calls.context;
  }
  if (thread_of(self) != PyThread_tss_get(&this_thread_key)) {
    PyErr_Format(PyExc_ValueError, "cannot %s context of a greenlet that is running in a different thread", doing);
    return NULL;
  }
  return &PyThreadState_Get()->context;
}

static PyObject *get_context(Greenlet *self, void *closure) {
  (void)closure;
  PyObject **context = context_of(self, "get");
  return context == NULL ? NULL : Py_NewRef(*context != NULL ? *context : Py_None);
}

static int set_context(Greenlet *self, PyObject *value, void *closure) {
  (void)closure;
  if (value == NULL) {
    PyErr_SetString(PyExc_AttributeError, "can't delete context attribute");
    return -1;
  }
  if (value == Py_None) {
    value = NULL;
  } else if (!PyContext_CheckExact(value)) {
    PyErr_SetString(PyExc_TypeError, "greenlet context must be a contextvars.Context or None");
    return -1;
  }
  PyObject **context = context_of(self, "set");
  if (context == NULL) {
    return -1;
  }
  if (runs(self)) {
    PyThreadState_Get()->context_ver++;
  }
  Py_XSETREF(*context, Py_XNewRef(value));
  return 0;
}

static PyObject *get_dead(Greenlet *self, void *closure) {
  (void)closure;
  return PyBool_FromLong(has_ended(self));
}

// No part of a suspended greenlet's stack is ever saved elsewhere.
static PyObject *get_stack_saved(Greenlet *self, void *closure) {
  (void)self, (void)closure;
  return PyLong_FromLong(0);
}

static int is_active(Greenlet *self) { return self->state == STARTED && !has_ended(self); }

static PyObject *get_state(Greenlet *self, PyObject *unused) {
  (void)unused;
  PyErr_Format(PyExc_TypeError, "cannot serialize '%s' object", Py_TYPE(self)->tp_name);
  return NULL;
}

static PyObject *greenlet_repr(Greenlet *self) {
  const char *name = Py_TYPE(self)->tp_name;
  struct thread *t = thread_of(self);
  if (has_ended(self)) {
    return PyUnicode_FromFormat("<%s object at %p (otid=%p) %sdead>", name, self, t,
                                t == NULL || t->ended ? "(thread exited) " : "");
  }
  return PyUnicode_FromFormat("<%s object at %p (otid=%p)%s%s%s>", name, self, t,
                              t->current == self && t == PyThread_tss_get(&this_thread_key) ? " current"
                              : is_active(self) ? " suspended" : "",
                              is_active(self) ? " active started" : " pending", self->thread != NULL ? " main" : "");
}

static PyMethodDef greenlet_methods[] = {
    {"switch", (PyCFunction)(void (*)(void))greenlet_switch, METH_VARARGS | METH_KEYWORDS,
     "switch(*args, **kwargs)\n\nGo on with this greenlet: start it with the arguments, or let its own switch()\n"
     "return them. The result is what this switch() is given by the one that switches\nback."},
    {"throw", (PyCFunction)greenlet_throw, METH_VARARGS,
     "throw(type=GreenletExit, value=None, traceback=None)\n\nGo on with this greenlet, whose switch() raises the "
     "exception."},
    {"__getstate__", (PyCFunction)get_state, METH_NOARGS, NULL},
    {NULL},
};

static PyGetSetDef greenlet_attributes[] = {
    {"__dict__", (getter)get_dict, (setter)set_dict},
    {"run", (getter)get_run, (setter)set_run},
    {"parent", (getter)get_parent, (setter)set_parent},
    {"gr_frame", (getter)get_frame},
    {"gr_context", (getter)get_context, (setter)set_context},
    {"dead", (getter)get_dead},
    {"_stack_saved", (getter)get_stack_saved},
    {NULL},
};

static PyNumberMethods greenlet_numbers = {.nb_bool = (inquiry)is_active};

static PyTypeObject greenlet_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "greenlet.greenlet",
    .tp_doc = "greenlet(run=None, parent=None)\n\nA coroutine with calls of its own, which any of them can switch from.",
    .tp_basicsize = sizeof(Greenlet),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = greenlet_new,
    .tp_init = (initproc)greenlet_init,
    .tp_alloc = PyType_GenericAlloc,
    .tp_free = PyObject_GC_Del,
    .tp_dealloc = (destructor)greenlet_dealloc,
    .tp_finalize = greenlet_finalize,
    .tp_traverse = (traverseproc)greenlet_traverse,
    .tp_clear = (inquiry)greenlet_clear,
    .tp_is_gc = (inquiry)is_collectable,
    .tp_repr = (reprfunc)greenlet_repr,
    .tp_as_number = &greenlet_numbers,
    .tp_methods = greenlet_methods,
    .tp_getset = greenlet_attributes,
    .tp_dictoffset = offsetof(Greenlet, dict),
    .tp_weaklistoffset = offsetof(Greenlet, weakrefs),
};

// ---- the module

static PyObject *get_current(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  struct thread *t = this_thread();
  return t != NULL ? Py_NewRef(t->current) : NULL;
}

static PyObject *get_tracer(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  struct thread *t = this_thread();
  return t != NULL ? Py_NewRef(t->tracer != NULL ? t->tracer : Py_None) : NULL;
}

static PyObject *set_tracer(PyObject *module, PyObject *tracer) {
  PyObject *previous = get_tracer(module, NULL);
  if (previous != NULL) {
    Py_XSETREF(this_thread()->tracer, tracer == Py_None ? NULL : Py_NewRef(tracer));
  }
  return previous;
}

// greenlet's own module can look for what its threads have left behind, at a cost that
// one may opt out of. Here is nothing to look for.
static PyObject *enable_cleanup(PyObject *module, PyObject *enable) {
  (void)module, (void)enable;
  Py_RETURN_FALSE;
}

static PyObject *zero(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return PyLong_FromLong(0);
}

static PyMethodDef functions[] = {
    {"getcurrent", get_current, METH_NOARGS, "Return the greenlet that runs."},
    {"gettrace", get_tracer, METH_NOARGS, "Return the function that is told of switches in this thread, or None."},
    {"settrace", set_tracer, METH_O, "Set the function that is told of switches, and return the previous one."},
    {"enable_optional_cleanup", enable_cleanup, METH_O, NULL},
    {"get_clocks_used_doing_optional_cleanup", zero, METH_NOARGS, NULL},
    {"get_pending_cleanup_count", zero, METH_NOARGS, NULL},
    {"get_total_main_greenlets", zero, METH_NOARGS, NULL},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "greenlet._greenlet", .m_size = -1, .m_methods = functions};

// share makes members of the module attributes of the type, too.
static int share(PyObject *module, const char *const *names) {
  for (; *names != NULL; names++) {
    PyObject *member = PyObject_GetAttrString(module, *names);
    int failed = member == NULL || PyDict_SetItemString(greenlet_type.tp_dict, *names, member) != 0;
    Py_XDECREF(member);
    if (failed) {
      return -1;
    }
  }
  PyType_Modified(&greenlet_type);
  return 0;
}

PyMODINIT_FUNC PyInit__greenlet(void) {
  static const char *const shared[] = {"error", "GreenletExit", "getcurrent", "gettrace", "settrace", NULL};
  if (PyThread_tss_create(&this_thread_key) != 0) {
    return PyErr_NoMemory();
  }
  PyObject *module = PyModule_Create(&definition);
  error = PyErr_NewException("greenlet.error", NULL, NULL);
  greenlet_exit = PyErr_NewException("greenlet.GreenletExit", PyExc_BaseException, NULL);
  if (module == NULL || PyType_Ready(&greenlet_type) != 0 || PyModule_AddObjectRef(module, "error", error) != 0 ||
      PyModule_AddObjectRef(module, "GreenletExit", greenlet_exit) != 0 ||
      PyModule_AddObjectRef(module, "greenlet", (PyObject *)&greenlet_type) != 0 ||
      PyModule_AddObjectRef(module, "_C_API", Py_None) != 0 || // no other module in C uses it
      PyModule_AddIntConstant(module, "CLOCKS_PER_SEC", 1000000) != 0 ||
      PyModule_AddObjectRef(module, "GREENLET_USE_GC", Py_True) != 0 ||
      PyModule_AddObjectRef(module, "GREENLET_USE_TRACING", Py_True) != 0 ||
      PyModule_AddObjectRef(module, "GREENLET_USE_CONTEXT_VARS", Py_True) != 0 || share(module, shared) != 0) {
    Py_XDECREF(module);
    return NULL;
  }
  return module;
}
