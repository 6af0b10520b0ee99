// The core in the ESP32's instruction set: the same program, compiled for
// Xtensa as the native module is and for this machine, has to print the same.
// SPDX-License-Identifier: MIT
//
// Standard input: three lengths of 32 bits (base, payload, image), then those
// bytes. Printed: status and digest of each step. No C library.
#include <string.h>

#include "baton-freestanding/crypto.h"
#include "baton-freestanding/p256.h"
#include "baton/codec.h"
#include "baton/error.h"
#include "baton/slots.h"
#include "baton/trial.h"
#include "baton/update.h"

enum {
    FLASH_BYTES = 1 << 20,
    OTADATA = 0x1000,
    SLOT_A = 0x10000,
    SLOT_BYTES = 0x70000,
    SLOT_B = SLOT_A + SLOT_BYTES,
    INPUT_MAX = 1 << 20,
    PIECE = 777,
};

long read_bytes(int fd, void *buf, unsigned long len);
long write_bytes(int fd, const void *buf, unsigned long len);
int run(void);

static uint8_t flash_bytes[FLASH_BYTES];
static uint8_t input[INPUT_MAX];
static uint8_t decoded[INPUT_MAX];
static uint32_t decoded_len;
static uint32_t state_words[BATON_CODEC_STATE_M_BYTES / 4];
static uint8_t work[2 * BATON_SECTOR_BYTES];
static const uint8_t *base;

static void print(const char *name, int status, const void *data, size_t len) {
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[BATON_SHA256_BYTES];
    char line[160];
    size_t at = strlen(name);
    unsigned left = status < 0 ? 0u - (unsigned)status : (unsigned)status;
    memcpy(line, name, at);
    line[at++] = ' ';
    line[at++] = status < 0 ? '-' : '+';
    for (unsigned unit = 10000; unit > 0; unit /= 10) {
        line[at++] = digits[left / unit % 10];
    }
    line[at++] = ' ';
    baton_digest_sha256(data, len, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        line[at++] = digits[digest[i] >> 4];
        line[at++] = digits[digest[i] & 15];
    }
    line[at++] = '\n';
    (void)write_bytes(1, line, at);
}

// ---- Flash ---------------------------------------------------------------

static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    (void)context;
    memcpy(buf, flash_bytes + addr, len);
    return 0;
}

static int program_flash(
        void *context, uint32_t addr, const void *buf, size_t len) {
    const uint8_t *from = buf;
    (void)context;
    for (size_t i = 0; i < len; i++) {
        if ((flash_bytes[addr + i] & from[i]) != from[i]) {
            return BATON_ERR_NOR;
        }
        flash_bytes[addr + i] = from[i];
    }
    return 0;
}

static int erase_flash(void *context, uint32_t addr, size_t len) {
    (void)context;
    memset(flash_bytes + addr, 0xFF, len);
    return 0;
}

static void open_flash(struct baton_flash *flash) {
    memset(flash, 0, sizeof(*flash));
    flash->read = read_flash;
    flash->program = program_flash;
    flash->erase = erase_flash;
    flash->size_bytes = FLASH_BYTES;
    flash->block_bytes = BATON_BLOCK_BYTES;
    memset(flash_bytes, 0xFF, sizeof(flash_bytes));
}

// ---- Steps ---------------------------------------------------------------

static void try_update(const struct baton_flash *flash,
        const struct baton_crypto *crypto, const uint8_t *image, uint32_t len) {
    static struct baton_update update;
    static struct baton_image verifier;
    struct baton_update_config config;
    struct baton_image_config judge;
    memset(&config, 0, sizeof(config));
    memset(&judge, 0, sizeof(judge));
    struct baton_chip chip = {.id = BATON_CHIP_ANY};
    config.flash = flash;
    config.crypto = crypto;
    config.chip = &chip;
    config.slot_addr = SLOT_B;
    config.slot_bytes = SLOT_BYTES;
    config.running_addr = SLOT_A;
    config.running_bytes = SLOT_BYTES;
    config.image_bytes = len;
    config.work = work;
    config.work_len = sizeof(work);
    int err = baton_update_begin(&update, &config);
    for (uint32_t at = 0; at < len && err == 0; at += PIECE) {
        uint32_t take = len - at < PIECE ? len - at : PIECE;
        err = baton_update_write(&update, image + at, take);
    }
    print("write", err, &update.stats, sizeof(update.stats));
    print("end", baton_update_end(&update), flash_bytes, FLASH_BYTES);
    judge.crypto = crypto;
    err = baton_image_verify(
            &verifier, &judge, flash, SLOT_B, SLOT_BYTES, work, sizeof(work));
    print("verify", err, verifier.info.digest, BATON_SHA256_BYTES);
    flash_bytes[SLOT_B + 5000] ^= 1;
    err = baton_image_verify(
            &verifier, &judge, flash, SLOT_B, SLOT_BYTES, work, sizeof(work));
    print("damaged", err, "", 0);
}

