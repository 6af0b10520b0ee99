// Tests an ESP-IDF application's update code on a PC, on a flash image.
// SPDX-License-Identifier: MIT
//
// Usage: test_app_update FLASH NEW-IMAGE
#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "app_update.h"
#include "baton-posix/board.h"
#include "baton-posix/crypto.h"
#include "baton-posix/idf.h"
#include "baton/boot.h"
#include "esp_ota_ops.h"

static struct baton_board board;
static jmp_buf reset;

static void restart(void *context) {
    (void)context;
    longjmp(reset, 1);
}

// What a reset does: the bootloader decides, the application finds itself
// running from there.
static void boot(void) {
    static struct baton_image image;
    static struct baton_boot_result result;
    static uint8_t work[4096];
    const struct baton_boot_config boot_config = {
            .flash = &board.nor.flash,
            .crypto = baton_crypto_psa(),
            .chip = &board.chip,
            .work = work,
            .work_len = sizeof(work),
    };
    assert(baton_boot_decide(&image, &boot_config, &result) == 0);
    const struct baton_idf_config idf_config = {
            .flash = &board.nor.flash,
            .crypto = baton_crypto_psa(),
            .chip = &board.chip,
            .running_addr = result.addr,
            .restart = restart,
    };
    assert(baton_idf_attach(&idf_config) == 0);
    printf("boots %s, version %.32s\n", esp_ota_get_running_partition()->label,
            esp_app_get_description()->version);
}

static size_t read_file(void *from, void *buffer, size_t len) {
    return fread(buffer, 1, len, from);
}

static bool works(void) {
    return true;
}

static bool fails(void) {
    return false;
}

static esp_err_t update_with(const char *path) {
    FILE *file = fopen(path, "rb");
    assert(file != NULL);
    esp_err_t err = app_update(read_file, file);
    fclose(file);
    return err;
}

int main(int argc, char **argv) {
    assert(argc == 3);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); // in order with the log
    assert(baton_board_open(&board, argv[1]) == 0);

    // An update that does not work goes back by itself, and is not tried again.
    boot();
    app_start(works);
    assert(update_with(argv[2]) == ESP_OK);
    boot();
    if (setjmp(reset) == 0) {
        app_start(fails);
        assert(!"app_start returned");
    }
    boot();
    app_start(works);
    assert(update_with(argv[2]) == ESP_ERR_INVALID_VERSION);

    // With the record of it gone it is tried again, and stays.
    assert(esp_ota_erase_last_boot_app_partition() == ESP_OK);
    assert(update_with(argv[2]) == ESP_OK);
    boot();
    app_start(works);
    assert(update_with(argv[2]) == ESP_ERR_INVALID_VERSION);
    boot();
    assert(app_update_count() == 0); // the storage is not started yet
    app_start(works);
    assert(app_update_count() == 2);

    baton_idf_detach();
    baton_board_close(&board);
    puts("passed");
    return 0;
}
