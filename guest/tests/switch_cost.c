// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What a switch from thread to thread costs, printed; README.md has figures. argv[1] is how many to measure.
#include "check.h"

static long switches;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static bool is_others_turn;

static void *yield(void *unused)
{
    (void)unused;
    for (long i = 0; i < switches / 2; i++)
        sched_yield();
    return NULL;
}

static void *play_ping_pong(void *is_other)
{
    const bool mine = is_other != NULL;
    for (long i = 0; i < switches / 2; i++) {
        pthread_mutex_lock(&mutex);
        while (is_others_turn != mine)
            pthread_cond_wait(&condition, &mutex);
        is_others_turn = !mine;
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void measure(const char *what, void *(*entry)(void *))
{
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    const pthread_t one = start(entry, NULL), other = start(entry, &mutex);
    join(one);
    join(other);
    clock_gettime(CLOCK_MONOTONIC, &after);
    const double ns = (double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec);
    printf("%s: %.0f ns a switch\n", what, ns / (double)switches);
}

static void *sleep_long(void *unused)
{
    (void)unused;
    afmpeg_usleep(3600u * 1000000);
    return NULL;
}

static int program(int argc, char **argv)
{
    switches = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    CHECK(switches >= 2);
    measure("sched_yield", yield);
    measure("mutex and condition variable", play_ping_pong);
    start(sleep_long, NULL);
    measure("sched_yield, while a thread has a deadline", yield);
    measure("mutex and condition variable, while a thread has a deadline", play_ping_pong);
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
