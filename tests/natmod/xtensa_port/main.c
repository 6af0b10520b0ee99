// MicroPython for qemu-xtensa: runs one script of the host's.
// SPDX-License-Identifier: MIT
#include "host.h"
#include "py/builtin.h"
#include "py/compile.h"
#include "py/cstack.h"
#include "py/gc.h"
#include "py/lexer.h"
#include "py/mpstate.h"
#include "py/nlr.h"
#include "py/runtime.h"

enum { HEAP_BYTES = 512 << 10, STACK_BYTES = 64 << 10 };
enum { EXIT_RAISED = 1, EXIT_NO_SCRIPT = 2 };

static char heap[HEAP_BYTES] __attribute__((aligned(16)));

static int run_script(const char *path) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_lexer_t *lexer = mp_lexer_new_from_file(qstr_from_str(path));
        qstr name = lexer->source_name;
        mp_parse_tree_t tree = mp_parse(lexer, MP_PARSE_FILE_INPUT);
        mp_call_function_0(mp_compile(&tree, name, false));
        nlr_pop();
        return 0;
    }
    mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
    return EXIT_RAISED;
}

// args: what Linux leaves on the stack, a count and texts.
int run(uint32_t *args) {
    if (args[0] < 2) {
        return EXIT_NO_SCRIPT;
    }
    host_emulate();
    mp_cstack_init_with_top(args, STACK_BYTES);
    gc_init(heap, heap + sizeof(heap));
    mp_init();
    for (uint32_t i = 2; i < args[0]; i++) {
        const char *folder = (const char *)args[1 + i];
        mp_obj_list_append(mp_sys_path, mp_obj_new_str(folder, strlen(folder)));
    }
    int status = run_script((const char *)args[2]);
    mp_deinit();
    return status;
}

static void collect_from(void *from) {
    uintptr_t top = (uintptr_t)MP_STATE_THREAD(stack_top);
    gc_collect_root(from, (top - (uintptr_t)from) / sizeof(void *));
}

void gc_collect(void) {
    gc_collect_start();
    with_stack(collect_from);
    gc_collect_end();
}

void nlr_jump_fail(void *val) {
    (void)val;
    abort();
}
