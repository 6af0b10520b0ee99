// `baton image make`: an application image from an ELF program or from bytes.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "firmware.h"

#define COMMAND "baton image make"

// A program with a section for each function has thousands.
#define PARTS_MAX 16384u

// Descriptor fields that an option set; the others stay as the ELF has them.
enum {
    GIVEN_VERSION = 1 << 0,
    GIVEN_PROJECT = 1 << 1,
    GIVEN_DATE = 1 << 2,
    GIVEN_TIME = 1 << 3,
    GIVEN_IDF = 1 << 4,
    GIVEN_SECURE_VERSION = 1 << 5,
};

struct make {
    const char *elf_path;
    const char *payload_path;
    const char *out_path;
    const char *flash_mode;
    const char *flash_freq;
    const char *flash_size;
    uint32_t min_revision;
    uint32_t max_revision;
    uint32_t page_bytes;
    unsigned given; // GIVEN_*
    bool has_no_digest;
    bool as_json;
    struct baton_app_descriptor descriptor;
    struct baton_image_spec spec;
    struct baton_image_part parts[PARTS_MAX];
    uint8_t *in; // the ELF or the payload
    size_t in_len;
    uint8_t *out;
    size_t out_len;
};

static void print_help(void) {
    printf("Usage: " COMMAND " --chip CHIP (--elf FILE | --payload FILE) "
           "[OPTIONS] -o IMAGE\n\n"
           "Makes an application image (an .app-bin) from an ELF program, or "
           "from any bytes\nas constants behind a descriptor, for trying "
           "updates. A descriptor that the ELF\nbrings is kept; options "
           "override its fields.\n\n"
           "  --chip CHIP           esp32, esp32c3, esp32s3 ...\n"
           "  --elf FILE            the program\n"
           "  --payload FILE        any bytes\n"
           "  --app-version TEXT    up to 32 bytes, as are --project and "
           "--idf-version\n"
           "  --project TEXT\n"
           "  --idf-version TEXT\n"
           "  --date TEXT           up to 16 bytes: \"Sep 11 2025\"\n"
           "  --time TEXT           up to 16 bytes: 12:00:00\n"
           "                        (default: SOURCE_DATE_EPOCH where that is "
           "set, else empty,\n                        so that the same input "
           "makes the same image)\n"
           "  --secure-version N    for anti-rollback (default 0)\n"
           "  --min-rev REV         chip revision needed: 3.1 or 301 (default "
           "0)\n"
           "  --max-rev REV         and allowed (default: any)\n"
           "  --flash-mode MODE     qio qout dio dout (default dio)\n"
           "  --flash-freq FREQ     40m 80m ... (default: the chip's plain "
           "one)\n"
           "  --flash-size SIZE     1MB ... 128MB (default 4MB)\n"
           "  --mmu-page SIZE       page of the flash mapping, where the chip "
           "has a choice\n"
           "  --no-digest           append no SHA-256\n"
           "  --json                report as JSON, as 'baton image info' "
           "does\n"
           "  -o, --output IMAGE    the file to make\n\n"
           "Example:\n"
           "  " COMMAND " --chip esp32c3 --elf firmware.elf \\\n"
           "      --app-version v1.26.1 -o new.app-bin\n\n"
           "Exit codes: 0 made, 1 refused, 2 wrong usage.\n");
}

// ---- Options -------------------------------------------------------------

