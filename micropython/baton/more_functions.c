// What a module can do without: looking at things, and signatures.
// SPDX-License-Identifier: MIT
#include "baton-freestanding/p256.h"
#include "baton/slots.h"
#include "slot_functions.h"

// check(head, file bytes, slot bytes, chip): is this image for this device?
static mp_obj_t image_check(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t head;
    baton_binding_data(args[0], &head);
    struct baton_chip chip;
    baton_binding_chip(&chip, args[3]);
    struct baton_image_config config = {0};
    config.chip = &chip;
    config.limit_bytes = baton_binding_u32(args[2]);
    baton_binding_check(baton_image_check(
            head.buf, head.len, baton_binding_u32(args[1]), &config));
    return mp_const_none;
}
BATON_FUNCTION(baton_check_obj, 4, 4, image_check);

// head(update): the image's first 32 bytes, which are not on flash yet; None
// before the first sector is
static mp_obj_t update_head(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    const struct baton_update_handle *self =
            baton_binding_handle(args[0], BATON_HANDLE_UPDATE);
    const uint8_t *head = baton_update_head(&self->update);
    return head == NULL ? mp_const_none
                        : mp_obj_new_bytes(head, BATON_UPDATE_HEAD_BYTES);
}
BATON_FUNCTION(baton_head_obj, 1, 1, update_head);

// stats(update): (sectors skipped, sectors erased, blocks erased, bytes
// programmed)
static mp_obj_t update_stats(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    const struct baton_update_handle *self =
            baton_binding_handle(args[0], BATON_HANDLE_UPDATE);
    const struct baton_update_stats *stats = &self->update.stats;
    mp_obj_t items[] = {
            mp_obj_new_int_from_uint(stats->sectors_skipped),
            mp_obj_new_int_from_uint(stats->sectors_erased),
            mp_obj_new_int_from_uint(stats->blocks_erased),
            mp_obj_new_int_from_uint(stats->bytes_programmed),
    };
    return mp_obj_new_tuple(sizeof(items) / sizeof(items[0]), items);
}
BATON_FUNCTION(baton_stats_obj, 1, 1, update_stats);

// records(flash, otadata): (copy in force or -1, (sequence, state, usable),
// (sequence, state, usable))
static mp_obj_t slots_records(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct baton_partition_flash *flash = baton_binding_flash(args[0]);
    const struct baton_flash_partition *at =
            baton_partition_flash_at(flash, args[1]);
    struct baton_slots slots;
    baton_binding_check(baton_slots_load(&flash->flash, at->addr, &slots));
    mp_obj_t items[3];
    items[0] = MP_OBJ_NEW_SMALL_INT(baton_slots_active(&slots));
    for (size_t i = 0; i < 2; i++) {
        const struct baton_slot_record *it = &slots.copy[i];
        mp_obj_t record[] = {mp_obj_new_int_from_uint(it->seq),
                mp_obj_new_int_from_uint(it->state),
                mp_obj_new_bool(baton_slots_is_usable(it))};
        items[1 + i] = mp_obj_new_tuple(3, record);
    }
    return mp_obj_new_tuple(3, items);
}
BATON_FUNCTION(baton_records_obj, 2, 2, slots_records);

// verify_p256(key, digest, signature): whether the signature is by the key
static mp_obj_t verify_p256(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    const uint8_t *key = baton_binding_bytes(args[0], BATON_P256_KEY_BYTES);
    const uint8_t *digest = baton_binding_bytes(args[1], BATON_SHA256_BYTES);
    const uint8_t *signature =
            baton_binding_bytes(args[2], BATON_P256_SIGNATURE_BYTES);
    return mp_obj_new_bool(baton_p256_verify(key, digest, signature) == 0);
}
BATON_FUNCTION(baton_verify_p256_obj, 3, 3, verify_p256);
