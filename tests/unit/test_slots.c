// The otadata records: CRC, choice, switch, and what a cut leaves.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../lib/world.h"
#include "baton/error.h"
#include "baton/slots.h"

static void test_crc_vectors(void **state) {
    (void)state;
    static const uint32_t vectors[][2] = {
            {1, 0x4743989A},
            {2, 0x55F63774},
            {3, 0xED4A5011},
            {4, 0x709D68A8},
            {5, 0xC8210FCD},
            {6, 0xDA94A023},
            {0xFFFFFFFE, 0x99F8B879},
            {0xFFFFFFFF, 0x2144DF1C},
            {0, 0xFFFFFFFF},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        assert_int_equal(baton_slots_crc(vectors[i][0]), vectors[i][1]);
    }
}

static void test_record_bytes(void **state) {
    (void)state;
    uint8_t raw[32];
    uint8_t back[32];
    for (size_t i = 0; i < sizeof(raw); i++) {
        raw[i] = (uint8_t)(i * 7u + 1u);
    }
    struct baton_slot_record record;
    baton_slots_decode(raw, &record);
    assert_int_equal(record.seq, 0x16 << 24 | 0x0F << 16 | 0x08 << 8 | 0x01);
    assert_int_equal(record.label[0], raw[4]);
    baton_slots_encode(&record, back);
    assert_memory_equal(raw, back, sizeof(raw));
}

static struct baton_slot_record make_record(uint32_t seq, uint32_t status) {
    struct baton_slot_record record;
    memset(&record, 0xFF, sizeof(record));
    record.seq = seq;
    record.state = status;
    record.crc = baton_slots_crc(seq);
    return record;
}

static void test_choice(void **state) {
    (void)state;
    struct baton_slots slots;
    memset(&slots, 0xFF, sizeof(slots));
    assert_int_equal(baton_slots_active(&slots), -1);
    slots.copy[1] = make_record(5, BATON_STATE_VALID);
    assert_int_equal(baton_slots_active(&slots), 1);
    slots.copy[0] = make_record(5, BATON_STATE_NEW);
    assert_int_equal(baton_slots_active(&slots), 0); // a tie
    slots.copy[1].seq = 6;
    assert_int_equal(baton_slots_active(&slots), 0); // its CRC is for 5
    slots.copy[1] = make_record(6, BATON_STATE_ABORTED);
    assert_int_equal(baton_slots_active(&slots), 0);
    slots.copy[1] = make_record(6, 7); // an unknown state counts as good
    assert_int_equal(baton_slots_active(&slots), 1);
    // Sequence 0 on an otherwise erased sector is a usable record.
    memset(&slots, 0xFF, sizeof(slots));
    slots.copy[0].seq = 0;
    assert_int_equal(baton_slots_active(&slots), 0);
    assert_int_equal(baton_slots_slot(&slots.copy[0], 2), 1);
    assert_int_equal(baton_slots_slot(&slots.copy[0], 0), UINT32_MAX);
}

// Every plan points at the slot asked for, is newer, and leaves the record in
// force alone: for all counts, slots and many sequence numbers.
static void test_plan_exhaustive(void **state) {
    (void)state;
    static const uint32_t high[] = {0xFFFFFFE0u, 0xFFFFFFF0u, 0x7FFFFFFFu};
    for (uint32_t count = 1; count <= BATON_SLOTS_MAX; count++) {
        for (uint32_t slot = 0; slot < count; slot++) {
            for (uint32_t i = 0; i < 200; i++) {
                uint32_t seq = i < 140 ? i : high[i % 3] + i % 14;
                struct baton_slots slots;
                memset(&slots, 0xFF, sizeof(slots));
                slots.copy[i & 1] = make_record(seq, BATON_STATE_VALID);
                int copy;
                struct baton_slot_record record;
                int err = baton_slots_plan(&slots, count, slot, BATON_STATE_NEW,
                        BATON_SLOTS_SAME_COPY, &copy, &record);
                if (err == BATON_ERR_SLOT) {
                    assert_true(seq > 0xFFFFFFFFu - 2u * count);
                    continue;
                }
                assert_int_equal(err, 0);
                assert_int_equal(baton_slots_slot(&record, count), slot);
                bool is_same =
                        baton_slots_slot(&slots.copy[i & 1], count) == slot;
                assert_int_equal(copy, is_same ? (i & 1) : !(i & 1));
                assert_true(is_same ? record.seq == seq : record.seq > seq);
                assert_true(record.seq - seq <= count);
                assert_true(baton_slots_is_usable(&record));
            }
        }
    }
}

