// Shared by the files that know Python.
#ifndef VIVARIUM_PYTHON_H
#define VIVARIUM_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

// The module through which the runner responds. It is built in: its name is added
// to the inittab before the interpreter starts.
#define RESPOND_MODULE "_vivarium"
PyObject *respond_module_init(void);

#ifdef VIVARIUM_PACKAGES
// The modules of the packages that are linked in: a table that the recipe writes
// (recipe/packages.sh).
extern struct _inittab package_modules[];
#endif

// request_read returns what stdin holds up to its end as a new bytes object, or
// NULL with an exception set.
PyObject *request_read(void);

// immortalize_definitions is _vivarium.immortalize_definitions(): it exempts all
// existing functions, classes and modules from reference counting.
PyObject *immortalize_definitions(PyObject *module, PyObject *unused);

// Also of _vivarium, in osmodule.c.
PyObject *os_chmod(PyObject *module, PyObject *args);
PyObject *os_fchmod(PyObject *module, PyObject *args);
PyObject *os_umask(PyObject *module, PyObject *mask);
PyObject *os_space(PyObject *module, PyObject *args);

// In collector.c. objects is the tuple of a METH_VARARGS function.
PyObject *tracked_objects(PyObject *module, PyObject *unused);
PyObject *tracked_referrers(PyObject *module, PyObject *objects);

// Of _vivarium too, in threads.c.
PyObject *interrupt_thread(PyObject *module, PyObject *ident);

// print_exception writes the exception that is set to stderr and clears it.
//
// PyErr_Print must not be used instead: on SystemExit it exits the process, which
// here is a trap without a message.
void print_exception(void);

#endif
