// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Threads that have ended leave nothing behind, and one that cannot be created leaves everything as it was.
#include "check.h"

enum { PAGE_BYTES = 64 << 10, SHORT_THREADS = 10000, CROWD = 50 };

static int ended;

static void *do_little(void *is_detached)
{
    void *const block = malloc(100);
    CHECK(block != NULL);
    sched_yield();
    free(block);
    ended++;
    if (is_detached != NULL)
        CHECK_EQUAL(pthread_detach(pthread_self()), 0);
    return NULL;
}

static void run_crowd(void)
{
    pthread_t joined[CROWD];
    for (int i = 0; i < CROWD; i++) {
        start(do_little, &ended);
        joined[i] = start(do_little, NULL);
    }
    for (int i = 0; i < CROWD; i++)
        join(joined[i]);
}

static void many_short_threads(void)
{
    run_crowd();
    const size_t pages = __builtin_wasm_memory_size(0);
    while (ended < SHORT_THREADS)
        run_crowd();
    CHECK_EQUAL((long long)__builtin_wasm_memory_size(0), (long long)pages);

    char *kept[100];
    for (int i = 0; i < 100; i++) { // blocks that stay, between the stacks, must not drive them up
        join(start(do_little, NULL));
        CHECK((kept[i] = malloc(1000)) != NULL);
    }
    for (int i = 0; i < 100; i++)
        free(kept[i]);
    CHECK_EQUAL((long long)__builtin_wasm_memory_size(0), (long long)pages);
}

// Four of them are more than there can be.
enum { HUGE_STACK_BYTES = 0x3fff0000 };

static void no_memory_for_a_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int created = 0, error;
    CHECK_EQUAL(pthread_attr_init(&attributes), 0);
    CHECK_EQUAL(pthread_attr_setstacksize(&attributes, HUGE_STACK_BYTES), 0);
    ended = 0;
    while ((error = pthread_create(&thread, &attributes, do_little, &ended)) == 0)
        created++;
    CHECK_EQUAL(error, EAGAIN);
    CHECK(created < 4);
    join(start(do_little, NULL));
    CHECK_EQUAL(ended, created + 1);
    CHECK_EQUAL(pthread_attr_destroy(&attributes), 0);
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    many_short_threads();
    no_memory_for_a_stack();
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
