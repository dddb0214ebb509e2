// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Appended to the header that wasm2c generates: what traps or calls the host, with the instance that it is for. Every function
// that follows has it as `instance`.

#include "state.h"

#define PACK_TRAP_OOB AFMPEG_TRAP_MEMORY
#define PACK_TRAP_INT_OVERFLOW AFMPEG_TRAP_OVERFLOW
#define PACK_TRAP_DIV_BY_ZERO AFMPEG_TRAP_DIVISION
#define PACK_TRAP_INVALID_CONVERSION AFMPEG_TRAP_CONVERSION
#define PACK_TRAP_UNREACHABLE AFMPEG_TRAP_UNREACHABLE
#define PACK_TRAP_CALL_INDIRECT AFMPEG_TRAP_INDIRECT

#undef TRAP
#define TRAP(reason) (pack_trap(instance, PACK_TRAP_##reason), 0)

// wasm2c takes the functions that check bounds for these, though the memory is one of 32 bits like that of the others. Pages that
// are not mapped check them here, too.
#define i16x8_load8x8(...) i16x8_load8x8_default32(__VA_ARGS__)
#define i32x4_load16x4(...) i32x4_load16x4_default32(__VA_ARGS__)
#define i64x2_load32x2(...) i64x2_load32x2_default32(__VA_ARGS__)
#define u16x8_load8x8(...) u16x8_load8x8_default32(__VA_ARGS__)
#define u32x4_load16x4(...) u32x4_load16x4_default32(__VA_ARGS__)
#define u64x2_load32x2(...) u64x2_load32x2_default32(__VA_ARGS__)
#define v128_load16_splat(...) v128_load16_splat_default32(__VA_ARGS__)
#define v128_load32_splat(...) v128_load32_splat_default32(__VA_ARGS__)
#define v128_load32_zero(...) v128_load32_zero_default32(__VA_ARGS__)
#define v128_load64_splat(...) v128_load64_splat_default32(__VA_ARGS__)
#define v128_load64_zero(...) v128_load64_zero_default32(__VA_ARGS__)
#define v128_load8_splat(...) v128_load8_splat_default32(__VA_ARGS__)
#define v128_load16_lane0(...) v128_load16_lane0_default32(__VA_ARGS__)
#define v128_load16_lane1(...) v128_load16_lane1_default32(__VA_ARGS__)
#define v128_load16_lane2(...) v128_load16_lane2_default32(__VA_ARGS__)
#define v128_load16_lane3(...) v128_load16_lane3_default32(__VA_ARGS__)
#define v128_load16_lane4(...) v128_load16_lane4_default32(__VA_ARGS__)
#define v128_load16_lane5(...) v128_load16_lane5_default32(__VA_ARGS__)
#define v128_load16_lane6(...) v128_load16_lane6_default32(__VA_ARGS__)
#define v128_load16_lane7(...) v128_load16_lane7_default32(__VA_ARGS__)
#define v128_load32_lane0(...) v128_load32_lane0_default32(__VA_ARGS__)
#define v128_load32_lane1(...) v128_load32_lane1_default32(__VA_ARGS__)
#define v128_load32_lane2(...) v128_load32_lane2_default32(__VA_ARGS__)
#define v128_load32_lane3(...) v128_load32_lane3_default32(__VA_ARGS__)
#define v128_load64_lane0(...) v128_load64_lane0_default32(__VA_ARGS__)
#define v128_load64_lane1(...) v128_load64_lane1_default32(__VA_ARGS__)
#define v128_load8_lane0(...) v128_load8_lane0_default32(__VA_ARGS__)
#define v128_load8_lane1(...) v128_load8_lane1_default32(__VA_ARGS__)
#define v128_load8_lane2(...) v128_load8_lane2_default32(__VA_ARGS__)
#define v128_load8_lane3(...) v128_load8_lane3_default32(__VA_ARGS__)
#define v128_load8_lane4(...) v128_load8_lane4_default32(__VA_ARGS__)
#define v128_load8_lane5(...) v128_load8_lane5_default32(__VA_ARGS__)
#define v128_load8_lane6(...) v128_load8_lane6_default32(__VA_ARGS__)
#define v128_load8_lane7(...) v128_load8_lane7_default32(__VA_ARGS__)
#define v128_load8_lane8(...) v128_load8_lane8_default32(__VA_ARGS__)
#define v128_load8_lane9(...) v128_load8_lane9_default32(__VA_ARGS__)
#define v128_load8_lane10(...) v128_load8_lane10_default32(__VA_ARGS__)
#define v128_load8_lane11(...) v128_load8_lane11_default32(__VA_ARGS__)
#define v128_load8_lane12(...) v128_load8_lane12_default32(__VA_ARGS__)
#define v128_load8_lane13(...) v128_load8_lane13_default32(__VA_ARGS__)
#define v128_load8_lane14(...) v128_load8_lane14_default32(__VA_ARGS__)
#define v128_load8_lane15(...) v128_load8_lane15_default32(__VA_ARGS__)
#define v128_store16_lane0(...) v128_store16_lane0_default32(__VA_ARGS__)
#define v128_store16_lane1(...) v128_store16_lane1_default32(__VA_ARGS__)
#define v128_store16_lane2(...) v128_store16_lane2_default32(__VA_ARGS__)
#define v128_store16_lane3(...) v128_store16_lane3_default32(__VA_ARGS__)
#define v128_store16_lane4(...) v128_store16_lane4_default32(__VA_ARGS__)
#define v128_store16_lane5(...) v128_store16_lane5_default32(__VA_ARGS__)
#define v128_store16_lane6(...) v128_store16_lane6_default32(__VA_ARGS__)
#define v128_store16_lane7(...) v128_store16_lane7_default32(__VA_ARGS__)
#define v128_store32_lane0(...) v128_store32_lane0_default32(__VA_ARGS__)
#define v128_store32_lane1(...) v128_store32_lane1_default32(__VA_ARGS__)
#define v128_store32_lane2(...) v128_store32_lane2_default32(__VA_ARGS__)
#define v128_store32_lane3(...) v128_store32_lane3_default32(__VA_ARGS__)
#define v128_store64_lane0(...) v128_store64_lane0_default32(__VA_ARGS__)
#define v128_store64_lane1(...) v128_store64_lane1_default32(__VA_ARGS__)
#define v128_store8_lane0(...) v128_store8_lane0_default32(__VA_ARGS__)
#define v128_store8_lane1(...) v128_store8_lane1_default32(__VA_ARGS__)
#define v128_store8_lane2(...) v128_store8_lane2_default32(__VA_ARGS__)
#define v128_store8_lane3(...) v128_store8_lane3_default32(__VA_ARGS__)
#define v128_store8_lane4(...) v128_store8_lane4_default32(__VA_ARGS__)
#define v128_store8_lane5(...) v128_store8_lane5_default32(__VA_ARGS__)
#define v128_store8_lane6(...) v128_store8_lane6_default32(__VA_ARGS__)
#define v128_store8_lane7(...) v128_store8_lane7_default32(__VA_ARGS__)
#define v128_store8_lane8(...) v128_store8_lane8_default32(__VA_ARGS__)
#define v128_store8_lane9(...) v128_store8_lane9_default32(__VA_ARGS__)
#define v128_store8_lane10(...) v128_store8_lane10_default32(__VA_ARGS__)
#define v128_store8_lane11(...) v128_store8_lane11_default32(__VA_ARGS__)
#define v128_store8_lane12(...) v128_store8_lane12_default32(__VA_ARGS__)
#define v128_store8_lane13(...) v128_store8_lane13_default32(__VA_ARGS__)
#define v128_store8_lane14(...) v128_store8_lane14_default32(__VA_ARGS__)
#define v128_store8_lane15(...) v128_store8_lane15_default32(__VA_ARGS__)

