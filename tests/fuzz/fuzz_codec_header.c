// Fuzzes what is told about a payload before any of it is decoded.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "baton/codec.h"
#include "baton/error.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segments(const struct baton_codec_info *info) {
    require(info->segment_count >= 1
                    && info->segment_count <= BATON_CODEC_SEGMENTS_MAX,
            "there are as many segments as may be");
    require((info->segment_count - 1) * BATON_CODEC_SEGMENT_BYTES
                            < info->new_bytes
                    && info->segment_count * BATON_CODEC_SEGMENT_BYTES
                               >= info->new_bytes,
            "and as many as the image has");
    require(info->segment_off[0] == info->header_bytes
                    && info->segment_off[info->segment_count]
                               == info->payload_bytes,
            "they lie between header and end");
    for (uint32_t i = 0; i < info->segment_count; i++) {
        require(info->segment_off[i] <= info->segment_off[i + 1],
                "one after the other");
    }
}

static void check_info(const struct baton_codec_info *info, size_t size) {
    bool is_delta = info->encoding == BATON_CODEC_DELTA;
    require(info->header_bytes <= size
                    && info->header_bytes <= BATON_CODEC_HEADER_MAX,
            "the header was there");
    require(info->new_bytes > 0 && info->new_bytes <= BATON_CODEC_IMAGE_MAX
                    && info->old_bytes <= BATON_CODEC_IMAGE_MAX
                    && (info->old_bytes != 0) == is_delta,
            "images have lengths in their range");
    require(info->state_bytes <= (info->profile == BATON_CODEC_PROFILE_S
                                          ? BATON_CODEC_STATE_S_BYTES
                                          : BATON_CODEC_STATE_M_BYTES),
            "the state fits its profile");
    check_segments(info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct baton_codec_info info;
    struct baton_codec_info again;
    int err = baton_codec_header_read(data, size, &info);
    require(err == 0 || err == BATON_ERR_CODEC_TRUNCATED
                    || err == BATON_ERR_CODEC_FORMAT
                    || err == BATON_ERR_CODEC_VERSION,
            "an error is one that is documented");
    require(err != BATON_ERR_CODEC_TRUNCATED || size < BATON_CODEC_HEADER_MAX,
            "so many bytes always suffice");
    if (err != 0) {
        return 0;
    }
    check_info(&info, size);
    require(baton_codec_header_read(data, info.header_bytes, &again) == 0
                    && memcmp(&info, &again, sizeof(info)) == 0,
            "what follows the header says nothing about it");
    require(baton_codec_header_read(data, info.header_bytes - 1, &again)
                    == BATON_ERR_CODEC_TRUNCATED,
            "and without its last byte it is none");
    return 0;
}
