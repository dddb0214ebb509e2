// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What FFmpeg's configure looks for and wasi-libc lacks. It is a library, libwasi_gaps.a, linked while configure runs, so
// that FFmpeg finds these functions as it would on any system.
#define _BSD_SOURCE  // declares getentropy()
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int mkstemp(char *name);

// Creates and opens a new file; the six X at the end of its name are replaced.
int mkstemp(char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";  // 32: a byte's low five bits choose one
    enum { PLACES = 6, ATTEMPTS = 100 };

    const size_t length = strlen(name);
    if (length < PLACES || memcmp(name + length - PLACES, "XXXXXX", PLACES) != 0) {
        errno = EINVAL;
        return -1;
    }
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        unsigned char random[PLACES];
        if (getentropy(random, sizeof random) != 0)
            return -1;
        for (int i = 0; i < PLACES; i++)
            name[length - PLACES + (size_t)i] = letters[random[i] & 31];
        const int file = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}
