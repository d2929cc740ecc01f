// The exports of the module: the guest's side of the ABI. README.md has the
// table. No Python here: the other files implement the exports.
#include "abi.h"

#define EXPORT(name) __attribute__((export_name(name)))

// The host calls boot once, before the other two.
static int booted = 0;

EXPORT("vivarium_abi_version") int32_t vivarium_abi_version(void) {
  return VIVARIUM_ABI_VERSION;
}

EXPORT("vivarium_boot") int32_t vivarium_boot(void) {
  if (booted) {
    return VIVARIUM_BROKEN;
  }
  int32_t status = sqlite_start();
  if (status != VIVARIUM_OK) {
    return status;
  }
  status = openssl_start();
  if (status != VIVARIUM_OK) {
    return status;
  }
  status = interpreter_start();
  if (status != VIVARIUM_OK) {
    return status;
  }
  status = runner_import();
  if (status != VIVARIUM_OK) {
    return status;
  }
  immortalize_all();
  booted = 1;
  return VIVARIUM_OK;
}

EXPORT("vivarium_load") int32_t vivarium_load(void) {
  return booted ? runner_call(VIVARIUM_CALL_LOAD) : VIVARIUM_BROKEN;
}

EXPORT("vivarium_invoke") int32_t vivarium_invoke(void) {
  return booted ? runner_call(VIVARIUM_CALL_INVOKE) : VIVARIUM_BROKEN;
}
