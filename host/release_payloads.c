// The payloads of a release: the image itself, packed, and as deltas.
// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton/base64.h"
#include "baton/error.h"
#include "cli.h"
#include "codec_encode.h"
#include "release.h"

// A payload that saves less than this share of the next best is left out:
// every byte of a manifest is fetched by every device.
#define WORTH_PERCENT 95u

void release_add_file(
        cJSON *object, const void *data, size_t len, const char *path) {
    uint8_t digest[BATON_SHA256_BYTES];
    char text[BATON_BASE64_CHARS(BATON_SHA256_BYTES) + 1];
    release_sha256(data, len, digest);
    baton_base64_encode(digest, sizeof(digest), text);
    cJSON_AddNumberToObject(object, "bytes", (double)len);
    cJSON_AddStringToObject(object, "sha256", text);
    if (path != NULL) {
        cJSON_AddStringToObject(object, "path", path);
    }
}

static bool put_payload(const struct release_image *image, cJSON *entry,
        const char *encoding, const void *data, size_t len) {
    char suffix[16];
    char path[RELEASE_PATH_BYTES];
    snprintf(suffix, sizeof(suffix), ".%s", encoding);
    if (!release_put(image->command, image->dir, "payloads", suffix, data, len,
                path)) {
        return false;
    }
    cJSON_AddStringToObject(entry, "encoding", encoding);
    release_add_file(entry, data, len, path);
    return true;
}

static bool add_raw(const struct release_image *image, cJSON *list) {
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddItemToArray(list, entry);
    return put_payload(image, entry, "raw", image->data, image->len);
}

static void show_progress(uint32_t done, uint32_t total) {
    cli_progress("packing", done, total);
}

static int encode(const struct release_image *image, const uint8_t *base,
        size_t base_len, struct codec_pack *out) {
    *out = (struct codec_pack){
            .old = base,
            .old_len = (uint32_t)base_len,
            .new = image->data,
            .new_len = (uint32_t)image->len,
            .encoding = base != NULL ? BATON_CODEC_DELTA : BATON_CODEC_PACKED,
            .profile = image->profile,
            .on_progress = show_progress,
    };
    return codec_pack(out);
}

// Adds a payload where it is worth it; *best is the shortest so far.
static bool add_encoded(const struct release_image *image, cJSON *list,
        const uint8_t *base, size_t base_len, size_t *best) {
    static struct codec_pack pack;
    int err = encode(image, base, base_len, &pack);
    if (err != 0) {
        cli_refuse(image->command, "packing", err);
        return false;
    }
    bool ok = true;
    if (pack.payload_len < *best / 100 * WORTH_PERCENT) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddItemToArray(list, entry);
        ok = put_payload(image, entry, base != NULL ? "delta" : "packed",
                pack.payload, pack.payload_len);
        cJSON_AddStringToObject(entry, "profile",
                image->profile == BATON_CODEC_PROFILE_S ? "S" : "M");
        if (base != NULL) {
            release_add_file(cJSON_AddObjectToObject(entry, "base"), base,
                    base_len, NULL);
        } else {
            *best = pack.payload_len;
        }
    }
    free(pack.payload);
    return ok;
}

static bool add_delta(const struct release_image *image, cJSON *list,
        const char *base_path, size_t best) {
    uint8_t *base;
    size_t len;
    if (!cli_read_file(base_path, &base, &len)) {
        return false;
    }
    bool is_same =
            len == image->len && memcmp(base, image->data, image->len) == 0;
    bool ok = is_same
              || (len <= UINT32_MAX
                      && add_encoded(image, list, base, len, &best));
    free(base);
    return ok;
}

bool release_add_payloads(const struct release_image *image, cJSON *list) {
    size_t best = image->len;
    if (!add_raw(image, list)) {
        return false;
    }
    if (!image->is_raw_only && !add_encoded(image, list, NULL, 0, &best)) {
        return false;
    }
    for (size_t i = 0; i < image->base_count; i++) {
        if (!add_delta(image, list, image->base_paths[i], best)) {
            return false;
        }
    }
    return true;
}

// The base of a delta, where the tree still has it as an earlier payload.
static uint8_t *find_base(const char *dir,
        const struct baton_manifest_payload *payload, size_t *len) {
    char path[RELEASE_PATH_BYTES];
    uint8_t digest[BATON_SHA256_BYTES];
    release_payload_path("payloads", payload->base_sha256, ".raw", path);
    char *full = release_join(dir, path);
    uint8_t *data = NULL;
    FILE *file = full != NULL ? fopen(full, "rb") : NULL;
    if (file != NULL) {
        fclose(file);
        if (!cli_read_file(full, &data, len)) {
            data = NULL;
        }
    }
    free(full);
    if (data != NULL
            && (*len != payload->base_bytes
                    || !release_sha256(data, *len, digest)
                    || memcmp(digest, payload->base_sha256, sizeof(digest))
                               != 0)) {
        free(data);
        data = NULL;
    }
    return data;
}

int release_decode(const char *dir, const struct baton_manifest *manifest,
        const struct baton_manifest_payload *payload, const uint8_t *data) {
    uint8_t *base = NULL;
    size_t base_len = 0;
    if (payload->encoding == BATON_CODEC_DELTA) {
        base = find_base(dir, payload, &base_len);
        if (base == NULL) {
            return 0;
        }
    }
    uint8_t *image = NULL;
    size_t len = 0;
    uint8_t digest[BATON_SHA256_BYTES];
    int err = codec_unpack(data, payload->bytes, base, base_len, &image, &len);
    if (err == 0
            && (len != manifest->image_bytes
                    || !release_sha256(image, len, digest)
                    || memcmp(digest, manifest->image_sha256, sizeof(digest))
                               != 0)) {
        err = BATON_ERR_CODEC_DIGEST;
    }
    free(image);
    free(base);
    return err;
}
