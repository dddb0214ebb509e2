// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Waiting for pipes, FIFOs, terminals and the like while other threads run.
//
// FFmpeg reads and writes far beneath functions that cannot be suspended: demuxers, muxers, filters. So
//
//   - a write never waits: what the reader at the other end does not take now is kept, and the thread waits for it at the
//     next place where it can be suspended (afmpeg_wait_until_written);
//   - a read that has to wait runs the scheduler's loop once more, on top of its own frames, until there is something.
//     Loops end in reverse order, so one beneath may have to wait for another; meanwhile what comes in for it is read
//     ahead, such that nobody who feeds both in turn is held up;
//   - a thread that can be suspended waits for input as such (afmpeg_wait_until_readable), and is in nobody's way.
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>

enum {
    NO_DESCRIPTOR = -1,
    STREAMS_MAX = 128,              // further ones are read and written as if there were no other thread
    LOOPS_MAX = 16,                 // on top of each other
    READ_AHEAD_MAX_BYTES = 8 << 20, // for a loop beneath others
    KEPT_MAX_BYTES = 16 << 20,      // after that a write waits
    READ_AHEAD_BYTES = 64 << 10,    // at once
    SURE_BYTES = 4096,              // POSIX: a pipe that is ready takes them without waiting
    WRITE_MAX_BYTES = 1 << 20,      // at once
};

struct bytes {
    char *data;
    size_t begin, end, capacity;
};

struct afmpeg_stream {
    int fd;
    struct bytes ahead; // read, for a thread that cannot run yet
    struct bytes kept;  // written, and not yet taken
    int error;          // of a write that came later
    bool at_end;
    const struct __pthread *writer;
    struct afmpeg_queue readers, writers; // suspended
};

static struct afmpeg_stream streams[STREAMS_MAX];
static int stream_count;
static struct afmpeg_loop *innermost;
static unsigned loop_count;

static size_t length(const struct bytes *bytes)
{
    return bytes->end - bytes->begin;
}

// Room for so many bytes at the end; NULL without memory.
static char *room(struct bytes *bytes, size_t size)
{
    if (bytes->begin == bytes->end)
        bytes->begin = bytes->end = 0;
    if (bytes->capacity - bytes->end < size && bytes->begin > 0) {
        memmove(bytes->data, bytes->data + bytes->begin, length(bytes));
        bytes->end -= bytes->begin;
        bytes->begin = 0;
    }
    if (bytes->capacity - bytes->end < size) {
        const size_t capacity = bytes->end + size + bytes->capacity / 2;
        char *const data = realloc(bytes->data, capacity);
        if (data == NULL)
            return NULL;
        bytes->data = data;
        bytes->capacity = capacity;
    }
    return bytes->data + bytes->end;
}

static struct afmpeg_stream *known(int fd)
{
    for (int i = 0; i < stream_count; i++)
        if (streams[i].fd == fd)
            return &streams[i];
    return NULL;
}

// A place for another stream. They stay where they are, since loops and threads point to them.
static struct afmpeg_stream *place(void)
{
    struct afmpeg_stream *const unused = known(NO_DESCRIPTOR);
    if (unused != NULL)
        return unused;
    return stream_count < STREAMS_MAX ? &streams[stream_count++] : NULL;
}

// The stream of a descriptor; NULL if it is none, or if nobody else could run meanwhile.
static struct afmpeg_stream *stream_of(int fd)
{
    if (!afmpeg_threads_run || afmpeg_oldest_thread == NULL || afmpeg_oldest_thread->younger == NULL)
        return known(fd);
    struct afmpeg_stream *const stream = known(fd);
    if (stream != NULL)
        return stream;
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
        return NULL;
    struct afmpeg_stream *const added = place();
    if (added != NULL)
        *added = (struct afmpeg_stream){ .fd = fd };
    return added;
}

// Asks the host for one event; how much, if it says so. An engine that cannot tell has it: the call itself waits then.
static bool is_ready(int fd, __wasi_eventtype_t type, size_t *size)
{
    const __wasi_subscription_t wanted[2] = {
        { .userdata = 0, .u = { .tag = type, .u.fd_read.file_descriptor = fd } },
        { .userdata = 1, .u = { .tag = __WASI_EVENTTYPE_CLOCK, .u.clock = { .id = __WASI_CLOCKID_MONOTONIC, .timeout = 1 } } },
    };
    __wasi_event_t events[2];
    __wasi_size_t count;
    *size = SURE_BYTES;
    if (__wasi_poll_oneoff(wanted, events, 2, &count) != 0)
        return true;
    for (__wasi_size_t i = 0; i < count; i++) {
        if (events[i].userdata != 0)
            continue;
        if (events[i].error == 0 && events[i].fd_readwrite.nbytes > SURE_BYTES)
            *size = (size_t)events[i].fd_readwrite.nbytes;
        return true;
    }
    return false;
}

