// The boot decision: the vendor's vectors, with what is written.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../lib/world.h"
#include "baton/error.h"

enum {
    NEW = BATON_STATE_NEW,
    PENDING = BATON_STATE_PENDING,
    VALID = BATON_STATE_VALID,
    INVALID = BATON_STATE_INVALID,
    ABORTED = BATON_STATE_ABORTED,
};
#define ERASED 0xFFFFFFFFu
#define F      BATON_BOOT_FACTORY

struct copy {
    uint32_t seq;
    uint32_t state;
    bool crc_wrong;
    bool is_there;
};
#define NONE                                                                   \
    { 0, 0, false, false }
#define REC(seq, state)                                                        \
    { seq, state, false, true }
#define WRONG(seq, state)                                                      \
    { seq, state, true, true }
// Sequence 0 with the rest erased.
#define ZERO                                                                   \
    { 0, 0xFFFFFFFFu, false, true }

enum { ANY, OFF, ON };

struct vector {
    struct copy copies[2];
    int table;
    int rollback;
    int boots;
    struct copy after[2];
    const char *bad; // letters of the partitions whose image is bad
};

static const struct vector vectors[] = {
        {{NONE, NONE}, WORLD_FACTORY_A_B, ANY, F, {NONE, NONE}, ""},
        {{NONE, NONE}, WORLD_A_B, ANY, 0, {REC(1, VALID), NONE}, ""},
        {{REC(1, NEW), NONE}, WORLD_FACTORY_A_B, OFF, 0, {REC(1, NEW), NONE},
                ""},
        {{REC(1, NEW), NONE}, WORLD_FACTORY_A_B, ON, 0, {REC(1, PENDING), NONE},
                ""},
        {{REC(1, NEW), NONE}, WORLD_FACTORY_A_B, ON, F, {REC(1, PENDING), NONE},
                "A"},
        {{REC(1, PENDING), NONE}, WORLD_FACTORY_A_B, OFF, 0,
                {REC(1, PENDING), NONE}, ""},
        {{REC(1, PENDING), NONE}, WORLD_FACTORY_A_B, ON, F,
                {REC(1, ABORTED), NONE}, ""},
        {{REC(1, PENDING), NONE}, WORLD_A_B, ON, 0, {REC(1, ABORTED), NONE},
                ""},
        {{WRONG(1, PENDING), REC(2, VALID)}, WORLD_FACTORY_A_B, ON, 1,
                {WRONG(1, ABORTED), REC(2, VALID)}, ""},
        {{REC(1, VALID), REC(2, PENDING)}, WORLD_FACTORY_A_B, ON, 0,
                {REC(1, VALID), REC(2, ABORTED)}, ""},
        {{REC(1, VALID), WRONG(2, VALID)}, WORLD_FACTORY_A_B, ANY, 0,
                {REC(1, VALID), WRONG(2, VALID)}, ""},
        {{REC(2, VALID), REC(2, NEW)}, WORLD_FACTORY_A_B, ON, 1,
                {REC(2, VALID), REC(2, NEW)}, ""},
        {{ZERO, NONE}, WORLD_FACTORY_A_B, ANY, 1, {ZERO, NONE}, ""},
        {{REC(1, INVALID), REC(2, ABORTED)}, WORLD_A_B, ANY, 0,
                {REC(1, INVALID), REC(2, ABORTED)}, ""},
        {{WRONG(1, VALID), WRONG(2, VALID)}, WORLD_A_B, ANY, 0,
                {WRONG(1, VALID), WRONG(2, VALID)}, ""},
        {{WRONG(1, VALID), WRONG(2, VALID)}, WORLD_FACTORY_A_B, ANY, F,
                {WRONG(1, VALID), WRONG(2, VALID)}, ""},
        {{REC(1, VALID), REC(2, VALID)}, WORLD_FACTORY_A_B, ANY, 0,
                {REC(1, VALID), REC(2, VALID)}, "B"},
        {{REC(3, VALID), REC(2, VALID)}, WORLD_FACTORY_A_B, ANY, 1,
                {REC(3, VALID), REC(2, VALID)}, "AF"},
        {{REC(1, 7), NONE}, WORLD_FACTORY_A_B, ON, 0, {REC(1, 7), NONE}, ""},
        {{REC(0xFFFFFFFE, VALID), REC(1, VALID)}, WORLD_FACTORY_A_B, ANY, 1,
                {REC(0xFFFFFFFE, VALID), REC(1, VALID)}, ""},
        {{REC(2, VALID), NONE}, WORLD_A_GAP, ANY, 0, {REC(2, VALID), NONE}, ""},
        {{NONE, NONE}, WORLD_TEST, ANY, BATON_BOOT_TEST, {NONE, NONE}, ""},
        {{REC(1, VALID), REC(2, NEW)}, WORLD_FACTORY_A, ON, 0,
                {REC(1, VALID), REC(2, PENDING)}, ""},
        {{REC(1, VALID), REC(2, PENDING)}, WORLD_FACTORY_A, ON, 0,
                {REC(1, VALID), REC(2, ABORTED)}, ""},
        // Nothing good anywhere.
        {{REC(1, VALID), NONE}, WORLD_FACTORY_A_B, ANY, BATON_BOOT_NONE,
                {REC(1, VALID), NONE}, "FAB"},
};