static void test_plan_refuses(void **state) {
    (void)state;
    struct baton_slots slots;
    memset(&slots, 0xFF, sizeof(slots));
    int copy;
    struct baton_slot_record record;
    static const uint32_t bad[][2] = {{0, 0}, {2, 2}, {17, 0}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(baton_slots_plan(&slots, bad[i][0], bad[i][1], 0,
                                 BATON_SLOTS_SAME_COPY, &copy, &record),
                BATON_ERR_SLOT);
    }
}

// From blank: copies 0, 1, 0, 1 with sequences 1, 2, 3, 4.
static void test_switch_sequence(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, WORLD_A_B, 0x10000, 1);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(
                baton_slots_switch(&world.nor.flash, WORLD_OTADATA_ADDR, 2,
                        i & 1, BATON_STATE_NEW, BATON_SLOTS_SAME_COPY),
                0);
        struct baton_slots slots;
        assert_int_equal(
                baton_slots_load(&world.nor.flash, WORLD_OTADATA_ADDR, &slots),
                0);
        assert_int_equal(baton_slots_active(&slots), i & 1);
        assert_int_equal(slots.copy[i & 1].seq, i + 1);
    }
    world_end(&world);
}

// The releases before v6.0 put the same sequence into the other record.
static void test_switch_to_active_slot(void **state) {
    (void)state;
    static const struct {
        uint32_t seq[2];
        uint32_t slot;
        int style;
        int written;
    } cases[] = {
            {{1, 2}, 1, BATON_SLOTS_OTHER_COPY, 0},
            {{1, 2}, 1, BATON_SLOTS_SAME_COPY, 1},
            {{3, 2}, 0, BATON_SLOTS_OTHER_COPY, 1},
            {{3, 2}, 0, BATON_SLOTS_SAME_COPY, 0},
    };
    for (size_t i = 0; i < 4; i++) {
        struct world world;
        world_begin(&world, WORLD_A_B, 0x10000, 1);
        world_put_record(&world, 0, cases[i].seq[0], BATON_STATE_VALID, false);
        world_put_record(&world, 1, cases[i].seq[1], BATON_STATE_VALID, false);
        assert_int_equal(
                baton_slots_switch(&world.nor.flash, WORLD_OTADATA_ADDR, 2,
                        cases[i].slot, BATON_STATE_NEW,
                        (enum baton_slots_style)cases[i].style),
                0);
        struct baton_slots slots;
        baton_slots_load(&world.nor.flash, WORLD_OTADATA_ADDR, &slots);
        int written = cases[i].written;
        uint32_t seq = cases[i].seq[0] > cases[i].seq[1] ? cases[i].seq[0]
                                                         : cases[i].seq[1];
        assert_int_equal(slots.copy[written].seq, seq);
        assert_int_equal(slots.copy[written].state, BATON_STATE_NEW);
        assert_int_equal(slots.copy[!written].state, BATON_STATE_VALID);
        world_end(&world);
    }
}

// A cut in any way, at either operation of a switch: the old choice or the new.
static void test_switch_survives_cuts(void **state) {
    (void)state;
    for (uint64_t at = 1; at <= 2; at++) {
        for (int mode = BATON_NOR_CUT_BEFORE; mode <= BATON_NOR_CUT_WEAK;
                mode++) {
            for (uint32_t torn = 0; torn <= 32; torn++) {
                struct world world;
                world_begin(&world, WORLD_A_B, 0x10000, 1);
                world_put_record(&world, 0, 1, BATON_STATE_VALID, false);
                world_put_record(&world, 1, 0x55AA, BATON_STATE_INVALID, true);
                world.state.seed = torn + 1;
                baton_nor_plan_cut(
                        &world.nor, at, (enum baton_nor_cut)mode, torn);
                int err =
                        baton_slots_switch(&world.nor.flash, WORLD_OTADATA_ADDR,
                                2, 1, BATON_STATE_NEW, BATON_SLOTS_SAME_COPY);
                assert_int_not_equal(err, 0);
                baton_nor_power_on(&world.nor);
                struct baton_slots slots;
                assert_int_equal(baton_slots_load(&world.nor.flash,
                                         WORLD_OTADATA_ADDR, &slots),
                        0);
                int active = baton_slots_active(&slots);
                assert_true(active == 0 || active == 1);
                uint32_t slot = baton_slots_slot(&slots.copy[active], 2);
                assert_true(slot == (uint32_t)active);
                assert_int_equal(slots.copy[0].seq, 1);
                world_end(&world);
            }
        }
    }
}

