// Every way a call can fail: one code, one sentence, one next step.
// SPDX-License-Identifier: MIT
//
// A status is 0 or a negative number. Generic faults carry the negated errno
// number, so a MicroPython binding can raise them as OSError unchanged;
// Baton's own start at -200. A number, once released, keeps its meaning.
#ifndef BATON_ERROR_H
#define BATON_ERROR_H

#include <stdbool.h>

enum baton_err {
    BATON_OK = 0,

    BATON_ERR_NOENT = -2,
    BATON_ERR_IO = -5,
    BATON_ERR_AGAIN = -11,
    BATON_ERR_NOMEM = -12,
    BATON_ERR_ARG = -22,
    BATON_ERR_NOSPC = -28,
    BATON_ERR_RANGE = -34,

    // Flash and the order of calls
    BATON_ERR_STATE = -200,
    BATON_ERR_NOR = -201,
    BATON_ERR_READBACK = -202,
    BATON_ERR_CRYPTO = -203,
    BATON_ERR_SLOT = -204,
    BATON_ERR_RUNNING_SLOT = -205,
    BATON_ERR_INCOMPLETE = -206,

    // Not an application image at all, by what it is instead
    BATON_ERR_IS_EMPTY = -210,
    BATON_ERR_IS_BLANK = -211,
    BATON_ERR_IS_MERGED = -212,
    BATON_ERR_IS_BOOTLOADER = -213,
    BATON_ERR_IS_TABLE = -214,
    BATON_ERR_IS_ELF = -215,
    BATON_ERR_IS_GZIP = -216,
    BATON_ERR_IS_ZIP = -217,
    BATON_ERR_IS_HTML = -218,
    BATON_ERR_IS_UF2 = -219,
    BATON_ERR_IMAGE_MAGIC = -220,
    BATON_ERR_IS_TEXT = -234,
    BATON_ERR_IS_ESP8266 = -235,
    BATON_ERR_IS_OTADATA = -236,

    // An application image, but not this one, or not whole
    BATON_ERR_IMAGE_TRUNCATED = -221,
    BATON_ERR_IMAGE_DESCRIPTOR = -222,
    BATON_ERR_IMAGE_CHIP = -223,
    BATON_ERR_IMAGE_REVISION = -224,
    BATON_ERR_IMAGE_SEGMENT_COUNT = -225,
    BATON_ERR_IMAGE_SEGMENT = -226,
    BATON_ERR_IMAGE_MAPPING = -227,
    BATON_ERR_IMAGE_CHECKSUM = -228,
    BATON_ERR_IMAGE_DIGEST = -229,
    BATON_ERR_IMAGE_NO_DIGEST = -230,
    BATON_ERR_IMAGE_TOO_LARGE = -231,
    BATON_ERR_IMAGE_SECURE_VERSION = -232,
    BATON_ERR_IMAGE_SHA256 = -233,

    // Building an image
    BATON_ERR_ELF_FORMAT = -240,
    BATON_ERR_ELF_MACHINE = -241,
    BATON_ERR_ELF_EMPTY = -242,
    BATON_ERR_ELF_LAYOUT = -243,

    // Partition tables
    BATON_ERR_TABLE_MAGIC = -250,
    BATON_ERR_TABLE_LENGTH = -251,
    BATON_ERR_TABLE_END = -252,
    BATON_ERR_TABLE_MD5 = -253,
    BATON_ERR_TABLE_ROWS = -254,
    BATON_ERR_TABLE_BOUNDS = -255,
    BATON_ERR_TABLE_OVERLAP = -256,
    BATON_ERR_TABLE_ALIGN = -257,
    BATON_ERR_TABLE_DUPLICATE = -258,
    BATON_ERR_TABLE_OTADATA = -259,
    BATON_ERR_TABLE_READONLY = -260,
    BATON_ERR_TABLE_NVS = -261,
    BATON_ERR_TABLE_FLASH_SIZE = -262,
    BATON_ERR_CSV_FIELD = -263,
    BATON_ERR_CSV_NUMBER = -264,
    BATON_ERR_CSV_KEYWORD = -265,
    BATON_ERR_CSV_FLAG = -266,
    BATON_ERR_CSV_VARIABLE = -267,
    BATON_ERR_CSV_OFFSET = -268,
    BATON_ERR_CSV_TEXT = -269,
    BATON_ERR_CSV_RANGE = -270,
    BATON_ERR_TABLE_LABEL = -271,
    BATON_ERR_TABLE_ABSENT = -272,

    // The agent
    BATON_ERR_UNSIGNED = -320,
    BATON_ERR_RELEASE_FAILED = -321,
    BATON_ERR_ON_TRIAL = -322,
    BATON_ERR_FILE_LENGTH = -323,
    BATON_ERR_TRIAL_DIED = -324,
    BATON_ERR_TRIAL_CRASHED = -325,
    BATON_ERR_TRIAL_TIMEOUT = -326,
    BATON_ERR_TRIAL_NO_NETWORK = -327,
    BATON_ERR_TRIAL_REJECTED = -328,
    BATON_ERR_TRIAL_CUT = -329,