static void try_records(const struct baton_flash *flash) {
    struct baton_trial_config trial = {.flash = flash,
            .otadata_addr = OTADATA,
            .slot_count = 2,
            .running = 1};
    enum baton_trial_verdict verdict = BATON_TRIAL_NONE;
    const uint8_t *records = flash_bytes + OTADATA;
    for (uint32_t i = 0; i < 5; i++) {
        int err = baton_slots_switch(flash, OTADATA, 2, i % 2, BATON_STATE_NEW,
                BATON_SLOTS_OTHER_COPY);
        print("switch", err, records, BATON_OTADATA_BYTES);
    }
    print("other", baton_slots_confirm(flash, OTADATA, 2, 1, true), "", 0);
    baton_slots_switch(
            flash, OTADATA, 2, 1, BATON_STATE_PENDING, BATON_SLOTS_OTHER_COPY);
    for (int i = 0; i < 4; i++) {
        int err = baton_trial_boot(&trial,
                i == 0 ? BATON_CAUSE_RESET : BATON_CAUSE_CRASH, &verdict, NULL);
        print("trial", err * 10 + (int)verdict, records, BATON_OTADATA_BYTES);
    }
    int err = baton_slots_confirm(flash, OTADATA, 2, 1, true);
    print("confirm", err, records, BATON_OTADATA_BYTES);
}

static int read_base(void *context, uint32_t off, void *buf, size_t len) {
    (void)context;
    memcpy(buf, base + off, len);
    return 0;
}

static int read_decoded(void *context, uint32_t off, void *buf, size_t len) {
    (void)context;
    memcpy(buf, decoded + off, len);
    return 0;
}

static int write_decoded(void *context, const void *data, size_t len) {
    (void)context;
    if (len > sizeof(decoded) - decoded_len) {
        return BATON_ERR_NOSPC;
    }
    memcpy(decoded + decoded_len, data, len);
    decoded_len += (uint32_t)len;
    return 0;
}

static void try_payload(const struct baton_crypto *crypto,
        const uint8_t *payload, uint32_t len) {
    static struct baton_codec_info info;
    static struct baton_codec decoder;
    struct baton_codec_config config;
    memset(&config, 0, sizeof(config));
    config.read_old = read_base;
    config.read_new = read_decoded;
    config.write = write_decoded;
    config.crypto = crypto;
    config.state = state_words;
    config.state_len = sizeof(state_words);
    int err = baton_codec_header_read(payload,
            len < BATON_CODEC_HEADER_MAX ? len : BATON_CODEC_HEADER_MAX, &info);
    print("header", err, info.new_sha256, BATON_SHA256_BYTES);
    if (err == 0) {
        err = baton_codec_begin(&decoder, &config, &info);
    }
    for (uint32_t at = 0; at < len && err == 0; at += PIECE) {
        size_t used;
        uint32_t take = len - at < PIECE ? len - at : PIECE;
        err = baton_codec_push(&decoder, payload + at, take, &used);
    }
    err = err == 0 ? baton_codec_end(&decoder) : err;
    print("decode", err, decoded, decoded_len);
}