// Writes what the other end takes now, and returns how much that was.
static size_t write_some(struct afmpeg_stream *stream, const char *data, size_t size)
{
    size_t done = 0, taken;
    while (done < size && is_ready(stream->fd, __WASI_EVENTTYPE_FD_WRITE, &taken)) {
        if (taken > WRITE_MAX_BYTES)
            taken = WRITE_MAX_BYTES;
        const ssize_t written = write(stream->fd, data + done, taken < size - done ? taken : size - done);
        if (written < 0) {
            if (errno != EINTR)
                stream->error = errno;
            break;
        }
        done += (size_t)written;
    }
    return done;
}

// Wakes those who wait until all is written, once it is.
static void wake_writers(struct afmpeg_stream *stream)
{
    while (length(&stream->kept) == 0 && afmpeg_wake_first(&stream->writers) != NULL)
        ;
}

static void write_kept(struct afmpeg_stream *stream)
{
    struct bytes *const kept = &stream->kept;
    kept->begin += write_some(stream, kept->data + kept->begin, length(kept));
    if (stream->error != 0)
        kept->begin = kept->end;
    wake_writers(stream);
}

static void read_ahead(struct afmpeg_stream *stream)
{
    char *const data = room(&stream->ahead, READ_AHEAD_BYTES);
    if (data == NULL)
        return;
    const ssize_t count = read(stream->fd, data, READ_AHEAD_BYTES);
    if (count > 0)
        stream->ahead.end += (size_t)count;
    else
        stream->at_end = true; // the thread that asked reads again, and is told why
}

// The loop that waits for input of this stream; the one on top first.
static struct afmpeg_loop *loop_of(const struct afmpeg_stream *stream)
{
    struct afmpeg_loop *loop = innermost;
    while (loop != NULL && loop->stream != stream)
        loop = loop->beneath;
    return loop;
}

static bool wants_input(const struct afmpeg_stream *stream)
{
    const struct afmpeg_loop *const loop = loop_of(stream);
    if (loop != NULL && loop != innermost)
        return !stream->at_end && length(&stream->ahead) < READ_AHEAD_MAX_BYTES;
    return loop != NULL || stream->readers.first != NULL;
}

int afmpeg_descriptor(const void *stream)
{
    return ((const struct afmpeg_stream *)stream)->fd;
}

bool afmpeg_input_is_awaited(void)
{
    for (int i = 0; i < stream_count; i++)
        if (wants_input(&streams[i]))
            return true;
    return false;
}

bool afmpeg_descriptors_awaited(void)
{
    for (int i = 0; i < stream_count; i++)
        if (wants_input(&streams[i]) || length(&streams[i].kept) > 0)
            return true;
    return false;
}

static void input_came(struct afmpeg_stream *stream)
{
    struct afmpeg_loop *const loop = loop_of(stream);
    if (loop == innermost && loop != NULL)
        loop->is_over = true;
    else if (loop != NULL)
        read_ahead(stream);
    while (stream->readers.first != NULL)
        afmpeg_wake_next(stream->readers.first);
}

void afmpeg_poll_descriptors(int64_t timeout_ns)
{
    static __wasi_subscription_t wanted[2 * STREAMS_MAX + 1];
    static __wasi_event_t events[2 * STREAMS_MAX + 1];
    __wasi_size_t count = 0;
    for (int i = 0; i < stream_count; i++) {
        // Odd numbers are for writing.
        if (wants_input(&streams[i]))
            wanted[count++] = (__wasi_subscription_t){
                .userdata = 2 * (unsigned)i,
                .u = { .tag = __WASI_EVENTTYPE_FD_READ, .u.fd_read.file_descriptor = streams[i].fd },
            };
        if (length(&streams[i].kept) > 0)
            wanted[count++] = (__wasi_subscription_t){
                .userdata = 2 * (unsigned)i + 1,
                .u = { .tag = __WASI_EVENTTYPE_FD_WRITE, .u.fd_write.file_descriptor = streams[i].fd },
            };
    }
    const __wasi_size_t awaited = count;
    // Not for zero, from which some engines never wake.
    if (timeout_ns != AFMPEG_NEVER)
        wanted[count++] = (__wasi_subscription_t){
            .userdata = UINT64_MAX,
            .u = { .tag = __WASI_EVENTTYPE_CLOCK,
                   .u.clock = { .id = __WASI_CLOCKID_MONOTONIC,
                                .timeout = timeout_ns > 0 ? (__wasi_timestamp_t)timeout_ns : 1 } },
        };
    const __wasi_errno_t error = __wasi_poll_oneoff(wanted, events, count, &count);
    if (error == __WASI_ERRNO_INTR)
        return;
    // An engine that cannot tell: the calls themselves wait then.
    if (error != 0)
        for (count = 0; count < awaited; count++)
            events[count].userdata = wanted[count].userdata;
    for (__wasi_size_t i = 0; i < count; i++) {
        const uint64_t number = events[i].userdata;
        if (number == UINT64_MAX)
            continue;
        if (number % 2 == 0)
            input_came(&streams[number / 2]);
        else
            write_kept(&streams[number / 2]);
    }
}

