// Payloads as a whole: what is packed is what comes out, and what is broken is
// told.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../host/codec_encode.h"
#include "../lib/payloads.h"
#include "../lib/programs.h"
#include "baton-posix/crypto.h"
#include "baton/error.h"

#define ESP32   0
#define ESP32C3 5

// ---- Making payloads

static void pack(struct codec_pack *out, const struct images *old,
        const struct images *new, uint8_t encoding, uint8_t profile) {
    *out = (struct codec_pack){.new = new->data,
            .new_len = (uint32_t) new->len,
            .encoding = encoding,
            .profile = profile};
    if (encoding == BATON_CODEC_DELTA) {
        out->old = old->data;
        out->old_len = (uint32_t)old->len;
    }
    assert_int_equal(codec_pack(out), 0);
    assert_true(out->info.profile <= profile);
    assert_true(out->info.state_bytes + sizeof(struct baton_codec)
                <= (profile == BATON_CODEC_PROFILE_S ? 16384 : 32768));
}

static void make_pair(struct images *old, struct images *new, uint16_t chip,
        unsigned functions) {
    programs_make(old, &(struct programs_spec){.chip_id = chip,
                               .seed = 77,
                               .functions = functions,
                               .changed = functions});
    programs_make(new, &(struct programs_spec){.chip_id = chip,
                               .seed = 77,
                               .functions = functions,
                               .changed = functions / 3});
}

static void expect_image(
        const struct payloads_job *job, const struct images *want, int err) {
    struct payloads decoded = {0};
    assert_int_equal(payloads_decode(&decoded, job), err);
    if (err == 0) {
        assert_int_equal(decoded.out_len, want->len);
        assert_memory_equal(decoded.out, want->data, want->len);
    }
    free(decoded.out);
}

static void fill(struct images *self, size_t len, int kind) {
    uint32_t state = 5;
    self->len = len;
    self->data = malloc(len);
    for (size_t i = 0; i < len; i++) {
        self->data[i] = (uint8_t)(kind == 0   ? 0
                                  : kind == 1 ? 0xFF
                                  : kind == 2 ? programs_random(&state)
                                              : i / 5 * 3 + i % 5);
    }
}

// ---- Tests

static void refuses_what_is_no_payload(void **state) {
    (void)state;
    struct baton_codec_info info;
    uint8_t head[BATON_CODEC_HEADER_MAX] = {0};
    assert_int_equal(baton_codec_header_read(head, sizeof(head), &info),
            BATON_ERR_CODEC_FORMAT);
    memcpy(head, "BatP", 4);
    assert_int_equal(
            baton_codec_header_read(head, 4, &info), BATON_ERR_CODEC_TRUNCATED);
    head[4] = 99;
    assert_int_equal(baton_codec_header_read(head, sizeof(head), &info),
            BATON_ERR_CODEC_VERSION);
}

