// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Condition variables. A signal wakes the thread that has waited longest, and only that one.
#include "internal.h"

#include <errno.h>
#include <time.h>
#include <wasi/api.h>

// Kept in pthread_cond_t itself. All zero, as PTHREAD_COND_INITIALIZER has it, is one that uses the wall clock.
struct __attribute__((may_alias)) condition {
    bool is_monotonic;
    struct afmpeg_queue waiters;
};

_Static_assert(sizeof(struct condition) <= sizeof(pthread_cond_t), "a condition fits where <pthread.h> keeps it");

static struct condition *state_of(pthread_cond_t *condition)
{
    return (struct condition *)condition;
}

int pthread_cond_init(pthread_cond_t *restrict condition, const pthread_condattr_t *restrict attributes)
{
    // wasi-libc's pthread_condattr_setclock() keeps WASI's ID of the clock in the low bits, as musl does with its own;
    // its pthread_condattr_getclock() does not return it.
    const unsigned clock = attributes != NULL ? attributes->__attr & INT_MAX : __WASI_CLOCKID_REALTIME;
    *state_of(condition) = (struct condition){ .is_monotonic = clock == __WASI_CLOCKID_MONOTONIC };
    return 0;
}

int pthread_cond_destroy(pthread_cond_t *condition)
{
    return state_of(condition)->waiters.first != NULL ? EBUSY : 0;
}

static int wait_until(struct condition *condition, pthread_mutex_t *mutex, int64_t deadline_ns)
{
    const int not_owner = pthread_mutex_unlock(mutex);
    if (not_owner)
        return not_owner;
    const int outcome = afmpeg_wait(&condition->waiters, AFMPEG_WAITS_FOR_CONDITION, condition, deadline_ns);
    pthread_mutex_lock(mutex);
    return outcome;
}

int pthread_cond_wait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex)
{
    return wait_until(state_of(condition), mutex, AFMPEG_NEVER);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    if (until->tv_nsec < 0 || until->tv_nsec >= 1000000000)
        return EINVAL;
    struct condition *const c = state_of(condition);
    const clockid_t clock = c->is_monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME;
    return wait_until(c, mutex, afmpeg_deadline(clock, until));
}

int pthread_cond_signal(pthread_cond_t *condition)
{
    afmpeg_wake_first(&state_of(condition)->waiters);
    return 0;
}

int pthread_cond_broadcast(pthread_cond_t *condition)
{
    while (afmpeg_wake_first(&state_of(condition)->waiters) != NULL)
        ;
    return 0;
}
