// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Thread-specific values and their destructors.
#include "internal.h"

#include <errno.h>

static struct {
    bool is_used;
    void (*destructor)(void *);
} keys[PTHREAD_KEYS_MAX];

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    for (pthread_key_t k = 0; k < PTHREAD_KEYS_MAX; k++) {
        if (keys[k].is_used)
            continue;
        keys[k].is_used = true;
        keys[k].destructor = destructor;
        *key = k;
        return 0;
    }
    return EAGAIN;
}

int pthread_key_delete(pthread_key_t key)
{
    if (key >= PTHREAD_KEYS_MAX || !keys[key].is_used)
        return EINVAL;
    keys[key].is_used = false;
    // The next key of this number must be NULL in every thread; the current one may live before or after the loop.
    afmpeg_current->values[key] = NULL;
    for (struct __pthread *thread = afmpeg_oldest_thread; thread != NULL; thread = thread->younger)
        thread->values[key] = NULL;
    return 0;
}

void *pthread_getspecific(pthread_key_t key)
{
    return afmpeg_current->values[key];
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
    if (key >= PTHREAD_KEYS_MAX || !keys[key].is_used)
        return EINVAL;
    afmpeg_current->values[key] = (void *)(intptr_t)value;
    return 0;
}

// Picks the next value of an ending thread that has to be destroyed. Destructors may set values again, for which POSIX
// grants PTHREAD_DESTRUCTOR_ITERATIONS rounds through all keys.
bool afmpeg_next_destructor(struct __pthread *thread)
{
    while (thread->keys_visited < PTHREAD_DESTRUCTOR_ITERATIONS * PTHREAD_KEYS_MAX) {
        const pthread_key_t key = thread->keys_visited++ % PTHREAD_KEYS_MAX;
        void *const value = thread->values[key];
        if (value == NULL || !keys[key].is_used || keys[key].destructor == NULL)
            continue;
        thread->values[key] = NULL;
        thread->destructor = keys[key].destructor;
        thread->destroyed_value = value;
        return true;
    }
    return false;
}