static void put_copies(struct world *world, const struct copy *copies) {
    for (int i = 0; i < 2; i++) {
        if (copies[i].is_there) {
            world_put_record(world, i, copies[i].seq, copies[i].state,
                    copies[i].crc_wrong);
        }
    }
}

static void put_images(struct world *world, const char *bad) {
    static const struct {
        uint8_t subtype;
        char letter;
    } apps[] = {
            {0x00, 'F'}, {0x10, 'A'}, {0x11, 'B'}, {0x12, 'C'}, {0x20, 'T'}};
    for (size_t i = 0; i < world->row_count; i++) {
        for (size_t app = 0; app < 5; app++) {
            if (world->rows[i].type == BATON_TYPE_APP
                    && world->rows[i].subtype == apps[app].subtype) {
                struct world_image image = {.fill = (uint8_t)app,
                        .is_bad = strchr(bad, apps[app].letter) != NULL};
                world_put_image(world, apps[app].subtype, &image);
            }
        }
    }
}

static void run_vector(size_t index, bool rollback, bool dry_run) {
    const struct vector *vector = &vectors[index];
    struct world world;
    struct world expected;
    world_begin(&world, (enum world_table)vector->table, 0x1000, 1);
    world_begin(&expected, (enum world_table)vector->table, 0x1000, 1);
    put_images(&world, vector->bad);
    put_images(&expected, vector->bad);
    put_copies(&world, vector->copies);
    put_copies(&expected, dry_run ? vector->copies : vector->after);
    struct baton_boot_config options = {
            .no_rollback = !rollback, .dry_run = dry_run};
    struct baton_boot_result result;
    assert_int_equal(world_boot(&world, &options, &result), 0);
    if (result.index != vector->boots
            || memcmp(world.bytes, expected.bytes, 0x10000) != 0) {
        fail_msg("vector %zu, rollback %d, dry run %d: boots %s", index,
                rollback, dry_run, baton_boot_index_name(result.index));
    }
    // The result's records say the same, written or not.
    put_copies(&expected, vector->after);
    struct baton_slots slots;
    baton_slots_load(&expected.nor.flash, WORLD_OTADATA_ADDR, &slots);
    assert_memory_equal(&slots, &result.records, sizeof(slots));
    world_end(&world);
    world_end(&expected);
}

static void test_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        for (int rollback = 0; rollback < 2; rollback++) {
            if (vectors[i].rollback == (rollback ? OFF : ON)) {
                continue;
            }
            run_vector(i, rollback, false);
            run_vector(i, rollback, true);
        }
    }
}

