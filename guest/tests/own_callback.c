// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// A function of our own program may wait beneath a call through a pointer of another function of it.
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static bool is_ready;

static int wait_until_ready(int answer)
{
    pthread_mutex_lock(&mutex);
    while (!is_ready)
        pthread_cond_wait(&condition, &mutex);
    is_ready = false;
    pthread_mutex_unlock(&mutex);
    return answer;
}

static int answer_at_once(int answer)
{
    return -answer;
}

__attribute__((noinline)) static int call_each(int (*const *callbacks)(int), int count)
{
    int sum = 0;
    for (int i = 0; i < count; i++)
        sum += callbacks[i](1 << i);
    return sum;
}

static void *get_ready(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        let_the_others_run();
        pthread_mutex_lock(&mutex);
        is_ready = true;
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    int (*const callbacks[])(int) = { wait_until_ready, answer_at_once, wait_until_ready };
    const pthread_t other = start(get_ready, NULL);
    CHECK_EQUAL(call_each(callbacks, 3), 1 - 2 + 4);
    join(other);
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
