// ESP-IDF's partition and OTA functions on a PC: what they work on.
// SPDX-License-Identifier: MIT
//
// The functions themselves are in include/baton-idf/, under ESP-IDF's own
// names. As on the chip there is one board: what is attached here is global,
// and nothing may be called from two threads at once. docs/IDF.md has the
// behaviour in full.
#ifndef BATON_POSIX_IDF_H
#define BATON_POSIX_IDF_H

#include "baton/port.h"

// Whose behaviour. Later numbers include what earlier ones brought.
enum baton_idf_release {
    BATON_IDF_V5_4 = 504,   // and earlier v5: no resume, no final partition
    BATON_IDF_V5_5 = 505,   // the default; what MicroPython is built with
    BATON_IDF_V6_0 = 600,   // set_boot on the active slot rewrites its record
    BATON_IDF_V6_1 = 601,   // one open handle for a partition
    BATON_IDF_MASTER = 999, // resume is refused while the app is unconfirmed
};

// A write or an erase of the bootloader, the partition table or the running
// application (ESP-IDF's SPI_FLASH_DANGEROUS_WRITE).
enum baton_idf_protect {
    BATON_IDF_PROTECT_ABORTS, // ESP-IDF's default: `fatal` is called
    BATON_IDF_PROTECT_FAILS,  // ESP_ERR_INVALID_ARG
    BATON_IDF_PROTECT_NONE,
};

struct baton_idf_config {
    // Borrowed until baton_idf_detach.
    const struct baton_flash *flash;
    const struct baton_crypto *crypto;
    const struct baton_chip *chip; // secure_version is read when needed

    uint32_t table_addr;   // 0 means 0x8000
    uint32_t running_addr; // any address inside the running partition

    enum baton_idf_release release; // 0 means BATON_IDF_V5_5
    enum baton_idf_protect protect;
    bool no_rollback;      // built without rollback
    bool anti_rollback;    // needs rollback and burn_secure_version
    bool flash_encryption; // the rules of encrypted flash hold (16-byte
                           // writes); the bytes themselves are kept plain

    // A program over bytes that are not erased clears bits and succeeds, as
    // on the chip. Without, a flash that refuses it (baton-posix/nor.h) gives
    // ESP_ERR_FLASH_OP_FAIL.
    bool blind_program;

    int reset_reason; // what esp_reset_reason says, an esp_reset_reason_t; 0 is
                      // ESP_RST_UNKNOWN

    // Raises chip->secure_version. Errors: BATON_ERR_ARG, BATON_ERR_IO.
    int (*burn_secure_version)(void *context, uint32_t version);

    // The chip restarts. NULL: the process exits with status 64
    // (BATON_EXIT_RESET). If it returns, so does esp_restart.
    void (*restart)(void *context);

    // ESP-IDF would assert or abort here. NULL: prints `what`, abort(). May
    // longjmp out: nothing is held, what the call did so far stays. If it
    // returns, the call ends with ESP_ERR_INVALID_STATE, NULL or false.
    void (*fatal)(void *context, const char *what);

    void *context;
};

// Attaches the functions to a flash, as a boot does: handles of before are
// gone, the table is read at the first use.
//
// Returns  0, BATON_ERR_ARG (no flash or crypto; anti_rollback without what
//          it needs)
int baton_idf_attach(const struct baton_idf_config *config);

// Lets go of the flash and frees everything; fine when nothing is attached.
// Pointers to partitions and iterators end here.
void baton_idf_detach(void);

// Aborts every open OTA handle, as a soft reset of an interpreter has to.
// Numbers of handles go on.
//
// Returns  how many there were
unsigned baton_idf_abort_all(void);

// The ESP-IDF code for a flash error of Baton's (enum baton_err).
int baton_idf_flash_error(int err);

#endif