// A load whose result is dropped ends the program as any other outside of the memory.
#define PACK_MAKE(value)                                                                                                         \
    do {                                                                                                                         \
        __typeof__(value) made = (value);                                                                                        \
        __asm__("" : : "m"(made));                                                                                               \
    } while (0)

void pack_check_indirect(void *module, const wasm_rt_funcref_table_t *table, wasm_rt_func_type_t expected, uint64_t index);

#undef CHECK_CALL_INDIRECT
#define CHECK_CALL_INDIRECT(table, ft, x)                                                                                        \
    (LIKELY((x) < table.size && ft == table.data[x].func_type) ? (void)0 : pack_check_indirect(instance, &(table), ft, x))

void pack_memory_allocate(void *module, wasm_rt_memory_t *memory, uint64_t pages, uint64_t max_pages);
uint64_t pack_memory_grow(void *module, wasm_rt_memory_t *memory, uint64_t pages);
void pack_memory_fill(void *module, wasm_rt_memory_t *memory, uint64_t to, uint32_t value, uint64_t size_bytes);
void pack_memory_copy(void *module, wasm_rt_memory_t *memory, uint64_t to, uint64_t from, uint64_t size_bytes);
void pack_memory_init(void *module, wasm_rt_memory_t *memory, const uint8_t *segment, uint64_t segment_bytes, uint64_t to,
                      uint64_t from, uint64_t size_bytes);

