// LLVM 22 puts arguments beyond the named ones where they belong, and then
// reads others. What its va_start knows is enough to find them: where the saved
// registers begin and where they end, and that the rest is 32 bytes further.
// SPDX-License-Identifier: MIT
#ifndef STDARG_H
#define STDARG_H

struct list_of_llvm {
    char *registers_end;
    char *registers;
    int index;
};

typedef struct {
    char *at;
    char *registers_end;
} va_list;

static inline void *next_word(va_list *list) {
    if (list->at == list->registers_end) {
        list->at += 32;
    }
    list->at += 4;
    return list->at - 4;
}

#define va_start(list, last)                                                   \
    do {                                                                       \
        union {                                                                \
            __builtin_va_list llvm;                                            \
            struct list_of_llvm fields;                                        \
        } begun;                                                               \
        __builtin_va_start(begun.llvm, last);                                  \
        (list).at = begun.fields.registers;                                    \
        (list).registers_end = begun.fields.registers_end;                     \
    } while (0)
#define va_arg(list, type)                                                     \
    (*(type *)(sizeof(type) == 4 ? next_word(&(list)) : (void *)0))
#define va_copy(to, from) ((to) = (from))
#define va_end(list)      ((void)(list))

#endif
