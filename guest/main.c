// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// One module, two programs: argv[0] chooses, as with busybox. FFmpeg's programs keep their own main(), renamed by
// ffmpeg.mak; what their shared code expects of "the program" is defined here.
#include <errno.h>
#include <string.h>

#include "programs.h"
#include "threads.h"

// fftools/cmdutils.h declares these const; only this file knows that they are set once, before the program starts.
char program_name[sizeof "ffprobe"];
int program_birth_year;
void show_help_default(const char *option, const char *argument);

static int is_ffprobe;

void show_help_default(const char *option, const char *argument)
{
    if (is_ffprobe)
        ffprobe_show_help_default(option, argument);
    else
        ffmpeg_show_help_default(option, argument);
}

// "/usr/bin/ffprobe.wasm" names ffprobe: the folder and a suffix don't count.
static int names_ffprobe(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const size_t length = strlen("ffprobe");
    return strncmp(name, "ffprobe", length) == 0 && (name[length] == '\0' || name[length] == '.');
}

// A program that fails on a system error returns the error's number, negated, and scripts know Linux's: a missing input
// is 254. WASI has other numbers. Number 1 is left out, as FFmpeg also returns -1 for "failed".
static const unsigned char linux_error[] = {
    [EACCES] = 13,    [EAGAIN] = 11, [EBADF] = 9,       [EBUSY] = 16,        [EDOM] = 33,     [EDQUOT] = 122,
    [EEXIST] = 17,
    [EFAULT] = 14,    [EFBIG] = 27,  [EILSEQ] = 84,     [EINTR] = 4,         [EINVAL] = 22,   [EIO] = 5,
    [EISDIR] = 21,    [ELOOP] = 40,  [EMFILE] = 24,     [ENAMETOOLONG] = 36, [ENFILE] = 23,   [ENODEV] = 19,
    [ENOENT] = 2,     [ENOMEM] = 12, [ENOSPC] = 28,     [ENOSYS] = 38,       [ENOTDIR] = 20,  [ENOTEMPTY] = 39,
    [ENOTSUP] = 95,   [ENXIO] = 6,   [EOVERFLOW] = 75,  [EPERM] = 1,         [EPIPE] = 32,    [EPROTONOSUPPORT] = 93,
    [ERANGE] = 34,    [EROFS] = 30,  [ESPIPE] = 29,     [ETIMEDOUT] = 110,   [EXDEV] = 18,    [ENOTCAPABLE] = 1,
};

// The exit status of the process. It has eight bits, and WASI does not truncate it.
static int exit_status(int status)
{
    if (status < 0 && status > -(int)sizeof linux_error && linux_error[-status] != 0)
        status = -linux_error[-status];
    return status & 0xff;
}

// The process may end in here, beneath a thread that waits for input.
static int run_program(int argc, char **argv)
{
    return exit_status(is_ffprobe ? ffprobe_main(argc, argv) : ffmpeg_main(argc, argv));
}

int main(int argc, char **argv)
{
    is_ffprobe = argc > 0 && names_ffprobe(argv[0]);
    strcpy(program_name, is_ffprobe ? ffprobe_program_name : ffmpeg_program_name);
    program_birth_year = is_ffprobe ? ffprobe_program_birth_year : ffmpeg_program_birth_year;

    return afmpeg_threads_main(run_program, argc, argv);
}
