// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// pthread_once runs the initialiser once and lets everybody wait for its end, also when it has to wait itself.
#include "check.h"

enum { CALLERS = 4 };

static pthread_once_t control = PTHREAD_ONCE_INIT, other_control = PTHREAD_ONCE_INIT;
static int runs, other_runs;
static bool is_initialised, may_end;

static void initialise_other(void)
{
    other_runs++;
}

static void initialise_and_wait(void)
{
    runs++;
    CHECK_EQUAL(pthread_once(&other_control, initialise_other), 0);
    while (!may_end)
        sched_yield();
    is_initialised = true;
}

static void *call(void *unused)
{
    (void)unused;
    CHECK_EQUAL(pthread_once(&control, initialise_and_wait), 0);
    CHECK(is_initialised);
    return NULL;
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    pthread_t callers[CALLERS];
    for (int i = 0; i < CALLERS; i++)
        callers[i] = start(call, NULL);
    let_the_others_run();
    CHECK(!is_initialised);
    may_end = true;
    for (int i = 0; i < CALLERS; i++)
        join(callers[i]);
    call(NULL);
    CHECK_EQUAL(pthread_once(&other_control, initialise_other), 0);
    CHECK_EQUAL(runs, 1);
    CHECK_EQUAL(other_runs, 1);
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
