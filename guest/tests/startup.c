// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What needs no waiting works before main and after the threads: constructors and exit handlers lock and look up.
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_once_t control = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static pthread_t constructor_thread, early_thread;
static int initialised;

static void initialise(void)
{
    initialised++;
}

static void lock_and_look(void)
{
    CHECK_EQUAL(pthread_mutex_lock(&mutex), 0);
    CHECK_EQUAL(pthread_cond_signal(&condition), 0);
    CHECK_EQUAL(pthread_once(&control, initialise), 0);
    CHECK_EQUAL(initialised, 1);
    CHECK_EQUAL(sched_yield(), 0);
    CHECK_EQUAL(afmpeg_usleep(1), 0);
    CHECK(pthread_getspecific(key) == &initialised);
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
    CHECK(pthread_equal(pthread_self(), constructor_thread));
}

static void *return_argument(void *argument)
{
    return argument;
}

__attribute__((constructor)) static void construct(void)
{
    constructor_thread = pthread_self();
    CHECK_EQUAL(pthread_key_create(&key, NULL), 0);
    CHECK_EQUAL(pthread_setspecific(key, &initialised), 0);
    early_thread = start(return_argument, &key); // it runs when the others do
    lock_and_look();
    CHECK_EQUAL(atexit(lock_and_look), 0);
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    lock_and_look();
    CHECK(join(early_thread) == &key);
    return 0;
}

int main(int argc, char **argv)
{
    lock_and_look();
    return afmpeg_threads_main(program, argc, argv);
}
