// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What the tests of the guest share. A test is a program: it exits with 0, or says what failed and exits with 1.
#ifndef AFMPEG_TESTS_CHECK_H
#define AFMPEG_TESTS_CHECK_H

#define _GNU_SOURCE // declares POSIX's clocks and pthread_setname_np()

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "threads.h"

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE_NAME__, __LINE__, #condition);                               \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define CHECK_EQUAL(actual, expected)                                                                                  \
    do {                                                                                                               \
        const long long actual_value = (actual), expected_value = (expected);                                         \
        if (actual_value != expected_value) {                                                                          \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE_NAME__, __LINE__, #actual, actual_value,           \
                    expected_value);                                                                                   \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define CHECK_TEXT(actual, expected)                                                                                   \
    do {                                                                                                               \
        if (strcmp((actual), (expected)) != 0) {                                                                       \
            fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE_NAME__, __LINE__, #actual, (actual),           \
                    (expected));                                                                                       \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static inline pthread_t start(void *(*entry)(void *), void *argument)
{
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, entry, argument), 0);
    return thread;
}

static inline void *join(pthread_t thread)
{
    void *result;
    CHECK_EQUAL(pthread_join(thread, &result), 0);
    return result;
}

// Everything that can run runs until it waits: in the first round what runs now, then what that woke, and so on.
static inline void let_the_others_run(void)
{
    enum { ROUNDS = 10 };
    for (int i = 0; i < ROUNDS; i++)
        sched_yield();
}

static inline int64_t now_ms(clockid_t clock)
{
    struct timespec now;
    CHECK_EQUAL(clock_gettime(clock, &now), 0);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline struct timespec in_ms(clockid_t clock, int64_t delay_ms)
{
    const int64_t then_ms = now_ms(clock) + delay_ms;
    return (struct timespec){ .tv_sec = then_ms / 1000, .tv_nsec = (long)(then_ms % 1000) * 1000000 };
}

#endif
