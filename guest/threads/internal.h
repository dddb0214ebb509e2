// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What the files of the thread library share. They include it first; nothing else includes it.
//
// One rule holds it together: every function that may wait reaches afmpeg_suspend through direct calls. The build
// derives from those calls which functions Asyncify has to instrument, and a call through a pointer would hide one.
#ifndef AFMPEG_THREADS_INTERNAL_H
#define AFMPEG_THREADS_INTERNAL_H

#define _GNU_SOURCE // declares POSIX's clocks and pthread_setname_np()

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../streams.h"
#include "../threads.h"

// A first-in first-out queue of threads; all zero is an empty one. A thread is in at most one at a time: the run queue
// or that of the object it waits for.
struct afmpeg_queue {
    struct __pthread *first;
};

struct afmpeg_stack {
    char *low;
    size_t size_bytes;
};

// Asyncify's own record, at a layout that Binaryen fixes: where it writes next and where it has to stop.
struct afmpeg_unwound_frames {
    char *position;
    char *end;
};

// Which of a thread's functions the scheduler's loop calls, to start it and again for every resumption.
enum afmpeg_phase { AFMPEG_IN_PROGRAM, AFMPEG_IN_ENTRY, AFMPEG_IN_DESTRUCTOR };

enum afmpeg_wait_kind {
    AFMPEG_WAITS_FOR_NOTHING, // that another thread could give: it sleeps or yields
    AFMPEG_WAITS_FOR_MUTEX,
    AFMPEG_WAITS_FOR_CONDITION,
    AFMPEG_WAITS_FOR_THREAD,
    AFMPEG_WAITS_FOR_INITIALISER,
    AFMPEG_WAITS_FOR_DESCRIPTOR,
};

// The scheduler's loop, run once more by a thread that waits for input and cannot be suspended.
struct afmpeg_loop {
    struct afmpeg_stream *stream;
    struct afmpeg_loop *beneath;
    bool is_over; // there is input
};

enum { AFMPEG_NAME_BYTES = 16 };

// Nanoseconds of CLOCK_MONOTONIC; this one never comes.
#define AFMPEG_NEVER INT64_MAX

// <pthread.h> declares pthread_t as a pointer to this.
struct __pthread {
    unsigned id; // 1 is the program's thread; never used twice, so that it still tells threads apart after their end
    char name[AFMPEG_NAME_BYTES];

    // Coroutine.
    struct afmpeg_stack stack;
    struct afmpeg_unwound_frames unwound;
    char *stack_pointer;
    int saved_errno; // the C library has one errno for all, POSIX promises one a thread
    bool is_suspended;

    // Life.
    enum afmpeg_phase phase;
    void *(*entry)(void *);
    void *argument;
    void *result;
    bool is_ending; // pthread_exit was called in this phase
    bool has_ended; // only its result is left, for whoever joins it
    bool is_detached;
    struct afmpeg_queue joiner;
    struct __pthread *older, *younger; // of the threads that live

    // Waiting.
    struct afmpeg_queue *queue;
    struct __pthread *previous, *next; // in queue
    enum afmpeg_wait_kind waits_for;
    const void *awaited;
    bool lost_its_turn; // see mutex.c
    bool timed_out;
    int64_t deadline_ns;               // AFMPEG_NEVER when it has none
    struct __pthread *earlier, *later; // deadlines

    // Thread-specific values.
    void *values[PTHREAD_KEYS_MAX];
    unsigned keys_visited; // when the thread ends, by all rounds together
    void (*destructor)(void *);
    void *destroyed_value;
};

// coroutine.c
extern int afmpeg_foreign_depth;
extern int afmpeg_permitted_index;
extern bool afmpeg_threads_run;
bool afmpeg_can_suspend(void);
void afmpeg_suspend(void);
int afmpeg_run_threads(struct afmpeg_loop *loop);

// stack.c
bool afmpeg_stack_allocate(struct afmpeg_stack *stack, size_t size_bytes);
void afmpeg_stack_release(struct afmpeg_stack *stack);
char *afmpeg_stack_top(const struct afmpeg_stack *stack);
char *afmpeg_stack_bottom(const struct afmpeg_stack *stack);
enum afmpeg_thoroughness { AFMPEG_EVERY_WORD = 1, AFMPEG_SAMPLE = 128 };
bool afmpeg_stack_is_intact(const struct afmpeg_stack *stack, enum afmpeg_thoroughness thoroughness);

// scheduler.c
void afmpeg_make_runnable(struct __pthread *thread);
struct __pthread *afmpeg_next_runnable(const struct afmpeg_loop *loop);
struct __pthread *afmpeg_wake_first(struct afmpeg_queue *queue);
// Wakes a thread that waits, and gives it the next turn.
void afmpeg_wake_next(struct __pthread *thread);
int64_t afmpeg_deadline(clockid_t clock, const struct timespec *until);
// Suspends the calling thread until it is woken (0) or the deadline has come (ETIMEDOUT).
int afmpeg_wait(struct afmpeg_queue *queue, enum afmpeg_wait_kind kind, const void *awaited, int64_t deadline_ns);

// thread.c
extern struct __pthread *afmpeg_current; // never NULL
extern struct __pthread *afmpeg_oldest_thread;
bool afmpeg_start_program(void);
void afmpeg_phase_ended(struct __pthread *thread);

// key.c
bool afmpeg_next_destructor(struct __pthread *thread);

// descriptor.c
bool afmpeg_descriptors_awaited(void);
// Waits for the first that is ready, at most so long, and does what can be done then.
void afmpeg_poll_descriptors(int64_t timeout_ns);

// descriptor.c, mutex.c, once.c: for reports
int afmpeg_descriptor(const void *stream);
unsigned afmpeg_mutex_owner(const void *mutex);
unsigned afmpeg_initialiser_runner(const void *run);

// report.c
_Noreturn void afmpeg_report_deadlock(void);
_Noreturn void afmpeg_report_relock(const void *mutex);
_Noreturn void afmpeg_report_unsuspendable(void);
_Noreturn void afmpeg_report_stack_overflow(const struct __pthread *thread);
_Noreturn void afmpeg_report_no_memory(void);

#endif
