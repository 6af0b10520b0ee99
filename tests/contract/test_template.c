// The template port: what it says of each seam holds, and an update goes
// through it.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/flash_contract.h"
#include "../lib/world.h"
#include "baton-template/port.h"
#include "baton/error.h"
#include "baton/update.h"

static struct template_port port;

static int begin(void **state) {
    (void)state;
    template_chip_erase(0, TEMPLATE_FLASH_BYTES);
    return template_port_begin(&port);
}

static void test_flash(void **state) {
    (void)state;
    static uint8_t work[2 * BATON_SECTOR_BYTES];
    struct flash_contract contract = {
            .flash = &port.flash,
            .addr = TEMPLATE_FLASH_BYTES - 3 * BATON_BLOCK_BYTES,
            .len_bytes = 3 * BATON_BLOCK_BYTES,
            .tells_nor = false, // as on most chips
            .reprograms = true,
            .work = work,
    };
    struct flash_contract_fault fault;
    const char *name;
    for (size_t i = 0;
            (name = flash_contract_run(&contract, i, &fault)) != NULL; i++) {
        if (fault.what != NULL) {
            fail_msg("%s: %s at 0x%x (%s)", name, fault.what, fault.addr,
                    baton_error_name(fault.err));
        }
    }
}

static void test_store(void **state) {
    (void)state;
    const struct baton_store *store = &port.store.store;
    char value[8];
    size_t len = sizeof(value);
    assert_int_equal(
            store->get(store->context, "a", value, &len), BATON_ERR_NOENT);
    assert_int_equal(store->set(store->context, "a", "one", 4), 0);
    assert_int_equal(template_port_begin(&port), 0); // the next boot
    len = sizeof(value);
    assert_int_equal(store->get(store->context, "a", value, &len), 0);
    assert_int_equal(len, 4);
    assert_string_equal(value, "one");
}

static void test_the_rest(void **state) {
    (void)state;
    uint64_t first = port.clock.ticks_ms(port.clock.context);
    assert_true(port.clock.ticks_ms(port.clock.context) >= first);
    uint64_t unix_s = 1;
    assert_int_equal(
            port.clock.now(port.clock.context, &unix_s), BATON_CLOCK_NONE);
    uint8_t a[16];
    uint8_t b[16];
    port.random.fill(port.random.context, a, sizeof(a));
    port.random.fill(port.random.context, b, sizeof(b));
    assert_true(memcmp(a, b, sizeof(a)) != 0);
    assert_int_equal(port.reset.cause(port.reset.context), BATON_CAUSE_POWER);
    assert_int_equal(port.reset.arm(port.reset.context, 60000), 0);
    port.reset.reboot(port.reset.context);
    assert_int_equal(port.reset.cause(port.reset.context), BATON_CAUSE_RESET);
}

static void test_update(void **state) {
    (void)state;
    static uint8_t work[2 * BATON_SECTOR_BYTES];
    struct world_image spec = {.chip_id = 5, .payload_bytes = 100000};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    struct baton_update_config config = {
            .flash = &port.flash,
            .crypto = &port.crypto,
            .chip = &port.chip,
            .slot_addr = 0x80000,
            .slot_bytes = 0x40000,
            .running_addr = 0x40000,
            .running_bytes = 0x40000,
            .work = work,
            .work_len = sizeof(work),
    };
    static struct baton_update update;
    assert_int_equal(baton_update_begin(&update, &config), 0);
    for (size_t off = 0; off < len; off += 1000) {
        size_t count = len - off < 1000 ? len - off : 1000;
        assert_int_equal(baton_update_write(&update, image + off, count), 0);
    }
    assert_int_equal(baton_update_end(&update), 0);
    uint8_t *back = malloc(len);
    assert_int_equal(port.flash.read(NULL, 0x80000, back, len), 0);
    assert_memory_equal(image, back, len);
    free(back);
    free(image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup(test_flash, begin),
            cmocka_unit_test_setup(test_store, begin),
            cmocka_unit_test_setup(test_the_rest, begin),
            cmocka_unit_test_setup(test_update, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