#define wasm_rt_allocate_memory(memory, pages, max_pages, is64, page_size) pack_memory_allocate(instance, memory, pages, max_pages)
#define wasm_rt_free_memory(memory) ((void)(memory))
#define wasm_rt_grow_memory(memory, pages) pack_memory_grow(instance, memory, pages)
#define memory_fill(memory, to, value, n) pack_memory_fill(instance, memory, to, value, n)
// There is one memory.
#define memory_copy(memory, same, to, from, n) pack_memory_copy(instance, memory, to, from, n)
#define memory_init(memory, segment, segment_bytes, to, from, n)                                                                 \
    pack_memory_init(instance, memory, segment, segment_bytes, to, from, n)
#undef LOAD_DATA
#define LOAD_DATA(memory, to, segment, n) pack_memory_init(instance, &(memory), segment, n, to, 0, n)

// Imported functions take the module's own state for theirs.
static inline void pack_table_init(void *module, wasm_rt_funcref_table_t *table, const wasm_elem_segment_expr_t *segment,
                                   uint64_t segment_size, uint64_t to, uint64_t from, uint64_t n)
{
    if (from + n > segment_size || to + n > table->size)
        pack_trap(module, AFMPEG_TRAP_TABLE);
    for (uint64_t i = 0; i < n; i++) {
        const wasm_elem_segment_expr_t *const one = &segment[from + i];
        wasm_rt_funcref_t *const entry = &table->data[to + i];
        switch (one->expr_type) {
        case RefFunc:
            *entry = (wasm_rt_funcref_t){one->type, one->func, {NULL}, module};
            break;
        case RefNull:
            *entry = wasm_rt_funcref_null_value;
            break;
        case GlobalGet: // of an imported global, which modules with are refused
            pack_trap(module, AFMPEG_TRAP_OTHER);
        }
    }
}

void pack_table_check(void *module, uint64_t first, uint64_t n, uint32_t size);
void *pack_table_allocate(void *module, uint64_t size, uint64_t entry_bytes);
void *pack_table_grow(void *module, void *data, uint32_t size, uint64_t new_size, uint64_t entry_bytes);
void pack_table_replaced(void *module, void *old, uint64_t entry_bytes);
void pack_move(void *module, void *to, const void *from, uint64_t size_bytes);
void pack_pause(void *module);

