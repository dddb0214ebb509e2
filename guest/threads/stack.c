// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Allocates stacks and finds overflows of them: WebAssembly has no pages that trap.
#include "internal.h"

#include <stdlib.h>

enum {
    STACK_ALIGNMENT = 16, // the C ABI's
    STACKS_KEPT = 16,
};

#define GUARD_WORD UINT64_C(0x5afe57ac5afe57ac)

// Ended threads leave their stacks here for the next ones. Given back to malloc, a stack would soon have small blocks
// in its place, and a program that starts short threads all the time would grow.
static char *kept[STACKS_KEPT];
static unsigned kept_count;

bool afmpeg_stack_allocate(struct afmpeg_stack *stack, size_t size_bytes)
{
    stack->size_bytes = (size_bytes + STACK_ALIGNMENT - 1) / STACK_ALIGNMENT * STACK_ALIGNMENT;
    if (stack->size_bytes == AFMPEG_STACK_BYTES && kept_count > 0) {
        stack->low = kept[--kept_count];
        return true;
    }
    stack->low = aligned_alloc(STACK_ALIGNMENT, stack->size_bytes);
    if (stack->low == NULL)
        return false;
    uint64_t *const guard = (uint64_t *)(void *)stack->low;
    for (size_t i = 0; i < AFMPEG_STACK_GUARD_BYTES / sizeof *guard; i++)
        guard[i] = GUARD_WORD;
    return true;
}

void afmpeg_stack_release(struct afmpeg_stack *stack)
{
    if (stack->size_bytes == AFMPEG_STACK_BYTES && kept_count < STACKS_KEPT)
        kept[kept_count++] = stack->low;
    else
        free(stack->low);
    stack->low = NULL;
}

char *afmpeg_stack_top(const struct afmpeg_stack *stack)
{
    return stack->low + stack->size_bytes;
}

char *afmpeg_stack_bottom(const struct afmpeg_stack *stack)
{
    return stack->low + AFMPEG_STACK_GUARD_BYTES;
}

// Looks for a trace of an overflow in the guard: in all of it, or in one word of every KiB. The sample is for the
// switches, where all of it would cost many times what the switch itself does.
bool afmpeg_stack_is_intact(const struct afmpeg_stack *stack, enum afmpeg_thoroughness thoroughness)
{
    const uint64_t *const guard = (const uint64_t *)(const void *)stack->low;
    uint64_t changed = 0;
    for (size_t i = 0; i < AFMPEG_STACK_GUARD_BYTES / sizeof *guard; i += thoroughness)
        changed |= guard[i] ^ GUARD_WORD;
    return changed == 0;
}
