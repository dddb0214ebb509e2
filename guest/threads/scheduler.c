// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The scheduler: a queue of the threads that can run and a list of those that wait for the clock. The order depends on
// nothing else, so a program without timeouts takes the same path every time.
#include "internal.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

static struct afmpeg_queue runnable;
static struct __pthread *earliest, *latest; // the threads that have deadlines, in their order

static void append(struct afmpeg_queue *queue, struct __pthread *thread)
{
    if (queue->first == NULL) {
        thread->previous = thread->next = thread;
        queue->first = thread;
    } else {
        struct __pthread *const last = queue->first->previous;
        thread->previous = last;
        thread->next = queue->first;
        last->next = queue->first->previous = thread;
    }
    thread->queue = queue;
}

static void leave_queue(struct __pthread *thread)
{
    if (thread->next == thread) {
        thread->queue->first = NULL;
    } else {
        thread->previous->next = thread->next;
        thread->next->previous = thread->previous;
        if (thread->queue->first == thread)
            thread->queue->first = thread->next;
    }
    thread->queue = NULL;
}

enum { NANOSECONDS_PER_SECOND = 1000000000 };

static int64_t nanoseconds(const struct timespec *time)
{
    if (time->tv_sec < 0)
        return 0;
    if (time->tv_sec >= AFMPEG_NEVER / NANOSECONDS_PER_SECOND)
        return AFMPEG_NEVER;
    return time->tv_sec * NANOSECONDS_PER_SECOND + time->tv_nsec;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return nanoseconds(&time);
}

static int64_t after_ns(int64_t now, int64_t delay_ns)
{
    return delay_ns < AFMPEG_NEVER - now ? now + delay_ns : AFMPEG_NEVER;
}

// All deadlines are kept by one clock, the one that never jumps: a wall clock that is set while a thread waits for it
// changes nothing for that thread.
int64_t afmpeg_deadline(clockid_t clock, const struct timespec *until)
{
    const int64_t until_ns = nanoseconds(until);
    if (until_ns == AFMPEG_NEVER || clock == CLOCK_MONOTONIC)
        return until_ns;
    return after_ns(now_ns(CLOCK_MONOTONIC), until_ns - now_ns(clock));
}

// Linear, and from the late end, because a new deadline is mostly the latest; the stacks of a thousand threads fill
// the address space, so the list is short.
static void set_deadline(struct __pthread *thread, int64_t deadline_ns)
{
    struct __pthread *before = latest;
    while (before != NULL && before->deadline_ns > deadline_ns)
        before = before->earlier;
    struct __pthread *const after = before != NULL ? before->later : earliest;
    thread->deadline_ns = deadline_ns;
    thread->earlier = before;
    thread->later = after;
    *(before != NULL ? &before->later : &earliest) = thread;
    *(after != NULL ? &after->earlier : &latest) = thread;
}

static void clear_deadline(struct __pthread *thread)
{
    if (thread->deadline_ns == AFMPEG_NEVER)
        return;
    *(thread->earlier != NULL ? &thread->earlier->later : &earliest) = thread->later;
    *(thread->later != NULL ? &thread->later->earlier : &latest) = thread->earlier;
    thread->deadline_ns = AFMPEG_NEVER;
}

void afmpeg_make_runnable(struct __pthread *thread)
{
    append(&runnable, thread);
}

static void wake(struct __pthread *thread)
{
    leave_queue(thread);
    clear_deadline(thread);
    afmpeg_make_runnable(thread);
}

struct __pthread *afmpeg_wake_first(struct afmpeg_queue *queue)
{
    struct __pthread *const thread = queue->first;
    if (thread != NULL)
        wake(thread);
    return thread;
}

void afmpeg_wake_next(struct __pthread *thread)
{
    wake(thread);
    runnable.first = thread; // the last is the one before the first
}

static void wake_those_due(void)
{
    const int64_t now = now_ns(CLOCK_MONOTONIC);
    while (earliest != NULL && earliest->deadline_ns <= now) {
        earliest->timed_out = true;
        wake(earliest);
    }
}

