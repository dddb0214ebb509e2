/*
 * Copyright (c) 2026, the afmpeg authors
 * SPDX-License-Identifier: BSD-2-Clause
 * All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 *
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the documentation
 *    and/or other materials provided with the distribution.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR
 * ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES
 * (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES;
 * LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND
 * ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT
 * (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS
 * SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */

/* Steps that the kernels share. The intrinsics here are those that an engine on x86-64 compiles to one instruction each;
 * where one takes several, a comment says so. */

#ifndef DAV1D_SRC_WASM_VECTOR_H
#define DAV1D_SRC_WASM_VECTOR_H

#include <wasm_simd128.h>

#include "common/attributes.h"
#include "common/bitdepth.h"

/* Hides where a pointer comes from. From a loop's pointers clang else makes others that lie further, and computes an
 * address for each load of what lies before them, where an offset would do. */
static ALWAYS_INLINE const void *opaque_pointer(const void *pointer) {
    __asm__("" : "+r"(pointer));
    return pointer;
}

/* The first or the last lanes of two registers in turn. */
static ALWAYS_INLINE v128_t zip_lo_8(const v128_t a, const v128_t b) {
    return wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
static ALWAYS_INLINE v128_t zip_hi_8(const v128_t a, const v128_t b) {
    return wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
static ALWAYS_INLINE v128_t zip_lo_16(const v128_t a, const v128_t b) {
    return wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
static ALWAYS_INLINE v128_t zip_hi_16(const v128_t a, const v128_t b) {
    return wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
static ALWAYS_INLINE v128_t zip_lo_32(const v128_t a, const v128_t b) {
    return wasm_i32x4_shuffle(a, b, 0, 4, 1, 5);
}
static ALWAYS_INLINE v128_t zip_hi_32(const v128_t a, const v128_t b) {
    return wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
}
static ALWAYS_INLINE v128_t zip_lo_64(const v128_t a, const v128_t b) {
    return wasm_i64x2_shuffle(a, b, 0, 2);
}
static ALWAYS_INLINE v128_t zip_hi_64(const v128_t a, const v128_t b) {
    return wasm_i64x2_shuffle(a, b, 1, 3);
}

/* Eight rows of eight numbers become columns, by three rounds of what lies four apart. */
static ALWAYS_INLINE void transpose_8x8(v128_t r[8]) {
    for (int round = 0; round < 3; round++) {
        v128_t t[8];
        for (int i = 0; i < 4; i++) {
            t[2 * i] = zip_lo_16(r[i], r[i + 4]);
            t[2 * i + 1] = zip_hi_16(r[i], r[i + 4]);
        }
        for (int i = 0; i < 8; i++)
            r[i] = t[i];
    }
}

/* Two 16-bit numbers in each 32-bit lane, for dot products. */
static ALWAYS_INLINE v128_t splat_pair(const int a, const int b) {
    return wasm_i32x4_splat((a & 0xffff) | (int) ((unsigned) b << 16));
}

/* Even lanes of a with even lanes of b in the odd places; both are 32 bits wide with 16 that count. */
static ALWAYS_INLINE v128_t join_even_odd(const v128_t even, const v128_t odd) {
    return wasm_i16x8_shuffle(even, wasm_i32x4_shl(odd, 16), 0, 9, 2, 11, 4, 13, 6, 15);
}

#ifdef BITDEPTH
/* Pixels as 16-bit lanes. */
static ALWAYS_INLINE v128_t load_8_pixels(const pixel *const p) {
#if BITDEPTH == 8
    return wasm_u16x8_load8x8(p);
#else
    return wasm_v128_load(p);
#endif
}
static ALWAYS_INLINE v128_t load_4_pixels(const pixel *const p) {
#if BITDEPTH == 8
    return wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(p));
#else
    return wasm_v128_load64_zero(p);
#endif
}

/* Stores the first w of eight numbers, clipped to what a pixel can be; top has bitdepth_max in each lane. */
static ALWAYS_INLINE void store_pixels(pixel *const p, v128_t numbers, const int w, const v128_t top) {
#if BITDEPTH == 8
    numbers = wasm_u8x16_narrow_i16x8(numbers, numbers);
    if (w == 8)
        wasm_v128_store64_lane(p, numbers, 0);
    else if (w == 4)
        wasm_v128_store32_lane(p, numbers, 0);
    else
        wasm_v128_store16_lane(p, numbers, 0);
#else
    numbers = wasm_i16x8_min(wasm_i16x8_max(numbers, wasm_i16x8_const_splat(0)), top);
    if (w == 8)
        wasm_v128_store(p, numbers);
    else if (w == 4)
        wasm_v128_store64_lane(p, numbers, 0);
    else
        wasm_v128_store32_lane(p, numbers, 0);
#endif
}
#endif

#endif /* DAV1D_SRC_WASM_VECTOR_H */
