// SPDX-License-Identifier: MIT
static inline void mp_hal_set_interrupt_char(char c) {
    (void)c;
}
