// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// A signal wakes one waiter, the one that has waited longest; a broadcast wakes all, in that order.
#include "check.h"

enum { WAITERS = 5 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static char woken[WAITERS + 1];

static void *wait_for_signal(void *letter)
{
    pthread_mutex_lock(&mutex);
    CHECK_EQUAL(pthread_cond_wait(&condition, &mutex), 0);
    CHECK_EQUAL(pthread_mutex_trylock(&mutex), EBUSY); // it holds the mutex again
    strcat(woken, letter);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void start_waiters(pthread_t *waiters)
{
    static char letters[WAITERS][2] = { "a", "b", "c", "d", "e" };
    woken[0] = '\0';
    for (int i = 0; i < WAITERS; i++)
        waiters[i] = start(wait_for_signal, letters[i]);
    let_the_others_run();
    CHECK_TEXT(woken, "");
}

static void signals(void)
{
    pthread_t waiters[WAITERS];
    start_waiters(waiters);
    const char *const expected[] = { "a", "ab", "abc", "abcd", "abcde" };
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQUAL(pthread_cond_destroy(&condition), EBUSY);
        CHECK_EQUAL(pthread_cond_signal(&condition), 0);
        let_the_others_run();
        CHECK_TEXT(woken, expected[i]);
    }
    for (int i = 0; i < WAITERS; i++)
        join(waiters[i]);
    CHECK_EQUAL(pthread_cond_destroy(&condition), 0);
}

static void broadcast(void)
{
    pthread_t waiters[WAITERS];
    start_waiters(waiters);
    pthread_mutex_lock(&mutex);
    CHECK_EQUAL(pthread_cond_broadcast(&condition), 0);
    let_the_others_run();
    CHECK_TEXT(woken, ""); // woken, and now waiting for the mutex
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < WAITERS; i++)
        join(waiters[i]);
    CHECK_TEXT(woken, "abcde");
}

static void nobody_waits(void)
{
    CHECK_EQUAL(pthread_cond_signal(&condition), 0);
    CHECK_EQUAL(pthread_cond_broadcast(&condition), 0);
    // A signal is not kept: this waiter needs one of its own.
    pthread_t waiters[WAITERS];
    start_waiters(waiters);
    CHECK_EQUAL(pthread_cond_broadcast(&condition), 0);
    for (int i = 0; i < WAITERS; i++)
        join(waiters[i]);
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    signals();
    broadcast();
    nobody_waits();
    CHECK_EQUAL(pthread_cond_wait(&condition, &mutex), EPERM); // without the mutex
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