// Runs the other threads until there is input, on top of the frames of this one.
static void run_others(struct afmpeg_stream *stream)
{
    struct __pthread *const self = afmpeg_current;
    const int foreign_depth = afmpeg_foreign_depth, permitted_index = afmpeg_permitted_index;
    struct afmpeg_loop loop = { .stream = stream, .beneath = innermost };
    const int saved_errno = errno;

    afmpeg_foreign_depth = 0;
    innermost = &loop;
    loop_count++;
    afmpeg_run_threads(&loop);
    loop_count--;
    innermost = loop.beneath;
    // Its input may have come while this one was on top of it, and nothing comes twice.
    if (innermost != NULL && (length(&innermost->stream->ahead) > 0 || innermost->stream->at_end))
        innermost->is_over = true;
    afmpeg_foreign_depth = foreign_depth;
    afmpeg_permitted_index = permitted_index;
    afmpeg_current = self;
    errno = saved_errno;
}

ssize_t afmpeg_read(int fd, void *data, size_t size)
{
    struct afmpeg_stream *const stream = stream_of(fd);
    if (stream == NULL || size == 0)
        return read(fd, data, size);
    size_t ready;
    if (length(&stream->ahead) == 0 && !stream->at_end && loop_count < LOOPS_MAX && afmpeg_threads_run &&
        loop_of(stream) == NULL && !is_ready(fd, __WASI_EVENTTYPE_FD_READ, &ready))
        run_others(stream);
    stream->at_end = false;
    if (length(&stream->ahead) == 0)
        return read(fd, data, size);
    if (size > length(&stream->ahead))
        size = length(&stream->ahead);
    memcpy(data, stream->ahead.data + stream->ahead.begin, size);
    stream->ahead.begin += size;
    return (ssize_t)size;
}

static ssize_t failed(struct afmpeg_stream *stream)
{
    errno = stream->error;
    return -1;
}

// Writes all that was kept, and waits for it.
static void write_all_kept(struct afmpeg_stream *stream)
{
    struct bytes *const kept = &stream->kept;
    while (length(kept) > 0) {
        const ssize_t written = write(stream->fd, kept->data + kept->begin, length(kept));
        if (written >= 0) {
            kept->begin += (size_t)written;
        } else if (errno != EINTR) {
            stream->error = errno;
            kept->begin = kept->end;
        }
    }
    wake_writers(stream);
}

static void write_all_streams(void)
{
    for (int i = 0; i < stream_count; i++)
        write_all_kept(&streams[i]);
}

ssize_t afmpeg_write(int fd, const void *data, size_t size)
{
    struct afmpeg_stream *const stream = stream_of(fd);
    if (stream == NULL)
        return write(fd, data, size);
    // What is kept has to be written in the end, also by exit().
    static bool is_registered;
    if (!is_registered)
        is_registered = atexit(write_all_streams) == 0;
    if (length(&stream->kept) >= KEPT_MAX_BYTES)
        write_all_kept(stream);
    size_t done = 0;
    if (length(&stream->kept) == 0 && stream->error == 0)
        done = write_some(stream, data, size);
    if (stream->error != 0)
        return failed(stream);
    if (done == size)
        return (ssize_t)size;
    char *const end = is_registered ? room(&stream->kept, size - done) : NULL;
    if (end == NULL) {
        write_all_kept(stream);
        return done > 0 ? (ssize_t)done : write(fd, data, size);
    }
    memcpy(end, (const char *)data + done, size - done);
    stream->kept.end += size - done;
    stream->writer = afmpeg_current;
    return (ssize_t)size;
}

int afmpeg_flush(int fd)
{
    struct afmpeg_stream *const stream = known(fd);
    if (stream == NULL)
        return 0;
    write_all_kept(stream);
    return stream->error != 0 ? (int)failed(stream) : 0;
}

int afmpeg_close(int fd)
{
    struct afmpeg_stream *const stream = known(fd);
    const int flushed = afmpeg_flush(fd);
    const int flush_error = errno;
    if (stream != NULL) {
        free(stream->ahead.data);
        free(stream->kept.data);
        *stream = (struct afmpeg_stream){ .fd = NO_DESCRIPTOR };
    }
    if (close(fd) != 0)
        return -1;
    errno = flush_error;
    return flushed;
}

void afmpeg_wait_until_readable(int fd)
{
    struct afmpeg_stream *const stream = stream_of(fd);
    size_t ready;
    if (stream == NULL || length(&stream->ahead) > 0 || stream->at_end || !afmpeg_can_suspend() ||
        is_ready(fd, __WASI_EVENTTYPE_FD_READ, &ready))
        return;
    afmpeg_wait(&stream->readers, AFMPEG_WAITS_FOR_DESCRIPTOR, stream, AFMPEG_NEVER);
}

void afmpeg_wait_until_written(void)
{
    for (int i = 0; i < stream_count; i++) {
        struct afmpeg_stream *const stream = &streams[i];
        if (stream->writer == afmpeg_current && length(&stream->kept) > 0 && afmpeg_can_suspend())
            afmpeg_wait(&stream->writers, AFMPEG_WAITS_FOR_DESCRIPTOR, stream, AFMPEG_NEVER);
    }
}
