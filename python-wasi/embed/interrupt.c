// Ctrl-C for the code of a session.
#include "abi.h"

#include "python.h"

// vivarium_interrupt makes CPython raise what its handler of SIGINT raises, soon. The
// host calls it in the middle of whatever the guest does, so nothing here allocates.
__attribute__((export_name("vivarium_interrupt"))) void
vivarium_interrupt(void) {
  PyErr_SetInterrupt();
}