#define PACK_DEFINE_TABLE(type)                                                                                                  \
    static inline void pack_##type##_allocate(void *module, wasm_rt_##type##_table_t *table, uint32_t size, uint32_t max_size)   \
    {                                                                                                                            \
        table->data = pack_table_allocate(module, size, sizeof(wasm_rt_##type##_t));                                             \
        table->size = size;                                                                                                      \
        table->max_size = max_size;                                                                                              \
    }                                                                                                                            \
    static inline wasm_rt_##type##_t pack_##type##_get(void *module, const wasm_rt_##type##_table_t *table, uint64_t i)          \
    {                                                                                                                            \
        pack_table_check(module, i, 1, table->size);                                                                             \
        return table->data[i];                                                                                                   \
    }                                                                                                                            \
    static inline void pack_##type##_fill(void *module, const wasm_rt_##type##_table_t *table, uint64_t to,                      \
                                          wasm_rt_##type##_t value, uint64_t n)                                                  \
    {                                                                                                                            \
        pack_table_check(module, to, n, table->size);                                                                            \
        for (uint64_t i = 0; i < n; i++) {                                                                                       \
            table->data[to + i] = value;                                                                                         \
            if (i % (1 << 20) == (1 << 20) - 1)                                                                                  \
                pack_pause(module);                                                                                              \
        }                                                                                                                        \
    }                                                                                                                            \
    static inline void pack_##type##_set(void *module, const wasm_rt_##type##_table_t *table, uint64_t i,                        \
                                         wasm_rt_##type##_t value)                                                               \
    {                                                                                                                            \
        pack_##type##_fill(module, table, i, value, 1);                                                                          \
    }                                                                                                                            \
    static inline void pack_##type##_copy(void *module, wasm_rt_##type##_table_t *to_table,                                      \
                                          const wasm_rt_##type##_table_t *from_table, uint64_t to, uint64_t from, uint64_t n)    \
    {                                                                                                                            \
        pack_table_check(module, to, n, to_table->size);                                                                         \
        pack_table_check(module, from, n, from_table->size);                                                                     \
        pack_move(module, to_table->data + to, from_table->data + from, n * sizeof(wasm_rt_##type##_t));                         \
    }                                                                                                                            \
    static inline uint32_t pack_##type##_grow(void *module, wasm_rt_##type##_table_t *table, uint32_t more,                      \
                                              wasm_rt_##type##_t value)                                                          \
    {                                                                                                                            \
        uint32_t old_size = table->size;                                                                                         \
        uint64_t new_size = (uint64_t)old_size + more;                                                                           \
        if (new_size > table->max_size)                                                                                          \
            return (uint32_t)-1;                                                                                                 \
        if (!more)                                                                                                               \
            return old_size;                                                                                                     \
        wasm_rt_##type##_t *old = table->data;                                                                                   \
        wasm_rt_##type##_t *data = pack_table_grow(module, old, old_size, new_size, sizeof(wasm_rt_##type##_t));                 \
        if (!data)                                                                                                               \
            return (uint32_t)-1;                                                                                                 \
        table->data = data;                                                                                                      \
        table->size = (uint32_t)new_size;                                                                                        \
        pack_table_replaced(module, old, sizeof(wasm_rt_##type##_t));                                                            \
        pack_##type##_fill(module, table, old_size, value, more);                                                                \
        return old_size;                                                                                                         \
    }

PACK_DEFINE_TABLE(funcref)
PACK_DEFINE_TABLE(externref)

#define wasm_rt_allocate_funcref_table(table, size, max_size) pack_funcref_allocate(instance, table, size, max_size)
#define wasm_rt_allocate_externref_table(table, size, max_size) pack_externref_allocate(instance, table, size, max_size)
#define wasm_rt_free_funcref_table(table) ((void)(table))
#define wasm_rt_free_externref_table(table) ((void)(table))
#define wasm_rt_grow_funcref_table(table, more, value) pack_funcref_grow(instance, table, more, value)
#define wasm_rt_grow_externref_table(table, more, value) pack_externref_grow(instance, table, more, value)
#define funcref_table_init(table, segment, segment_size, to, from, n, module)                                                    \
    pack_table_init(module, table, segment, segment_size, to, from, n)
#define externref_table_init(table, segment_size, to, from, n)                                                                   \
    ((uint64_t)(from) + (n) > (segment_size) ? pack_trap(instance, AFMPEG_TRAP_TABLE)                                            \
                                             : pack_externref_fill(instance, table, to, wasm_rt_externref_null_value, n))
#define funcref_table_copy(to_table, from_table, to, from, n) pack_funcref_copy(instance, to_table, from_table, to, from, n)
#define externref_table_copy(to_table, from_table, to, from, n) pack_externref_copy(instance, to_table, from_table, to, from, n)
#define funcref_table_get(table, i) pack_funcref_get(instance, table, i)
#define externref_table_get(table, i) pack_externref_get(instance, table, i)
#define funcref_table_set(table, i, value) pack_funcref_set(instance, table, i, value)
#define externref_table_set(table, i, value) pack_externref_set(instance, table, i, value)
#define funcref_table_fill(table, to, value, n) pack_funcref_fill(instance, table, to, value, n)
#define externref_table_fill(table, to, value, n) pack_externref_fill(instance, table, to, value, n)
