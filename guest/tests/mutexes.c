// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Mutexes exclude, also while their owner waits; their kinds; nobody starves.
#include "check.h"

enum { RIVALS = 5, ENTRIES = 50 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int inside, entries;

static void *enter_and_dawdle(void *unused)
{
    (void)unused;
    for (int i = 0; i < ENTRIES; i++) {
        CHECK_EQUAL(pthread_mutex_lock(&mutex), 0);
        CHECK_EQUAL(inside++, 0);
        for (int turns = i % 4; turns > 0; turns--)
            sched_yield();
        CHECK_EQUAL(--inside, 0);
        entries++;
        CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
        if (i % 3 == 0)
            sched_yield();
    }
    return NULL;
}

static void exclusion(void)
{
    pthread_t rivals[RIVALS];
    for (int i = 0; i < RIVALS; i++)
        rivals[i] = start(enter_and_dawdle, NULL);
    for (int i = 0; i < RIVALS; i++)
        join(rivals[i]);
    CHECK_EQUAL(entries, RIVALS * ENTRIES);
}

static bool greedy_may_stop;
static int greedy_entries;

// Never waits without the mutex.
static void *be_greedy(void *unused)
{
    (void)unused;
    while (!greedy_may_stop) {
        pthread_mutex_lock(&mutex);
        greedy_entries++;
        sched_yield();
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void nobody_starves(void)
{
    const pthread_t greedy = start(be_greedy, NULL);
    let_the_others_run();
    for (int i = 0; i < ENTRIES; i++) {
        const int before = greedy_entries;
        pthread_mutex_lock(&mutex);
        CHECK(greedy_entries - before <= 2);
        pthread_mutex_unlock(&mutex);
    }
    greedy_may_stop = true;
    join(greedy);
}

static void *try_from_another_thread(void *of_kind)
{
    CHECK_EQUAL(pthread_mutex_trylock(of_kind), EBUSY);
    CHECK_EQUAL(pthread_mutex_unlock(of_kind), EPERM);
    return NULL;
}

static pthread_mutex_t *make(int kind)
{
    static pthread_mutex_t made;
    pthread_mutexattr_t attributes;
    CHECK_EQUAL(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQUAL(pthread_mutexattr_settype(&attributes, kind), 0);
    CHECK_EQUAL(pthread_mutex_init(&made, &attributes), 0);
    CHECK_EQUAL(pthread_mutexattr_destroy(&attributes), 0);
    return &made;
}

static void in_common(pthread_mutex_t *any)
{
    CHECK_EQUAL(pthread_mutex_unlock(any), EPERM);
    CHECK_EQUAL(pthread_mutex_trylock(any), 0);
    join(start(try_from_another_thread, any));
    CHECK_EQUAL(pthread_mutex_destroy(any), EBUSY);
    CHECK_EQUAL(pthread_mutex_unlock(any), 0);
    CHECK_EQUAL(pthread_mutex_destroy(any), 0);
}

static void kinds(void)
{
    pthread_mutex_t normal;
    memset(&normal, 0xff, sizeof normal);
    CHECK_EQUAL(pthread_mutex_init(&normal, NULL), 0);
    CHECK_EQUAL(pthread_mutex_lock(&normal), 0);
    CHECK_EQUAL(pthread_mutex_trylock(&normal), EBUSY);
    CHECK_EQUAL(pthread_mutex_unlock(&normal), 0);
    in_common(&normal);

    pthread_mutex_t *const checking = make(PTHREAD_MUTEX_ERRORCHECK);
    CHECK_EQUAL(pthread_mutex_lock(checking), 0);
    CHECK_EQUAL(pthread_mutex_lock(checking), EDEADLK);
    CHECK_EQUAL(pthread_mutex_trylock(checking), EBUSY);
    CHECK_EQUAL(pthread_mutex_unlock(checking), 0);
    in_common(checking);

    pthread_mutex_t *const recursive = make(PTHREAD_MUTEX_RECURSIVE);
    CHECK_EQUAL(pthread_mutex_lock(recursive), 0);
    CHECK_EQUAL(pthread_mutex_lock(recursive), 0);
    CHECK_EQUAL(pthread_mutex_trylock(recursive), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(pthread_mutex_unlock(recursive), 0);
        join(start(try_from_another_thread, recursive));
    }
    CHECK_EQUAL(pthread_mutex_unlock(recursive), 0);
    in_common(recursive);
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    exclusion();
    nobody_starves();
    kinds();
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
