// A stand-in for the interpreter of the virtual ESP32: `baton sim` starts it,
// and it does what the file "steps" in BATON_FS says.
// SPDX-License-Identifier: MIT
//
// One line for each start, in order; the last line again for every further one.
// Steps are words with their arguments, done from left to right:
//
//   show                 prints what a firmware can see of the board
//   erase ADDR LEN       program ADDR LEN BYTE
//   differs ADDR LEN BYTE  prints how many bytes are not that
//   switch SLOT STATE    writes otadata; confirm: the running slot is VALID
//   rtc TEXT             keeps a word in RTC memory
//   reset CAUSE          watchdog is 3, machine.reset() is 2
//   sleep US   soft   exit STATUS   signal NUMBER   hang   stubborn
//   orphan               kills the supervisor and goes on
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baton-posix/board.h"
#include "baton/boot.h"
#include "baton/error.h"

static struct baton_board board;

static void check(const char *step, int err) {
    if (err) {
        printf("%s failed: %s\n", step, baton_error_name(err));
        _exit(BATON_EXIT_SCRIPT_ERROR);
    }
}

// otadata of the built-in layouts.
static uint32_t otadata_addr(void) {
    return 0xD000;
}

static void show(void) {
    const struct baton_board_state *s = board.state;
    printf("cause %u running %s at 0x%x boots %u rtc '%.*s' wdt %u repl %s\n",
            s->reset_cause, baton_boot_index_name(s->running), s->running_addr,
            s->boots, (int)s->rtc_len_bytes, (const char *)s->rtc,
            s->wdt_timeout_ms, getenv("BATON_REPL") ? "yes" : "no");
    printf("chip %u rev %u secure %u mac %02x%02x%02x%02x%02x%02x wifi %u %u "
           "map %s:%u=%s:%u profile %s\n",
            s->chip_id, s->chip_revision, s->secure_version, s->mac[0],
            s->mac[1], s->mac[2], s->mac[3], s->mac[4], s->mac[5], s->wifi_mode,
            s->wifi_delay_ms, s->maps[0].host, s->maps[0].port,
            s->maps[0].to_host, s->maps[0].to_port, s->profile);
}

static char *word(void) {
    char *text = strtok(NULL, " \n");
    if (text == NULL) {
        check("a step without its argument", BATON_ERR_ARG);
    }
    return text;
}

static uint32_t number(void) {
    return (uint32_t)strtoul(word(), NULL, 0);
}

static void program(uint32_t addr, uint32_t len, uint8_t byte) {
    static uint8_t data[BATON_BLOCK_BYTES];
    const struct baton_flash *flash = &board.nor.flash;
    memset(data, byte, sizeof(data));
    check("program", flash->program(flash->context, addr, data, len));
}

static void count_differing(uint32_t addr, uint32_t len, uint8_t byte) {
    static uint8_t data[BATON_BLOCK_BYTES];
    const struct baton_flash *flash = &board.nor.flash;
    check("read", flash->read(flash->context, addr, data, len));
    uint32_t count = 0;
    for (uint32_t i = 0; i < len; i++) {
        count += data[i] != byte;
    }
    printf("0x%x: %u of %u differ\n", addr, count, len);
}

static void do_flash_step(const char *step) {
    const struct baton_flash *flash = &board.nor.flash;
    uint32_t a = number();
    uint32_t b = number();
    if (strcmp(step, "erase") == 0) {
        check(step, flash->erase(flash->context, a, b));
    } else if (strcmp(step, "program") == 0) {
        program(a, b, (uint8_t)number());
    } else if (strcmp(step, "differs") == 0) {
        count_differing(a, b, (uint8_t)number());
    } else {
        check(step, baton_slots_switch(flash, otadata_addr(), 2, a, b,
                            BATON_SLOTS_OTHER_COPY));
    }
}

static void do_confirm(void) {
    const struct baton_flash *flash = &board.nor.flash;
    struct baton_slots records;
    check("confirm", baton_slots_load(flash, otadata_addr(), &records));
    check("confirm", baton_slots_set_state(flash, otadata_addr(),
                             baton_slots_active(&records), BATON_STATE_VALID));
}

static void hang(bool is_stubborn) {
    if (is_stubborn) {
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
    }
    printf("hanging as %d\n", (int)getpid());
    for (;;) {
        pause();
    }
}

static void do_step(const char *step) {
    if (strcmp(step, "show") == 0) {
        show();
    } else if (strcmp(step, "confirm") == 0) {
        do_confirm();
    } else if (strcmp(step, "rtc") == 0) {
        const char *text = word();
        board.state->rtc_len_bytes = (uint32_t)strlen(text);
        memcpy(board.state->rtc, text, strlen(text));
    } else if (strcmp(step, "reset") == 0) {
        board.state->reset_cause = number();
        _exit(BATON_EXIT_RESET);
    } else if (strcmp(step, "sleep") == 0) {
        board.state->sleep_us = number();
        _exit(BATON_EXIT_DEEP_SLEEP);
    } else if (strcmp(step, "orphan") == 0) {
        kill(getppid(), SIGKILL);
    } else if (strcmp(step, "soft") == 0) {
        _exit(BATON_EXIT_SOFT_RESET);
    } else if (strcmp(step, "exit") == 0) {
        _exit((int)number());
    } else if (strcmp(step, "signal") == 0) {
        raise((int)number());
    } else if (strcmp(step, "hang") == 0 || strcmp(step, "stubborn") == 0) {
        hang(strcmp(step, "stubborn") == 0);
    } else {
        do_flash_step(step);
    }
}

// How often this was started before; kept in a file, as a firmware would.
static unsigned count_start(void) {
    unsigned count = 0;
    FILE *file = fopen("starts", "r");
    if (file != NULL) {
        if (fscanf(file, "%u", &count) != 1) {
            count = 0;
        }
        fclose(file);
    }
    file = fopen("starts", "w");
    if (file != NULL) {
        fprintf(file, "%u\n", count + 1);
        fclose(file);
    }
    return count;
}

static void read_line(unsigned index, char *line, int size) {
    FILE *file = fopen("steps", "r");
    if (file == NULL) {
        check("opening 'steps'", BATON_ERR_NOENT);
    }
    line[0] = '\0';
    for (unsigned i = 0; i <= index && fgets(line, size, file); i++) {
    }
    fclose(file);
}

int main(void) {
    static char line[16384];
    // A power cut or a kill must not take back what was printed before it.
    setvbuf(stdout, NULL, _IONBF, 0);
    const char *directory = getenv("BATON_FS");
    if (directory == NULL || chdir(directory) != 0) {
        check("BATON_FS", BATON_ERR_NOENT);
    }
    check("attaching the board", baton_board_attach(&board));
    read_line(count_start(), line, sizeof(line));
    for (char *step = strtok(line, " \n"); step != NULL;
            step = strtok(NULL, " \n")) {
        do_step(step);
    }
    return BATON_EXIT_SCRIPTS_DONE;
}
