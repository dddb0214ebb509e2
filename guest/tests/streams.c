// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Threads that wait for pipes, each for its own and all in one process. The runner feeds and drains the descriptors.
#include "check.h"

#include "streams.h"

enum { FIRST_INPUT = 3, SECOND_INPUT = 4, OUTPUT = 5 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool has_read;

static void *read_first(void *unused)
{
    char byte = 0;
    CHECK_EQUAL(afmpeg_read(FIRST_INPUT, &byte, 1), 1);
    CHECK_EQUAL(byte, 'a');
    pthread_mutex_lock(&lock);
    has_read = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return unused;
}

static void *read_second(void *unused)
{
    char byte = 0;
    CHECK_EQUAL(afmpeg_read(SECOND_INPUT, &byte, 1), 1);
    CHECK_EQUAL(byte, 'b');
    pthread_mutex_lock(&lock);
    while (!has_read)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return unused;
}

// The second read lies on top of the first, whose input comes first; then each has what it wants, and both pipes stay open.
static void inputs(void)
{
    const pthread_t first = start(read_first, NULL);
    let_the_others_run();
    join(start(read_second, NULL));
    join(first);
}

static char much[17 << 20]; // more than is kept

static void *write_much(void *unused)
{
    CHECK_EQUAL(afmpeg_write(OUTPUT, much, sizeof(much)), sizeof(much));
    afmpeg_wait_until_written();
    return unused;
}

// One thread waits until all is written, and another one's write does that.
static void outputs(void)
{
    const pthread_t writer = start(write_much, NULL);
    let_the_others_run();
    CHECK_EQUAL(afmpeg_write(OUTPUT, "z", 1), 1);
    join(writer);
    CHECK_EQUAL(afmpeg_flush(OUTPUT), 0);
}

static int program(int argc, char **argv)
{
    CHECK_EQUAL(argc, 2);
    if (strcmp(argv[1], "inputs") == 0)
        inputs();
    else
        outputs();
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
