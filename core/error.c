// The table of errors: name, sentence, next step.
// SPDX-License-Identifier: MIT
#include "baton/error.h"

#include <stddef.h>

struct entry {
    int code;
    const char *name;
    const char *text;
    const char *hint;
};

#define ENTRY(name, text, hint)                                                \
    { BATON_##name, "BATON_" #name, text, hint }

static const struct entry entries[] = {
        ENTRY(OK, "no error", ""),
        ENTRY(ERR_NOENT, "not found", ""),
        ENTRY(ERR_IO, "the flash or the file could not be read or written",
                "try again; if it persists the flash may be worn out"),
        ENTRY(ERR_AGAIN, "nothing yet", "call it again"),
        ENTRY(ERR_NOMEM, "not enough memory", ""),
        ENTRY(ERR_ARG, "an argument is out of range or not aligned", ""),
        ENTRY(ERR_NOSPC, "the buffer given is too small", ""),
        ENTRY(ERR_RANGE, "an address lies outside the flash or the partition",
                ""),
        ENTRY(ERR_STATE, "this call does not fit the state of the update",
                "begin again"),
        ENTRY(ERR_NOR, "flash was programmed without an erase before it",
                "a program can only clear bits; erase the sector first"),
        ENTRY(ERR_READBACK, "the flash does not hold what was written to it",
                "try again; if it persists the flash may be worn out"),
        ENTRY(ERR_CRYPTO, "the hash function failed", ""),
        ENTRY(ERR_SLOT, "there is no such slot in the partition table",
                "a table for updates has ota_0 and ota_1; see 'baton table "
                "show'"),
        ENTRY(ERR_RUNNING_SLOT, "the running slot is never written",
                "write to the next update slot"),
        ENTRY(ERR_INCOMPLETE, "the image was not written to its end",
                "download the rest and try again"),

        ENTRY(ERR_IS_EMPTY, "the file is empty",
                "check the URL or the build that made it"),
        ENTRY(ERR_IS_BLANK, "this is erased flash (all 0xFF), not an image",
                "check the address it was read from"),
        ENTRY(ERR_IS_MERGED, "this is a merged .bin with a bootloader in front",
                "use the .app-bin (the application alone) for an update"),
        ENTRY(ERR_IS_BOOTLOADER,
                "this is a bootloader, alone or in front of a merged .bin",
                "use the .app-bin (the application alone) for an update"),
        ENTRY(ERR_IS_TABLE, "this is a partition table, not an application",
                "use the .app-bin; show this one with 'baton table show'"),
        ENTRY(ERR_IS_ELF, "this is an ELF file, not a flash image",
                "convert it with 'baton image make --elf'"),
        ENTRY(ERR_IS_GZIP, "this is gzip-compressed", "unpack it first"),
        ENTRY(ERR_IS_ZIP, "this is a zip archive",
                "unpack it and use the .app-bin inside"),
        ENTRY(ERR_IS_HTML, "this is a web page, not a firmware image",
                "the server answered with a page: check the URL"),
        ENTRY(ERR_IS_UF2, "this is a UF2 file",
                "use the .app-bin of the same build"),
        ENTRY(ERR_IS_TEXT, "this is text, not a firmware image",
                "the server may have answered with a message: check the URL"),
        ENTRY(ERR_IS_ESP8266, "this is an image for the ESP8266",
                "take the build made for this chip"),
        ENTRY(ERR_IS_OTADATA,
                "this is otadata (the choice of slot), not an application",
                "use the .app-bin (the application alone) for an update"),
        ENTRY(ERR_IMAGE_MAGIC, "this is not an ESP application image",
                "an application image begins with the byte 0xE9"),

        ENTRY(ERR_IMAGE_TRUNCATED, "the image is cut short",
                "download it again, whole"),
        ENTRY(ERR_IMAGE_DESCRIPTOR, "the image has no application descriptor",
                "use the .app-bin of an ESP-IDF based build"),
        ENTRY(ERR_IMAGE_CHIP, "the image is for another chip",
                "take the build made for this chip"),
        ENTRY(ERR_IMAGE_REVISION,
                "the image does not support this chip's revision",
                "take a build made for this chip revision"),
        ENTRY(ERR_IMAGE_SEGMENT_COUNT,
                "the image header counts no segments, or more than 16",
                "the file is damaged; download it again"),
        ENTRY(ERR_IMAGE_SEGMENT, "a segment of the image has a wrong length",
                "the file is damaged; download it again"),
        ENTRY(ERR_IMAGE_MAPPING,
                "a flash-mapped segment is not aligned to its page",
                "the file is damaged, or built for another page size"),
        ENTRY(ERR_IMAGE_CHECKSUM, "the image's checksum is wrong",
                "the file is damaged; download it again"),
        ENTRY(ERR_IMAGE_DIGEST, "the image's appended SHA-256 is wrong",
                "the file is damaged; download it again"),
        ENTRY(ERR_IMAGE_NO_DIGEST, "the image carries no SHA-256 of its own",
                "build it with an appended digest, or give the hash of the "
                "file"),
        ENTRY(ERR_IMAGE_TOO_LARGE, "the image is larger than the slot",
                "build a smaller image, or flash a table with larger slots"),
        ENTRY(ERR_IMAGE_SECURE_VERSION,
                "the image's secure version is older than this chip allows",
                "take a newer build"),
        ENTRY(ERR_IMAGE_SHA256,
                "the image is not the one that was asked for (SHA-256 differs)",
                "download it again, or correct the expected hash"),

        ENTRY(ERR_ELF_FORMAT, "not a 32-bit little-endian ELF program", ""),
        ENTRY(ERR_ELF_MACHINE, "the ELF is for another processor",
                "give the chip the program was built for"),
        ENTRY(ERR_ELF_EMPTY, "the ELF has nothing to load", ""),
        ENTRY(ERR_ELF_LAYOUT,
                "the ELF's sections cannot be laid out as an image",
                "overlapping or misplaced sections, or more than 16 segments"),

        ENTRY(ERR_TABLE_MAGIC, "a partition table row has a wrong magic",
                "the file is damaged or not a partition table"),
        ENTRY(ERR_TABLE_LENGTH,
                "the partition table's length is not a multiple of 32",
                "the file is cut short; take it again, whole"),
        ENTRY(ERR_TABLE_END, "the partition table has no end row",
                "the file is cut short; take it again, whole"),
        ENTRY(ERR_TABLE_MD5, "the partition table's MD5 row does not match",
                "the table is damaged; flash it again"),
        ENTRY(ERR_TABLE_ROWS, "too many partitions",
                "94 rows fit with the MD5 row, 95 without"),
        ENTRY(ERR_TABLE_BOUNDS, "a partition reaches past the flash", ""),
        ENTRY(ERR_TABLE_OVERLAP, "partitions overlap, or lie below the table",
                "leave the offset empty to have it placed"),
        ENTRY(ERR_TABLE_ALIGN, "a partition's offset or size is not aligned",
                "0x10000 for offsets of app partitions, 0x1000 otherwise"),
        ENTRY(ERR_TABLE_DUPLICATE, "two partitions have the same name",
                "rename one of them"),
        ENTRY(ERR_TABLE_OTADATA,
                "there must be one otadata partition, of size 0x2000", ""),
        ENTRY(ERR_TABLE_READONLY,
                "otadata and coredump partitions cannot be read-only",
                "remove the flag 'readonly'"),
        ENTRY(ERR_TABLE_NVS,
                "a writable nvs partition needs at least 0x3000 bytes",
                "make it larger, or flag it 'readonly'"),
        ENTRY(ERR_TABLE_FLASH_SIZE, "the table does not fit the flash size",
                "make partitions smaller, or give the size of a larger chip"),
        ENTRY(ERR_CSV_FIELD, "a required field is empty",
                "a row needs a type and a size, an app row also a subtype"),
        ENTRY(ERR_CSV_NUMBER, "not a number",
                "0x for hexadecimal, a suffix K or M for a multiple"),
        ENTRY(ERR_CSV_KEYWORD, "unknown type or subtype",
                "use a keyword of this type, or a number"),
        ENTRY(ERR_CSV_FLAG, "unknown flag",
                "the flags are 'encrypted' and 'readonly'"),
        ENTRY(ERR_CSV_VARIABLE, "unknown environment variable",
                "set it, or put a space in front of the dollar sign"),
        ENTRY(ERR_CSV_OFFSET, "this row needs the bootloader's offset",
                "give it with --primary-bootloader-offset or "
                "--recovery-bootloader-offset"),
        ENTRY(ERR_CSV_TEXT, "the file is not text",
                "write it as UTF-8, or as UTF-16 with a byte order mark"),
        ENTRY(ERR_CSV_RANGE, "a number is too large for its field, or negative",
                "types and subtypes go to 0xFF, addresses to 0xFFFFFFFF; a "
                "size may be negative to give the end"),
        ENTRY(ERR_TABLE_LABEL, "a partition's name is not UTF-8",
                "the table is damaged, or a long name was cut inside a "
                "letter"),
        ENTRY(ERR_TABLE_ABSENT, "there is no partition table in this file",
                "give a table, its CSV, a flash image or a merged .bin"),

        ENTRY(ERR_UNSIGNED, "nothing vouches for what this URL would deliver",
                "give a sha256, use a signed channel, or allow unsigned "
                "images by name"),
        ENTRY(ERR_RELEASE_FAILED, "this release failed on this device before",
                "publish a release with a higher sequence number"),
        ENTRY(ERR_ON_TRIAL, "the running version is on trial itself",
                "confirm it first"),
        ENTRY(ERR_FILE_LENGTH, "the file has not the length it should have",
                "check that the server holds the file that was published"),
        ENTRY(ERR_TRIAL_DIED, "the new version ended before it could count",
                "look at what it does first; publish a higher sequence"),
        ENTRY(ERR_TRIAL_CRASHED, "the new version crashed too often",
                "look at its console output; publish a higher sequence"),
        ENTRY(ERR_TRIAL_TIMEOUT, "the new version was not healthy in time",
                "look at what its health check waits for"),
        ENTRY(ERR_TRIAL_NO_NETWORK,
                "the new version was never online during its trial",
                "it is tried again when the network is back"),
        ENTRY(ERR_TRIAL_REJECTED, "the application rejected the new version",
                "publish a higher sequence"),
        ENTRY(ERR_TRIAL_CUT, "the power was cut before the trial could begin",
                "it is tried again"),

        ENTRY(ERR_NO_OTADATA, "the table has no otadata partition",
                "updates need one: see 'baton table show'"),
        ENTRY(ERR_OTADATA_SIZE, "the otadata partition is too small",
                "it must be 0x2000 bytes"),
        ENTRY(ERR_NO_CHOICE, "no otadata record is in force", ""),
        ENTRY(ERR_NOTHING_BOOTS, "no partition holds a bootable image",
                "flash the device over its serial port"),
        ENTRY(ERR_RECORD_EXCLUDED, "this otadata record is out of the choice",
                ""),
        ENTRY(ERR_RECORD_CRC, "this otadata record's CRC is wrong", ""),
        ENTRY(ERR_NOT_RUNNING, "the slot that runs is not the one to confirm",
                "the chosen slot did not boot; roll back or update again"),

        ENTRY(ERR_TRUST_NONE, "no key is trusted on this device",
                "install the root key, or give the key with 'keys='"),
        ENTRY(ERR_TRUST_STORE, "the trusted keys in the store are damaged",
                "install the root key again"),
        ENTRY(ERR_KEY_FORMAT, "this is not a P-256 key",
                "make one with 'baton key new'"),
        ENTRY(ERR_KEYS_OLD, "the key set is older than the installed one",
                "publish the newest keys.jws"),
        ENTRY(ERR_KEYS_EXPIRED, "the key set has expired",
                "publish a new keys.jws, signed by the root key"),

        ENTRY(ERR_JWS_FORMAT, "this is not a signed document (JWS)",
                "check the URL; make one with 'baton release make'"),
        ENTRY(ERR_JWS_TOO_LARGE, "the signed document is too long",
                "a release has up to 4096 bytes, a key set up to 2048"),
        ENTRY(ERR_JWS_ALGORITHM, "the signature's algorithm is not ES256",
                "sign it with a P-256 key and ES256"),
        ENTRY(ERR_JWS_TYPE, "this signed document is of another type",
                "a release and a key set do not replace each other: check "
                "the URL"),
        ENTRY(ERR_KEY_UNKNOWN, "it is signed by a key that is not trusted",
                "sign it with a key of the key set, or publish a new "
                "keys.jws"),
        ENTRY(ERR_SIGNATURE, "the signature is not by the key",
                "check which key signed it, and which one is trusted"),
        ENTRY(ERR_JSON_FORMAT, "the signed text is not strict JSON",
                "make it with 'baton release make'"),
        ENTRY(ERR_JSON_DUPLICATE, "a member appears twice in a JSON object",
                "make it with 'baton release make'"),
        ENTRY(ERR_JSON_LIMIT,
                "the JSON is nested too deep, or has too many "
                "members",
                "make it with 'baton release make'"),

        ENTRY(ERR_MANIFEST_FORMAT,
                "a member of the signed document is missing or wrong",
                "see docs/FORMAT.md; make it with 'baton release make'"),
        ENTRY(ERR_MANIFEST_VERSION, "the signed document's format is newer",
                "update to a version that reads it first"),
        ENTRY(ERR_MANIFEST_PRODUCT, "the release is for another product",
                "check the URL"),
        ENTRY(ERR_MANIFEST_BOARD, "the release is for another board",
                "take the channel of this board"),
        ENTRY(ERR_MANIFEST_CHIP, "the release is for another chip",
                "take the channel of this chip"),
        ENTRY(ERR_MANIFEST_NO_CLOCK,
                "whether the release has expired cannot be told: no clock",
                "set the clock from the network first"),
        ENTRY(ERR_MANIFEST_EXPIRED, "the release has expired",
                "publish it anew with 'baton release sign'"),
        ENTRY(ERR_MANIFEST_OLD, "the release is older than one seen before",
                "publish it with a higher sequence number"),
        ENTRY(ERR_MANIFEST_BOOTLOADER,
                "the release needs a bootloader that can roll back",
                "flash a bootloader with rollback over the serial port"),
        ENTRY(ERR_MANIFEST_MPY,
                "the release's MicroPython loads other .mpy files",
                "install Baton's module for it first, or use a firmware with "
                "Baton inside"),
        ENTRY(ERR_MANIFEST_ROLLOUT,
                "the release has not been rolled out to this device yet",
                "wait, or raise the percentage with 'baton release rollout'"),
        ENTRY(ERR_MANIFEST_PAYLOAD, "no payload of the release can be used",
                "publish the plain image with the release"),

        ENTRY(ERR_CODEC_FORMAT, "this is not a payload, or its header is wrong",
                "make it with 'baton pack'; download it again"),
        ENTRY(ERR_CODEC_VERSION, "the payload's format is newer than this one",
                "take the plain image, or one packed for this version"),
        ENTRY(ERR_CODEC_MEMORY, "the payload needs more memory than there is",
                "take one of profile S, or the plain image"),
        ENTRY(ERR_CODEC_BASE, "the delta is for another base image",
                "take the delta for the image that runs, or a packed one"),
        ENTRY(ERR_CODEC_CORRUPT, "the payload is damaged", "download it again"),
        ENTRY(ERR_CODEC_TRUNCATED, "the payload is cut short",
                "download it again, whole"),
        ENTRY(ERR_CODEC_DIGEST,
                "the decoded image is not the one the payload names",
                "the payload or its base is damaged; take the plain image"),

        ENTRY(ERR_URL, "this is not an http or https address",
                "write it as https://host/path, without spaces"),
        ENTRY(ERR_NET_DNS, "the server's name was not found",
                "check the name in the URL and the network's DNS"),
        ENTRY(ERR_NET_CONNECT, "the server cannot be reached",
                "check the network, the port, and that the server runs"),
        ENTRY(ERR_NET_RESET, "the connection broke",
                "it is tried again; if it persists check the network"),
        ENTRY(ERR_NET_TIMEOUT, "the server did not answer in time",
                "it is tried again; if it persists check the server"),
        ENTRY(ERR_NET_STALLED, "the data came too slowly",
                "it is tried again; for slow links lower the minimum rate"),
        ENTRY(ERR_NET_TOO_MUCH, "the server sent more than is allowed",
                "check the URL, or raise the cap on bytes"),

        ENTRY(ERR_TLS, "no secure connection could be agreed on",
                "the server needs TLS 1.2 or newer; check that it is https"),
        ENTRY(ERR_TLS_EXPIRED, "the server's certificate has expired",
                "renew it on the server; check the device's clock"),
        ENTRY(ERR_TLS_NOT_YET_VALID,
                "the server's certificate is not yet valid",
                "check the device's clock, then the certificate"),
        ENTRY(ERR_TLS_CLOCK, "the clock was never set, so no certificate holds",
                "set the clock first, by NTP for instance"),
        ENTRY(ERR_TLS_HOST, "the certificate is for another host",
                "use the name in the certificate, or issue one for this host"),
        ENTRY(ERR_TLS_UNTRUSTED,
                "the certificate is self-signed or from an unknown CA",
                "give the CA that signed it"),
        ENTRY(ERR_TLS_PIN, "the server's key is not the pinned one",
                "pin its new key, if the change was meant"),

        ENTRY(ERR_HTTP_FORMAT, "the answer is not HTTP",
                "check the URL, and for a login page or a proxy in between"),
        ENTRY(ERR_HTTP_HEADER_SIZE, "the answer's header is too long",
                "check the URL, and what the server adds to its answers"),
        ENTRY(ERR_HTTP_STATUS, "the server refused the request",
                "check the URL and the server's log"),
        ENTRY(ERR_HTTP_NOT_FOUND, "the server has no such file",
                "check the URL, and that the release was published"),
        ENTRY(ERR_HTTP_DENIED, "the server wants other credentials",
                "check the authorization given"),
        ENTRY(ERR_HTTP_BUSY, "the server is busy or has failed",
                "it is tried again later; if it persists check the server"),
        ENTRY(ERR_HTTP_RANGE, "the server sent another part than asked for",
                "the file may be shorter now; fetch it from its start"),
        ENTRY(ERR_HTTP_CHANGED, "the file on the server has changed",
                "fetch it from its start"),
        ENTRY(ERR_HTTP_REDIRECTS, "the server redirects without end",
                "check the URL, or raise the limit of redirects"),
        ENTRY(ERR_HTTP_DOWNGRADE, "the server redirects from https to http",
                "use an https address, or sign what is fetched"),
        ENTRY(ERR_HTTP_ENCODING, "the server sent the file compressed",
                "turn content encoding off for it on the server"),
        ENTRY(ERR_HTTP_LENGTH, "the answer's length is not the one announced",
                "it is tried again; if it persists check the server"),

        ENTRY(ERR_SERIAL, "the serial port cannot be used",
                "check its name and your permission (group dialout), and close "
                "other programs that use it"),
        ENTRY(ERR_NO_REPL, "no MicroPython answers on the serial port",
                "press the board's reset button and try again; a REPL on "
                "UART or USB is needed"),
        ENTRY(ERR_DEVICE, "a script on the device failed",
                "its message is above; reset the device and try again"),
        ENTRY(ERR_DEVICE_SILENT, "the device stopped answering",
                "reset it and run the same command again: it goes on where it "
                "stopped"),
        ENTRY(ERR_DEVICE_SLOTS, "the device's firmware has no update slots",
                "flash an OTA build of MicroPython once over the serial port"),
        ENTRY(ERR_DEVICE_ABI, "there is no native module for this firmware",
                "run 'make natmod' with the compilers for the device's "
                "processor, or take a firmware from 1.25 on"),
        ENTRY(ERR_DEVICE_WRITE, "the device does not hold what was sent to it",
                "run the same command again; if it persists the flash may be "
                "worn out"),
        ENTRY(ERR_PACKAGE, "the package to install is missing or incomplete",
                "run 'make natmod', or give the directory with --packages"),
};

static const struct entry *find_entry(int err) {
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        if (entries[i].code == err) {
            return &entries[i];
        }
    }
    return NULL;
}