// Sleeps for a duration, as some engines take an absolute time for one; and not for zero, from which some never wake.
static void sleep_until(int64_t deadline_ns)
{
    int64_t delay_ns;
    while ((delay_ns = deadline_ns - now_ns(CLOCK_MONOTONIC)) > 0) {
        const struct timespec delay = {
            .tv_sec = delay_ns / NANOSECONDS_PER_SECOND,
            .tv_nsec = (long)(delay_ns % NANOSECONDS_PER_SECOND),
        };
        clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
    }
}

// Descriptors that threads wait for are looked at when no thread can run, and else once in so many turns: it takes a call of
// the host, and a turn may be short. For input at each turn, because natively a demuxer takes in what comes while others work;
// FFmpeg holds it back later, when it has got ahead of another input, and who feeds both in turn counts on what it took.
enum { TURNS_PER_POLL = 8 };

static void wait_for_events(void)
{
    if (!afmpeg_descriptors_awaited()) {
        if (earliest == NULL)
            afmpeg_report_deadlock();
        sleep_until(earliest->deadline_ns);
    } else if (earliest == NULL) {
        afmpeg_poll_descriptors(AFMPEG_NEVER);
    } else {
        const int64_t delay_ns = earliest->deadline_ns - now_ns(CLOCK_MONOTONIC);
        afmpeg_poll_descriptors(delay_ns > 0 ? delay_ns : 0);
    }
    if (earliest != NULL)
        wake_those_due();
}

// Takes the thread whose turn it is off the run queue; if there is none, waits until a deadline or a descriptor makes one.
// NULL when the last thread has ended, or the loop is over.
struct __pthread *afmpeg_next_runnable(const struct afmpeg_loop *loop)
{
    static unsigned turns;
    if (earliest != NULL)
        wake_those_due();
    if (afmpeg_input_is_awaited() || (++turns % TURNS_PER_POLL == 0 && afmpeg_descriptors_awaited()))
        afmpeg_poll_descriptors(0);
    while (runnable.first == NULL && (loop == NULL || !loop->is_over)) {
        if (afmpeg_oldest_thread == NULL)
            return NULL;
        wait_for_events();
    }
    if (loop != NULL && loop->is_over)
        return NULL;
    struct __pthread *const thread = runnable.first;
    leave_queue(thread);
    return thread;
}

int afmpeg_wait(struct afmpeg_queue *queue, enum afmpeg_wait_kind kind, const void *awaited, int64_t deadline_ns)
{
    struct __pthread *const self = afmpeg_current;
    self->waits_for = kind;
    self->awaited = awaited;
    self->timed_out = false;
    if (!afmpeg_can_suspend())
        afmpeg_report_unsuspendable();
    append(queue, self);
    if (self->lost_its_turn)
        queue->first = self;
    if (deadline_ns != AFMPEG_NEVER)
        set_deadline(self, deadline_ns);
    afmpeg_suspend();
    self->waits_for = AFMPEG_WAITS_FOR_NOTHING;
    return self->timed_out ? ETIMEDOUT : 0;
}

int sched_yield(void)
{
    if (afmpeg_can_suspend())
        afmpeg_wait(&runnable, AFMPEG_WAITS_FOR_NOTHING, NULL, AFMPEG_NEVER);
    return 0;
}

int afmpeg_usleep(unsigned microseconds)
{
    const int64_t deadline_ns = after_ns(now_ns(CLOCK_MONOTONIC), INT64_C(1000) * microseconds);
    // A sleep ends by itself, so where other threads cannot run meanwhile it may hold them up.
    if (!afmpeg_can_suspend()) {
        sleep_until(deadline_ns);
        return 0;
    }
    struct afmpeg_queue nobody_else = { NULL };
    afmpeg_wait(&nobody_else, AFMPEG_WAITS_FOR_NOTHING, NULL, deadline_ns);
    return 0;
}
