// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What ends the process, because no thread can be told about it: argv[1] says which. tests.toml says what is expected;
// to return from here is a failure.
#include "check.h"

extern int afmpeg_foreign_depth;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, other_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void name_thread(const char *name)
{
    CHECK_EQUAL(pthread_setname_np(pthread_self(), name), 0);
}

static void *lock_in_other_order(void *unused)
{
    (void)unused;
    name_thread("rival");
    pthread_mutex_lock(&other_mutex);
    sched_yield();
    pthread_mutex_lock(&mutex);
    return NULL;
}

static void *wait_for_nobody(void *unused)
{
    (void)unused;
    name_thread("waiter");
    pthread_mutex_lock(&mutex);
    pthread_cond_wait(&condition, &mutex);
    return NULL;
}

static void *lock_and_end(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&mutex);
    return NULL;
}

static void deadlock_of_mutexes(void)
{
    start(lock_in_other_order, NULL);
    pthread_mutex_lock(&mutex);
    sched_yield();
    pthread_mutex_lock(&other_mutex);
}

static void deadlock_of_join(void)
{
    join(start(wait_for_nobody, NULL));
}

static void deadlock_by_ended_owner(void)
{
    join(start(lock_and_end, NULL));
    pthread_mutex_lock(&mutex);
}

static pthread_once_t control = PTHREAD_ONCE_INIT;

static void initialise_itself(void)
{
    pthread_once(&control, initialise_itself);
}

static void deadlock_of_once(void)
{
    pthread_once(&control, initialise_itself);
}

static void relock(void)
{
    pthread_mutex_lock(&mutex);
    pthread_mutex_lock(&mutex);
}

static void wait_in_callback(void)
{
    pthread_mutex_lock(&mutex);
    start(wait_for_nobody, NULL);
    sched_yield();
    pthread_mutex_unlock(&mutex);
    afmpeg_foreign_depth = 1; // what the build's pass does around a call by a caller that isn't instrumented
    afmpeg_usleep(1);         // needs no other thread, so it is allowed
    sched_yield();            // and so is this
    pthread_mutex_lock(&mutex);
    pthread_cond_wait(&condition, &mutex);
}

static void exit_in_callback(void)
{
    afmpeg_foreign_depth = 1;
    pthread_exit(NULL);
}

enum { ALL_BYTES = AFMPEG_STACK_BYTES - AFMPEG_STACK_GUARD_BYTES };

// Goes so deep that this many bytes of the stack are in use.
__attribute__((noinline)) static int descend(uintptr_t start, uintptr_t bytes, bool waits_there)
{
    enum { FRAME_BYTES = 1024 };
    volatile char frame[FRAME_BYTES];
    for (int i = 0; i < FRAME_BYTES; i++)
        frame[i] = 1;
    if (start - (uintptr_t)frame < bytes)
        return frame[0] + descend(start, bytes, waits_there);
    if (waits_there)
        sched_yield();
    return frame[0];
}

static void *overflow_and_return(void *wait)
{
    char first = 1;
    name_thread("deep");
    CHECK(descend((uintptr_t)&first, ALL_BYTES + 4096, false) > first);
    if (wait != NULL)
        sched_yield();
    return NULL;
}

static void *overflow_and_wait_there(void *unused)
{
    (void)unused;
    char first = 1;
    name_thread("deep");
    CHECK(descend((uintptr_t)&first, ALL_BYTES + 4096, true) > first);
    return NULL;
}

// Leaves room for a few frames, but not for the locals that all of them have to save.
static void *overflow_by_saved_locals(void *unused)
{
    (void)unused;
    char first = 1;
    name_thread("deep");
    CHECK(descend((uintptr_t)&first, ALL_BYTES - (20 << 10), true) > first);
    return NULL;
}

static void overflow_found_at_switch(void)
{
    join(start(overflow_and_return, &mutex));
}

static void overflow_found_at_end(void)
{
    join(start(overflow_and_return, NULL));
}

static void overflow_in_suspension(void)
{
    join(start(overflow_and_wait_there, NULL));
}

static void overflow_of_saved_locals(void)
{
    join(start(overflow_by_saved_locals, NULL));
}

static void wait_after_the_end(void)
{
    pthread_mutex_lock(&mutex);
    pthread_cond_wait(&condition, &mutex);
}

static int program(int argc, char **argv)
{
    CHECK_EQUAL(argc, 2);
    const char *const which = argv[1];
    if (strcmp(which, "deadlock-of-mutexes") == 0)
        deadlock_of_mutexes();
    if (strcmp(which, "deadlock-of-join") == 0)
        deadlock_of_join();
    if (strcmp(which, "deadlock-by-ended-owner") == 0)
        deadlock_by_ended_owner();
    if (strcmp(which, "deadlock-of-once") == 0)
        deadlock_of_once();
    if (strcmp(which, "relock") == 0)
        relock();
    if (strcmp(which, "wait-in-callback") == 0)
        wait_in_callback();
    if (strcmp(which, "exit-in-callback") == 0)
        exit_in_callback();
    if (strcmp(which, "overflow-found-at-switch") == 0)
        overflow_found_at_switch();
    if (strcmp(which, "overflow-found-at-end") == 0)
        overflow_found_at_end();
    if (strcmp(which, "overflow-in-suspension") == 0)
        overflow_in_suspension();
    if (strcmp(which, "overflow-of-saved-locals") == 0)
        overflow_of_saved_locals();
    if (strcmp(which, "wait-in-exit-handler") == 0)
        CHECK_EQUAL(atexit(wait_after_the_end), 0);
    return 1;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
