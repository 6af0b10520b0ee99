// The ESP application image: what it is, whether it is whole, whether it fits.
// SPDX-License-Identifier: MIT
//
// Format: ESP-IDF's application image (docs/FORMAT.md): a 24-byte header, up
// to 16 segments, a checksum byte, an optional appended SHA-256; the
// application descriptor of 256 bytes begins at byte 32.
#ifndef BATON_IMAGE_H
#define BATON_IMAGE_H

#include "baton/port.h"

#define BATON_IMAGE_MAGIC            0xE9u
#define BATON_IMAGE_HEADER_BYTES     24u
#define BATON_IMAGE_SEGMENTS_MAX     16u
#define BATON_IMAGE_DESCRIPTOR_OFF   32u
#define BATON_IMAGE_DESCRIPTOR_BYTES 256u
#define BATON_IMAGE_HEAD_BYTES       288u // header, first segment, descriptor
#define BATON_IMAGE_SIZE_MAX         0x1000000u

struct baton_image_header {
    uint8_t segment_count;
    uint8_t spi_mode;
    uint8_t spi_speed; // low nibble of byte 3
    uint8_t spi_size;  // high nibble of byte 3
    uint32_t entry_addr;
    uint8_t wp_pin;
    uint16_t chip_id;
    uint16_t min_revision;   // major * 100 + minor
    uint16_t max_revision;   // 0 and 65535 mean no limit
    uint8_t digest_appended; // any value but 0: a SHA-256 follows
};

struct baton_app_descriptor {
    uint32_t secure_version;
    char version[33]; // text fields are always terminated here
    char project_name[33];
    char time[17];
    char date[17];
    char idf_version[33];
    uint8_t elf_sha256[BATON_SHA256_BYTES];
    uint16_t min_block_revision;
    uint16_t max_block_revision;
    uint8_t mmu_page_log2; // 0: the build's default
    uint8_t spi_mode;
};

struct baton_image_info {
    struct baton_image_header header;
    uint32_t len_bytes; // digest included; known once verified
    bool has_digest;
    bool digest_ok; // false without one, and for a bootloader that was patched
    uint8_t checksum;
    bool has_descriptor;
    uint8_t digest[BATON_SHA256_BYTES];     // the appended one, once verified
    struct baton_app_descriptor descriptor; // zero without one
};

// One segment, as the verifier passes over it.
struct baton_image_segment {
    uint8_t index;
    uint32_t load_addr;
    uint32_t len_bytes;
    uint32_t data_off; // of the data, from the start of the image
    bool mapped;       // lies in the chip's flash-mapped windows
};

struct baton_image_config {
    const struct baton_crypto *crypto;
    // The chip it is for. NULL, or an id of BATON_CHIP_ANY: the chip the image
    // names, of any revision.
    const struct baton_chip *chip;
    uint32_t limit_bytes; // size of the slot; 0: 16 MiB, the most there is
    // Rules for a bootloader: it has no application descriptor, its revision
    // has no upper limit, and as flashing tools patch its header, a wrong
    // digest is reported in info.digest_ok, not as an error.
    bool is_bootloader;
    bool need_digest; // refuse an image without an appended SHA-256
    // Called for every segment header that passed its checks; may be NULL.
    void (*on_segment)(
            void *context, const struct baton_image_segment *segment);
    void *context;
};

// Names of chips: "esp32", "esp32s2", "esp32c3" ...; NULL for an unknown id.
const char *baton_chip_name(uint16_t chip_id);
// The id of a chip by name; BATON_CHIP_ANY for an unknown name.
uint16_t baton_chip_id(const char *name);
// The flash address of the chip's bootloader (0x1000, 0x0 or 0x2000).
uint32_t baton_chip_bootloader_addr(uint16_t chip_id);
// True where the address lies in a window through which the chip runs code or
// reads constants from flash. mmu_page_log2 0 means 16.
bool baton_chip_is_mapped(
        uint16_t chip_id, uint8_t mmu_page_log2, uint32_t addr);
// The page of that mapping, as a power of two: 16, except on chips where it is
// selectable; there `wanted_log2` (of a descriptor) where it is 13 ... 18, else
// `default_log2` (of a build; 0 means 16).
uint8_t baton_chip_page_log2(
        uint16_t chip_id, uint8_t wanted_log2, uint8_t default_log2);
// True where the page size is selectable.
bool baton_chip_has_page_choice(uint16_t chip_id);
// True where the chip runs RISC-V code, not Xtensa.
bool baton_chip_is_riscv(uint16_t chip_id);
// Where the window for constants begins; 0 for an unknown id.
uint32_t baton_chip_data_addr(uint16_t chip_id);

