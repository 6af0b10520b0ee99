// Reads and changes a file that holds an NVS partition, for other readers and
// writers of the format to compare with.
// SPDX-License-Identifier: MIT
//
// nvs_driver FILE, then lines on standard input:
//   get NAMESPACE KEY TYPE        answered by the error code and the bytes in hex
//   set NAMESPACE KEY TYPE HEX    "." is no bytes; answered by the error code
//   erase NAMESPACE KEY
// TYPE is the format's own number, 0x42 for blobs. The file is written back at
// the end.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/nor.h"
#include "baton-posix/nvs.h"

#define FILE_MAX 0x40000u

static uint8_t bytes[FILE_MAX];
static uint8_t value[FILE_MAX];
static char line[2 * FILE_MAX + 100];
static struct baton_nor nor;
static struct baton_nor_state nor_state;
static struct baton_nvs nvs;

static void fail(const char *what) {
    fprintf(stderr, "nvs_driver: %s\n", what);
    exit(2);
}

static const char *next_word(void) {
    const char *word = strtok(NULL, " \n");
    if (word == NULL) {
        fail("an argument is missing");
    }
    return word;
}

static size_t next_hex(void) {
    const char *hex = next_word();
    size_t len = 0;
    unsigned byte;
    while (sscanf(hex + 2 * len, "%2x", &byte) == 1) {
        value[len++] = (uint8_t)byte;
    }
    return len;
}

static bool is_number(unsigned type) {
    return (type & 0xE0) == 0;
}

static void get(uint8_t ns, const char *key, unsigned type) {
    size_t len = is_number(type) ? type & 15 : sizeof(value);
    int err = is_number(type)
                      ? baton_nvs_get_number(
                              &nvs, ns, (enum baton_nvs_type)type, key, value)
                      : baton_nvs_get_bytes(&nvs, ns, (enum baton_nvs_type)type,
                              key, value, &len);
    printf("%d ", err);
    for (size_t i = 0; err == 0 && i < len; i++) {
        printf("%02x", value[i]);
    }
    putchar('\n');
}

static int set(uint8_t ns, const char *key, unsigned type, size_t len) {
    return is_number(type) ? baton_nvs_set_number(
                   &nvs, ns, (enum baton_nvs_type)type, key, value)
                           : baton_nvs_set_bytes(&nvs, ns,
                                   (enum baton_nvs_type)type, key, value, len);
}

static void run_line(const char *command) {
    bool changes = strcmp(command, "get") != 0;
    uint8_t ns;
    int err = baton_nvs_open(&nvs, next_word(), changes, &ns);
    const char *key = next_word();
    if (err != 0) {
        printf("%d \n", err);
    } else if (strcmp(command, "erase") == 0) {
        printf("%d \n", baton_nvs_erase_key(&nvs, ns, key));
    } else if (changes) {
        unsigned type = (unsigned)strtoul(next_word(), NULL, 0);
        size_t len = next_hex();
        printf("%d \n", set(ns, key, type, len));
    } else {
        get(ns, key, (unsigned)strtoul(next_word(), NULL, 0));
    }
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "r+b") : NULL;
    if (file == NULL) {
        fail("give a file");
    }
    memset(bytes, 0xFF, sizeof(bytes));
    uint32_t size = (uint32_t)fread(bytes, 1, sizeof(bytes), file);
    if (baton_nor_begin(&nor, bytes, sizeof(bytes), 1, &nor_state, NULL) != 0) {
        fail("flash");
    }
    int err = baton_nvs_mount(&nvs, &nor.flash, 0, size);
    printf("%d \n", err);
    while (err == 0 && fgets(line, sizeof(line), stdin) != NULL) {
        run_line(strtok(line, " \n"));
    }
    baton_nvs_unmount(&nvs);
    rewind(file);
    if (fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        fail("the file cannot be written");
    }
    return 0;
}
