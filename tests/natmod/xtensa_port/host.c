// The host's files and console, and executable memory.
// SPDX-License-Identifier: MIT
#include "host.h"

#include "py/builtin.h"
#include "py/lexer.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/objfun.h"
#include "py/persistentcode.h"
#include "py/reader.h"
#include "py/runtime.h"

enum { CODE_BYTES = 256 << 10 };
enum { READ_WRITE_EXECUTE = 7, PRIVATE = 2, ANONYMOUS = 0x800 };

// As on the chip: executable memory is apart from the heap, is not searched for
// addresses by the garbage collector, and is never freed.
void *commit_code(void *code, unsigned len, void *relocations) {
    static uint8_t *memory;
    static unsigned used;
    if (memory == NULL) {
        memory = linux_map(NULL, CODE_BYTES, READ_WRITE_EXECUTE,
                PRIVATE | ANONYMOUS, -1, 0);
    }
    len = (len + 3) & ~3u;
    if (len > CODE_BYTES - used) {
        m_malloc_fail(len);
    }
    void *to = memory + used;
    used += len;
    if (relocations != NULL) {
        mp_native_relocate(relocations, code, (uintptr_t)to);
    }
    memcpy(to, code, len);
    return to;
}

// ---- The high half of a product -------------------------------------------

// ESP32, S2 and S3 have muluh and mulsh, dc233c has not. Linux tells of an
// instruction that is none, with all registers, and puts back what it finds.
enum { ILLEGAL = 4, WITH_REGISTERS = 4 };
enum { CONTEXT_PC = 5, CONTEXT_A0 = 13 }; // words
enum { MULUH = 0xA2, MULSH = 0xB2 };      // the highest eight bits

static void emulate(int signal, void *info, uint32_t *context) {
    (void)signal;
    (void)info;
    const uint8_t *at = (const uint8_t *)context[CONTEXT_PC];
    uint32_t *registers = context + CONTEXT_A0;
    uint32_t left = registers[at[1] & 15];
    uint32_t right = registers[at[0] >> 4];
    uint32_t high = (uint32_t)((uint64_t)left * right >> 32);
    if ((at[0] & 15) != 0 || (at[2] != MULUH && at[2] != MULSH)) {
        abort();
    }
    if (at[2] == MULSH) {
        high -= ((int32_t)left < 0 ? right : 0)
                + ((int32_t)right < 0 ? left : 0);
    }
    registers[at[1] >> 4] = high;
    context[CONTEXT_PC] += 3;
}

void host_emulate(void) {
    const struct {
        void (*handler)(int signal, void *info, uint32_t *context);
        uint32_t flags;
        void *restorer;
        uint32_t mask[2];
    } action = {emulate, WITH_REGISTERS, NULL, {0, 0}};
    linux_handle(ILLEGAL, &action, NULL, sizeof(action.mask));
}

// ---- Files ---------------------------------------------------------------

static vstr_t read_whole(const char *path) {
    int fd = linux_open(path, O_RDONLY, 0);
    if (fd < 0) {
        mp_raise_OSError(-fd);
    }
    vstr_t data;
    vstr_init(&data, 4096);
    for (;;) {
        enum { PIECE = 4096 };
        vstr_hint_size(&data, PIECE);
        int got = linux_read(fd, data.buf + data.len, PIECE);
        if (got <= 0) {
            linux_close(fd);
            if (got < 0) {
                mp_raise_OSError(-got);
            }
            return data;
        }
        data.len += (size_t)got;
    }
}

void mp_reader_new_file(mp_reader_t *reader, qstr name) {
    vstr_t data = read_whole(qstr_str(name));
    mp_reader_new_mem(reader, (byte *)data.buf, data.len, data.alloc);
}

mp_lexer_t *mp_lexer_new_from_file(qstr name) {
    mp_reader_t reader;
    mp_reader_new_file(&reader, name);
    return mp_lexer_new(name, reader);
}

static bool can_open(const char *path, int flags) {
    int fd = linux_open(path, flags, 0);
    if (fd >= 0) {
        linux_close(fd);
    }
    return fd >= 0;
}

mp_import_stat_t mp_import_stat(const char *path) {
    if (can_open(path, O_RDONLY | O_DIRECTORY)) {
        return MP_IMPORT_STAT_DIR;
    }
    return can_open(path, O_RDONLY) ? MP_IMPORT_STAT_FILE
                                    : MP_IMPORT_STAT_NO_EXIST;
}

// ---- The console ---------------------------------------------------------

void mp_hal_stdout_tx_strn_cooked(const char *text, size_t len) {
    while (len > 0) {
        int done = linux_write(1, text, len);
        if (done <= 0) {
            return;
        }
        text += done;
        len -= (size_t)done;
    }
}

// ---- The module host -----------------------------------------------------

static mp_obj_t host_read(mp_obj_t path) {
    vstr_t data = read_whole(mp_obj_str_get_str(path));
    return mp_obj_new_bytes_from_vstr(&data);
}
static MP_DEFINE_CONST_FUN_OBJ_1(host_read_obj, host_read);

static const mp_rom_map_elem_t host_table[] = {
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_host)},
        {MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&host_read_obj)},
};
static MP_DEFINE_CONST_DICT(host_globals, host_table);

const mp_obj_module_t host_module = {
        .base = {&mp_type_module},
        .globals = (mp_obj_dict_t *)&host_globals,
};
MP_REGISTER_MODULE(MP_QSTR_host, host_module);
