// Fuzzes the check of an image's first bytes.
// SPDX-License-Identifier: MIT
//
// Input: flags, chip, page, total length in KiB, then the head of a file.
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "baton/image.h"
#include "require.h"

#define OPTION_BYTES 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct baton_image image;
    if (size < OPTION_BYTES) {
        return 0;
    }
    const uint8_t *head = data + OPTION_BYTES;
    size_t len = size - OPTION_BYTES;
    struct baton_chip chip = {
            .id = data[1] == 0xFF ? BATON_CHIP_ANY : data[1] % 34,
            .revision = 300,
            .block_revision = 100,
            .mmu_page_log2 = data[2] % 4 == 0 ? 0 : 13 + data[2] % 6,
            .secure_version = data[0] >> 4};
    struct baton_image_config config = {.crypto = baton_crypto_psa(),
            .chip = (data[0] & 1) != 0 ? &chip : NULL,
            .need_digest = (data[0] & 2) != 0,
            .limit_bytes = (data[0] & 4) != 0 ? 0x10000 : 0};
    int kind = baton_image_identify(head, len);
    int err = baton_image_check(head, len, data[3] * 1024u, &config);
    require(kind <= 0 && err <= 0, "a status is known");
    require(kind == 0 || err == kind, "what is no application is refused");
    require(err != 0 || len >= BATON_IMAGE_HEAD_BYTES, "288 bytes decide");
    struct baton_image_info info;
    int decoded = baton_image_decode(head, len, &info);
    require(kind != 0 || (decoded == 0 && info.has_descriptor),
            "an application has a header and a descriptor");
    if (err == 0) {
        require(baton_image_begin(&image, &config) == 0, "begin");
        require(baton_image_push(&image, head, BATON_IMAGE_HEAD_BYTES)
                        == BATON_IMAGE_MORE,
                "the verifier takes the head that the check takes");
        require(memcmp(&image.info.descriptor, &info.descriptor,
                        sizeof(info.descriptor))
                        == 0,
                "and reads the same descriptor");
    }
    return 0;
}
