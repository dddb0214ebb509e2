// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The message before the process ends for a reason that no caller can handle. It is written unbuffered and nothing is
// flushed, as with abort(): the buffers of the program may be in any state.
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

static const struct __pthread *living(unsigned id)
{
    const struct __pthread *thread = afmpeg_oldest_thread;
    while (thread != NULL && thread->id != id)
        thread = thread->younger;
    return thread;
}

static void say_thread(const struct __pthread *thread)
{
    fprintf(stderr, "thread %u", thread->id);
    if (thread->name[0] != '\0')
        fprintf(stderr, " (%s)", thread->name);
}

static void say_thread_of_id(unsigned id)
{
    const struct __pthread *const thread = living(id);
    if (thread != NULL)
        say_thread(thread);
    else
        fprintf(stderr, "thread %u, which has ended", id);
}

static void say_what_it_waits_for(const struct __pthread *thread)
{
    const void *const awaited = thread->awaited;
    switch (thread->waits_for) {
    case AFMPEG_WAITS_FOR_NOTHING: break;
    case AFMPEG_WAITS_FOR_DESCRIPTOR: fprintf(stderr, "descriptor %d", afmpeg_descriptor(awaited)); break;
    case AFMPEG_WAITS_FOR_CONDITION: fprintf(stderr, "condition variable %p", awaited); break;
    case AFMPEG_WAITS_FOR_MUTEX:
        fprintf(stderr, "mutex %p, held by ", awaited);
        say_thread_of_id(afmpeg_mutex_owner(awaited));
        break;
    case AFMPEG_WAITS_FOR_THREAD:
        fprintf(stderr, "the end of ");
        say_thread(awaited);
        break;
    case AFMPEG_WAITS_FOR_INITIALISER:
        fprintf(stderr, "the pthread_once initialiser that runs in ");
        say_thread_of_id(afmpeg_initialiser_runner(awaited));
        break;
    }
}

_Noreturn void afmpeg_report_deadlock(void)
{
    fprintf(stderr, "afmpeg: deadlock: every thread waits for another one\n");
    for (const struct __pthread *thread = afmpeg_oldest_thread; thread != NULL; thread = thread->younger) {
        fprintf(stderr, "afmpeg:   ");
        say_thread(thread);
        fprintf(stderr, " waits for ");
        say_what_it_waits_for(thread);
        fprintf(stderr, "\n");
    }
    _Exit(AFMPEG_EXIT_DEADLOCK);
}

_Noreturn void afmpeg_report_relock(const void *mutex)
{
    fprintf(stderr, "afmpeg: deadlock: ");
    say_thread(afmpeg_current);
    fprintf(stderr, " locks mutex %p, which it holds already\n", mutex);
    _Exit(AFMPEG_EXIT_DEADLOCK);
}

_Noreturn void afmpeg_report_unsuspendable(void)
{
    fprintf(stderr, "afmpeg: ");
    say_thread(afmpeg_current);
    if (afmpeg_current->waits_for == AFMPEG_WAITS_FOR_NOTHING) {
        fprintf(stderr, " calls pthread_exit");
    } else {
        fprintf(stderr, " has to wait for ");
        say_what_it_waits_for(afmpeg_current);
    }
    fprintf(stderr, "%s\n", afmpeg_threads_run ? " beneath a callback that cannot be suspended"
                                              : " while no threads run: before or after afmpeg_threads_main");
    _Exit(AFMPEG_EXIT_UNSUSPENDABLE);
}

_Noreturn void afmpeg_report_stack_overflow(const struct __pthread *thread)
{
    fprintf(stderr, "afmpeg: stack overflow: ");
    say_thread(thread);
    fprintf(stderr, " needs more than its %zu bytes\n", thread->stack.size_bytes);
    _Exit(AFMPEG_EXIT_STACK_OVERFLOW);
}

_Noreturn void afmpeg_report_no_memory(void)
{
    fprintf(stderr, "afmpeg: no memory for the program's stack of %d bytes\n", AFMPEG_STACK_BYTES);
    _Exit(AFMPEG_EXIT_NO_MEMORY);
}