static const struct option options[] = {
        {"chip", required_argument, NULL, 'c'},
        {"elf", required_argument, NULL, 'e'},
        {"payload", required_argument, NULL, 'p'},
        {"output", required_argument, NULL, 'o'},
        {"app-version", required_argument, NULL, 'V'},
        {"project", required_argument, NULL, 'P'},
        {"date", required_argument, NULL, 'D'},
        {"time", required_argument, NULL, 'T'},
        {"idf-version", required_argument, NULL, 'I'},
        {"secure-version", required_argument, NULL, 's'},
        {"min-rev", required_argument, NULL, 'm'},
        {"max-rev", required_argument, NULL, 'M'},
        {"flash-mode", required_argument, NULL, 'F'},
        {"flash-freq", required_argument, NULL, 'Q'},
        {"flash-size", required_argument, NULL, 'S'},
        {"mmu-page", required_argument, NULL, 'g'},
        {"no-digest", no_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
};

// A text field of the descriptor; `capacity` counts the terminator.
static bool take_text(struct make *self, unsigned given, char *field,
        size_t capacity, const char *option) {
    size_t len = strlen(optarg);
    if (len >= capacity) {
        cli_usage(COMMAND, "%s: '%s' has %zu bytes, the field holds %zu",
                option, optarg, len, capacity - 1);
        return false;
    }
    memset(field, 0, capacity);
    memcpy(field, optarg, len + 1);
    self->given |= given;
    return true;
}

static bool take_descriptor_option(struct make *self, int option) {
    struct baton_app_descriptor *d = &self->descriptor;
    switch (option) {
    case 'V':
        return take_text(self, GIVEN_VERSION, d->version, sizeof(d->version),
                "--app-version");
    case 'P':
        return take_text(self, GIVEN_PROJECT, d->project_name,
                sizeof(d->project_name), "--project");
    case 'D':
        return take_text(self, GIVEN_DATE, d->date, sizeof(d->date), "--date");
    case 'T':
        return take_text(self, GIVEN_TIME, d->time, sizeof(d->time), "--time");
    case 'I':
        return take_text(self, GIVEN_IDF, d->idf_version,
                sizeof(d->idf_version), "--idf-version");
    case 's':
        self->given |= GIVEN_SECURE_VERSION;
        return cli_parse_u32("--secure-version", optarg, &d->secure_version);
    default:
        cli_usage(COMMAND, "wrong option");
        return false;
    }
}

static bool take_option(struct make *self, int option) {
    switch (option) {
    case 'c':
        return firmware_parse_chip(COMMAND, optarg, &self->spec.header.chip_id);
    case 'e':
        self->elf_path = optarg;
        return true;
    case 'p':
        self->payload_path = optarg;
        return true;
    case 'o':
        self->out_path = optarg;
        return true;
    case 'm':
        return firmware_parse_revision(
                "--min-rev", optarg, &self->min_revision);
    case 'M':
        return firmware_parse_revision(
                "--max-rev", optarg, &self->max_revision);
    case 'F':
        self->flash_mode = optarg;
        return true;
    case 'Q':
        self->flash_freq = optarg;
        return true;
    case 'S':
        self->flash_size = optarg;
        return true;
    case 'g':
        return cli_parse_u32("--mmu-page", optarg, &self->page_bytes);
    case 'n':
        self->has_no_digest = true;
        return true;
    case 'j':
        self->as_json = true;
        return true;
    default:
        return take_descriptor_option(self, option);
    }
}

static bool set_flash(struct make *self) {
    struct baton_image_header *header = &self->spec.header;
    int mode = firmware_parse_flash_mode(self->flash_mode);
    int size = firmware_parse_flash_size(self->flash_size);
    int speed = self->flash_freq != NULL ? firmware_parse_flash_frequency(
                        header->chip_id, self->flash_freq)
                                         : 0;
    if (mode < 0 || size < 0 || speed < 0) {
        cli_usage(COMMAND, "%s: '%s' is not one of %s's",
                mode < 0   ? "--flash-mode"
                : size < 0 ? "--flash-size"
                           : "--flash-freq",
                mode < 0   ? self->flash_mode
                : size < 0 ? self->flash_size
                           : self->flash_freq,
                baton_chip_name(header->chip_id));
        return false;
    }
    header->spi_mode = (uint8_t)mode;
    header->spi_size = (uint8_t)size;
    header->spi_speed = (uint8_t)speed;
    return true;
}

// The page as a power of two; 0 where it was not given.
static bool set_page(struct make *self) {
    uint16_t chip_id = self->spec.header.chip_id;
    uint8_t log2 = 0;
    while (self->page_bytes >> log2 > 1) {
        log2++;
    }
    bool is_power = self->page_bytes == (uint32_t)1 << log2;
    if (self->page_bytes != 0
            && (!is_power || baton_chip_page_log2(chip_id, log2, 0) != log2)) {
        cli_usage(COMMAND, "--mmu-page: %s has no pages of %u bytes",
                baton_chip_name(chip_id), (unsigned)self->page_bytes);
        return false;
    }
    self->spec.mmu_page_log2 = self->page_bytes != 0 ? log2 : 0;
    return true;
}

static bool parse_options(struct make *self, int argc, char **argv, int *code) {
    int option;
    *code = CLI_USAGE;
    while ((option = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            *code = CLI_OK;
            return false;
        }
        if (!take_option(self, option)) {
            return false;
        }
    }
    bool has_one_input =
            (self->elf_path == NULL) != (self->payload_path == NULL);
    if (self->spec.header.chip_id == BATON_CHIP_ANY || !has_one_input
            || self->out_path == NULL || optind != argc) {
        cli_usage(COMMAND, "give --chip, --elf or --payload, and -o");
        return false;
    }
    return set_flash(self) && set_page(self);
}

// ---- Descriptor ----------------------------------------------------------

// SOURCE_DATE_EPOCH in the form in which compilers write dates, for the fields
// that no option gave.
static bool use_epoch(struct make *self) {
    const char *text = getenv("SOURCE_DATE_EPOCH");
    if (text == NULL || text[0] == 0) {
        return true;
    }
    char *end;
    long long seconds = strtoll(text, &end, 10);
    time_t when = (time_t)seconds;
    struct tm *tm = gmtime(&when);
    if (*end != 0 || seconds < 0 || tm == NULL || tm->tm_year > 8099) {
        cli_usage(COMMAND, "SOURCE_DATE_EPOCH: '%s' is not a time in seconds",
                text);
        return false;
    }
    struct baton_app_descriptor *d = &self->descriptor;
    if ((self->given & GIVEN_DATE) == 0) {
        strftime(d->date, sizeof(d->date), "%b %e %Y", tm);
    }
    if ((self->given & GIVEN_TIME) == 0) {
        strftime(d->time, sizeof(d->time), "%H:%M:%S", tm);
    }
    return true;
}

// Lays the fields that options gave over the descriptor the ELF brings.
static void override_descriptor(
        const struct make *self, struct baton_app_descriptor *d) {
    const struct baton_app_descriptor *ours = &self->descriptor;
    if ((self->given & GIVEN_VERSION) != 0) {
        memcpy(d->version, ours->version, sizeof(d->version));
    }
    if ((self->given & GIVEN_PROJECT) != 0) {
        memcpy(d->project_name, ours->project_name, sizeof(d->project_name));
    }
    if ((self->given & GIVEN_DATE) != 0) {
        memcpy(d->date, ours->date, sizeof(d->date));
    }
    if ((self->given & GIVEN_TIME) != 0) {
        memcpy(d->time, ours->time, sizeof(d->time));
    }
    if ((self->given & GIVEN_IDF) != 0) {
        memcpy(d->idf_version, ours->idf_version, sizeof(d->idf_version));
    }
    if ((self->given & GIVEN_SECURE_VERSION) != 0) {
        d->secure_version = ours->secure_version;
    }
    if (self->spec.mmu_page_log2 != 0) {
        d->mmu_page_log2 = self->spec.mmu_page_log2;
    }
    memcpy(d->elf_sha256, ours->elf_sha256, sizeof(d->elf_sha256));
}

// Changes the descriptor inside the ELF as read, field by field: what is
// reserved in it stays.
static void patch_descriptor(const struct make *self, uint8_t *raw) {
    static const struct {
        uint8_t from;
        uint8_t to;
    } ranges[] = {{4, 8}, {16, 181}};
    struct baton_app_descriptor d;
    uint8_t made[BATON_IMAGE_DESCRIPTOR_BYTES];
    if (baton_image_decode_descriptor(raw, &d) != 0) {
        return;
    }
    override_descriptor(self, &d);
    baton_image_encode_descriptor(&d, made);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        memcpy(raw + ranges[i].from, made + ranges[i].from,
                (size_t)(ranges[i].to - ranges[i].from));
    }
}

