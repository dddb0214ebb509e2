// Deep stacks work, and survive suspension at their deepest. (What goes deeper is in fatal.c.)
#include "check.h"

enum { FRAME_BYTES = 4096 };

__attribute__((noinline)) static long long descend(int levels)
{
    volatile unsigned char frame[FRAME_BYTES];
    for (int i = 0; i < FRAME_BYTES; i++)
        frame[i] = (unsigned char)(levels + i);
    if (levels == 0)
        sched_yield();
    long long sum = levels == 0 ? 0 : descend(levels - 1);
    for (int i = 0; i < FRAME_BYTES; i++)
        sum += frame[i] != (unsigned char)(levels + i);
    return sum;
}

static void *descend_in_thread(void *unused)
{
    (void)unused;
    // All but an eighth, for what the suspension itself needs.
    CHECK_EQUAL(descend(AFMPEG_STACK_BYTES / 8 * 7 / FRAME_BYTES), 0);
    return NULL;
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    const pthread_t threads[] = { start(descend_in_thread, NULL), start(descend_in_thread, NULL) };
    CHECK_EQUAL(descend(AFMPEG_STACK_BYTES / 8 * 7 / FRAME_BYTES), 0);
    join(threads[0]);
    join(threads[1]);
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
