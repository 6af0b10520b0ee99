// Payloads as a whole: what is packed is what comes out.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "baton/codec.h"
#include "baton/error.h"

static void refuses_what_is_no_payload(void **state) {
    (void)state;
    struct baton_codec_info info;
    uint8_t head[BATON_CODEC_HEADER_MAX] = {0};
    assert_int_equal(baton_codec_header_read(head, sizeof(head), &info),
            BATON_ERR_CODEC_FORMAT);
    memcpy(head, "BatP", 4);
    assert_int_equal(baton_codec_header_read(head, 3, &info),
            BATON_ERR_CODEC_TRUNCATED);
    head[4] = 99;
    assert_int_equal(baton_codec_header_read(head, sizeof(head), &info),
            BATON_ERR_CODEC_VERSION);
    head[4] = 1;
    head[6] = 0x80;
    assert_int_equal(baton_codec_header_read(head, sizeof(head), &info),
            BATON_ERR_CODEC_VERSION);
    head[6] = 0;
    head[5] = 9;
    assert_int_equal(baton_codec_header_read(head, sizeof(head), &info),
            BATON_ERR_CODEC_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(refuses_what_is_no_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
