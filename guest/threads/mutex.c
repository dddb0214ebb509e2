// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Mutexes. They exclude for real, although only one thread runs at a time, because FFmpeg holds one while it waits for
// room in a queue.
//
// A mutex that is unlocked is free for whoever runs next, even if a thread was woken to have it: a producer then fills
// its whole queue before it loses the processor, not one item. A thread that found the mutex taken again after it was
// woken has lost its turn; it waits at the head of the queue and the next unlock hands it the mutex, so nobody starves.
#include "internal.h"

#include <errno.h>

// Kept in pthread_mutex_t itself. All zero, as PTHREAD_MUTEX_INITIALIZER has it, is a free normal mutex.
struct __attribute__((may_alias)) mutex {
    int type;
    unsigned owner; // the thread's id, 0 when free
    unsigned relocks;
    struct afmpeg_queue waiters;
};

_Static_assert(sizeof(struct mutex) <= sizeof(pthread_mutex_t), "a mutex fits where <pthread.h> keeps it");
_Static_assert(PTHREAD_MUTEX_NORMAL == 0, "the static initialiser makes a normal mutex");

static struct mutex *state_of(pthread_mutex_t *mutex)
{
    return (struct mutex *)mutex;
}

unsigned afmpeg_mutex_owner(const void *mutex)
{
    return ((const struct mutex *)mutex)->owner;
}

int pthread_mutex_init(pthread_mutex_t *restrict mutex, const pthread_mutexattr_t *restrict attributes)
{
    *state_of(mutex) = (struct mutex){ .type = PTHREAD_MUTEX_DEFAULT };
    if (attributes != NULL)
        pthread_mutexattr_gettype(attributes, &state_of(mutex)->type);
    return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    return state_of(mutex)->owner != 0 ? EBUSY : 0;
}

static int relock(struct mutex *mutex)
{
    if (mutex->relocks == UINT_MAX)
        return EAGAIN;
    mutex->relocks++;
    return 0;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    struct mutex *const m = state_of(mutex);
    struct __pthread *const self = afmpeg_current;
    if (m->owner == self->id) {
        switch (m->type) {
        case PTHREAD_MUTEX_RECURSIVE: return relock(m);
        case PTHREAD_MUTEX_ERRORCHECK: return EDEADLK;
        default: afmpeg_report_relock(m);
        }
    }
    while (m->owner != 0 && m->owner != self->id) {
        afmpeg_wait(&m->waiters, AFMPEG_WAITS_FOR_MUTEX, m, AFMPEG_NEVER);
        self->lost_its_turn = true;
    }
    self->lost_its_turn = false;
    m->owner = self->id;
    return 0;
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    struct mutex *const m = state_of(mutex);
    const unsigned self = afmpeg_current->id;
    if (m->owner == self && m->type == PTHREAD_MUTEX_RECURSIVE)
        return relock(m);
    if (m->owner != 0)
        return EBUSY;
    m->owner = self;
    return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    struct mutex *const m = state_of(mutex);
    if (m->owner != afmpeg_current->id)
        return EPERM;
    if (m->relocks > 0) {
        m->relocks--;
        return 0;
    }
    const struct __pthread *const next = afmpeg_wake_first(&m->waiters);
    m->owner = next != NULL && next->lost_its_turn ? next->id : 0;
    return 0;
}