// Each field of a good header, made wrong.
static void refuses_headers(void **state) {
    (void)state;
    static const struct {
        uint8_t off;
        uint8_t value;
        int err;
    } wrong[] = {
            {0, 'b', BATON_ERR_CODEC_FORMAT}, {4, 0, BATON_ERR_CODEC_VERSION},
            {4, 2, BATON_ERR_CODEC_VERSION},
            {5, 3, BATON_ERR_CODEC_FORMAT},  // encoding
            {5, 1, BATON_ERR_CODEC_FORMAT},  // packed, with a base
            {6, 2, BATON_ERR_CODEC_VERSION}, // feature
            {6, 0xFF, BATON_ERR_CODEC_VERSION},
            {7, 3, BATON_ERR_CODEC_FORMAT},  // machine
            {8, 7, BATON_ERR_CODEC_FORMAT},  // a table too small
            {8, 14, BATON_ERR_CODEC_FORMAT}, // one too large
            {11, 0, BATON_ERR_CODEC_FORMAT}, // no map
            {15, 2, BATON_ERR_CODEC_FORMAT}, // new length over 16 MiB
            {19, 2, BATON_ERR_CODEC_FORMAT}, // old length
    };
    struct images old;
    struct images new;
    struct codec_pack made;
    struct baton_codec_info info;
    make_pair(&old, &new, ESP32C3, 20);
    pack(&made, &old, &new, BATON_CODEC_DELTA, BATON_CODEC_PROFILE_S);
    assert_int_equal(
            baton_codec_header_read(made.payload, made.payload_len, &info), 0);
    assert_int_equal(info.payload_bytes, made.payload_len);
    for (size_t i = 0; i < info.header_bytes; i++) {
        assert_int_equal(baton_codec_header_read(made.payload, i, &info),
                BATON_ERR_CODEC_TRUNCATED);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t right = made.payload[wrong[i].off];
        made.payload[wrong[i].off] = wrong[i].value;
        assert_int_equal(
                baton_codec_header_read(made.payload, made.payload_len, &info),
                wrong[i].err);
        made.payload[wrong[i].off] = right;
    }
    // More memory than any profile has.
    memset(made.payload + 8, 13, 3);
    assert_int_equal(
            baton_codec_header_read(made.payload, made.payload_len, &info),
            BATON_ERR_CODEC_FORMAT);
    free(made.payload);
    images_free(&old);
    images_free(&new);
}

static void brings_back_programs(void **state) {
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct images old;
        struct images new;
        struct codec_pack made[2];
        make_pair(&old, &new, i == 0 ? ESP32C3 : ESP32, 400);
        for (uint8_t profile = 0; profile < 2; profile++) {
            for (uint8_t encoding = 0; encoding < 3; encoding++) {
                struct codec_pack *one = &made[encoding == BATON_CODEC_DELTA];
                pack(one, &old, &new, encoding, profile);
                expect_image(&(struct payloads_job){.payload = one->payload,
                                     .len = one->payload_len,
                                     .old = old.data,
                                     .old_len = old.len},
                        &new, 0);
                if (encoding == BATON_CODEC_DELTA) {
                    // One function grew; everything else is predicted.
                    assert_true(one->payload_len < 600);
                }
                free(one->payload);
            }
        }
        images_free(&old);
        images_free(&new);
    }
}

// No base, no program, hardly any bytes; bytes that a range coder finds hard.
static void brings_back_anything(void **state) {
    (void)state;
    static const size_t lens[] = {1, 2, 31, 32, 33, 255, 256, 257, 5000};
    for (int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            struct images old;
            struct images new;
            fill(&new, lens[i], kind);
            fill(&old, lens[i] + 3, 3);
            for (uint8_t encoding = 0; encoding < 3; encoding++) {
                struct codec_pack made;
                pack(&made, &old, &new, encoding, BATON_CODEC_PROFILE_S);
                expect_image(&(struct payloads_job){.payload = made.payload,
                                     .len = made.payload_len,
                                     .old = old.data,
                                     .old_len = old.len,
                                     .step = 1},
                        &new, 0);
                free(made.payload);
            }
            free(new.data);
            free(old.data);
        }
    }
}

static void takes_any_chunks(void **state) {
    (void)state;
    static const size_t steps[] = {1, 2, 3, 7, 61, 127, 509, 4093, 0};
    static const uint32_t budgets[] = {0, 1, 300, 4096};
    struct images old;
    struct images new;
    make_pair(&old, &new, ESP32C3, 300);
    for (uint8_t encoding = 0; encoding < 3; encoding++) {
        struct codec_pack made;
        pack(&made, &old, &new, encoding, BATON_CODEC_PROFILE_S);
        for (size_t i = 0; i < 9; i++) {
            for (size_t k = 0; k < 4; k++) {
                expect_image(&(struct payloads_job){.payload = made.payload,
                                     .len = made.payload_len,
                                     .old = old.data,
                                     .old_len = old.len,
                                     .step = steps[i],
                                     .budget = budgets[k]},
                        &new, 0);
            }
        }
        free(made.payload);
    }
    images_free(&old);
    images_free(&new);
}