// Decodes the first bytes of an image without judging them.
//
// head, len  at least 24 bytes; the descriptor is filled in from 288 on
// Returns    0, BATON_ERR_IMAGE_TRUNCATED, BATON_ERR_IMAGE_MAGIC
int baton_image_decode(
        const uint8_t *head, size_t len, struct baton_image_info *out);

// Decodes a 256-byte descriptor.
//
// Returns    0, BATON_ERR_IMAGE_DESCRIPTOR (its magic is missing)
int baton_image_decode_descriptor(
        const uint8_t raw[BATON_IMAGE_DESCRIPTOR_BYTES],
        struct baton_app_descriptor *out);

// Tells what a file is that is not an application image, by its first bytes.
//
// head, len  the first bytes; the more of the first 288 the better
// Returns    0 when it may be an application image; otherwise
//            BATON_ERR_IS_EMPTY, _IS_BLANK, _IS_BOOTLOADER, _IS_TABLE,
//            _IS_ELF, _IS_GZIP, _IS_ZIP, _IS_HTML, _IS_UF2, _IS_TEXT,
//            _IS_ESP8266, _IS_OTADATA,
//            BATON_ERR_IMAGE_MAGIC, BATON_ERR_IMAGE_DESCRIPTOR,
//            BATON_ERR_IMAGE_TRUNCATED (fewer than 288 bytes)
int baton_image_identify(const uint8_t *head, size_t len);

// Decides from the first 288 bytes whether this image can be for this device:
// the check before the first erase.
//
// head, len  the first bytes; 288 decide, fewer are BATON_ERR_IMAGE_TRUNCATED
//            where they are not refused for something else already
// total_bytes  length of the file where known, else 0
// config     as for the verifier, for an application; crypto is not needed
// Returns    0, all of baton_image_identify, BATON_ERR_IMAGE_CHIP, _REVISION,
//            _SEGMENT_COUNT, _NO_DIGEST, _SEGMENT, _MAPPING, _TOO_LARGE,
//            _TRUNCATED (total_bytes is less than the first segment),
//            _SECURE_VERSION
int baton_image_check(const uint8_t *head, size_t len, uint32_t total_bytes,
        const struct baton_image_config *config);

// baton_image_push wants more bytes.
#define BATON_IMAGE_MORE 1

// A push verifier: takes the image in pieces of any size, keeps no copy of it.
// Fields are private; read the result through baton_image_result.
struct baton_image {
    const struct baton_image_config *config;
    int status;           // BATON_IMAGE_MORE, 0, or the first error
    uint32_t limit_bytes; // no byte at or past this belongs to the image
    uint32_t pos;         // bytes taken so far
    uint32_t left;        // bytes left of the part being read
    struct baton_image_segment segment; // the one being read
    uint16_t have;                      // bytes collected in buf
    uint8_t part;                       // which part of the image is being read
    uint8_t checksum;                   // running
    uint8_t mmu_page_log2;
    struct baton_image_info info;
    uint8_t buf[BATON_IMAGE_DESCRIPTOR_BYTES]; // the part, where it is short
    struct baton_hash_state hash;
};

// Starts a verification. config is borrowed until the result is known.
//
// Returns    0, BATON_ERR_ARG (no crypto, a limit above 16 MiB),
//            BATON_ERR_CRYPTO
int baton_image_begin(
        struct baton_image *self, const struct baton_image_config *config);

// Feeds the next bytes; bytes past the end of the image are ignored.
//
// data, len  borrowed for the call; any length, 0 allowed
// Returns    BATON_IMAGE_MORE, 0 (whole and right), or exactly what is wrong,
//            from then on always the same: BATON_ERR_IMAGE_MAGIC, _CHIP,
//            _REVISION, _SEGMENT_COUNT, _SEGMENT, _MAPPING, _DESCRIPTOR,
//            _CHECKSUM, _DIGEST, _NO_DIGEST, _TOO_LARGE, BATON_ERR_CRYPTO.
//
// Checks and their order are the vendor's (docs/FORMAT.md), so the first error
// here is the first one there. esp_image_verify() returns -1 (ESP_FAIL) where
// this returns _CHIP, _REVISION or _DESCRIPTOR, and 0x2002
// (ESP_ERR_IMAGE_INVALID) for the others. One difference has no effect on what
// is refused: what cannot fit is _TOO_LARGE as soon as a length says so, where
// the vendor first reads on past the partition and mostly finds a wrong
// checksum there, or the end of the chip (-1). _NO_DIGEST is ours alone.
int baton_image_push(struct baton_image *self, const void *data, size_t len);

// Says that no more bytes come.
//
// Returns    what the last push returned; BATON_ERR_IMAGE_TRUNCATED in place
//            of BATON_IMAGE_MORE (BATON_ERR_IS_EMPTY when nothing came)
int baton_image_finish(struct baton_image *self);

// What is known so far; all of it once finish returned 0.
const struct baton_image_info *baton_image_result(
        const struct baton_image *self);

