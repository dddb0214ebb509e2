// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// pthread_once, whose initialiser may itself wait.
#include "internal.h"

// A pthread_once_t is NEW, DONE, or while the initialiser runs the address of this record on the runner's stack.
struct run {
    unsigned runner;
    struct afmpeg_queue waiters;
};

enum { NEW = PTHREAD_ONCE_INIT, DONE = 1 };

_Static_assert(sizeof(pthread_once_t) == sizeof(struct run *), "an address fits into the control");

unsigned afmpeg_initialiser_runner(const void *run)
{
    return ((const struct run *)run)->runner;
}

// The call of the initialiser is the one call through a pointer, in a function that may suspend, of this library
// outside the scheduler's loop.
int pthread_once(pthread_once_t *control, void (*initialise)(void))
{
    if (*control == DONE)
        return 0;
    if (*control != NEW) {
        struct run *const run = (struct run *)(intptr_t)*control;
        afmpeg_wait(&run->waiters, AFMPEG_WAITS_FOR_INITIALISER, run, AFMPEG_NEVER);
        return 0;
    }
    struct run run = { .runner = afmpeg_current->id };
    *control = (pthread_once_t)(intptr_t)&run;
    initialise();
    *control = DONE;
    while (afmpeg_wake_first(&run.waiters) != NULL)
        ;
    return 0;
}