    // Choosing what to boot
    BATON_ERR_NO_OTADATA = -280,
    BATON_ERR_OTADATA_SIZE = -281,
    BATON_ERR_NO_CHOICE = -282,
    BATON_ERR_NOTHING_BOOTS = -283,
    BATON_ERR_RECORD_EXCLUDED = -284,
    BATON_ERR_RECORD_CRC = -285,
    BATON_ERR_NOT_RUNNING = -286,

    // Keys and trust
    BATON_ERR_TRUST_NONE = -290,
    BATON_ERR_TRUST_STORE = -291,
    BATON_ERR_KEY_FORMAT = -292,
    BATON_ERR_KEYS_OLD = -293,
    BATON_ERR_KEYS_EXPIRED = -294,

    // A signed document: is it one, and by whom
    BATON_ERR_JWS_FORMAT = -295,
    BATON_ERR_JWS_TOO_LARGE = -296,
    BATON_ERR_JWS_ALGORITHM = -297,
    BATON_ERR_JWS_TYPE = -298,
    BATON_ERR_KEY_UNKNOWN = -299,
    BATON_ERR_SIGNATURE = -300,
    BATON_ERR_JSON_FORMAT = -301,
    BATON_ERR_JSON_DUPLICATE = -302,
    BATON_ERR_JSON_LIMIT = -303,

    // What a release says of itself
    BATON_ERR_MANIFEST_FORMAT = -304,
    BATON_ERR_MANIFEST_VERSION = -305,
    BATON_ERR_MANIFEST_PRODUCT = -306,
    BATON_ERR_MANIFEST_BOARD = -307,
    BATON_ERR_MANIFEST_CHIP = -308,
    BATON_ERR_MANIFEST_NO_CLOCK = -309,
    BATON_ERR_MANIFEST_EXPIRED = -310,
    BATON_ERR_MANIFEST_OLD = -311,
    BATON_ERR_MANIFEST_BOOTLOADER = -312,
    BATON_ERR_MANIFEST_MPY = -313,
    BATON_ERR_MANIFEST_ROLLOUT = -314,
    BATON_ERR_MANIFEST_PAYLOAD = -315,

    // Payloads (raw, packed, delta)
    BATON_ERR_CODEC_FORMAT = -330,
    BATON_ERR_CODEC_VERSION = -331,
    BATON_ERR_CODEC_MEMORY = -332,
    BATON_ERR_CODEC_BASE = -333,
    BATON_ERR_CODEC_CORRUPT = -334,
    BATON_ERR_CODEC_TRUNCATED = -335,
    BATON_ERR_CODEC_DIGEST = -336,

    // Reaching a server
    BATON_ERR_URL = -370,
    BATON_ERR_NET_DNS = -371,
    BATON_ERR_NET_CONNECT = -372,
    BATON_ERR_NET_RESET = -373,
    BATON_ERR_NET_TIMEOUT = -374,
    BATON_ERR_NET_STALLED = -375,
    BATON_ERR_NET_TOO_MUCH = -376,

    // Believing it
    BATON_ERR_TLS = -377,
    BATON_ERR_TLS_EXPIRED = -378,
    BATON_ERR_TLS_NOT_YET_VALID = -379,
    BATON_ERR_TLS_CLOCK = -380,
    BATON_ERR_TLS_HOST = -381,
    BATON_ERR_TLS_UNTRUSTED = -382,
    BATON_ERR_TLS_PIN = -383,

    // What it answers
    BATON_ERR_HTTP_FORMAT = -384,
    BATON_ERR_HTTP_HEADER_SIZE = -385,
    BATON_ERR_HTTP_STATUS = -386,
    BATON_ERR_HTTP_NOT_FOUND = -387,
    BATON_ERR_HTTP_DENIED = -388,
    BATON_ERR_HTTP_BUSY = -389,
    BATON_ERR_HTTP_RANGE = -390,
    BATON_ERR_HTTP_CHANGED = -391,
    BATON_ERR_HTTP_REDIRECTS = -392,
    BATON_ERR_HTTP_DOWNGRADE = -393,
    BATON_ERR_HTTP_ENCODING = -394,
    BATON_ERR_HTTP_LENGTH = -395,

    // A device on a serial port
    BATON_ERR_SERIAL = -360,
    BATON_ERR_NO_REPL = -361,
    BATON_ERR_DEVICE = -362,
    BATON_ERR_DEVICE_SILENT = -363,
    BATON_ERR_DEVICE_SLOTS = -364,
    BATON_ERR_DEVICE_ABI = -365,
    BATON_ERR_DEVICE_WRITE = -366,
    BATON_ERR_PACKAGE = -367,
};

// The code's name as spelt above ("BATON_ERR_IO"), or "BATON_ERR_UNKNOWN".
const char *baton_error_name(int err);

// One sentence on what is wrong, without a full stop.
const char *baton_strerror(int err);

// What the person can do next, one sentence; "" where there is nothing to add.
const char *baton_error_hint(int err);

// Whether the same may go well later with nothing changed here: every
// BATON_ERR_NET_* but TOO_MUCH; of TLS a failed handshake, a certificate that
// is not valid yet and a clock that is not set; of HTTP FORMAT (a portal or a
// proxy in between), BUSY, CHANGED and LENGTH; and AGAIN, NOMEM, IO, READBACK.
bool baton_error_is_retryable(int err);

#endif
