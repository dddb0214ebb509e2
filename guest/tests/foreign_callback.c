// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// qsort belongs to the C library, which is never instrumented: a comparison may use threads as long as it needn't wait,
// and one that has to ends the process. Only the build's pass makes the difference, so this is its test.
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int comparisons;

static int compare_locked(const void *one, const void *other)
{
    pthread_mutex_lock(&mutex);
    comparisons++;
    pthread_mutex_unlock(&mutex);
    return *(const int *)one - *(const int *)other;
}

static void sort(void)
{
    int numbers[] = { 3, 1, 2 };
    qsort(numbers, 3, sizeof *numbers, compare_locked);
    CHECK(numbers[0] == 1 && numbers[1] == 2 && numbers[2] == 3);
}

static void *keep_the_mutex(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&mutex);
    for (;;)
        sched_yield();
    return NULL;
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    sort();
    CHECK(comparisons >= 2);
    fputs("sorted without waiting\n", stderr);
    start(keep_the_mutex, NULL);
    let_the_others_run();
    sort();
    return 1;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
