// What goes on beside the script: alarms, threads, and the clocks.
// SPDX-License-Identifier: MIT
#include "firmware.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "py/mphal.h"
#include "py/mpthread.h"
#include "py/runtime.h"

#define SECONDS_1970_TO_2000 946684800
#define SLICE_US             1000u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static struct baton_alarm *alarms;
static bool is_running;
static atomic_int threads;

int64_t baton_clock_offset_s;

mp_uint_t __real_mp_thread_create(
        void *(*entry)(void *), void *arg, size_t *stack_size);
mp_uint_t __wrap_mp_thread_create(
        void *(*entry)(void *), void *arg, size_t *stack_size);
void __real_mp_thread_finish(void);
void __wrap_mp_thread_finish(void);

static uint64_t monotonic_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t baton_clock_us(void) {
    static uint64_t start_us;
    if (start_us == 0) {
        start_us = monotonic_us();
    }
    return monotonic_us() - start_us;
}

void baton_clock_now(int64_t *seconds, int32_t *micros) {
    struct timeval now;
    gettimeofday(&now, NULL);
    *seconds =
            (int64_t)now.tv_sec - SECONDS_1970_TO_2000 + baton_clock_offset_s;
    *micros = (int32_t)now.tv_usec;
}

uint64_t baton_clock_ns(void) {
    int64_t seconds;
    int32_t micros;
    baton_clock_now(&seconds, &micros);
    return (uint64_t)seconds * 1000000000u + (uint64_t)micros * 1000u;
}

// In slices, so that callbacks run and Ctrl-C is heard.
void baton_delay_ms(unsigned long ms) {
    uint64_t end_us = monotonic_us() + (uint64_t)ms * 1000u;
    for (;;) {
        mp_handle_pending(true);
        uint64_t now_us = monotonic_us();
        if (now_us >= end_us) {
            return;
        }
        uint64_t left_us = end_us - now_us;
        MP_THREAD_GIL_EXIT();
        usleep(left_us < SLICE_US ? (useconds_t)left_us : SLICE_US);
        MP_THREAD_GIL_ENTER();
    }
}

static struct baton_alarm *first_alarm(void) {
    struct baton_alarm *first = alarms;
    for (struct baton_alarm *a = alarms; a != NULL; a = a->next) {
        first = a->at_us < first->at_us ? a : first;
    }
    return first;
}

static void remove_alarm(struct baton_alarm *alarm) {
    for (struct baton_alarm **at = &alarms; *at != NULL; at = &(*at)->next) {
        if (*at == alarm) {
            *at = alarm->next;
            break;
        }
    }
}

static void wait_until(uint64_t at_us) {
    struct timespec until = {
            .tv_sec = (time_t)(at_us / 1000000u),
            .tv_nsec = (long)(at_us % 1000000u) * 1000,
    };
    pthread_cond_timedwait(&changed, &lock, &until);
}

static void *ring_alarms(void *unused) {
    pthread_mutex_lock(&lock);
    for (;;) {
        struct baton_alarm *alarm = first_alarm();
        if (alarm == NULL) {
            pthread_cond_wait(&changed, &lock);
        } else if (alarm->at_us > monotonic_us()) {
            wait_until(alarm->at_us);
        } else {
            alarm->at_us += alarm->period_us;
            if (alarm->period_us == 0) {
                remove_alarm(alarm);
            }
            alarm->ring(alarm);
        }
    }
    return unused;
}

// Signals stay with the interpreter's threads.
static void start_thread(void) {
    sigset_t all, before;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attr);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    int err = pthread_create(&thread, NULL, ring_alarms, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) {
        pthread_mutex_unlock(&lock);
        mp_raise_OSError(err);
    }
    pthread_detach(thread);
    is_running = true;
}

void baton_alarm_set(
        struct baton_alarm *alarm, uint64_t after_us, uint64_t period_us) {
    pthread_mutex_lock(&lock);
    if (!is_running) {
        start_thread();
    }
    remove_alarm(alarm);
    alarm->at_us = monotonic_us() + after_us;
    alarm->period_us = period_us;
    alarm->next = alarms;
    alarms = alarm;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

void baton_alarm_clear(struct baton_alarm *alarm) {
    pthread_mutex_lock(&lock);
    remove_alarm(alarm);
    pthread_mutex_unlock(&lock);
}

bool baton_work_is_pending(void) {
    pthread_mutex_lock(&lock);
    bool is_pending = alarms != NULL;
    pthread_mutex_unlock(&lock);
    return is_pending || atomic_load(&threads) > 0;
}

mp_uint_t __wrap_mp_thread_create(
        void *(*entry)(void *), void *arg, size_t *stack_size) {
    mp_uint_t id = __real_mp_thread_create(entry, arg, stack_size);
    atomic_fetch_add(&threads, 1);
    return id;
}

void __wrap_mp_thread_finish(void) {
    atomic_fetch_sub(&threads, 1);
    __real_mp_thread_finish();
}