// The part that brings a descriptor; NULL: none does.
static const struct baton_image_part *find_descriptor(const struct make *self) {
    const struct baton_image_spec *spec = &self->spec;
    for (size_t i = 0; i < spec->part_count; i++) {
        const struct baton_image_part *part = &self->parts[i];
        struct baton_app_descriptor d;
        if (part->len_bytes >= BATON_IMAGE_DESCRIPTOR_BYTES
                && baton_chip_is_mapped(
                        spec->header.chip_id, 0, part->load_addr)
                && baton_image_decode_descriptor(part->data, &d) == 0) {
            return part;
        }
    }
    return NULL;
}

// ---- Building ------------------------------------------------------------

static bool hash_input(struct make *self) {
    const struct baton_crypto *crypto = baton_crypto_psa();
    static struct baton_hash_state state;
    return crypto->hash_start(crypto->context, &state, BATON_HASH_SHA256) == 0
           && crypto->hash_update(
                      crypto->context, &state, self->in, self->in_len)
                      == 0
           && crypto->hash_finish(
                      crypto->context, &state, self->descriptor.elf_sha256)
                      == 0;
}

static int prepare_elf(struct make *self) {
    struct baton_image_spec *spec = &self->spec;
    int err = baton_image_parse_elf(self->in, self->in_len,
            spec->header.chip_id, self->parts, PARTS_MAX, &spec->part_count,
            &spec->header.entry_addr);
    if (err != 0) {
        return err;
    }
    const struct baton_image_part *part = find_descriptor(self);
    spec->add_descriptor = part == NULL;
    if (part != NULL) {
        patch_descriptor(self, self->in + (part->data - self->in));
    }
    return 0;
}