// 1 VALID / 2 NEW with B bad and no B in the table: A, and at the next boot
// the record is given up.
static void test_new_slot_missing(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, WORLD_A_GAP, 0x1000, 1);
    put_images(&world, "");
    world_put_record(&world, 0, 1, VALID, false);
    world_put_record(&world, 1, 2, NEW, false);
    struct baton_boot_result result;
    world_boot(&world, NULL, &result);
    assert_int_equal(result.index, 0);
    assert_int_equal(result.records.copy[1].state, PENDING);
    world_boot(&world, NULL, &result);
    assert_int_equal(result.index, 0);
    assert_int_equal(result.records.copy[1].state, ABORTED);
    uint64_t operations = world.state.stats.operations;
    world_boot(&world, NULL, &result);
    assert_int_equal(world.state.stats.operations, operations);
    world_end(&world);
}

static int burn(void *context, uint32_t version) {
    *(uint32_t *)context = version;
    return 0;
}

static void test_anti_rollback(void **state) {
    (void)state;
    static const struct {
        uint32_t efuse;
        struct copy copies[2];
        int table;
        int boots;
        uint32_t burnt; // 0: nothing
    } cases[] = {
            {0, {REC(1, VALID), REC(2, VALID)}, WORLD_FACTORY_A_B, 1, 1},
            {0, {REC(3, VALID), REC(2, VALID)}, WORLD_FACTORY_A_B, 0, 2},
            {2, {REC(1, VALID), REC(2, VALID)}, WORLD_FACTORY_A_B, 0, 0},
            {1, {NONE, NONE}, WORLD_FACTORY_A_B, 0, 2},
            {0, {REC(1, VALID), REC(2, NEW)}, WORLD_A_B, 1, 0},
            {3, {REC(1, VALID), REC(2, VALID)}, WORLD_A_B, BATON_BOOT_NONE, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world;
        world_begin(&world, (enum world_table)cases[i].table, 0x1000, 1);
        struct world_image a = {.secure_version = 2};
        struct world_image b = {.secure_version = 1, .fill = 1};
        struct world_image factory = {.secure_version = 0, .fill = 2};
        world_put_image(&world, 0x10, &a);
        world_put_image(&world, 0x11, &b);
        if (cases[i].table == WORLD_FACTORY_A_B) {
            world_put_image(&world, 0x00, &factory);
        }
        put_copies(&world, cases[i].copies);
        world.chip.secure_version = cases[i].efuse;
        uint32_t burnt = 0;
        struct baton_boot_config options = {.anti_rollback = true,
                .burn_secure_version = burn,
                .context = &burnt};
        struct baton_boot_result result;
        assert_int_equal(world_boot(&world, &options, &result), 0);
        if (result.index != cases[i].boots || burnt != cases[i].burnt) {
            fail_msg("case %zu: boots %s, burns %u", i,
                    baton_boot_index_name(result.index), (unsigned)burnt);
        }
        if (cases[i].efuse == 1) {
            // Blank otadata: the first record is written.
            assert_int_equal(result.records.copy[0].seq, 1);
            assert_int_equal(result.records.copy[0].state, VALID);
        }
        world_end(&world);
    }
}

static void test_otadata_too_small(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, WORLD_A_B, 0x1000, 1);
    put_images(&world, "");
    // Row 1 is otadata; without its MD5 row the bootloader takes the table too.
    uint8_t *row = world.bytes + BATON_TABLE_ADDR + 32;
    row[9] = 0x10;
    memset(world.bytes + BATON_TABLE_ADDR + world.row_count * 32, 0xFF, 32);
    struct baton_boot_result result;
    world_boot(&world, NULL, &result);
    assert_int_equal(result.index, BATON_BOOT_NONE);
    assert_int_equal(result.events[0].step, BATON_BOOT_OTADATA_SMALL);
    row[9] = 0x20;
    world_boot(&world, NULL, &result);
    assert_int_equal(result.index, 0);
    world_end(&world);
}

static int boot_bad_table(struct world *world) {
    struct baton_boot_result result;
    assert_int_equal(world_boot(world, NULL, &result), 0);
    assert_int_equal(result.index, BATON_BOOT_NONE);
    assert_int_equal(result.events[0].step, BATON_BOOT_TABLE_BAD);
    return result.events[0].err;
}

