// CRC-32 as the bootloader, its ROM and zlib have it, bit by bit.
// SPDX-License-Identifier: MIT
#ifndef BATON_CORE_CRC32_H
#define BATON_CORE_CRC32_H

#include <stddef.h>
#include <stdint.h>

// Takes bytes into the register. It starts with all bits set, and a CRC is its
// complement; the bootloader's of otadata starts with 0.
static inline uint32_t crc32_extend(
        uint32_t crc, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0u);
        }
    }
    return crc;
}

#endif
