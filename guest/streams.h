// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Reading and writing pipes, FIFOs and terminals while other threads run. threads/descriptor.c has them; in a program without
// threads plain_streams.c, where they are the C library's.
#ifndef AFMPEG_STREAMS_H
#define AFMPEG_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// read() that lets other threads run until there is input.
ssize_t afmpeg_read(int fd, void *data, size_t size);

// write() that does not wait: what is not taken now is kept, and written while other threads run. An error of what was kept
// is that of the next call.
ssize_t afmpeg_write(int fd, const void *data, size_t size);

// Waits until all is written. Returns -1 with errno if a write failed.
int afmpeg_flush(int fd);

// Flushes and closes.
int afmpeg_close(int fd);

// Suspend the calling thread until a read would not wait, and until nothing is kept of what the thread wrote. A thread that
// cannot be suspended is not.
void afmpeg_wait_until_readable(int fd);
void afmpeg_wait_until_written(void);

// Whether a thread waits for input.
bool afmpeg_input_is_awaited(void);

#endif
