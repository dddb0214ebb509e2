// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The life of a thread, from pthread_create to the end of its stack and, when someone has taken its result, of itself.
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// The program's thread is current from the start, because constructors lock mutexes before main and handlers of exit()
// do so after it.
static struct __pthread program_thread = {
    .id = 1,
    .name = "program",
    .phase = AFMPEG_IN_PROGRAM,
    .deadline_ns = AFMPEG_NEVER,
};

struct __pthread *afmpeg_current = &program_thread;
struct __pthread *afmpeg_oldest_thread;
static struct __pthread *youngest_thread;
static unsigned last_id = 1;

static void join_the_living(struct __pthread *thread)
{
    thread->older = youngest_thread;
    thread->younger = NULL;
    *(youngest_thread != NULL ? &youngest_thread->younger : &afmpeg_oldest_thread) = thread;
    youngest_thread = thread;
}

static void leave_the_living(struct __pthread *thread)
{
    *(thread->older != NULL ? &thread->older->younger : &afmpeg_oldest_thread) = thread->younger;
    *(thread->younger != NULL ? &thread->younger->older : &youngest_thread) = thread->older;
}

static bool start(struct __pthread *thread, size_t stack_size_bytes)
{
    if (!afmpeg_stack_allocate(&thread->stack, stack_size_bytes))
        return false;
    thread->stack_pointer = afmpeg_stack_top(&thread->stack);
    join_the_living(thread);
    afmpeg_make_runnable(thread);
    return true;
}

bool afmpeg_start_program(void)
{
    return start(&program_thread, AFMPEG_STACK_BYTES);
}

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes, void *(*entry)(void *),
                   void *restrict argument)
{
    int detach_state = PTHREAD_CREATE_JOINABLE;
    size_t stack_size_bytes = 0;
    if (attributes != NULL) {
        pthread_attr_getdetachstate(attributes, &detach_state);
        pthread_attr_getstacksize(attributes, &stack_size_bytes);
    }
    // The C library's default attributes ask for less than what is known to be enough.
    if (stack_size_bytes < AFMPEG_STACK_BYTES)
        stack_size_bytes = AFMPEG_STACK_BYTES;

    struct __pthread *const created = calloc(1, sizeof *created);
    if (created == NULL)
        return EAGAIN;
    created->id = ++last_id;
    created->phase = AFMPEG_IN_ENTRY;
    created->entry = entry;
    created->argument = argument;
    created->is_detached = detach_state == PTHREAD_CREATE_DETACHED;
    created->deadline_ns = AFMPEG_NEVER;
    if (!start(created, stack_size_bytes)) {
        free(created);
        return EAGAIN;
    }
    *thread = created;
    return 0;
}

static void forget(struct __pthread *thread)
{
    if (thread != &program_thread)
        free(thread);
}

// Called by the scheduler's loop, on its own stack, when a function of the thread has returned or pthread_exit has
// unwound it.
void afmpeg_phase_ended(struct __pthread *thread)
{
    thread->is_ending = false;
    thread->is_suspended = false;
    if (afmpeg_next_destructor(thread)) {
        thread->phase = AFMPEG_IN_DESTRUCTOR;
        thread->stack_pointer = afmpeg_stack_top(&thread->stack);
        afmpeg_make_runnable(thread);
        return;
    }
    afmpeg_stack_release(&thread->stack);
    leave_the_living(thread);
    thread->has_ended = true;
    if (thread->is_detached)
        forget(thread);
    else
        afmpeg_wake_first(&thread->joiner);
}

_Noreturn void pthread_exit(void *result)
{
    struct __pthread *const self = afmpeg_current;
    if (!afmpeg_can_suspend())
        afmpeg_report_unsuspendable();
    self->result = result;
    self->is_ending = true;
    afmpeg_suspend();
    __builtin_unreachable();
}

int pthread_join(pthread_t thread, void **result)
{
    if (thread == afmpeg_current)
        return EDEADLK;
    if (thread->is_detached || thread->joiner.first != NULL)
        return EINVAL;
    if (!thread->has_ended)
        afmpeg_wait(&thread->joiner, AFMPEG_WAITS_FOR_THREAD, thread, AFMPEG_NEVER);
    if (result != NULL)
        *result = thread->result;
    forget(thread);
    return 0;
}

int pthread_detach(pthread_t thread)
{
    if (thread->is_detached || thread->joiner.first != NULL)
        return EINVAL;
    thread->is_detached = true;
    if (thread->has_ended)
        forget(thread);
    return 0;
}

pthread_t pthread_self(void)
{
    return afmpeg_current;
}

#undef pthread_equal // <pthread.h> has it as a macro too
int pthread_equal(pthread_t one, pthread_t other)
{
    return one == other;
}

int pthread_setname_np(pthread_t thread, const char *name)
{
    const size_t size_bytes = strlen(name) + 1;
    if (size_bytes > sizeof thread->name)
        return ERANGE;
    memcpy(thread->name, name, size_bytes);
    return 0;
}

int pthread_getname_np(pthread_t thread, char *name, size_t size_bytes)
{
    const size_t needed_bytes = strlen(thread->name) + 1;
    if (size_bytes < needed_bytes)
        return ERANGE;
    memcpy(name, thread->name, needed_bytes);
    return 0;
}