static void test_set_state(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, WORLD_A_B, 0x10000, 1);
    world_put_record(&world, 1, 2, BATON_STATE_PENDING, false);
    world.bytes[WORLD_OTADATA_ADDR + 0x1000 + 4] = 0xFE; // a label byte
    assert_int_equal(baton_slots_set_state(&world.nor.flash, WORLD_OTADATA_ADDR,
                             1, BATON_STATE_VALID),
            0);
    assert_int_equal(world.state.stats.operations, 2);
    struct baton_slots slots;
    baton_slots_load(&world.nor.flash, WORLD_OTADATA_ADDR, &slots);
    assert_int_equal(slots.copy[1].state, BATON_STATE_VALID);
    assert_int_equal(slots.copy[1].label[0], 0xFE);
    // Settled: the same again writes nothing.
    assert_int_equal(baton_slots_set_state(&world.nor.flash, WORLD_OTADATA_ADDR,
                             1, BATON_STATE_VALID),
            0);
    assert_int_equal(world.state.stats.operations, 2);
    assert_int_equal(
            baton_slots_set_state(&world.nor.flash, WORLD_OTADATA_ADDR, 2, 0),
            BATON_ERR_ARG);
    world_end(&world);
}

struct confirm_case {
    const char *what;
    uint32_t seqs[2]; // 0: no record
    uint32_t states[2];
    uint32_t running;
    bool other_boots;
    int err;
    int copy; // that must say VALID for the running slot; -1: nothing written
};

// Copy 0 points at slot 0 with odd sequences, copy 1 at slot 1 with even ones.
static const struct confirm_case confirms[] = {
        {"a trial, the old image is there", {1, 2},
                {BATON_STATE_VALID, BATON_STATE_PENDING}, 1, true, 0, 1},
        {"a trial, nothing else boots", {1, 2},
                {BATON_STATE_VALID, BATON_STATE_PENDING}, 1, false, 0, 0},
        {"confirmed already", {1, 2}, {BATON_STATE_VALID, BATON_STATE_VALID}, 1,
                true, 0, -1},
        {"no rollback in use", {1, 2},
                {BATON_STATE_UNDEFINED, BATON_STATE_UNDEFINED}, 1, true, 0, -1},
        {"the chosen slot did not boot", {1, 2},
                {BATON_STATE_VALID, BATON_STATE_PENDING}, 0, true,
                BATON_ERR_NOT_RUNNING, -1},
        {"no record", {0, 0}, {0, 0}, 0, true, BATON_ERR_NO_CHOICE, -1},
        {"no record, nothing else boots", {0, 0}, {0, 0}, 1, false, 0, 0},
};

static void run_confirm(const struct confirm_case *c) {
    struct world world;
    world_begin(&world, WORLD_A_B, 0x10000, 1);
    for (int copy = 0; copy < 2; copy++) {
        if (c->seqs[copy] != 0) {
            world_put_record(
                    &world, copy, c->seqs[copy], c->states[copy], false);
        }
    }
    int err = baton_slots_confirm(&world.nor.flash, WORLD_OTADATA_ADDR, 2,
            c->running, c->other_boots);
    struct baton_slots slots;
    baton_slots_load(&world.nor.flash, WORLD_OTADATA_ADDR, &slots);
    int active = baton_slots_active(&slots);
    bool wrote = world.state.stats.operations != 0;
    bool is_right = err == c->err && wrote == (c->copy >= 0);
    if (is_right && wrote) {
        is_right = active == c->copy
                   && slots.copy[active].state == BATON_STATE_VALID
                   && baton_slots_slot(&slots.copy[active], 2) == c->running;
    }
    if (!is_right) {
        fail_msg("%s: %s, copy %d in force", c->what, baton_error_name(err),
                active);
    }
    world_end(&world);
}

