// Fuzzes the payload decoder: any payload, onto bases that hold programs.
// SPDX-License-Identifier: MIT
//
// Input: what to do, which base, chunk size, budget; then a payload. A flag has
// a header made that fits the bytes which follow, so that they reach the model:
// then come encoding, machine, the image's length and the table sizes.
#include <stdlib.h>
#include <string.h>

#include "../../core/bytes.h"
#include "../lib/payloads.h"
#include "../lib/programs.h"
#include "baton/error.h"
#include "require.h"

#define OPTION_BYTES 4u
#define SHAPE_BYTES  8u
#define PAYLOAD_MAX  (1u << 15)
#define HEADER_BYTES 96u

enum {
    FLAG_SHAPED = 1,
    FLAG_DIGEST = 2,
    FLAG_PROFILE_M = 4,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A header for one segment, or two of which the first has the most there is.
static size_t shape(uint8_t *payload, uint8_t flags, const struct images *base,
        const uint8_t *options, size_t body) {
    uint32_t new_bytes = 1 + (options[2] | (uint32_t)options[3] << 8) % 1500;
    bool is_delta = options[0] % 2 != 0;
    memset(payload, 0, HEADER_BYTES);
    memcpy(payload, "BatP", 4);
    payload[4] = 1;
    payload[5] = is_delta ? 2 : 1;
    payload[6] = (flags & FLAG_PROFILE_M) != 0;
    payload[7] = (flags & FLAG_DIGEST) != 0 && new_bytes > 32;
    payload[8] = options[1] % 3;
    for (int i = 0; i < 3; i++) {
        payload[9 + i] = (uint8_t)(8 + options[4 + i] % 3);
    }
    put_u16(payload + 12, (uint16_t)(8 + options[7]));
    put_u32(payload + 14, new_bytes);
    put_u32(payload + 50, is_delta ? (uint32_t)base->len : 0);
    put_u16(payload + 86, 2);
    put_u16(payload + 88, 3);
    put_u16(payload + 90, 0x3FC8);
    payload[92] = 6;
    put_u16(payload + HEADER_BYTES, (uint16_t)body);
    payload[HEADER_BYTES + 2] = (uint8_t)(body >> 16);
    return HEADER_BYTES + 3;
}

static const struct images *base_of(unsigned kind) {
    static struct images bases[3];
    if (bases[0].data == NULL) {
        for (unsigned i = 0; i < 3; i++) {
            programs_make(&bases[i],
                    &(struct programs_spec){.chip_id = i == 1 ? 0 : 5,
                            .seed = i,
                            .functions = 30 + i,
                            .changed = 100});
        }
        bases[2].len -= 1000; // the code ends within the segment
    }
    return &bases[kind % 3];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t payload[PAYLOAD_MAX + HEADER_BYTES + 3];
    if (size < OPTION_BYTES + SHAPE_BYTES || size > PAYLOAD_MAX) {
        return 0;
    }
    const struct images *base = base_of(data[1]);
    const uint8_t *rest = data + OPTION_BYTES;
    size_t len = size - OPTION_BYTES;
    size_t head = 0;
    if ((data[0] & FLAG_SHAPED) != 0) {
        rest += SHAPE_BYTES;
        len -= SHAPE_BYTES;
        head = shape(payload, data[0], base, data + OPTION_BYTES, len);
    }
    memcpy(payload + head, rest, len);
    struct payloads_job job = {.payload = payload,
            .len = head + len,
            .old = base->data,
            .old_len = base->len};
    struct baton_codec_info info;
    // Large images say nothing that small ones do not.
    if (baton_codec_header_read(payload, job.len, &info) == 0
            && info.new_bytes > 12000) {
        return 0;
    }
    struct payloads whole = {0};
    struct payloads pieces = {0};
    int err = payloads_decode(&whole, &job);
    require(err != BATON_ERR_RANGE, "callbacks are called within their range");
    require(whole.bytes_read <= 2000 + 600 * (uint64_t)whole.out_max,
            "the work for a byte is bounded");
    require(err != 0 || whole.out_len == info.new_bytes,
            "an image is whole, or there is an error");
    job.step = 1 + data[2] % 100u;
    job.budget = data[3] * 7u;
    int piecemeal = payloads_decode(&pieces, &job);
    require(piecemeal == err, "pieces give the same result");
    require(err != 0 || memcmp(whole.out, pieces.out, whole.out_len) == 0,
            "and the same image");
    free(whole.out);
    free(pieces.out);
    return 0;
}
