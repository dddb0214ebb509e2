// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Threads inside one WebAssembly module, without threads of the engine: each pthread is a coroutine that runs until it
// has to wait. README.md says how that works; the functions themselves are those of <pthread.h>.
#ifndef AFMPEG_THREADS_H
#define AFMPEG_THREADS_H

// Exit codes of the process for errors that no caller can handle. stderr names the thread and what it was doing.
enum {
    AFMPEG_EXIT_DEADLOCK = 70,       // every thread waits for another one
    AFMPEG_EXIT_UNSUSPENDABLE = 71,  // a thread has to wait beneath a caller that cannot be suspended
    AFMPEG_EXIT_STACK_OVERFLOW = 72, // a thread needs more stack than it has
    AFMPEG_EXIT_NO_MEMORY = 73,      // there is no memory for the program's own stack
};

// Every thread has a stack of this size, unless its attributes ask for more. It holds the thread's C frames at its upper
// end and, while the thread is suspended, what Asyncify saved of its WebAssembly frames at its lower end. README.md says
// what FFmpeg needs of it: a fraction, since WebAssembly keeps scalars and return addresses outside of linear memory.
enum {
    AFMPEG_STACK_BYTES = 2 << 20,
    AFMPEG_STACK_GUARD_BYTES = 32 << 10, // of that, at the low end: a write there is found as an overflow and has damaged nothing
};

// Runs program(argc, argv) as the first thread and schedules it and the threads that it creates. Returns what program
// returns, at that moment, even if other threads live, or exits with it if one of those waits for input; if program's
// thread ends by pthread_exit, returns 0 when the last thread has ended. Call it once, from main.
int afmpeg_threads_main(int (*program)(int argc, char **argv), int argc, char **argv);

// usleep that lets the other threads run. Returns 0.
int afmpeg_usleep(unsigned microseconds);

// POSIX's; wasi-libc has no threads to end, so its <pthread.h> leaves the declaration out.
_Noreturn void pthread_exit(void *result);

#endif
