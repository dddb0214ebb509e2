// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Deadlines: they come when they should, an idle program sleeps until then, and threads that are busy don't delay them.
#include "check.h"

#include <wasi/api.h>

// Waits may be late by what a loaded machine takes to notice, never early.
enum { TIMEOUT_MS = 100, LATENESS_MS = 2000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

// Takes the place of the C library's, to see how often the threads go to sleep.
static int sleeps;
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *delay, struct timespec *remaining)
{
    CHECK(clock == CLOCK_MONOTONIC && flags == 0 && remaining == NULL);
    CHECK(delay->tv_sec > 0 || delay->tv_nsec > 0);
    sleeps++;
    const __wasi_subscription_t subscription = {
        .u = { .tag = __WASI_EVENTTYPE_CLOCK,
               .u = { .clock = { .id = __WASI_CLOCKID_MONOTONIC,
                                 .timeout = (uint64_t)delay->tv_sec * 1000000000 + (uint64_t)delay->tv_nsec } } },
    };
    __wasi_event_t event;
    __wasi_size_t events;
    return __wasi_poll_oneoff(&subscription, &event, 1, &events);
}

static void check_took(int64_t start_ms, int64_t expected_ms)
{
    const int64_t took_ms = now_ms(CLOCK_MONOTONIC) - start_ms;
    // A millisecond less, because both ends are rounded.
    CHECK(took_ms >= expected_ms - 1);
    CHECK(took_ms <= expected_ms + LATENESS_MS);
}

static void idle(clockid_t clock, pthread_cond_t *condition)
{
    const int64_t start_ms = now_ms(CLOCK_MONOTONIC);
    const int sleeps_before = sleeps;
    const struct timespec until = in_ms(clock, TIMEOUT_MS);
    pthread_mutex_lock(&mutex);
    CHECK_EQUAL(pthread_cond_timedwait(condition, &mutex, &until), ETIMEDOUT);
    CHECK_EQUAL(pthread_mutex_trylock(&mutex), EBUSY); // it holds the mutex again
    pthread_mutex_unlock(&mutex);
    check_took(start_ms, TIMEOUT_MS);
    // One sleep does, unless the engine counts in milliseconds and wakes early. A busy wait would take a million.
    CHECK(sleeps - sleeps_before <= 100);
}

static void by_each_clock(void)
{
    pthread_cond_t wall = PTHREAD_COND_INITIALIZER, monotonic;
    pthread_condattr_t attributes;
    CHECK_EQUAL(pthread_condattr_init(&attributes), 0);
    CHECK_EQUAL(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), 0);
    CHECK_EQUAL(pthread_cond_init(&monotonic, &attributes), 0);
    CHECK_EQUAL(pthread_condattr_destroy(&attributes), 0);
    idle(CLOCK_REALTIME, &wall);
    idle(CLOCK_MONOTONIC, &monotonic);
}

static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void *wait_long(void *unused)
{
    (void)unused;
    const struct timespec until = in_ms(CLOCK_REALTIME, 3600 * 1000);
    pthread_mutex_lock(&mutex);
    CHECK_EQUAL(pthread_cond_timedwait(&condition, &mutex, &until), 0);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *wait_for_ever(void *unused)
{
    (void)unused;
    const struct timespec until = { .tv_sec = INT64_MAX };
    pthread_mutex_lock(&mutex);
    CHECK_EQUAL(pthread_cond_timedwait(&condition, &mutex, &until), 0);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void signalled_in_time(void)
{
    const pthread_t patient[] = { start(wait_long, NULL), start(wait_for_ever, NULL) };
    const int64_t start_ms = now_ms(CLOCK_MONOTONIC);
    CHECK_EQUAL(afmpeg_usleep(TIMEOUT_MS * 1000), 0);
    check_took(start_ms, TIMEOUT_MS);
    CHECK_EQUAL(pthread_cond_signal(&condition), 0);
    CHECK_EQUAL(pthread_cond_signal(&condition), 0);
    join(patient[0]);
    join(patient[1]);
    check_took(start_ms, TIMEOUT_MS);
}

static bool others_may_stop;

static void *stay_runnable(void *unused)
{
    (void)unused;
    while (!others_may_stop)
        sched_yield();
    return NULL;
}

static void while_others_run(void)
{
    const pthread_t busy[] = { start(stay_runnable, NULL), start(stay_runnable, NULL) };
    const int64_t start_ms = now_ms(CLOCK_MONOTONIC);
    const int sleeps_before = sleeps;
    const struct timespec until = in_ms(CLOCK_REALTIME, TIMEOUT_MS);
    pthread_mutex_lock(&mutex);
    CHECK_EQUAL(pthread_cond_timedwait(&condition, &mutex, &until), ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
    check_took(start_ms, TIMEOUT_MS);
    CHECK_EQUAL(sleeps, sleeps_before);
    others_may_stop = true;
    join(busy[0]);
    join(busy[1]);
}

static char order[8];
static struct timespec deadlines[4];

static void *wait_and_sign(void *letter)
{
    pthread_mutex_lock(&mutex);
    CHECK_EQUAL(pthread_cond_timedwait(&condition, &mutex, &deadlines[*(const char *)letter - 'a']), ETIMEDOUT);
    strcat(order, letter);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void in_the_order_of_the_deadlines(void)
{
    static char letters[4][2] = { "a", "b", "c", "d" };
    static const int places[4] = { 4, 2, 3, 1 };
    pthread_t waiters[4];
    // Far enough for all to wait before the first is due, even on a loaded machine.
    for (int i = 0; i < 4; i++)
        deadlines[i] = in_ms(CLOCK_REALTIME, 1000 + places[i] * 10);
    for (int i = 0; i < 4; i++)
        waiters[i] = start(wait_and_sign, letters[i]);
    for (int i = 0; i < 4; i++)
        join(waiters[i]);
    CHECK_TEXT(order, "dbca");
}

static int turns;

static void *count_turns(void *unused)
{
    (void)unused;
    while (turns < 3) {
        turns++;
        sched_yield();
    }
    return NULL;
}

static void deadlines_that_have_passed(void)
{
    const struct timespec past[] = { { .tv_sec = 1 }, { .tv_sec = -1 }, in_ms(CLOCK_REALTIME, -1) };
    const pthread_t other = start(count_turns, NULL);
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_cond_timedwait(&condition, &mutex, &past[i]), ETIMEDOUT);
    CHECK_EQUAL(turns, 3); // the others had their turns, or a loop around this would never end
    const struct timespec invalid[] = { { .tv_nsec = -1 }, { .tv_nsec = 1000000000 } };
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_cond_timedwait(&condition, &mutex, &invalid[i]), EINVAL);
    pthread_mutex_unlock(&mutex);
    join(other);
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    by_each_clock();
    signalled_in_time();
    while_others_run();
    in_the_order_of_the_deadlines();
    deadlines_that_have_passed();
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
