// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Deep stacks work, and survive suspension at their deepest. (What goes deeper is in fatal.c.)
#include "check.h"

// An eighth is left for what the suspension itself needs.
enum { FRAME_BYTES = 4096, DEPTH_BYTES = AFMPEG_STACK_BYTES / 8 * 7 };

__attribute__((noinline)) static int descend(uintptr_t start, int level)
{
    volatile unsigned char frame[FRAME_BYTES];
    for (int i = 0; i < FRAME_BYTES; i++)
        frame[i] = (unsigned char)(level + i);
    int damage = 0;
    if (start - (uintptr_t)frame < DEPTH_BYTES)
        damage = descend(start, level + 1);
    else
        sched_yield();
    for (int i = 0; i < FRAME_BYTES; i++)
        damage += frame[i] != (unsigned char)(level + i);
    return damage;
}

static void *go_deep(void *unused)
{
    (void)unused;
    char first;
    CHECK_EQUAL(descend((uintptr_t)&first, 0), 0);
    return NULL;
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    const pthread_t threads[] = { start(go_deep, NULL), start(go_deep, NULL) };
    go_deep(NULL);
    join(threads[0]);
    join(threads[1]);
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
