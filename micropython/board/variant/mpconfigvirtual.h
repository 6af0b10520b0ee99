// The virtual ESP32: what differs from MicroPython's unix port.
// SPDX-License-Identifier: MIT
#include <stdint.h>

#include "mpconfigport.h"

#define MICROPY_HW_BOARD_NAME "Generic ESP32 module"
#define MICROPY_HW_MCU_NAME   "ESP32"

// As the chip's port has it.
#undef MICROPY_ERROR_REPORTING
#define MICROPY_ERROR_REPORTING (MICROPY_ERROR_REPORTING_NORMAL)
#undef MICROPY_EPOCH_IS_1970
#define MICROPY_EPOCH_IS_1970 (0)
#undef MICROPY_PY_SYS_PATH_ARGV_DEFAULTS
#define MICROPY_PY_SYS_PATH_ARGV_DEFAULTS (1)
#undef MICROPY_PYEXEC_ENABLE_EXIT_CODE_HANDLING
#define MICROPY_PYEXEC_ENABLE_EXIT_CODE_HANDLING (0)
#undef MICROPY_PYEXEC_COMPILE_ONLY
#define MICROPY_PYEXEC_COMPILE_ONLY (0)
#undef MICROPY_MODULE_OVERRIDE_MAIN_IMPORT
#define MICROPY_MODULE_OVERRIDE_MAIN_IMPORT (0)
#undef MICROPY_PY_SYS_ATEXIT
#define MICROPY_PY_SYS_ATEXIT (0)
#undef MICROPY_PY_SYS_EXC_INFO
#define MICROPY_PY_SYS_EXC_INFO (0)
#undef MICROPY_PY_SYS_EXECUTABLE
#define MICROPY_PY_SYS_EXECUTABLE (0)
#undef MICROPY_ERROR_PRINTER // the chip has one console
#define MICROPY_ERROR_PRINTER (&mp_plat_print)
#undef MICROPY_EMERGENCY_EXCEPTION_BUF_SIZE
#define MICROPY_EMERGENCY_EXCEPTION_BUF_SIZE   (0)
#define MICROPY_PY_IO_BUFFEREDWRITER           (1)
#define MICROPY_PY_ALL_INPLACE_SPECIAL_METHODS (1)
#undef MICROPY_PY_THREAD_GIL
#define MICROPY_PY_THREAD_GIL (1)
#undef MICROPY_ASYNC_KBD_INTR // what goes with the lock on this port
#define MICROPY_ASYNC_KBD_INTR (0)
#undef MICROPY_PY_THREAD_RECURSIVE_MUTEX
#define MICROPY_PY_THREAD_RECURSIVE_MUTEX (1)
// What libbaton.a prints takes the C library's formats.
#define MICROPY_USE_INTERNAL_PRINTF (0)
#define MICROPY_SCHEDULER_DEPTH     (8)
#define MICROPY_PY_OS_UNAME         (0) // added at run time, modos.c

// What a script could reach this machine with.
#undef MICROPY_PY_OS_SYSTEM
#define MICROPY_PY_OS_SYSTEM (0)
#undef MICROPY_PY_OS_GETENV_PUTENV_UNSETENV
#define MICROPY_PY_OS_GETENV_PUTENV_UNSETENV (0)
#undef MICROPY_PY_OS_ERRNO
#define MICROPY_PY_OS_ERRNO     (0)
#define MICROPY_PY_MACHINE_MEMX (0)
#ifdef BATON_HIDE_VFS_POSIX
#undef MICROPY_VFS_POSIX
#define MICROPY_VFS_POSIX (0)
#endif

// The board's own halves of built-in modules.
#undef MICROPY_PY_MACHINE_INCLUDEFILE
#define MICROPY_PY_MACHINE_INCLUDEFILE      "board/modmachine.c"
#define MICROPY_PY_MACHINE_RESET            (1)
#define MICROPY_PY_MACHINE_BARE_METAL_FUNCS (1)
#undef MICROPY_PY_TIME_INCLUDEFILE
#define MICROPY_PY_TIME_INCLUDEFILE "board/modtime.c"
#undef MICROPY_PY_TIME_CUSTOM_SLEEP

// Other threads go on meanwhile, in every version of MicroPython.
void baton_delay_ms(unsigned long ms);
#define mp_hal_delay_ms baton_delay_ms

// The chip's clock counts from 2000.
uint64_t baton_clock_ns(void);
#define mp_hal_time_ns baton_clock_ns

#ifdef BATON_LIVE_BANNER
const char *baton_sys_banner(void);
#define MICROPY_BANNER_NAME_AND_VERSION baton_sys_banner()
#endif

// The numbers of the chip's C library, where the module errno is made.
#ifdef BATON_CHIP_ERRNO
#include <errno.h>
#undef EADDRINUSE
#define EADDRINUSE 112
#undef ECONNABORTED
#define ECONNABORTED 113
#undef ETIMEDOUT
#define ETIMEDOUT 116
#undef EHOSTUNREACH
#define EHOSTUNREACH 118
#undef EINPROGRESS
#define EINPROGRESS 119
#undef EALREADY
#define EALREADY 120
#undef ENOTCONN
#define ENOTCONN 128
#endif