// The digest is computed as the image is made: only behind a restart the image
// is read back for it.
static void reads_back_for_a_digest_behind_a_restart(void **state) {
    (void)state;
    struct images old;
    struct images new;
    make_pair(&old, &new, ESP32C3, 9000);
    struct codec_pack made;
    pack(&made, &old, &new, BATON_CODEC_DELTA, BATON_CODEC_PROFILE_S);
    assert_true((made.info.features & 1u) != 0);
    for (uint32_t restart = 0; restart < 2; restart++) {
        struct payloads_job job = {.payload = made.payload,
                .len = made.payload_len,
                .old = old.data,
                .old_len = old.len,
                .restart = restart,
                .before = new.data};
        struct payloads decoded = {0};
        assert_int_equal(payloads_decode(&decoded, &job), 0);
        assert_memory_equal(decoded.out, new.data, new.len);
        if (restart == 0) { // what is copied from there
            assert_in_range(decoded.bytes_read_back, 0, new.len / 2);
        } else {
            assert_in_range(
                    decoded.bytes_read_back, new.len - 32, new.len * 3 / 2);
        }
        free(decoded.out);
    }
    free(made.payload);
    images_free(&old);
    images_free(&new);
}

// From each restart point, with nothing but the image so far.
static void restarts(void **state) {
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct images old;
        struct images new;
        make_pair(&old, &new, i == 0 ? ESP32C3 : ESP32, 9000);
        for (uint8_t encoding = 0; encoding < 3; encoding++) {
            struct codec_pack made;
            pack(&made, &old, &new, encoding, BATON_CODEC_PROFILE_S);
            assert_true(made.info.segment_count > 2);
            for (uint32_t k = 0; k < made.info.segment_count; k++) {
                expect_image(&(struct payloads_job){.payload = made.payload,
                                     .len = made.payload_len,
                                     .old = old.data,
                                     .old_len = old.len,
                                     .step = 1021,
                                     .restart = k,
                                     .before = new.data},
                        &new, 0);
            }
            free(made.payload);
        }
        images_free(&old);
        images_free(&new);
    }
}

static void tells_truncation(void **state) {
    (void)state;
    struct images old;
    struct images new;
    make_pair(&old, &new, ESP32C3, 60);
    for (uint8_t encoding = 0; encoding < 3; encoding++) {
        struct codec_pack made;
        pack(&made, &old, &new, encoding, BATON_CODEC_PROFILE_S);
        size_t stride = encoding == BATON_CODEC_DELTA ? 1 : 37;
        for (size_t len = 0; len < made.payload_len; len += stride) {
            expect_image(&(struct payloads_job){.payload = made.payload,
                                 .len = len,
                                 .old = old.data,
                                 .old_len = old.len},
                    &new, BATON_ERR_CODEC_TRUNCATED);
        }
        free(made.payload);
    }
    images_free(&old);
    images_free(&new);
}

static bool is_right(const struct payloads *decoded, const uint8_t *want) {
    uint8_t digest[BATON_SHA256_BYTES];
    const struct baton_crypto *crypto = baton_crypto_psa();
    struct baton_hash_state hash;
    assert_int_equal(
            crypto->hash_start(crypto->context, &hash, BATON_HASH_SHA256), 0);
    assert_int_equal(crypto->hash_update(crypto->context, &hash, decoded->out,
                             decoded->out_len),
            0);
    assert_int_equal(crypto->hash_finish(crypto->context, &hash, digest), 0);
    return memcmp(digest, want, sizeof(digest)) == 0;
}