const char *baton_error_name(int err) {
    const struct entry *entry = find_entry(err);
    return entry != NULL ? entry->name : "BATON_ERR_UNKNOWN";
}

const char *baton_strerror(int err) {
    const struct entry *entry = find_entry(err);
    return entry != NULL ? entry->text : "unknown error";
}

const char *baton_error_hint(int err) {
    const struct entry *entry = find_entry(err);
    return entry != NULL ? entry->hint : "";
}

bool baton_error_is_retryable(int err) {
    switch (err) {
    case BATON_ERR_IO:
    case BATON_ERR_AGAIN:
    case BATON_ERR_NOMEM:
    case BATON_ERR_READBACK:
    case BATON_ERR_NET_DNS:
    case BATON_ERR_NET_CONNECT:
    case BATON_ERR_NET_RESET:
    case BATON_ERR_NET_TIMEOUT:
    case BATON_ERR_NET_STALLED:
    case BATON_ERR_TLS:
    case BATON_ERR_TLS_NOT_YET_VALID:
    case BATON_ERR_TLS_CLOCK:
    case BATON_ERR_HTTP_FORMAT:
    case BATON_ERR_HTTP_BUSY:
    case BATON_ERR_HTTP_CHANGED:
    case BATON_ERR_HTTP_LENGTH:
        return true;
    default:
        return false;
    }
}
