// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The functions of streams.h for a program without threads, such as those of FATE. In a library, so that those of
// threads/descriptor.c come first.
#include "streams.h"

#include <unistd.h>

ssize_t afmpeg_read(int fd, void *data, size_t size)
{
    return read(fd, data, size);
}

ssize_t afmpeg_write(int fd, const void *data, size_t size)
{
    return write(fd, data, size);
}

int afmpeg_flush(int fd)
{
    (void)fd;
    return 0;
}

int afmpeg_close(int fd)
{
    return close(fd);
}

void afmpeg_wait_until_readable(int fd)
{
    (void)fd;
}

void afmpeg_wait_until_written(void)
{
}

bool afmpeg_input_is_awaited(void)
{
    return false;
}