// Verifies an image on flash.
//
// self         scratch, no begin needed
// addr, limit_bytes  of the partition; config->limit_bytes is not used
// work         any buffer, 64 bytes or more; larger is faster
// Flash        reads, none past the partition or the chip
// Returns      as baton_image_push, never BATON_IMAGE_MORE; BATON_ERR_ARG
//              (work, a partition above 16 MiB), BATON_ERR_RANGE (the image
//              runs off the chip), BATON_ERR_IO
int baton_image_verify(struct baton_image *self,
        const struct baton_image_config *config,
        const struct baton_flash *flash, uint32_t addr, uint32_t limit_bytes,
        void *work, size_t work_len);

// Reads the descriptor of the image in a partition.
//
// Returns      0, BATON_ERR_IMAGE_DESCRIPTOR, BATON_ERR_RANGE, BATON_ERR_IO
int baton_image_describe(const struct baton_flash *flash, uint32_t addr,
        struct baton_app_descriptor *out);

// ---- Building ------------------------------------------------------------

struct baton_image_part {
    uint32_t load_addr;
    const uint8_t *data;
    uint32_t len_bytes;
};

// Everything an image is made of.
struct baton_image_spec {
    struct baton_image_header header; // segment_count is worked out
    // Puts `descriptor` in front: directly before the first flash-mapped part
    // where that begins 0x120 into a page, else in a page of its own. Without,
    // a flash-mapped part that begins with a descriptor comes first.
    bool add_descriptor;
    struct baton_app_descriptor descriptor;
    // Page of the flash mapping on chips where it is selectable; 0: the
    // descriptor's, or the largest its address allows.
    uint8_t mmu_page_log2;
    // In ascending order of address, none overlapping another. What touches,
    // or would when filled up to a multiple of 4, becomes one segment; where
    // that makes too many segments, so does what is less than 64 bytes apart,
    // or mapped in the same page.
    const struct baton_image_part *parts;
    size_t part_count;
    const struct baton_crypto *crypto; // needed where a digest is appended
};

// Takes the image as it is made, in order. Returns 0 or an error that ends the
// build.
typedef int (*baton_image_sink)(void *context, const void *data, size_t len);

// Scratch of a build. Fields are private.
struct baton_image_builder {
    const struct baton_image_spec *spec;
    baton_image_sink sink;
    void *context;
    struct baton_hash_state hash;
    bool is_dry;     // counts, passes nothing on
    bool fills_gaps; // between parts that are near
    uint8_t segment_count;
    uint8_t checksum;
    uint8_t page_log2;
    uint32_t pos;
    uint32_t descriptor_addr; // of an added descriptor, else 0
    size_t first_part;        // of the run that comes first; part_count: none
    size_t ram_part;          // the run for RAM that is written next
    uint32_t ram_off;         // and how much of it is written
    uint8_t descriptor[BATON_IMAGE_DESCRIPTOR_BYTES];
};

// Encodes a descriptor to its 256 bytes. Text fields that are full have no
// terminator there.
void baton_image_encode_descriptor(const struct baton_app_descriptor *in,
        uint8_t raw[BATON_IMAGE_DESCRIPTOR_BYTES]);

// Builds an image: lays flash-mapped parts out at the right page offset with
// padding in between (parts for RAM where they fit, else zeros), appends
// checksum and, where header.digest_appended is set, the SHA-256. From the
// same parts the vendor's elf2image makes the same bytes, where it can.
//
// self         scratch, no begin needed
// Returns      0, BATON_ERR_ELF_LAYOUT (parts overlap or are not in order, two
//              share a page, an address cannot be loaded, a descriptor that
//              cannot come first, more than 16 segments, larger than 16 MiB),
//              BATON_ERR_IMAGE_CHIP (unknown), BATON_ERR_ARG (a digest
//              without crypto), BATON_ERR_CRYPTO, what sink
//              returned. Before the first byte goes to sink the layout is
//              known to be good.
int baton_image_build(struct baton_image_builder *self,
        const struct baton_image_spec *spec, baton_image_sink sink,
        void *context);

// Finds what an ELF program loads: the sections that occupy memory and have
// bytes, in ascending order of (virtual) address. Sections below 0x10000000 are
// left out: the vendor's bootloader loads nothing there.
//
// elf, len     the whole file
// chip_id      the machine must match the chip's
// parts, capacity, count  caller's array, which points into the ELF
// entry_addr   receives the entry point
// Returns      0, BATON_ERR_ELF_FORMAT, _ELF_MACHINE, _ELF_EMPTY,
//              _ELF_LAYOUT (overlap), BATON_ERR_NOSPC
int baton_image_parse_elf(const uint8_t *elf, size_t len, uint16_t chip_id,
        struct baton_image_part *parts, size_t capacity, size_t *count,
        uint32_t *entry_addr);

#endif
