// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The part of a pack that lies in the code of the module: a stop may leave it at any instruction. What calls the host checks
// the stack here, while running out of it is still a trap, and goes on in outside.c.

#include "code.h"

#include <string.h>

#include "outside.h"

// Between two parts of this size, the host is asked whether the program should end.
enum { PART_BYTES = 16 << 20 };

_Noreturn void pack_trap(void *module, enum afmpeg_ending ending)
{
    pack_leave(pack_state_of(module), ending);
}

// Below the limit there is room for the host.
static struct pack_state *checked_state(void *module)
{
    struct pack_state *state = pack_state_of(module);
    if ((const uint8_t *)__builtin_frame_address(0) < state->stack_limit)
        pack_trap(module, AFMPEG_TRAP_STACK);
    return state;
}

uint64_t pack_call(void *module, uint32_t import, const uint64_t *arguments)
{
    return outside_call(checked_state(module), import, arguments);
}

void pack_pause(void *module)
{
    outside_pause(checked_state(module));
}

void pack_check_indirect(void *module, const wasm_rt_funcref_table_t *table, wasm_rt_func_type_t expected, uint64_t index)
{
    enum { TYPE_BYTES = 32 };
    if (index >= table->size)
        pack_trap(module, AFMPEG_TRAP_TABLE);
    const wasm_rt_funcref_t *entry = &table->data[index];
    // Two types of a module may be the same.
    if (!entry->func || !entry->func_type || memcmp(expected, entry->func_type, TYPE_BYTES) != 0)
        pack_trap(module, AFMPEG_TRAP_INDIRECT);
}

void pack_memory_allocate(void *module, wasm_rt_memory_t *memory, uint64_t pages, uint64_t max_pages)
{
    outside_memory_allocate(checked_state(module), memory, pages, max_pages);
}

uint64_t pack_memory_grow(void *module, wasm_rt_memory_t *memory, uint64_t pages)
{
    return outside_memory_grow(checked_state(module), memory, pages);
}

static void check_memory(void *module, const wasm_rt_memory_t *memory, uint64_t first, uint64_t size_bytes)
{
    uint64_t end;
    if (__builtin_add_overflow(first, size_bytes, &end) || end > memory->size)
        pack_trap(module, AFMPEG_TRAP_MEMORY);
}

void pack_memory_fill(void *module, wasm_rt_memory_t *memory, uint64_t to, uint32_t value, uint64_t size_bytes)
{
    check_memory(module, memory, to, size_bytes);
    uint8_t *at = memory->data + to;
    while (size_bytes > PART_BYTES) {
        memset(at, (int)value, PART_BYTES);
        at += PART_BYTES;
        size_bytes -= PART_BYTES;
        pack_pause(module);
    }
    memset(at, (int)value, size_bytes);
}

void pack_move(void *module, void *to, const void *from, uint64_t size_bytes)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    if ((uintptr_t)target - (uintptr_t)source < size_bytes) {
        while (size_bytes > PART_BYTES) {
            size_bytes -= PART_BYTES;
            memmove(target + size_bytes, source + size_bytes, PART_BYTES);
            pack_pause(module);
        }
    } else {
        while (size_bytes > PART_BYTES) {
            memmove(target, source, PART_BYTES);
            target += PART_BYTES;
            source += PART_BYTES;
            size_bytes -= PART_BYTES;
            pack_pause(module);
        }
    }
    memmove(target, source, size_bytes);
}

void pack_memory_copy(void *module, wasm_rt_memory_t *memory, uint64_t to, uint64_t from, uint64_t size_bytes)
{
    check_memory(module, memory, to, size_bytes);
    check_memory(module, memory, from, size_bytes);
    pack_move(module, memory->data + to, memory->data + from, size_bytes);
}

void pack_memory_init(void *module, wasm_rt_memory_t *memory, const uint8_t *segment, uint64_t segment_bytes, uint64_t to,
                      uint64_t from, uint64_t size_bytes)
{
    uint64_t end;
    if (__builtin_add_overflow(from, size_bytes, &end) || end > segment_bytes)
        pack_trap(module, AFMPEG_TRAP_MEMORY);
    check_memory(module, memory, to, size_bytes);
    pack_move(module, memory->data + to, segment + from, size_bytes);
}

void pack_table_check(void *module, uint64_t first, uint64_t n, uint32_t size)
{
    uint64_t end;
    if (__builtin_add_overflow(first, n, &end) || end > size)
        pack_trap(module, AFMPEG_TRAP_TABLE);
}

void *pack_table_allocate(void *module, uint64_t size, uint64_t entry_bytes)
{
    struct pack_state *state = checked_state(module);
    if (size == 0)
        return NULL;
    void *data = outside_allocate(state, size * entry_bytes);
    if (!data)
        pack_trap(module, AFMPEG_NO_MEMORY);
    return data;
}

