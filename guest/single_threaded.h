// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Some codecs ask for pthreads and semaphores even when they run one thread. The guest's pthreads (guest/threads) are
// coroutines that may leave by unwinding the stack: if a codec could reach them, Asyncify would instrument its hot loops.
// So the codecs get none: a lock of one thread is always free, a thread can't be started, nothing can be waited for.
// Included by force into every source file of libraries whose file says `single_threaded`.
#ifndef AFMPEG_SINGLE_THREADED_H
#define AFMPEG_SINGLE_THREADED_H

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#define pthread_create(thread, attributes, entry, argument) ((void)(entry), ENOTSUP)
#define pthread_join(thread, result) ((void)(thread), ESRCH)

#define pthread_mutex_init(mutex, attributes) ((void)(mutex), 0)
#define pthread_mutex_destroy(mutex) ((void)(mutex), 0)
#define pthread_mutex_lock(mutex) ((void)(mutex), 0)
#define pthread_mutex_unlock(mutex) ((void)(mutex), 0)

#define pthread_cond_init(condition, attributes) ((void)(condition), 0)
#define pthread_cond_destroy(condition) ((void)(condition), 0)
#define pthread_cond_broadcast(condition) ((void)(condition), 0)
#define pthread_cond_signal(condition) ((void)(condition), 0)
#define pthread_cond_wait(condition, mutex) ((void)(condition), EDEADLK)
#define pthread_cond_timedwait(condition, mutex, until) ((void)(condition), (void)(until), ETIMEDOUT)

#define pthread_once(control, routine) afmpeg_once(control, routine)
static inline int afmpeg_once(pthread_once_t *control, void (*routine)(void)) {
    if (*control == PTHREAD_ONCE_INIT) {
        *control = !PTHREAD_ONCE_INIT;
        routine();
    }
    return 0;
}

#define sem_init(semaphore, shared, value) ((void)(semaphore), 0)
#define sem_destroy(semaphore) ((void)(semaphore), 0)
#define sem_post(semaphore) ((void)(semaphore), 0)
#define sem_wait(semaphore) ((void)(semaphore), errno = EDEADLK, -1)
#define sem_trywait(semaphore) ((void)(semaphore), errno = EAGAIN, -1)
#define sem_timedwait(semaphore, until) ((void)(semaphore), (void)(until), errno = ETIMEDOUT, -1)

#endif
