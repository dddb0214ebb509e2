// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// How a thread leaves the processor and comes back: the only file that knows Asyncify.
//
// A thread that has to wait calls afmpeg_suspend, which makes every function between it and afmpeg_run_threads save
// its locals and return. To resume the thread the loop calls the same function again; each function on the way
// restores its locals and repeats the call it was in, down to afmpeg_suspend, which ends the rewinding.
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define ASYNCIFY(name) __attribute__((import_module("asyncify"), import_name(#name)))
ASYNCIFY(start_unwind) void asyncify_start_unwind(struct afmpeg_unwound_frames *frames);
ASYNCIFY(stop_unwind) void asyncify_stop_unwind(void);
ASYNCIFY(start_rewind) void asyncify_start_rewind(struct afmpeg_unwound_frames *frames);
ASYNCIFY(stop_rewind) void asyncify_stop_rewind(void);

// A pass of the build counts here the calls, now active, of functions that may suspend by callers that Asyncify did
// not instrument: it routes such calls through a thunk, which finds in afmpeg_permitted_index whether the caller, just
// before the call, declared itself instrumented.
__attribute__((used, visibility("default"))) int afmpeg_foreign_depth;
__attribute__((used, visibility("default"))) int afmpeg_permitted_index;

bool afmpeg_threads_run;

// The assembler must be told the type of the linker's stack pointer before inline code may name it.
__asm__(".globaltype __stack_pointer, i32\n");

// Always inline, because a frame of their own would be in the way.
__attribute__((always_inline)) static inline char *get_stack_pointer(void)
{
    char *pointer;
    __asm__ volatile("global.get __stack_pointer\n\tlocal.set %0" : "=r"(pointer) : : "memory");
    return pointer;
}

__attribute__((always_inline)) static inline void set_stack_pointer(char *pointer)
{
    __asm__ volatile("local.get %0\n\tglobal.set __stack_pointer" : : "r"(pointer) : "memory");
}

bool afmpeg_can_suspend(void)
{
    return afmpeg_foreign_depth == 0 && afmpeg_threads_run;
}

// Asyncify itself looks for an overflow only before the first function and after the last one has saved its locals, and
// then by a trap that explains nothing.
static void check_saved_locals(const struct __pthread *thread)
{
    if (thread->unwound.position > thread->unwound.end)
        afmpeg_report_stack_overflow(thread);
}

// Entered twice for each suspension: to leave, and to come back. It keeps its external name because the build looks
// for its callers.
__attribute__((noinline, used, visibility("default"))) void afmpeg_suspend(void)
{
    struct __pthread *const self = afmpeg_current;
    if (self->is_suspended) {
        self->is_suspended = false;
        asyncify_stop_rewind();
        return;
    }
    self->is_suspended = true;
    // Whatever the C frames leave free of the stack is free for the saved locals.
    self->unwound.position = afmpeg_stack_bottom(&self->stack);
    self->unwound.end = get_stack_pointer();
    check_saved_locals(self);
    asyncify_start_unwind(&self->unwound);
}

static int (*program)(int, char **);
static int program_argc;
static char **program_argv;

// The scheduler's loop: runs one thread after the other, each on its own stack, until the program is over or, where a
// thread runs it, what that waits for has come. Asyncify leaves it alone, because to instrument the function that starts
// and ends the unwinding would unwind that too.
__attribute__((noinline, used, visibility("default"))) int afmpeg_run_threads(struct afmpeg_loop *loop)
{
    char *const own_stack_pointer = get_stack_pointer();
    for (;;) {
        struct __pthread *const thread = afmpeg_next_runnable(loop);
        if (thread == NULL)
            return EXIT_SUCCESS;
        afmpeg_current = thread;
        errno = thread->saved_errno;

        int exit_code = EXIT_SUCCESS;
        void *result = NULL;
        set_stack_pointer(thread->stack_pointer);
        if (thread->is_suspended)
            asyncify_start_rewind(&thread->unwound);
        switch (thread->phase) {
        case AFMPEG_IN_PROGRAM: exit_code = program(program_argc, program_argv); break;
        case AFMPEG_IN_ENTRY: result = thread->entry(thread->argument); break;
        case AFMPEG_IN_DESTRUCTOR: thread->destructor(thread->destroyed_value); break;
        }
        // Unwinding skips the epilogues, so this is the stack pointer at which the thread called afmpeg_suspend.
        thread->stack_pointer = get_stack_pointer();
        set_stack_pointer(own_stack_pointer);
        thread->saved_errno = errno;

        if (thread->is_suspended) {
            check_saved_locals(thread);
            asyncify_stop_unwind();
        }
        const bool goes_on = thread->is_suspended && !thread->is_ending;
        if (!afmpeg_stack_is_intact(&thread->stack, goes_on ? AFMPEG_SAMPLE : AFMPEG_EVERY_WORD))
            afmpeg_report_stack_overflow(thread);
        if (goes_on)
            continue;
        if (!thread->is_ending && thread->phase == AFMPEG_IN_PROGRAM) {
            if (loop == NULL)
                return exit_code;
            afmpeg_threads_run = false;
            exit(exit_code);
        }
        if (!thread->is_ending && thread->phase == AFMPEG_IN_ENTRY)
            thread->result = result;
        afmpeg_phase_ended(thread);
    }
}

int afmpeg_threads_main(int (*main_program)(int argc, char **argv), int argc, char **argv)
{
    program = main_program;
    program_argc = argc;
    program_argv = argv;
    if (!afmpeg_start_program())
        afmpeg_report_no_memory();
    afmpeg_threads_run = true;
    const int exit_code = afmpeg_run_threads(NULL);
    afmpeg_threads_run = false; // what exit() calls from here on runs on this stack and cannot wait
    return exit_code;
}
