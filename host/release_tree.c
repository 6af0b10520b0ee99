// The tree of static files that releases are published in.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "release.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "cli.h"

bool release_sha256(
        const void *data, size_t len, uint8_t out[BATON_SHA256_BYTES]) {
    const struct baton_crypto *crypto = baton_crypto_psa();
    struct baton_hash_state state;
    return crypto != NULL
           && crypto->hash_start(crypto->context, &state, BATON_HASH_SHA256)
                      == 0
           && crypto->hash_update(crypto->context, &state, data, len) == 0
           && crypto->hash_finish(crypto->context, &state, out) == 0;
}

uint8_t *release_make_list(const uint8_t *image, size_t len, size_t *list_len) {
    size_t sectors = (len + BATON_SECTOR_BYTES - 1) / BATON_SECTOR_BYTES;
    *list_len = sectors * BATON_MANIFEST_LIST_ENTRY_BYTES;
    uint8_t *list = malloc(*list_len + 1);
    for (size_t i = 0; list != NULL && i < sectors; i++) {
        size_t at = i * BATON_SECTOR_BYTES;
        size_t count =
                len - at < BATON_SECTOR_BYTES ? len - at : BATON_SECTOR_BYTES;
        uint8_t digest[BATON_SHA256_BYTES];
        if (!release_sha256(image + at, count, digest)) {
            free(list);
            return NULL;
        }
        memcpy(list + i * BATON_MANIFEST_LIST_ENTRY_BYTES, digest,
                BATON_MANIFEST_LIST_ENTRY_BYTES);
    }
    return list;
}

char *release_join(const char *dir, const char *name) {
    size_t len = strlen(dir) + strlen(name) + 2;
    char *out = malloc(len);
    if (out != NULL) {
        snprintf(out, len, "%s/%s", dir, name);
    }
    return out;
}

char *release_channel_path(
        const char *command, const char *dir, const char *channel) {
    static const char letters[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    char name[80];
    size_t len = strlen(channel);
    if (len == 0 || len > 64 || strspn(channel, letters) != len
            || strcmp(channel, "keys") == 0) {
        cli_usage(command,
                "--channel: '%s' is no name for a channel (up to 64 "
                "letters, digits, - and _; not 'keys')",
                channel);
        return NULL;
    }
    snprintf(name, sizeof(name), "%s.jws", channel);
    return release_join(dir, name);
}

static bool fail(const char *command, const char *path) {
    fprintf(stderr, "%s: %s: %s\n", command, path, strerror(errno));
    return false;
}

bool release_make_folder(const char *command, const char *path) {
    struct stat st;
    if (mkdir(path, 0777) == 0
            || (errno == EEXIST && stat(path, &st) == 0
                    && S_ISDIR(st.st_mode))) {
        return true;
    }
    return fail(command, path);
}

static bool write_all(int fd, const uint8_t *data, size_t len) {
    while (len > 0) {
        ssize_t count = write(fd, data, len);
        if (count < 0 && errno != EINTR) {
            return false;
        }
        data += count > 0 ? count : 0;
        len -= count > 0 ? (size_t)count : 0;
    }
    return true;
}

// The name is on disk too when this returns.
static bool sync_folder(const char *path) {
    char *folder = strdup(path);
    if (folder == NULL) {
        return false;
    }
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        *slash = 0;
    }
    int fd = open(slash == folder ? "/"
                  : slash != NULL ? folder
                                  : ".",
            O_RDONLY | O_DIRECTORY);
    free(folder);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

// A server that reads the name at any moment, and a machine that loses its
// power, find the old file or the new one, whole.
static bool replace(
        const char *command, const char *path, const void *data, size_t len) {
    size_t room = strlen(path) + 8;
    char *temporary = malloc(room);
    if (temporary == NULL) {
        return fail(command, path);
    }
    snprintf(temporary, room, "%s.XXXXXX", path);
    int fd = mkstemp(temporary);
    mode_t mask = umask(0);
    umask(mask);
    bool ok = fd >= 0 && write_all(fd, data, len)
              && fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0;
    ok = fd >= 0 && close(fd) == 0 && ok;
    ok = ok && rename(temporary, path) == 0;
    if (!ok) {
        fail(command, path);
    }
    if (!ok && fd >= 0) {
        unlink(temporary);
    }
    free(temporary);
    return ok && (sync_folder(path) || fail(command, path));
}

bool release_publish(const char *command, const char *path, const char *jws) {
    return replace(command, path, jws, strlen(jws));
}

static bool holds(const char *path, const void *data, size_t len) {
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)
            || (size_t)st.st_size != len) {
        return false;
    }
    uint8_t *there;
    size_t there_len;
    if (!cli_read_file(path, &there, &there_len)) {
        return false;
    }
    bool is_same = there_len == len && memcmp(there, data, len) == 0;
    free(there);
    return is_same;
}

void release_payload_path(const char *folder,
        const uint8_t digest[BATON_SHA256_BYTES], const char *suffix,
        char path[RELEASE_PATH_BYTES]) {
    int at = snprintf(path, RELEASE_PATH_BYTES, "%s/", folder);
    for (size_t i = 0; i < BATON_SHA256_BYTES; i++) {
        at += snprintf(
                path + at, RELEASE_PATH_BYTES - (size_t)at, "%02x", digest[i]);
    }
    snprintf(path + at, RELEASE_PATH_BYTES - (size_t)at, "%s", suffix);
}

bool release_put(const char *command, const char *dir, const char *folder,
        const char *suffix, const void *data, size_t len,
        char path[RELEASE_PATH_BYTES]) {
    uint8_t digest[BATON_SHA256_BYTES];
    if (!release_sha256(data, len, digest)) {
        cli_refuse(command, NULL, BATON_ERR_CRYPTO);
        return false;
    }
    release_payload_path(folder, digest, suffix, path);
    char *full_folder = release_join(dir, folder);
    char *full = release_join(dir, path);
    bool ok = full_folder != NULL && full != NULL
              && release_make_folder(command, dir)
              && release_make_folder(command, full_folder)
              && (holds(full, data, len) || replace(command, full, data, len));
    free(full_folder);
    free(full);
    return ok;
}
