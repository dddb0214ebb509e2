// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Create, join, detach, exit, self, equal, attributes, names and errno.
#include "check.h"

static void *return_argument(void *argument)
{
    return argument;
}

static void *return_self(void *unused)
{
    (void)unused;
    sched_yield();
    return pthread_self();
}

__attribute__((noinline)) static void descend(int levels, void *result)
{
    if (levels == 0)
        pthread_exit(result);
    sched_yield();
    descend(levels - 1, result);
}

static void *exit_deep_inside(void *argument)
{
    descend(10, argument);
    return NULL;
}

static void results(void)
{
    int marks[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start(return_argument, &marks[i]);
    for (int i = 2; i >= 0; i--)
        CHECK(join(threads[i]) == &marks[i]);
    CHECK(join(start(exit_deep_inside, &marks[1])) == &marks[1]);
    CHECK_EQUAL(pthread_join(start(return_argument, NULL), NULL), 0);
}

static void identity(void)
{
    const pthread_t self = pthread_self();
    const pthread_t other = start(return_self, NULL);
    CHECK(pthread_equal(self, self) && !pthread_equal(self, other));
    int (*const equal)(pthread_t, pthread_t) = (pthread_equal);
    CHECK(equal(other, other) && !equal(other, self));
    CHECK(join(other) == other);
    CHECK(pthread_self() == self);
}

static bool may_end;

static void *wait_for_permission(void *unused)
{
    (void)unused;
    while (!may_end)
        sched_yield();
    return NULL;
}

static void *join_the_other(void *other)
{
    join(other);
    return NULL;
}

static void *join_self(void *unused)
{
    (void)unused;
    CHECK_EQUAL(pthread_join(pthread_self(), NULL), EDEADLK);
    return NULL;
}

static void refused_joins(void)
{
    join(start(join_self, NULL));
    CHECK_EQUAL(pthread_join(pthread_self(), NULL), EDEADLK);

    may_end = false;
    const pthread_t awaited = start(wait_for_permission, NULL);
    const pthread_t waiter = start(join_the_other, awaited);
    let_the_others_run();
    CHECK_EQUAL(pthread_join(awaited, NULL), EINVAL);
    CHECK_EQUAL(pthread_detach(awaited), EINVAL);
    may_end = true;
    join(waiter);
}

static void detaching(void)
{
    may_end = false;
    const pthread_t running = start(wait_for_permission, NULL);
    CHECK_EQUAL(pthread_detach(running), 0);
    CHECK_EQUAL(pthread_detach(running), EINVAL);
    CHECK_EQUAL(pthread_join(running, NULL), EINVAL);
    may_end = true;
    let_the_others_run();

    const pthread_t ended = start(return_argument, NULL);
    let_the_others_run();
    CHECK_EQUAL(pthread_detach(ended), 0);
}

enum { MUCH_BYTES = 3 << 20, DEFAULT_BYTES = AFMPEG_STACK_BYTES - (64 << 10) };

static void *fill_large_stack(void *unused)
{
    (void)unused;
    char frame[MUCH_BYTES];
    memset(frame, 1, sizeof frame);
    sched_yield();
    CHECK_EQUAL(frame[0] + frame[sizeof frame - 1], 2);
    return NULL;
}

static void *fill_default_stack(void *unused)
{
    (void)unused;
    char frame[DEFAULT_BYTES];
    memset(frame, 1, sizeof frame);
    sched_yield();
    CHECK_EQUAL(frame[0] + frame[sizeof frame - 1], 2);
    return NULL;
}

static void attributes(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK_EQUAL(pthread_attr_init(&attributes), 0);
    CHECK_EQUAL(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), 0);
    may_end = false;
    CHECK_EQUAL(pthread_create(&thread, &attributes, wait_for_permission, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), EINVAL);
    may_end = true;
    let_the_others_run();

    // More than every thread gets, and the whole of it is there.
    CHECK_EQUAL(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_JOINABLE), 0);
    CHECK_EQUAL(pthread_attr_setstacksize(&attributes, 4 << 20), 0);
    CHECK_EQUAL(pthread_create(&thread, &attributes, fill_large_stack, NULL), 0);
    join(thread);

    // Less than every thread gets: it gets that all the same.
    CHECK_EQUAL(pthread_attr_setstacksize(&attributes, 64 << 10), 0);
    CHECK_EQUAL(pthread_create(&thread, &attributes, fill_default_stack, NULL), 0);
    join(thread);
    CHECK_EQUAL(pthread_attr_destroy(&attributes), 0);
}

static void names(void)
{
    char name[16];
    CHECK_EQUAL(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK_TEXT(name, "program");
    const pthread_t thread = start(return_argument, NULL);
    CHECK_EQUAL(pthread_getname_np(thread, name, sizeof name), 0);
    CHECK_TEXT(name, "");
    CHECK_EQUAL(pthread_setname_np(thread, "fifteen letters"), 0);
    CHECK_EQUAL(pthread_setname_np(thread, "sixteen letters!"), ERANGE);
    CHECK_EQUAL(pthread_getname_np(thread, name, sizeof name - 1), ERANGE);
    CHECK_EQUAL(pthread_getname_np(thread, name, sizeof name), 0);
    CHECK_TEXT(name, "fifteen letters");
    join(thread);
}

static void *fail_in_another_way(void *unused)
{
    (void)unused;
    CHECK_EQUAL(errno, 0);
    errno = ENOENT;
    sched_yield();
    CHECK_EQUAL(errno, ENOENT);
    return NULL;
}

static void errno_of_each_thread(void)
{
    const pthread_t other = start(fail_in_another_way, NULL);
    errno = EPIPE;
    sched_yield();
    CHECK_EQUAL(errno, EPIPE);
    join(other);
    CHECK_EQUAL(errno, EPIPE);
}

static int program(int argc, char **argv)
{
    CHECK_EQUAL(argc, 1);
    CHECK(argv[0] != NULL && argv[1] == NULL);
    results();
    identity();
    refused_joins();
    detaching();
    attributes();
    names();
    errno_of_each_thread();
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
