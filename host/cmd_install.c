// `baton install`: puts Baton's native module and package on a device.
// SPDX-License-Identifier: MIT
#define _DEFAULT_SOURCE
#include <cjson/cJSON.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "device_link.h"
#include "device_script.h"

#define COMMAND "baton install"

enum { ANSWER_MS = 60000, PIECE_BYTES = 1024, SESSIONS = 3 };

// Of the number that sys.implementation._mpy is.
enum { MPY_VERSION = 6, MPY_SUB_VERSION = 3 };

struct install {
    struct device_options device;
    const char *target;
    const char *packages; // NULL: beside this program
    bool is_small;
    char folder[PATH_MAX];
    char firmware[128];
    unsigned mpy;
    uint64_t sent;
    uint64_t total;
    struct repl repl;
};

static void print_help(void) {
    printf("Usage: " COMMAND " --port PORT [OPTIONS]\n\n"
           "Puts Baton on a device with stock MicroPython, over its serial "
           "prompt: the native\nmodule for its processor, and the package "
           "'baton'. Build them with 'make natmod'.\n\n"
           "  --port PORT      /dev/ttyUSB0, /dev/ttyACM0 ...\n"
           "  --baud N         default 115200\n"
           "  --small          only the smallest module: _baton with verify, "
           "write, switch\n                   and confirm\n"
           "  --target DIR     on the device; default /lib\n"
           "  --packages DIR   default: the ones built beside this program\n"
           "  -v, --verbose    say what was done\n\n"
           "Example:\n"
           "  " COMMAND " --port /dev/ttyUSB0\n\n"
           "Exit codes: 0 done, 1 refused, 2 wrong usage.\n");
}