void *pack_table_grow(void *module, void *data, uint32_t size, uint64_t new_size, uint64_t entry_bytes)
{
    void *new_data = outside_allocate(checked_state(module), new_size * entry_bytes);
    if (new_data && size)
        pack_move(module, new_data, data, size * entry_bytes);
    return new_data;
}

void pack_table_replaced(void *module, void *old, uint64_t entry_bytes)
{
    (void)entry_bytes;
    if (old)
        outside_release(checked_state(module), old);
}

typedef uint8_t part16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t part8 __attribute__((aligned(1), may_alias));
typedef uint32_t part4 __attribute__((aligned(1), may_alias));
typedef uint16_t part2 __attribute__((aligned(1), may_alias));

#ifdef __x86_64__
// From here on, the processor's own loop is the fastest.
enum { REPEAT_FROM_BYTES = 2048 };
#endif

void *memmove(void *to, const void *from, size_t size_bytes)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    size_t n = size_bytes;
    // Small ones are loaded as a whole before anything is stored, so that it does not matter how they overlap.
    if (n <= 16) {
        if (n >= 8) {
            uint64_t head = *(const part8 *)source, tail = *(const part8 *)(source + n - 8);
            *(part8 *)target = head;
            *(part8 *)(target + n - 8) = tail;
        } else if (n >= 4) {
            uint32_t head = *(const part4 *)source, tail = *(const part4 *)(source + n - 4);
            *(part4 *)target = head;
            *(part4 *)(target + n - 4) = tail;
        } else if (n >= 2) {
            uint16_t head = *(const part2 *)source, tail = *(const part2 *)(source + n - 2);
            *(part2 *)target = head;
            *(part2 *)(target + n - 2) = tail;
        } else if (n) {
            *target = *source;
        }
        return to;
    }
    if (n <= 32) {
        part16 head = *(const part16 *)source, tail = *(const part16 *)(source + n - 16);
        *(part16 *)target = head;
        *(part16 *)(target + n - 16) = tail;
        return to;
    }
    if ((uintptr_t)target - (uintptr_t)source >= n) {
#ifdef __x86_64__
        if (n >= REPEAT_FROM_BYTES && (uintptr_t)source - (uintptr_t)target >= n) {
            __asm__ volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(n) : : "memory");
            return to;
        }
#endif
        // Forward. The last part is loaded before a store could change it.
        part16 tail0 = *(const part16 *)(source + n - 32), tail1 = *(const part16 *)(source + n - 16);
        uint8_t *end = target + n;
        for (; n > 32; n -= 32) {
            part16 first = *(const part16 *)source, second = *(const part16 *)(source + 16);
            *(part16 *)target = first;
            *(part16 *)(target + 16) = second;
            target += 32;
            source += 32;
        }
        *(part16 *)(end - 32) = tail0;
        *(part16 *)(end - 16) = tail1;
        return to;
    }
    part16 head0 = *(const part16 *)source, head1 = *(const part16 *)(source + 16);
    for (; n > 32; n -= 32) {
        part16 first = *(const part16 *)(source + n - 32), second = *(const part16 *)(source + n - 16);
        *(part16 *)(target + n - 32) = first;
        *(part16 *)(target + n - 16) = second;
    }
    *(part16 *)target = head0;
    *(part16 *)(target + 16) = head1;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size_bytes)
{
    return memmove(to, from, size_bytes);
}

void *memset(void *to, int value, size_t size_bytes)
{
    uint8_t *target = to;
    uint8_t byte = (uint8_t)value;
    size_t n = size_bytes;
    if (n < 16) {
        uint64_t all = byte * 0x0101010101010101;
        if (n >= 8) {
            *(part8 *)target = all;
            *(part8 *)(target + n - 8) = all;
        } else if (n >= 4) {
            *(part4 *)target = (uint32_t)all;
            *(part4 *)(target + n - 4) = (uint32_t)all;
        } else if (n >= 2) {
            *(part2 *)target = (uint16_t)all;
            *(part2 *)(target + n - 2) = (uint16_t)all;
        } else if (n) {
            *target = byte;
        }
        return to;
    }
#ifdef __x86_64__
    if (n >= REPEAT_FROM_BYTES) {
        __asm__ volatile("rep stosb" : "+D"(target), "+c"(n) : "a"(byte) : "memory");
        return to;
    }
#endif
    part16 all = (part16){0} + byte;
    *(part16 *)(target + n - 16) = all;
    for (; n > 16; n -= 16) {
        *(part16 *)target = all;
        target += 16;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t size_bytes)
{
    const uint8_t *left = a, *right = b;
    for (size_t i = 0; i < size_bytes; i++) {
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    }
    return 0;
}