static void test_bad_tables(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, WORLD_A_B, 0x1000, 1);
    put_images(&world, "");
    uint8_t *table = world.bytes + BATON_TABLE_ADDR;
    uint8_t *md5 = table + world.row_count * 32;

    table[12] ^= 1; // a label: only the MD5 notices
    assert_int_equal(boot_bad_table(&world), BATON_ERR_TABLE_MD5);
    table[12] ^= 1;
    memcpy(md5 + 32, md5, 32); // a second MD5 row
    assert_int_equal(boot_bad_table(&world), BATON_ERR_TABLE_MAGIC);
    memset(md5 + 32, 0xFF, 32);
    uint8_t good[32];
    memcpy(good, table, 32);
    memset(table, 0xFF, 32); // an end row in front
    assert_int_equal(boot_bad_table(&world), BATON_ERR_TABLE_MAGIC);
    memcpy(table, good, 32);
    table[11] = 0x7F; // far past the flash
    assert_int_equal(boot_bad_table(&world), BATON_ERR_TABLE_BOUNDS);
    memcpy(table, good, 32);
    for (int i = 0; i < 96; i++) { // no end row
        memcpy(table + i * 32, good, 32);
    }
    assert_int_equal(boot_bad_table(&world), BATON_ERR_TABLE_END);
    memset(table, 0xFF, 0xC00);
    assert_int_equal(boot_bad_table(&world), BATON_ERR_TABLE_MAGIC);
    world_end(&world);
}

static void test_test_partition_on_request(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, WORLD_TEST, 0x1000, 1);
    put_images(&world, "");
    struct baton_boot_config options = {.test_requested = true};
    struct baton_boot_result result;
    world_boot(&world, &options, &result);
    assert_int_equal(result.index, BATON_BOOT_TEST);
    put_images(&world, "T");
    world_boot(&world, &options, &result);
    assert_int_equal(result.index, BATON_BOOT_NONE);
    world_end(&world);
}

static void test_refuses_config(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, WORLD_A_B, 0x1000, 1);
    struct baton_boot_result result;
    struct baton_boot_config no_burn = {.anti_rollback = true};
    assert_int_equal(world_boot(&world, &no_burn, &result), BATON_ERR_ARG);
    struct baton_boot_config both = {
            .anti_rollback = true, .no_rollback = true, .dry_run = true};
    assert_int_equal(world_boot(&world, &both, &result), BATON_ERR_ARG);
    world_end(&world);
}

// Every step reads as a line, and a short buffer is refused, not overrun.
static void test_explain(void **state) {
    (void)state;
    char line[160];
    for (int step = 0; step <= BATON_BOOT_NOTHING; step++) {
        struct baton_boot_event event = {.step = (uint8_t)step,
                .index = 1,
                .err = BATON_ERR_IMAGE_SEGMENT_COUNT,
                .value = 4000000000u};
        assert_int_equal(baton_boot_explain(&event, line, 120), 0);
        size_t len = strlen(line);
        assert_true(len > 5);
        for (size_t room = 0; room <= len; room++) {
            memset(line, 'x', sizeof(line));
            assert_int_equal(
                    baton_boot_explain(&event, line, room), BATON_ERR_NOSPC);
            assert_int_equal(line[room], 'x');
        }
    }
    struct baton_boot_event unknown = {.step = 200};
    assert_int_equal(baton_boot_explain(&unknown, line, 120), BATON_ERR_ARG);
    assert_string_equal(baton_boot_index_name(15), "ota_15");
    assert_string_equal(baton_boot_index_name(16), "none");
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_vectors),
            cmocka_unit_test(test_new_slot_missing),
            cmocka_unit_test(test_anti_rollback),
            cmocka_unit_test(test_otadata_too_small),
            cmocka_unit_test(test_bad_tables),
            cmocka_unit_test(test_test_partition_on_request),
            cmocka_unit_test(test_refuses_config),
            cmocka_unit_test(test_explain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
