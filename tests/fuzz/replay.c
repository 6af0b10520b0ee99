// Feeds a corpus to a fuzz target without a fuzzer: whole, cut short, altered.
// SPDX-License-Identifier: MIT
//
// Usage: fuzz_NAME DIRECTORY|FILE ...
// Each input ends right before an unreadable page, so that a read past its end
// stops the program without a sanitizer. What is tried is the same in every
// run, and bounded for each file.
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

enum {
    INPUT_MAX_BYTES = 1 << 20,
    VARIANTS_MAX = 2000,       // of each kind, for each file
    WORK_MAX_BYTES = 64 << 20, // of each kind, for each file
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t *input_end; // the unreadable page begins here
static char running[512];  // what is being tried, for the crash report
static unsigned long input_count;
static unsigned long file_count;

// ---- Crashes -------------------------------------------------------------

static void report_running(void) {
    static const char head[] = "fuzz-replay: died in ";
    if (write(STDERR_FILENO, head, sizeof(head) - 1) < 0
            || write(STDERR_FILENO, running, strlen(running)) < 0
            || write(STDERR_FILENO, "\n", 1) < 0) {
        return;
    }
}

#ifdef HAS_SANITIZER
// The sanitizer's own report is better than a signal handler's.
void __sanitizer_set_death_callback(void (*callback)(void));

static void catch_crashes(void) {
    __sanitizer_set_death_callback(report_running);
}
#else
static void die(int signal_number) {
    report_running();
    raise(signal_number); // the handler was reset: this one ends it
}

static void catch_crashes(void) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = die;
    action.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &action, NULL);
    }
}
#endif

// ---- Inputs --------------------------------------------------------------

static void reserve_input(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t span = INPUT_MAX_BYTES + page;
    uint8_t *start = mmap(NULL, span, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED
            || mprotect(start + INPUT_MAX_BYTES, page, PROT_NONE) != 0) {
        perror("fuzz-replay: mmap");
        exit(2);
    }
    input_end = start + INPUT_MAX_BYTES;
}

static uint8_t *place(const uint8_t *data, size_t len) {
    uint8_t *input = input_end - len;
    memcpy(input, data, len);
    return input;
}

static void run(const uint8_t *input, size_t len) {
    input_count++;
    LLVMFuzzerTestOneInput(input, len);
}

// How many variants of one kind a file of this length gets.
static size_t budget(size_t len) {
    size_t count = WORK_MAX_BYTES / (len + 1);
    return count < VARIANTS_MAX ? count : VARIANTS_MAX;
}

// Half of the budget goes to the first places, where headers are; the rest is
// spread over the others.
static size_t next_place(size_t at, size_t len, size_t count) {
    size_t dense = count / 2;
    if (len <= count || at < dense) {
        return at + 1;
    }
    return at + (len - dense) / (count - dense) + 1;
}

static void run_truncations(const char *path, const uint8_t *data, size_t len) {
    size_t count = budget(len);
    for (size_t cut = 0; cut < len; cut = next_place(cut, len, count)) {
        snprintf(running, sizeof(running), "%s, first %zu bytes", path, cut);
        run(place(data, cut), cut);
    }
}

static void run_mutations(const char *path, const uint8_t *data, size_t len) {
    static const uint8_t flips[] = {0x01, 0x80, 0xFF, 0x10};
    size_t kinds = sizeof(flips) / sizeof(flips[0]);
    size_t count = budget(len) / kinds;
    for (size_t at = 0; at < len; at = next_place(at, len, count)) {
        for (size_t i = 0; i < kinds; i++) {
            uint8_t value = (uint8_t)(data[at] ^ flips[i]);
            snprintf(running, sizeof(running), "%s, byte %zu as 0x%02x", path,
                    at, value);
            uint8_t *input = place(data, len);
            input[at] = value;
            run(input, len);
        }
    }
}

static void replay_file(const char *path) {
    static uint8_t data[INPUT_MAX_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    size_t len = fread(data, 1, sizeof(data), file);
    fclose(file);
    file_count++;
    snprintf(running, sizeof(running), "%s", path);
    run(place(data, len), len);
    run_truncations(path, data, len);
    run_mutations(path, data, len);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void replay(const char *path) {
    struct stat info;
    struct dirent **entries;
    if (stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) {
        replay_file(path);
        return;
    }
    int count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0) {
        perror(path);
        exit(2);
    }
    for (int i = 0; i < count; i++) {
        char name[sizeof(running) - 64];
        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        replay_file(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv) {
    reserve_input();
    catch_crashes();
    for (int i = 1; i < argc; i++) {
        replay(argv[i]);
    }
    if (file_count == 0) {
        fprintf(stderr, "fuzz-replay: no files in the corpus\n");
        return 2;
    }
    printf("%s: %lu files, %lu inputs\n", argv[0], file_count, input_count);
    return 0;
}
