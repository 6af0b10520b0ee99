// MicroPython as an ESP32 has it, as far as native modules can tell.
// SPDX-License-Identifier: MIT
#include <alloca.h>
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL MICROPY_CONFIG_ROM_LEVEL_CORE_FEATURES

// As in ports/esp32: how objects look, how exceptions pass, what .mpy fits.
#define MICROPY_OBJ_REPR             MICROPY_OBJ_REPR_A
#define MICROPY_NLR_SETJMP           1
#define MICROPY_LONGINT_IMPL         MICROPY_LONGINT_IMPL_MPZ
#define MICROPY_PERSISTENT_CODE_LOAD 1
#define MICROPY_EMIT_XTENSAWIN       1
#define MICROPY_HAS_FILE_READER      1
#define MICROPY_ENABLE_GC            1
#define MICROPY_STACK_CHECK          1
#define MICROPY_GC_ALLOC_THRESHOLD   1
#define MICROPY_ENABLE_FINALISER     1
#define MICROPY_ENABLE_SOURCE_LINE   1
#define MICROPY_ERROR_REPORTING      MICROPY_ERROR_REPORTING_NORMAL
// No processor here has floating point, and no C library.
#define MICROPY_FLOAT_IMPL MICROPY_FLOAT_IMPL_NONE

#define MICROPY_ENABLE_EXTERNAL_IMPORT 1
#define MICROPY_PY_BUILTINS_MEMORYVIEW 1
#define MICROPY_USE_INTERNAL_ERRNO     1
#define MICROPY_PY_ARRAY_SLICE_ASSIGN  1
#define MICROPY_PY_BINASCII            1
#define MICROPY_PY_HASHLIB             1
#define MICROPY_PY_IO                  0
#define MICROPY_PY_SYS_PLATFORM        "qemu-xtensa"
#define MICROPY_PY_SYS_STDFILES        0
#define MICROPY_ALLOC_PATH_MAX         256

void *commit_code(void *code, unsigned len, void *relocations);
#define MP_PLAT_COMMIT_EXEC(code, len, relocations)                            \
    commit_code(code, len, relocations)

typedef intptr_t mp_int_t;
typedef uintptr_t mp_uint_t;
typedef long mp_off_t;
#define MP_SSIZE_MAX 0x7fffffff

#define MICROPY_HW_BOARD_NAME "qemu"
#define MICROPY_HW_MCU_NAME   "dc233c"

#define MP_STATE_PORT MP_STATE_VM
