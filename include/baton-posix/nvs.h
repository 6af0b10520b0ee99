// Non-volatile storage in ESP-IDF's format, over a range of a flash.
// SPDX-License-Identifier: MIT
//
// Pages, entries and namespaces are the chip's own (version 2, blobs with index
// and chunks): either side reads what the other wrote. What is written here
// survives more than the chip's own writes do: a power cut that leaves rubbish
// in the byte it hit, or bits that fade later, costs no key that was stored
// before. docs/IDF.md says how.
//
// Every function returns ESP_OK or one of ESP-IDF's codes
// (baton-idf/nvs.h, baton-idf/esp_err.h), ESP_ERR_FLASH_OP_FAIL where the flash
// fails. After that one only baton_nvs_unmount works.
#ifndef BATON_POSIX_NVS_H
#define BATON_POSIX_NVS_H

#include "baton-idf/nvs.h"
#include "baton/port.h"

#define BATON_NVS_NAME_MAX  15u   // of keys and namespaces
#define BATON_NVS_STR_MAX   4000u // with the terminator
#define BATON_NVS_PAGES_MAX 64u

// Types of values, by their numbers on flash. A number's low nibble is its
// length in bytes.
enum baton_nvs_type {
    BATON_NVS_U8 = 0x01,
    BATON_NVS_I8 = 0x11,
    BATON_NVS_U16 = 0x02,
    BATON_NVS_I16 = 0x12,
    BATON_NVS_U32 = 0x04,
    BATON_NVS_I32 = 0x14,
    BATON_NVS_U64 = 0x08,
    BATON_NVS_I64 = 0x18,
    BATON_NVS_STR = 0x21,
    BATON_NVS_BLOB = 0x42,
};

struct baton_nvs_page {
    uint8_t state;
    uint8_t next_free; // entry
    uint8_t used;      // entries of values that count
    bool is_ours;      // erased values are wiped here, not only marked
    bool needs_copy;   // an interrupted write left something
    bool is_sound;     // was erased since the mount
    uint32_t seq;
    uint8_t values[16]; // bit for each entry: a value begins here
};

// Fields are private.
struct baton_nvs {
    const struct baton_flash *flash;
    uint32_t addr;
    uint32_t page_count;
    uint8_t *image; // what the flash holds
    bool has_failed;
    struct baton_nvs_page pages[BATON_NVS_PAGES_MAX];
};

// Reads the range, and finishes or takes back what a power cut interrupted.
// A range that was settled is only read; a blank one stays blank.
//
// addr, size_bytes  whole sectors, 3 to 64
// Flash       at most one page copied for each that was being written
// Returns     ESP_ERR_INVALID_ARG, ESP_ERR_NO_MEM,
//             ESP_ERR_NVS_NO_FREE_PAGES (rubbish, or full without the spare
//             page; ESP-IDF's answer is to erase it all),
//             ESP_ERR_NVS_NEW_VERSION_FOUND (a format newer than this)
int baton_nvs_mount(struct baton_nvs *self, const struct baton_flash *flash,
        uint32_t addr, uint32_t size_bytes);

// Frees what mount took. Fine on a struct that is all zeros.
void baton_nvs_unmount(struct baton_nvs *self);

// Finds a namespace, or makes it.
//
// Returns     ESP_ERR_NVS_NOT_FOUND, ESP_ERR_NVS_KEY_TOO_LONG,
//             ESP_ERR_NVS_NOT_ENOUGH_SPACE, ESP_ERR_NVS_INVALID_STATE
int baton_nvs_open(
        struct baton_nvs *self, const char *name, bool can_create, uint8_t *ns);

// Numbers; value points at an integer of the type's size. A key holds one
// value: a new type replaces the old. The value stored already is not written
// again.
//
// Power loss  the old value or the new one
// Returns     get: ESP_ERR_NVS_NOT_FOUND (also where the type is another);
//             set: ESP_ERR_NVS_KEY_TOO_LONG, ESP_ERR_NVS_NOT_ENOUGH_SPACE;
//             ESP_ERR_INVALID_ARG (not a number's type)
int baton_nvs_get_number(struct baton_nvs *self, uint8_t ns,
        enum baton_nvs_type type, const char *key, void *value);
int baton_nvs_set_number(struct baton_nvs *self, uint8_t ns,
        enum baton_nvs_type type, const char *key, const void *value);

// Strings (the terminator is stored and counted) and blobs.
//
// len         get: room in data, receives the length of the value; with data
//             NULL only asks for it
// Power loss  the old value or the new one
// Returns     get: ESP_ERR_NVS_NOT_FOUND, ESP_ERR_NVS_INVALID_LENGTH (no room);
//             set: ESP_ERR_NVS_KEY_TOO_LONG, ESP_ERR_NVS_NOT_ENOUGH_SPACE,
//             ESP_ERR_NVS_VALUE_TOO_LONG; ESP_ERR_INVALID_ARG (type)
int baton_nvs_get_bytes(struct baton_nvs *self, uint8_t ns,
        enum baton_nvs_type type, const char *key, void *data, size_t *len);
int baton_nvs_set_bytes(struct baton_nvs *self, uint8_t ns,
        enum baton_nvs_type type, const char *key, const void *data,
        size_t len);

// Returns     ESP_ERR_NVS_NOT_FOUND
int baton_nvs_erase_key(struct baton_nvs *self, uint8_t ns, const char *key);

// Erases every key of a namespace.
int baton_nvs_erase_all(struct baton_nvs *self, uint8_t ns);

// Everything is on flash already when a set returns; this only tells whether
// the storage still works.
//
// Returns     ESP_ERR_NVS_INVALID_STATE
int baton_nvs_commit(const struct baton_nvs *self);

#endif
