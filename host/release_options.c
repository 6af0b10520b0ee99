// Options of the release commands.
// SPDX-License-Identifier: MIT
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "release.h"

#define DAY_S       86400u
#define LAST_SECOND 253402300799u // of the year 9999

bool release_now(const char *command, uint64_t *unix_s) {
    const char *text = getenv("SOURCE_DATE_EPOCH");
    if (text == NULL || text[0] == 0) {
        *unix_s = (uint64_t)time(NULL);
        return true;
    }
    char *end;
    errno = 0;
    unsigned long long seconds = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0 || text[0] == '-' || seconds > LAST_SECOND) {
        cli_usage(command, "SOURCE_DATE_EPOCH: '%s' is not a time in seconds",
                text);
        return false;
    }
    *unix_s = seconds;
    return true;
}

static bool parse_date(const char *text, uint64_t *out) {
    struct tm tm;
    memset(&tm, 0, sizeof(tm));
    int used = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                &used)
                    != 3
            || text[used] != 0) {
        return false;
    }
    int year = tm.tm_year;
    int month = tm.tm_mon;
    int day = tm.tm_mday;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    time_t at = timegm(&tm);
    // A day that there is not comes out as another.
    *out = (uint64_t)at;
    return at > 0 && tm.tm_year == year - 1900 && tm.tm_mon == month - 1
           && tm.tm_mday == day;
}

static uint64_t unit_s(const char *unit) {
    static const struct {
        const char *name;
        uint32_t seconds;
    } units[] = {{"s", 1}, {"h", 3600}, {"d", DAY_S}, {"w", 7 * DAY_S},
            {"y", 365 * DAY_S}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(units[i].name, unit) == 0) {
            return units[i].seconds;
        }
    }
    return 0;
}

static bool parse_time(const char *text, uint64_t now, uint64_t *out) {
    if (strcmp(text, "never") == 0) {
        *out = 0;
        return true;
    }
    if (parse_date(text, out)) {
        return true;
    }
    bool is_absolute = text[0] == '@';
    const char *digits = text + (is_absolute ? 1 : 0);
    char *end;
    errno = 0;
    unsigned long long number = strtoull(digits, &end, 10);
    uint64_t unit = is_absolute ? (*end == 0 ? 1 : 0) : unit_s(end);
    if (end == digits || digits[0] == '-' || digits[0] == '+' || errno != 0
            || unit == 0 || number > LAST_SECOND / unit) {
        return false;
    }
    *out = number * unit + (is_absolute ? 0 : now);
    return *out <= LAST_SECOND && *out > 0;
}

bool release_parse_time(const char *command, const char *option,
        const char *text, uint64_t now, uint64_t *out) {
    bool ok = parse_time(text, now, out);
    if (!ok) {
        cli_usage(command,
                "%s: '%s' is no time (use 90d, 12h, 2w, 1y, 2027-01-31, "
                "@1800000000 or never)",
                option, text);
    }
    return ok;
}

bool release_parse_percent(
        const char *command, const char *text, uint16_t *permille) {
    unsigned whole = 0;
    unsigned tenth = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && whole <= 100; at++) {
        whole = whole * 10 + (unsigned)(*at - '0');
    }
    bool ok = at > text;
    if (ok && *at == '.') {
        ok = at[1] >= '0' && at[1] <= '9';
        tenth = ok ? (unsigned)(at[1] - '0') : 0;
        at += ok ? 2 : 0;
    }
    at += *at == '%' ? 1 : 0;
    if (!ok || *at != 0 || whole * 10 + tenth > 1000) {
        cli_usage(command, "'%s' is no percentage (0 to 100, also 2.5)", text);
        return false;
    }
    *permille = (uint16_t)(whole * 10 + tenth);
    return true;
}

bool release_parse_mpy(const char *command, const char *text, uint16_t *out) {
    unsigned version;
    unsigned sub;
    int used = 0;
    if (strcmp(text, "none") == 0) {
        *out = 0;
        return true;
    }
    if (sscanf(text, "%2u.%1u%n", &version, &sub, &used) != 2 || text[used] != 0
            || version == 0 || sub > 3) {
        cli_usage(
                command, "--mpy: '%s' is no mpy version (6.3, or none)", text);
        return false;
    }
    *out = (uint16_t)(version | sub << 8);
    return true;
}

bool release_parse_boot(const char *command, const char *text, uint8_t *out) {
    *out = strcmp(text, "rollback") == 0 ? BATON_BOOTLOADER_ROLLBACK
                                         : BATON_BOOTLOADER_ANY;
    if (*out == BATON_BOOTLOADER_ANY && strcmp(text, "none") != 0) {
        cli_usage(command, "'%s' is neither 'none' nor 'rollback'", text);
        return false;
    }
    return true;
}

// From MicroPython's documentation, "Versioning and compatibility of .mpy
// files"; a version after the last one here has to be told.
uint16_t release_mpy_of(const char *version) {
    static const struct {
        unsigned from; // minor of 1.x
        unsigned to;
        uint16_t mpy;
    } table[] = {{19, 19, 6}, {20, 21, 6 | 1 << 8}, {22, 22, 6 | 2 << 8},
            {23, 27, 6 | 3 << 8}};
    unsigned minor;
    if (sscanf(version, "v1.%3u", &minor) != 1) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (minor >= table[i].from && minor <= table[i].to) {
            return table[i].mpy;
        }
    }
    return 0;
}

void release_format_time(uint64_t unix_s, char out[24]) {
    time_t at = (time_t)unix_s;
    struct tm tm;
    if (unix_s == 0 || gmtime_r(&at, &tm) == NULL
            || strftime(out, 24, "%Y-%m-%d %H:%M UTC", &tm) == 0) {
        snprintf(out, 24, "never");
    }
}
