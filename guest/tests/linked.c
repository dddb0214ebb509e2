// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The functions under test are ours. wasi-libc has a function of each name too, which does nothing or fails; one that
// came into the link by way of another would be used without a word. Each of its files also defines a name that
// nobody else does, and a weak reference shows whether it was linked without pulling it in. (pthread_self's file is
// always linked, for a variable in it; that ours is used instead, lifecycle.c shows.)
#include "check.h"

#define ABSENT(name)                                                                                                   \
    do {                                                                                                               \
        extern int name(void) __attribute__((weak));                                                                   \
        if (name != NULL) {                                                                                            \
            fprintf(stderr, "%s of the C library was linked\n", #name);                                                \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static void *use(void *argument)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    static pthread_once_t control = PTHREAD_ONCE_INIT;
    // Compiled in, whether or not they are reached.
    if (argument != NULL) {
        pthread_key_t key;
        struct timespec until = { .tv_sec = 0 };
        pthread_mutex_init(&mutex, NULL);
        pthread_mutex_trylock(&mutex);
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
        pthread_mutex_destroy(&mutex);
        pthread_cond_init(&condition, NULL);
        pthread_cond_wait(&condition, &mutex);
        pthread_cond_timedwait(&condition, &mutex, &until);
        pthread_cond_signal(&condition);
        pthread_cond_broadcast(&condition);
        pthread_cond_destroy(&condition);
        pthread_once(&control, abort);
        pthread_key_create(&key, NULL);
        pthread_setspecific(key, pthread_getspecific(key));
        pthread_key_delete(key);
        pthread_detach(pthread_self());
        sched_yield();
        pthread_exit(NULL);
    }
    return NULL;
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    join(start(use, NULL));
    ABSENT(__pthread_create);
    ABSENT(__pthread_join);
    ABSENT(__pthread_once);
    ABSENT(__pthread_mutex_lock);
    ABSENT(__pthread_mutex_trylock);
    ABSENT(__pthread_mutex_unlock);
    ABSENT(__pthread_mutex_timedlock);
    ABSENT(__pthread_cond_timedwait);
    ABSENT(__pthread_key_create);
    ABSENT(__pthread_rwlock_rdlock);
    ABSENT(thrd_detach);
    ABSENT(thrd_equal);
    ABSENT(tss_get);
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