// The bytes stand as constants right behind the descriptor.
static int prepare_payload(struct make *self) {
    struct baton_image_spec *spec = &self->spec;
    self->parts[0] = (struct baton_image_part){
            .load_addr = baton_chip_data_addr(spec->header.chip_id)
                         + BATON_IMAGE_HEAD_BYTES,
            .data = self->in,
            .len_bytes = (uint32_t)self->in_len,
    };
    spec->part_count = self->in_len > 0 ? 1 : 0;
    spec->add_descriptor = true;
    return self->in_len < BATON_IMAGE_SIZE_MAX ? 0 : BATON_ERR_ELF_LAYOUT;
}

static int collect(void *context, const void *data, size_t len) {
    struct make *self = context;
    if (len > BATON_IMAGE_SIZE_MAX - self->out_len) {
        return BATON_ERR_NOSPC;
    }
    memcpy(self->out + self->out_len, data, len);
    self->out_len += len;
    return 0;
}

static int build(struct make *self) {
    struct baton_image_spec *spec = &self->spec;
    static struct baton_image_builder builder;
    int err =
            self->elf_path != NULL ? prepare_elf(self) : prepare_payload(self);
    if (err != 0) {
        return err;
    }
    self->descriptor.mmu_page_log2 =
            spec->mmu_page_log2 != 0 ? spec->mmu_page_log2 : 16;
    self->descriptor.max_block_revision = 0xFFFF;
    spec->descriptor = self->descriptor;
    spec->parts = self->parts;
    spec->crypto = baton_crypto_psa();
    spec->header.wp_pin = 0xEE; // none
    spec->header.min_revision = (uint16_t)self->min_revision;
    spec->header.max_revision = (uint16_t)self->max_revision;
    spec->header.digest_appended = self->has_no_digest ? 0 : 1;
    self->out = malloc(BATON_IMAGE_SIZE_MAX);
    return self->out == NULL ? BATON_ERR_NOMEM
                             : baton_image_build(&builder, spec, collect, self);
}

static void report(const struct make *self, const struct firmware *made) {
    const char *from;
    const char *version = firmware_version(&made->image, &from);
    if (self->as_json) {
        firmware_print_json(self->out_path, made);
        return;
    }
    printf("%s: %zu bytes for %s%s%s, SHA-256 ", self->out_path, self->out_len,
            baton_chip_name(self->spec.header.chip_id),
            version[0] != 0 ? ", version " : "", version);
    for (size_t i = 0; i < 8; i++) {
        printf("%02x", made->sha256[i]);
    }
    printf("...\n");
}

// Builds, verifies what was built, and only then writes it.
static int make_image(struct make *self) {
    const char *in_path =
            self->elf_path != NULL ? self->elf_path : self->payload_path;
    if (!cli_read_file(in_path, &self->in, &self->in_len)) {
        return CLI_REFUSED;
    }
    if (!hash_input(self)) {
        return cli_refuse(COMMAND, NULL, BATON_ERR_CRYPTO);
    }
    int err = build(self);
    if (err != 0) {
        return cli_refuse(COMMAND, in_path, err);
    }
    static struct firmware made;
    firmware_survey(&made, self->out, self->out_len);
    if (made.err == 0 && !made.image.info.has_descriptor) {
        made.err = BATON_ERR_IMAGE_DESCRIPTOR;
    }
    if (made.err != 0) {
        return cli_refuse(COMMAND, "the image that was made", made.err);
    }
    if (!cli_write_file(self->out_path, self->out, self->out_len)) {
        return CLI_REFUSED;
    }
    if (strcmp(self->out_path, "-") != 0) {
        report(self, &made);
    }
    return CLI_OK;
}

int cmd_image_make(int argc, char **argv) {
    static struct make self = {
            .flash_mode = "dio",
            .flash_size = "4MB",
            .max_revision = 0xFFFF,
            .spec.header.chip_id = BATON_CHIP_ANY,
    };
    int code;
    if (!parse_options(&self, argc, argv, &code)) {
        return code;
    }
    if (!use_epoch(&self)) {
        return CLI_USAGE;
    }
    code = make_image(&self);
    free(self.in);
    free(self.out);
    return code;
}