static bool parse_options(
        struct install *self, int argc, char **argv, int *code) {
    static const struct option options[] = {
            {"port", required_argument, NULL, 'p'},
            {"baud", required_argument, NULL, 'b'},
            {"small", no_argument, NULL, 's'},
            {"target", required_argument, NULL, 't'},
            {"packages", required_argument, NULL, 'd'},
            {"verbose", no_argument, NULL, 'v'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int option;
    *code = CLI_USAGE;
    while ((option = getopt_long(argc, argv, "hv", options, NULL)) != -1) {
        switch (option) {
        case 's':
            self->is_small = true;
            break;
        case 't':
            self->target = optarg;
            break;
        case 'd':
            self->packages = optarg;
            break;
        case 'h':
            print_help();
            *code = CLI_OK;
            return false;
        default:
            if (!device_take_option(COMMAND, &self->device, option)) {
                return false;
            }
        }
    }
    if (self->device.port == NULL || optind != argc) {
        cli_usage(COMMAND, "give --port, and nothing else");
        return false;
    }
    return true;
}

// ---- Which package -------------------------------------------------------

static const char *arch_name(unsigned mpy) {
    static const char *const names[] = {[2] = "x64",
            [5] = "armv7m",
            [6] = "armv7m",
            [7] = "armv7m",
            [8] = "armv7m",
            [10] = "xtensawin",
            [11] = "rv32imc"};
    unsigned arch = mpy >> 10 & 15u;
    return arch < sizeof(names) / sizeof(names[0]) ? names[arch] : NULL;
}

// Native code fits one version of MicroPython's tables only.
static int ask_firmware(struct install *self) {
    int err = device_start(&self->repl, device_script_identify);
    if (err == 0) {
        err = repl_answer(&self->repl, ANSWER_MS);
    }
    if (err != 0) {
        return err;
    }
    char version[24];
    char machine[64] = "";
    if (sscanf(self->repl.line, "%*s %23s %u %63[^\n]", version, &self->mpy,
                machine)
            < 2) {
        return BATON_ERR_DEVICE;
    }
    snprintf(self->firmware, sizeof(self->firmware), "MicroPython %s, %s",
            version, machine);
    bool fits = (self->mpy & 0xFFu) == MPY_VERSION
                && (self->mpy >> 8 & 3u) == MPY_SUB_VERSION
                && arch_name(self->mpy) != NULL;
    err = repl_finish(&self->repl, ANSWER_MS);
    return err != 0 || fits ? err : BATON_ERR_DEVICE_ABI;
}

static bool join(char *out, const char *folder, const char *name) {
    return snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

// The folder of packages: given, or beside this program, or where it is
// installed.
static bool find_package(struct install *self) {
    static const char *const places[] = {"packages", "../share/baton/packages"};
    char name[64];
    char self_path[PATH_MAX];
    char folder[PATH_MAX];
    snprintf(name, sizeof(name), "baton-%s%s/package.json",
            self->is_small ? "small-" : "", arch_name(self->mpy));
    if (self->packages != NULL) {
        return join(self->folder, self->packages, name)
               && access(self->folder, R_OK) == 0;
    }
    ssize_t len = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
    self_path[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self_path, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (join(folder, self_path, places[i])
                && join(self->folder, folder, name)
                && access(self->folder, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

// ---- Files ---------------------------------------------------------------

// A command about a file on the device.
static int send_name(struct install *self, char op, const char *target) {
    char path[256];
    if (snprintf(path, sizeof(path), "%s/%s", self->target, target)
            >= (int)sizeof(path)) {
        return BATON_ERR_PACKAGE;
    }
    return device_send(&self->repl, op, 0, path, strlen(path));
}

static int send_file(struct install *self, const char *target,
        const uint8_t *data, size_t len) {
    int err = send_name(self, 'N', target);
    for (size_t at = 0; at < len && err == 0; at += PIECE_BYTES) {
        size_t take = len - at < PIECE_BYTES ? len - at : PIECE_BYTES;
        err = device_send(&self->repl, 'W', 0, data + at, take);
        self->sent += take;
        cli_progress("installing", self->sent, self->total);
    }
    if (err == 0) {
        err = device_command(
                &self->repl, 'C', 0, 0, device_crc32(0, data, len));
    }
    return err != 0 ? err : device_expect_ok(&self->repl);
}

// A name of the package, which stays below its folder on either side.
static const char *name_of(const cJSON *item) {
    const char *name = cJSON_GetStringValue(item);
    bool is_good = name != NULL && name[0] != '/' && name[0] != '\0'
                   && strstr(name, "..") == NULL && strchr(name, ':') == NULL;
    return is_good ? name : NULL;
}

static int send_pair(struct install *self, const cJSON *pair, bool for_size) {
    const char *target = name_of(cJSON_GetArrayItem(pair, 0));
    const char *name = name_of(cJSON_GetArrayItem(pair, 1));
    char path[PATH_MAX];
    uint8_t *data;
    size_t len;
    if (target == NULL || name == NULL
            || snprintf(path, sizeof(path), "%.*s%s",
                       (int)(strrchr(self->folder, '/') + 1 - self->folder),
                       self->folder, name)
                       >= (int)sizeof(path)
            || !cli_read_file(path, &data, &len)) {
        return BATON_ERR_PACKAGE;
    }
    self->total += for_size ? len : 0;
    int err = for_size ? 0 : send_file(self, target, data, len);
    free(data);
    return err;
}

// Files of an installation of before that nothing needs any more.
static int remove_files(struct install *self, const cJSON *names) {
    const cJSON *item;
    cJSON_ArrayForEach(item, names) {
        const char *name = name_of(item);
        int err = name == NULL ? BATON_ERR_PACKAGE : send_name(self, 'D', name);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

// The files behind the first `done`, which counts those that arrived.
static int send_files(struct install *self, const cJSON *package, int *done) {
    const cJSON *urls = cJSON_GetObjectItem(package, "urls");
    int err = device_serve(&self->repl, device_script_install);
    while (err == 0 && *done < cJSON_GetArraySize(urls)) {
        err = send_pair(self, cJSON_GetArrayItem(urls, *done), false);
        *done += err == 0;
    }
    if (err == 0) {
        err = remove_files(self, cJSON_GetObjectItem(package, "obsolete"));
    }
    if (err == 0) {
        err = device_command(&self->repl, 'Q', 0, 0, 0);
    }
    return err != 0 ? err : repl_finish(&self->repl, ANSWER_MS);
}

// A device that falls silent has lost bytes: it is asked for its prompt again.
static int send_package(struct install *self, const cJSON *package) {
    const cJSON *urls = cJSON_GetObjectItem(package, "urls");
    const cJSON *pair;
    if (!cJSON_IsArray(urls) || cJSON_GetArraySize(urls) == 0) {
        return BATON_ERR_PACKAGE;
    }
    cJSON_ArrayForEach(pair, urls) {
        int err = send_pair(self, pair, true);
        if (err != 0) {
            return err;
        }
    }
    int files = 0;
    int err = send_files(self, package, &files);
    for (int i = 1; i < SESSIONS && err == BATON_ERR_DEVICE_SILENT; i++) {
        err = repl_enter(&self->repl);
        err = err != 0 ? err : send_files(self, package, &files);
    }
    return err;
}

// The module has to load in this very firmware.
static int try_import(struct install *self) {
    static const char before[] = "import sys\n"
                                 "sys.modules.pop('_baton', None)\n"
                                 "if '";
    const char *const pieces[] = {before, self->target,
            "' not in sys.path: sys.path.append('", self->target,
            "')\nimport _baton\n", NULL};
    int err = repl_start(&self->repl, pieces);
    return err != 0 ? err : repl_finish(&self->repl, ANSWER_MS);
}

static int run(struct install *self) {
    int err = device_open(&self->repl, COMMAND, &self->device);
    if (err == 0) {
        err = ask_firmware(self);
    }
    if (err != 0) {
        return err;
    }
    uint8_t *text;
    size_t len;
    if (!find_package(self) || !cli_read_file(self->folder, &text, &len)) {
        return BATON_ERR_PACKAGE;
    }
    cJSON *package = cJSON_ParseWithLength((const char *)text, len);
    err = package == NULL ? BATON_ERR_PACKAGE : send_package(self, package);
    cJSON_Delete(package);
    free(text);
    return err != 0 ? err : try_import(self);
}

int cmd_install(int argc, char **argv) {
    static struct install self = {.target = "/lib", .repl = {.fd = -1}};
    int code;
    if (!parse_options(&self, argc, argv, &code)) {
        return code;
    }
    int err = run(&self);
    if (err != 0) {
        repl_refuse(&self.repl, COMMAND, self.device.port, err);
        if (self.firmware[0] != '\0') {
            fprintf(stderr, "  it runs %s\n", self.firmware);
        }
    } else if (self.device.is_verbose) {
        printf("%s: %s: %llu bytes in %s, for %s\n", self.device.port,
                self.firmware, (unsigned long long)self.sent, self.target,
                arch_name(self.mpy));
    }
    repl_close(&self.repl, false);
    return err != 0 ? CLI_REFUSED : CLI_OK;
}
