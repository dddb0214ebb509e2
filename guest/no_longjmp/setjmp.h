// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Libraries that leave deep errors by longjmp (lack of memory, a state that must not be). WebAssembly unwinds a stack by
// exceptions alone, which not all engines have in one form, so wasi-libc refuses setjmp: here such an error ends the process
// with a message. What damaged media can reach must not go that way: patches mend it.
// First on the include path of libraries whose file says `no_longjmp`.
#ifndef AFMPEG_NO_LONGJMP_SETJMP_H
#define AFMPEG_NO_LONGJMP_SETJMP_H

#include <stdio.h>
#include <stdlib.h>

typedef int jmp_buf[1];

#define setjmp(buffer) ((void)(buffer), 0)
#define longjmp(buffer, value) \
    ((void)(buffer), (void)(value), fprintf(stderr, "%s: an error that cannot be handled here\n", __func__), _Exit(1))

#endif
