// What the subcommands of the host command share.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "cli.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "baton/error.h"

// No input of any command is larger; a bound keeps a device file or an endless
// pipe from filling memory.
#define FILE_BYTES_MAX ((size_t)256 << 20)

static bool read_all(FILE *file, uint8_t **data, size_t *len) {
    size_t capacity = (size_t)1 << 16;
    size_t have = 0;
    uint8_t *buf = malloc(capacity + 1);
    while (buf != NULL) {
        have += fread(buf + have, 1, capacity - have, file);
        if (have < capacity) {
            break;
        }
        if (capacity >= FILE_BYTES_MAX) {
            errno = EFBIG;
            free(buf);
            return false;
        }
        capacity *= 2;
        uint8_t *larger = realloc(buf, capacity + 1);
        if (larger == NULL) {
            free(buf);
        }
        buf = larger;
    }
    if (buf == NULL) {
        errno = ENOMEM;
        return false;
    }
    if (ferror(file)) {
        free(buf);
        return false;
    }
    buf[have] = 0;
    *data = buf;
    *len = have;
    return true;
}

bool cli_read_file(const char *path, uint8_t **data, size_t *len) {
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "baton: %s: %s\n", path, strerror(errno));
        return false;
    }
    bool ok = read_all(file, data, len);
    if (!ok) {
        fprintf(stderr, "baton: %s: %s\n", path, strerror(errno));
    }
    if (!is_stdin) {
        fclose(file);
    }
    return ok;
}

static bool write_all(FILE *file, const void *data, size_t len) {
    bool ok = fwrite(data, 1, len, file) == len && fflush(file) == 0;
    return ok;
}

static bool write_replacing(const char *path, const void *data, size_t len) {
    size_t name_len = strlen(path) + 8;
    char *temporary = malloc(name_len);
    if (temporary == NULL) {
        return false;
    }
    snprintf(temporary, name_len, "%s.XXXXXX", path);
    int fd = mkstemp(temporary);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    bool ok = file != NULL && write_all(file, data, len);
    if (ok) {
        // mkstemp makes 0600; give what a plain open would have given.
        mode_t mask = umask(0);
        umask(mask);
        ok = fchmod(fd, 0666 & ~mask) == 0;
    }
    int saved = errno;
    if (file != NULL) {
        ok = fclose(file) == 0 && ok;
    } else if (fd >= 0) {
        close(fd);
    }
    ok = ok && rename(temporary, path) == 0;
    if (!ok && fd >= 0) {
        saved = errno != 0 ? errno : saved;
        unlink(temporary);
        errno = saved;
    }
    free(temporary);
    return ok;
}

bool cli_write_file(const char *path, const void *data, size_t len) {
    struct stat st;
    bool ok;
    if (strcmp(path, "-") == 0) {
        ok = write_all(stdout, data, len);
    } else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        // A device or a pipe is written in place: it cannot be replaced.
        FILE *file = fopen(path, "wb");
        ok = file != NULL && write_all(file, data, len);
        ok = file != NULL && fclose(file) == 0 && ok;
    } else {
        ok = write_replacing(path, data, len);
    }
    if (!ok) {
        fprintf(stderr, "baton: %s: %s\n", path, strerror(errno));
    }
    return ok;
}

bool cli_parse_u32(const char *option, const char *text, uint32_t *out) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    bool ok = end != text && errno == 0 && text[0] != '-';
    if (ok && (*end == 'k' || *end == 'K')) {
        value <<= value > UINT32_MAX ? 0 : 10;
        end++;
    } else if (ok && (*end == 'm' || *end == 'M')) {
        value <<= value > UINT32_MAX ? 0 : 20;
        end++;
    }
    if (!ok || *end != 0 || value > UINT32_MAX) {
        fprintf(stderr,
                "baton: %s: '%s' is not a number (use 4096, 0x1000, 4K or "
                "1M)\n",
                option, text);
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool refuses_in_json;

void cli_refuse_in_json(void) {
    refuses_in_json = true;
}

static void print_refusal(const char *what, int err) {
    cJSON *json = cJSON_CreateObject();
    if (what != NULL) {
        cJSON_AddStringToObject(json, "file", what);
    }
    cJSON_AddFalseToObject(json, "ok");
    cJSON *error = cJSON_AddObjectToObject(json, "error");
    cJSON_AddStringToObject(error, "code", baton_error_name(err));
    cJSON_AddNumberToObject(error, "number", err);
    cJSON_AddStringToObject(error, "message", baton_strerror(err));
    cJSON_AddStringToObject(error, "hint", baton_error_hint(err));
    char *text = cJSON_Print(json);
    printf("%s\n", text != NULL ? text : "{}");
    free(text);
    cJSON_Delete(json);
}

int cli_refuse(const char *command, const char *what, int err) {
    fprintf(stderr, "%s: %s%s%s (%s)\n", command, what != NULL ? what : "",
            what != NULL ? ": " : "", baton_strerror(err),
            baton_error_name(err));
    const char *hint = baton_error_hint(err);
    if (hint[0] != 0) {
        fprintf(stderr, "  next: %s\n", hint);
    }
    if (refuses_in_json) {
        print_refusal(what, err);
    }
    return CLI_REFUSED;
}

int cli_usage(const char *command, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n  next: %s --help\n", command);
    va_end(args);
    return CLI_USAGE;
}

void cli_progress(const char *label, uint64_t done, uint64_t total) {
    static time_t started;
    static time_t last;
    static bool shown;
    time_t now = time(NULL);
    if (done == 0 || started == 0) {
        started = now;
        last = now;
        shown = false;
    }
    bool is_end = total != 0 && done >= total;
    if (!isatty(STDERR_FILENO) || (now - started < 1 && !shown)
            || (now == last && !is_end)) {
        return;
    }
    last = now;
    if (is_end && !shown) {
        return;
    }
    shown = true;
    if (total != 0) {
        fprintf(stderr, "\r%s %3u %%%s", label, (unsigned)(done * 100 / total),
                is_end ? "\n" : "");
    } else {
        fprintf(stderr, "\r%s %llu bytes", label, (unsigned long long)done);
    }
    fflush(stderr);
}