static void test_confirm(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(confirms) / sizeof(confirms[0]); i++) {
        run_confirm(&confirms[i]);
    }
}

static void test_reject(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, WORLD_A_B, 0x10000, 1);
    world_put_record(&world, 0, 1, BATON_STATE_VALID, false);
    world_put_record(&world, 1, 2, BATON_STATE_VALID, false);
    assert_int_equal(
            baton_slots_reject(&world.nor.flash, WORLD_OTADATA_ADDR, 2, 0),
            BATON_ERR_NOT_RUNNING);
    assert_int_equal(world.state.stats.operations, 0);
    assert_int_equal(
            baton_slots_reject(&world.nor.flash, WORLD_OTADATA_ADDR, 2, 1), 0);
    struct baton_slots slots;
    baton_slots_load(&world.nor.flash, WORLD_OTADATA_ADDR, &slots);
    assert_int_equal(baton_slots_active(&slots), 0);
    assert_int_equal(slots.copy[1].state, BATON_STATE_INVALID);
    world_end(&world);
}

static uint32_t settle(uint32_t status, uint32_t running, bool *wrote) {
    struct world world;
    world_begin(&world, WORLD_A_B, 0x10000, 1);
    world_put_record(&world, 0, 1, BATON_STATE_VALID, false);
    world_put_record(&world, 1, 2, status, false);
    assert_int_equal(baton_slots_settle(
                             &world.nor.flash, WORLD_OTADATA_ADDR, 2, running),
            0);
    struct baton_slots slots;
    baton_slots_load(&world.nor.flash, WORLD_OTADATA_ADDR, &slots);
    *wrote = world.state.stats.operations != 0;
    world_end(&world);
    return slots.copy[1].state;
}

static void test_settle(void **state) {
    (void)state;
    bool wrote;
    // What is in order stays: on its own slot any known state.
    static const uint32_t known[] = {BATON_STATE_NEW, BATON_STATE_PENDING,
            BATON_STATE_VALID, BATON_STATE_UNDEFINED};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_int_equal(settle(known[i], 1, &wrote), known[i]);
        assert_false(wrote);
    }
    // A given-up record is out of the choice: slot 0 runs and is in force.
    assert_int_equal(
            settle(BATON_STATE_ABORTED, 0, &wrote), BATON_STATE_ABORTED);
    assert_false(wrote);
    // A state nobody wrote goes on trial.
    assert_int_equal(settle(5, 1, &wrote), BATON_STATE_PENDING);
    assert_int_equal(settle(0xFFFFFFFE, 1, &wrote), BATON_STATE_PENDING);
    // A record in force for a slot that did not boot is taken out.
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_int_equal(settle(known[i], 0, &wrote), BATON_STATE_INVALID);
    }
    assert_int_equal(settle(7, 0, &wrote), BATON_STATE_INVALID);
}

static void test_state_names(void **state) {
    (void)state;
    assert_string_equal(baton_slots_state_name(0), "NEW");
    assert_string_equal(baton_slots_state_name(4), "ABORTED");
    assert_string_equal(baton_slots_state_name(0xFFFFFFFF), "UNDEFINED");
    assert_string_equal(baton_slots_state_name(5), "UNKNOWN");
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_crc_vectors),
            cmocka_unit_test(test_record_bytes),
            cmocka_unit_test(test_choice),
            cmocka_unit_test(test_plan_exhaustive),
            cmocka_unit_test(test_plan_refuses),
            cmocka_unit_test(test_switch_sequence),
            cmocka_unit_test(test_switch_to_active_slot),
            cmocka_unit_test(test_switch_survives_cuts),
            cmocka_unit_test(test_set_state),
            cmocka_unit_test(test_confirm),
            cmocka_unit_test(test_reject),
            cmocka_unit_test(test_settle),
            cmocka_unit_test(test_state_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
