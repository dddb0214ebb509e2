// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Thread-specific values: apart in each thread, destroyed at its end, gone with their key.
#include "check.h"

static pthread_key_t plain, destroyed, revived;
static int plain_mark, destroyed_count, revived_count;

static void destroy(void *value)
{
    CHECK(value == &destroyed_count);
    CHECK(pthread_getspecific(destroyed) == NULL);
    sched_yield(); // a destructor may wait
    destroyed_count++;
}

static void destroy_in_vain(void *value)
{
    revived_count++;
    CHECK_EQUAL(pthread_setspecific(revived, value), 0);
}

static void *set_values(void *by_exit)
{
    CHECK(pthread_getspecific(plain) == NULL);
    CHECK_EQUAL(pthread_setspecific(plain, &plain_mark), 0);
    CHECK_EQUAL(pthread_setspecific(destroyed, &destroyed_count), 0);
    CHECK_EQUAL(pthread_setspecific(revived, &revived_count), 0);
    sched_yield();
    CHECK(pthread_getspecific(plain) == &plain_mark);
    if (by_exit != NULL)
        pthread_exit(by_exit);
    return &plain_mark;
}

static void destructors(void)
{
    int mark = 0;
    CHECK_EQUAL(pthread_key_create(&plain, NULL), 0);
    CHECK_EQUAL(pthread_key_create(&destroyed, destroy), 0);
    CHECK_EQUAL(pthread_key_create(&revived, destroy_in_vain), 0);
    CHECK_EQUAL(pthread_setspecific(plain, &mark), 0);
    const pthread_t one = start(set_values, NULL), other = start(set_values, &mark);
    CHECK(join(one) == &plain_mark);
    CHECK(join(other) == &mark);
    CHECK_EQUAL(destroyed_count, 2);
    CHECK_EQUAL(revived_count, 2 * PTHREAD_DESTRUCTOR_ITERATIONS);
    CHECK(pthread_getspecific(plain) == &mark);
}

static bool may_look;

static void *look_after_the_key_is_another(void *unused)
{
    (void)unused;
    CHECK_EQUAL(pthread_setspecific(plain, &plain_mark), 0);
    while (!may_look)
        sched_yield();
    CHECK(pthread_getspecific(plain) == NULL);
    return NULL;
}

static void deletion(void)
{
    const pthread_t other = start(look_after_the_key_is_another, NULL);
    let_the_others_run();
    CHECK_EQUAL(pthread_key_delete(plain), 0);
    CHECK_EQUAL(pthread_key_delete(plain), EINVAL);
    CHECK_EQUAL(pthread_setspecific(plain, &plain_mark), EINVAL);
    const pthread_key_t number = plain;
    CHECK_EQUAL(pthread_key_create(&plain, NULL), 0);
    CHECK_EQUAL(plain, number);
    CHECK(pthread_getspecific(plain) == NULL);
    may_look = true;
    join(other);
}

static void exhaustion(void)
{
    pthread_key_t key;
    int created = 0, error;
    while ((error = pthread_key_create(&key, NULL)) == 0)
        created++;
    CHECK_EQUAL(error, EAGAIN);
    CHECK_EQUAL(created, PTHREAD_KEYS_MAX - 3);
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    destructors();
    deletion();
    exhaustion();
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
