// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// FFmpeg's libraries are configured without threads, its ffmpeg program has those of guest/threads. Included by force into
// the program's sources, after the libraries' configuration, which it corrects.
#ifndef AFMPEG_WITH_THREADS_H
#define AFMPEG_WITH_THREADS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE // declares pthread_setname_np()
#endif

#include "config.h"

#undef HAVE_PTHREADS
#define HAVE_PTHREADS 1
#undef HAVE_PTHREAD_SETNAME_NP
#define HAVE_PTHREAD_SETNAME_NP 1
#undef HAVE_THREADS
#define HAVE_THREADS 1

#endif