static void try_signature(void) {
    static const uint8_t key[64] = {0x7F, 0xCD, 0xCE, 0x27, 0x70, 0xF6, 0xC4,
            0x5D, 0x41, 0x83, 0xCB, 0xEE, 0x6F, 0xDB, 0x4B, 0x7B, 0x58, 0x07,
            0x33, 0x35, 0x7B, 0xE9, 0xEF, 0x13, 0xBA, 0xCF, 0x6E, 0x3C, 0x7B,
            0xD1, 0x54, 0x45, 0xC7, 0xF1, 0x44, 0xCD, 0x1B, 0xBD, 0x9B, 0x7E,
            0x87, 0x2C, 0xDF, 0xED, 0xB9, 0xEE, 0xB9, 0xF4, 0xB3, 0x69, 0x5D,
            0x6E, 0xA9, 0x0B, 0x24, 0xAD, 0x8A, 0x46, 0x23, 0x28, 0x85, 0x88,
            0xE5, 0xAD};
    static const char text[] =
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODA"
            "sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    uint8_t signature[64] = {0x0E, 0xD1, 0x21, 0x53, 0x79, 0x63, 0x6C, 0x48,
            0x3C, 0x2F, 0x7F, 0x15, 0x58, 0x07, 0xD4, 0x02, 0xA3, 0xB2, 0x28,
            0x03, 0x3A, 0xF9, 0x7C, 0x7E, 0x17, 0x81, 0x9A, 0xC3, 0x16, 0x9E,
            0xA6, 0x65, 0xC5, 0x0A, 0x07, 0xD3, 0x8C, 0x3C, 0x70, 0xE5, 0xD8,
            0xF1, 0x2D, 0xAF, 0x08, 0x4A, 0x54, 0x80, 0xA6, 0x65, 0x90, 0xC5,
            0xF2, 0x93, 0x50, 0x9A, 0x8F, 0x3F, 0x7F, 0x8A, 0x83, 0xA3, 0x54,
            0xD5};
    uint8_t digest[BATON_SHA256_BYTES];
    baton_digest_sha256(text, sizeof(text) - 1, digest);
    print("signed", baton_p256_verify(key, digest, signature), digest, 32);
    signature[40] ^= 1;
    print("forged", baton_p256_verify(key, digest, signature), digest, 32);
}

static uint32_t get_length(size_t index) {
    const uint8_t *at = input + 4 * index;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16
           | (uint32_t)at[3] << 24;
}

int run(void) {
    struct baton_flash flash;
    struct baton_crypto crypto;
    size_t len = 0;
    for (;;) {
        long got = read_bytes(0, input + len, sizeof(input) - len);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    base = input + 12;
    const uint8_t *payload = base + get_length(0);
    const uint8_t *image = payload + get_length(1);
    open_flash(&flash);
    baton_crypto_init(&crypto);
    print("input", 0, input, len);
    try_signature();
    try_payload(&crypto, payload, get_length(1));
    try_update(&flash, &crypto, image, get_length(2));
    try_records(&flash);
    return 0;
}

// ---- What a C library would have -----------------------------------------

#ifdef __XTENSA__
void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    uint8_t *a = to;
    for (const uint8_t *b = from; n > 0; n--) {
        *a++ = *b++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n) {
    uint8_t *a = to;
    const uint8_t *b = from;
    for (; n > 0 && a <= b; n--) {
        *a++ = *b++;
    }
    for (; n > 0; n--) {
        a[n - 1] = b[n - 1];
    }
    return to;
}

void *memset(void *s, int c, size_t n) {
    for (uint8_t *at = s; n > 0; n--) {
        *at++ = (uint8_t)c;
    }
    return s;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a;
    for (const uint8_t *y = b; n > 0; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

size_t strlen(const char *s) {
    size_t len = 0;
    while (s[len] != 0) {
        len++;
    }
    return len;
}

// The processor that is emulated lacks the high half of a product.
uint64_t __muldi3(uint64_t a, uint64_t b);

uint64_t __muldi3(uint64_t a, uint64_t b) {
    uint32_t a0 = (uint32_t)a & 0xFFFFu;
    uint32_t a1 = (uint32_t)a >> 16;
    uint32_t b0 = (uint32_t)b & 0xFFFFu;
    uint32_t b1 = (uint32_t)b >> 16;
    uint32_t low = a0 * b0;
    uint32_t middle = a1 * b0 + (low >> 16);
    uint32_t more = a0 * b1 + (middle & 0xFFFFu);
    uint32_t high = a1 * b1 + (middle >> 16) + (more >> 16)
                    + (uint32_t)(a >> 32) * (uint32_t)b
                    + (uint32_t)a * (uint32_t)(b >> 32);
    return (uint64_t)high << 32 | (more << 16 | (low & 0xFFFFu));
}
#else
#include <unistd.h>

long read_bytes(int fd, void *buf, unsigned long len) {
    return (long)read(fd, buf, len);
}

long write_bytes(int fd, const void *buf, unsigned long len) {
    return (long)write(fd, buf, len);
}

int main(void) {
    return run();
}
#endif