// Whatever byte is wrong: a clean error, or an image that its digest refuses,
// and never a callback out of range or work without end.
static void survives_corruption(void **state) {
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct images old;
        struct images new;
        make_pair(&old, &new, i == 0 ? ESP32C3 : ESP32, 60);
        for (uint8_t encoding = 1; encoding < 3; encoding++) {
            struct codec_pack made;
            pack(&made, &old, &new, encoding, BATON_CODEC_PROFILE_S);
            size_t stride = encoding == BATON_CODEC_DELTA ? 1 : 11;
            for (size_t at = 0; at < made.payload_len * 2; at += stride) {
                uint8_t *byte = &made.payload[at / 2];
                uint8_t right = *byte;
                *byte = (uint8_t)(right ^ (at % 2 != 0 ? 0x80 : 0x01));
                struct payloads decoded = {0};
                struct payloads_job job = {.payload = made.payload,
                        .len = made.payload_len,
                        .old = old.data,
                        .old_len = old.len};
                int err = payloads_decode(&decoded, &job);
                assert_true(err != BATON_ERR_RANGE);
                assert_true(decoded.bytes_read
                            <= 600 + 600 * (uint64_t)decoded.out_max);
                if (err == 0 && decoded.out_len == new.len
                        && is_right(&decoded, made.info.new_sha256)) {
                    assert_memory_equal(decoded.out, new.data, new.len);
                }
                free(decoded.out);
                *byte = right;
            }
            free(made.payload);
        }
        images_free(&old);
        images_free(&new);
    }
}

// A restart believes what it reads back no more than the payload.
static void restarts_on_rubbish(void **state) {
    (void)state;
    struct images old;
    struct images new;
    make_pair(&old, &new, ESP32C3, 5000);
    struct codec_pack made;
    pack(&made, &old, &new, BATON_CODEC_DELTA, BATON_CODEC_PROFILE_S);
    assert_true(made.info.segment_count > 1);
    uint8_t *before = malloc(new.len);
    uint32_t random = 8;
    for (int kind = 0; kind < 40; kind++) {
        memcpy(before, new.data, new.len);
        if (kind == 0) {
            memset(before, 0xFF, new.len);
        } else if (kind == 1) {
            memset(before, 0, new.len);
        } else {
            // The count of segments, and the headers of the first ones.
            before[1] = (uint8_t)programs_random(&random);
            before[24 + programs_random(&random) % 8] ^=
                    (uint8_t)(1 + programs_random(&random) % 255);
        }
        struct payloads decoded = {0};
        int err = payloads_decode(
                &decoded, &(struct payloads_job){.payload = made.payload,
                                  .len = made.payload_len,
                                  .old = old.data,
                                  .old_len = old.len,
                                  .restart = 1,
                                  .before = before});
        assert_true(err == 0 || err == BATON_ERR_CODEC_CORRUPT);
        free(decoded.out);
    }
    free(before);
    free(made.payload);
    images_free(&old);
    images_free(&new);
}

static void hands_on_every_failure(void **state) {
    (void)state;
    struct images old;
    struct images new;
    make_pair(&old, &new, ESP32C3, 40);
    struct codec_pack made;
    pack(&made, &old, &new, BATON_CODEC_DELTA, BATON_CODEC_PROFILE_S);
    struct payloads_job job = {.payload = made.payload,
            .len = made.payload_len,
            .old = old.data,
            .old_len = old.len,
            .step = 100};
    struct payloads decoded = {0};
    assert_int_equal(payloads_decode(&decoded, &job), 0);
    uint32_t calls = decoded.calls;
    free(decoded.out);
    assert_true(calls > 20);
    for (uint32_t i = 1; i <= calls; i++) {
        decoded.fail_at = i;
        assert_int_equal(payloads_decode(&decoded, &job), BATON_ERR_IO);
        free(decoded.out);
    }
    free(made.payload);
    images_free(&old);
    images_free(&new);
}

static int no_read(void *context, uint32_t off, void *buf, size_t len) {
    (void)context;
    (void)off;
    memset(buf, 0, len);
    return 0;
}

static int no_write(void *context, const void *data, size_t len) {
    (void)context;
    (void)data;
    (void)len;
    return 0;
}

