// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The ways in which a process ends well, whatever its threads are doing: argv[1] says which. Exit code 7 is expected,
// but for the one where the last thread ends, which is 0.
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void *wait_for_ever(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&mutex);
    pthread_cond_wait(&condition, &mutex);
    return NULL;
}

static void *stay_runnable(void *unused)
{
    (void)unused;
    for (;;)
        sched_yield();
    return NULL;
}

static void *exit_after_a_while(void *unused)
{
    (void)unused;
    let_the_others_run();
    exit(7);
}

static void *print_after_a_while(void *unused)
{
    (void)unused;
    let_the_others_run();
    fputs("the last thread has ended\n", stderr);
    return NULL;
}

static void say_exit_handler_ran(void)
{
    CHECK_EQUAL(pthread_mutex_trylock(&mutex), 0); // what needn't wait works here
    fputs("the exit handler has run\n", stderr);
}

static int program(int argc, char **argv)
{
    CHECK_EQUAL(argc, 2);
    CHECK_EQUAL(atexit(say_exit_handler_ran), 0);
    if (strcmp(argv[1], "exit-by-last-thread") == 0) {
        start(print_after_a_while, NULL);
        pthread_exit(NULL);
    }
    start(wait_for_ever, NULL);
    start(stay_runnable, NULL);
    let_the_others_run();
    if (strcmp(argv[1], "exit-in-thread") == 0)
        join(start(exit_after_a_while, NULL));
    CHECK_TEXT(argv[1], "return-while-others-live");
    return 7;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