static void begins_with_what_it_needs(void **state) {
    (void)state;
    struct images old;
    struct images new;
    struct codec_pack made;
    struct baton_codec codec;
    size_t used;
    make_pair(&old, &new, ESP32C3, 40);
    pack(&made, &old, &new, BATON_CODEC_DELTA, BATON_CODEC_PROFILE_S);
    const struct baton_codec_info *info = &made.info;
    struct baton_codec_config config = {.read_old = no_read,
            .read_new = no_read,
            .write = no_write,
            .crypto = baton_crypto_psa(),
            .state = malloc(info->state_bytes + 8u),
            .state_len = info->state_bytes};
    assert_int_equal(baton_codec_begin(&codec, &config, info), 0);
    assert_int_equal(baton_codec_end(&codec), BATON_ERR_CODEC_TRUNCATED);
    assert_int_equal(
            baton_codec_resume(&codec, info->segment_count), BATON_ERR_ARG);
    config.state_len--;
    assert_int_equal(
            baton_codec_begin(&codec, &config, info), BATON_ERR_CODEC_MEMORY);
    config.state_len += 2;
    config.state = (uint8_t *)config.state + 1;
    assert_int_equal(baton_codec_begin(&codec, &config, info), BATON_ERR_ARG);
    config.state = (uint8_t *)config.state - 1;
    for (int i = 0; i < 4; i++) {
        struct baton_codec_config lacking = config;
        lacking.read_old = i == 0 ? NULL : no_read;
        lacking.read_new = i == 1 ? NULL : no_read;
        lacking.write = i == 2 ? NULL : no_write;
        lacking.crypto = i == 3 ? NULL : config.crypto;
        assert_int_equal(
                baton_codec_begin(&codec, &lacking, info), BATON_ERR_ARG);
    }
    // More than the payload is no payload.
    assert_int_equal(baton_codec_begin(&codec, &config, info), 0);
    uint8_t *longer = calloc(1, made.payload_len + 1);
    memcpy(longer, made.payload, made.payload_len);
    int err = baton_codec_push(&codec, longer, made.payload_len + 1, &used);
    assert_true(err < 0);
    assert_int_equal(baton_codec_push(&codec, longer, 0, &used), err);
    assert_int_equal(baton_codec_end(&codec), err);
    free(longer);
    free(config.state);
    free(made.payload);
    images_free(&old);
    images_free(&new);
}

static void unpacks_only_onto_its_base(void **state) {
    (void)state;
    struct images old;
    struct images new;
    struct codec_pack made;
    uint8_t *out;
    size_t len;
    make_pair(&old, &new, ESP32C3, 40);
    pack(&made, &old, &new, BATON_CODEC_DELTA, BATON_CODEC_PROFILE_S);
    assert_int_equal(
            codec_unpack(made.payload, made.payload_len, NULL, 0, &out, &len),
            BATON_ERR_CODEC_BASE);
    assert_int_equal(codec_unpack(made.payload, made.payload_len, old.data,
                             old.len - 1, &out, &len),
            BATON_ERR_CODEC_BASE);
    old.data[old.len / 2] ^= 1;
    assert_int_equal(codec_unpack(made.payload, made.payload_len, old.data,
                             old.len, &out, &len),
            BATON_ERR_CODEC_BASE);
    old.data[old.len / 2] ^= 1;
    made.payload[40] ^= 1; // the new image's digest
    assert_int_equal(codec_unpack(made.payload, made.payload_len, old.data,
                             old.len, &out, &len),
            BATON_ERR_CODEC_DIGEST);
    assert_null(out);
    free(made.payload);
    images_free(&old);
    images_free(&new);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(refuses_what_is_no_payload),
            cmocka_unit_test(refuses_headers),
            cmocka_unit_test(brings_back_programs),
            cmocka_unit_test(brings_back_anything),
            cmocka_unit_test(takes_any_chunks),
            cmocka_unit_test(reads_back_for_a_digest_behind_a_restart),
            cmocka_unit_test(restarts),
            cmocka_unit_test(tells_truncation),
            cmocka_unit_test(survives_corruption),
            cmocka_unit_test(restarts_on_rubbish),
            cmocka_unit_test(hands_on_every_failure),
            cmocka_unit_test(begins_with_what_it_needs),
            cmocka_unit_test(unpacks_only_onto_its_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
