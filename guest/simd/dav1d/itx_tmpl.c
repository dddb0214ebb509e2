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

#include <stdint.h>

#include "common/intops.h"

#include "src/itx_1d.h"
#include "src/scan.h"
#include "src/tables.h"
#include "src/wasm/itx.h"
#include "src/wasm/vector.h"

/* One dimension at a time, for as many rows or columns as a register has lanes: of 8 bits eight, as every step clips to
 * 16 bits, of more bits four. A product that leaves 16 bits is clipped at once, where the C code clips the sum that it
 * becomes part of; only streams that no encoder makes show the difference. */
#if BITDEPTH == 8
#define LANES 8
#define CLIP_DECL
#define CLIP_ARGS
#else
#define LANES 4
#define CLIP_DECL , const v128_t bottom, const v128_t top
#define CLIP_ARGS , bottom, top
#endif

#if BITDEPTH == 8
#define add(a, b) wasm_i16x8_add_sat(a, b)
#define sub(a, b) wasm_i16x8_sub_sat(a, b)
#define none() wasm_i16x8_const_splat(0)
#define negated(a) wasm_i16x8_sub_sat(none(), a)
#else
static ALWAYS_INLINE v128_t clip(const v128_t a CLIP_DECL) {
    return wasm_i32x4_min(wasm_i32x4_max(a, bottom), top);
}
#define add(a, b) clip(wasm_i32x4_add(a, b) CLIP_ARGS)
#define sub(a, b) clip(wasm_i32x4_sub(a, b) CLIP_ARGS)
#define none() wasm_i32x4_const_splat(0)
#define negated(a) wasm_i32x4_neg(a)
#endif

#if BITDEPTH == 8
static ALWAYS_INLINE v128_t shifted_12(const v128_t lo, const v128_t hi) {
    const v128_t rounding = wasm_i32x4_const_splat(2048);
    return wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(wasm_i32x4_add(lo, rounding), 12),
                                   wasm_i32x4_shr(wasm_i32x4_add(hi, rounding), 12));
}

/* a * c + b * s, of which 12 bits are rounded away. */
static ALWAYS_INLINE v128_t combined(const v128_t a, const v128_t b, const int c, const int s) {
    const v128_t factors = splat_pair(c, s);
    return shifted_12(wasm_i32x4_dot_i16x8(zip_lo_16(a, b), factors), wasm_i32x4_dot_i16x8(zip_hi_16(a, b), factors));
}

static ALWAYS_INLINE v128_t scaled(const v128_t a, const int c) {
    return wasm_i16x8_q15mulr_sat(a, wasm_i16x8_splat(c * 8));
}
#else
static ALWAYS_INLINE v128_t shifted_12(const v128_t sum) {
    return wasm_i32x4_shr(wasm_i32x4_add(sum, wasm_i32x4_const_splat(2048)), 12);
}

static ALWAYS_INLINE v128_t combined(const v128_t a, const v128_t b, const int c, const int s) {
    return shifted_12(wasm_i32x4_add(wasm_i32x4_mul(a, wasm_i32x4_splat(c)), wasm_i32x4_mul(b, wasm_i32x4_splat(s))));
}

static ALWAYS_INLINE v128_t scaled(const v128_t a, const int c) {
    return shifted_12(wasm_i32x4_mul(a, wasm_i32x4_splat(c)));
}
#endif

/* x = a * c - b * s, y = a * s + b * c. */
static ALWAYS_INLINE void rotate(v128_t *const x, v128_t *const y, const v128_t a, const v128_t b, const int c,
                                 const int s)
{
    const v128_t first = combined(a, b, c, -s);
    *y = combined(a, b, s, c);
    *x = first;
}

/* The same of inputs number i and j, of which those from n on are zero. */
static ALWAYS_INLINE void rotate_in(v128_t *const x, v128_t *const y, const v128_t *const in, const ptrdiff_t stride,
                                    const int i, const int j, const int c, const int s, const int n)
{
    if (i < n && j < n) {
        rotate(x, y, in[i * stride], in[j * stride], c, s);
    } else if (i < n) {
        *x = scaled(in[i * stride], c);
        *y = scaled(in[i * stride], s);
    } else if (j < n) {
        *x = scaled(in[j * stride], -s);
        *y = scaled(in[j * stride], c);
    } else {
        *x = *y = none();
    }
}

/* In the odd halves of the transforms: t[i] becomes t[j] * c - t[i] * s, t[j] becomes t[j] * s + t[i] * c. */
#define R(i, j, c, s) rotate(&t[i], &t[j], t[j], t[i], c, s)
/* t[i] becomes the sum of both, t[j] the difference. */
#define S(i, j) do { \
    const v128_t sum = add(t[i], t[j]); \
    t[j] = sub(t[i], t[j]); \
    t[i] = sum; \
} while (0)
/* Inputs i and j become t[k] and t[l]. */
#define I(k, l, i, j, c, s) rotate_in(&t[k], &t[l], in, stride, i, j, c, s, n)

/* In all of them input k is in[k * stride], and those from n on are zero. */
static ALWAYS_INLINE void dct4(v128_t out[4], const v128_t *const in, const ptrdiff_t stride, const int n CLIP_DECL) {
    v128_t t[4];
    I(1, 0, 0, 2, 2896, 2896);
    I(2, 3, 1, 3, 1567, 3784);
    out[0] = add(t[0], t[3]);
    out[1] = add(t[1], t[2]);
    out[2] = sub(t[1], t[2]);
    out[3] = sub(t[0], t[3]);
}

static ALWAYS_INLINE void merge(v128_t *const out, const v128_t *const even, const v128_t *const odd,
                                const int half CLIP_DECL)
{
    for (int i = 0; i < half; i++) {
        out[i] = add(even[i], odd[half - 1 - i]);
        out[2 * half - 1 - i] = sub(even[i], odd[half - 1 - i]);
    }
}

static ALWAYS_INLINE void dct8(v128_t out[8], const v128_t *const in, const ptrdiff_t stride, const int n CLIP_DECL) {
    v128_t even[4], odd[4], *const t = odd - 4;
    dct4(even, in, stride * 2, (n + 1) >> 1 CLIP_ARGS);
    I(4, 7, 1, 7,  799, 4017);
    I(5, 6, 5, 3, 3406, 2276);
    S(4, 5); S(7, 6);
    R(5, 6, 2896, 2896);
    merge(out, even, odd, 4 CLIP_ARGS);
}

static ALWAYS_INLINE void dct16(v128_t out[16], const v128_t *const in, const ptrdiff_t stride, const int n CLIP_DECL) {
    v128_t even[8], odd[8], *const t = odd - 8;
    dct8(even, in, stride * 2, (n + 1) >> 1 CLIP_ARGS);
    I( 8, 15,  1, 15,  401, 4076);
    I( 9, 14,  9,  7, 3166, 2598);
    I(10, 13,  5, 11, 1931, 3612);
    I(11, 12, 13,  3, 3920, 1189);
    S(8, 9); S(11, 10); S(12, 13); S(15, 14);
    R( 9, 14,  1567, 3784);
    R(10, 13, -3784, 1567);
    S(8, 11); S(9, 10); S(15, 12); S(14, 13);
    R(10, 13, 2896, 2896);
    R(11, 12, 2896, 2896);
    merge(out, even, odd, 8 CLIP_ARGS);
}

static ALWAYS_INLINE void dct32(v128_t out[32], const v128_t *const in, const ptrdiff_t stride, const int n CLIP_DECL) {
    v128_t even[16], odd[16], *const t = odd - 16;
    dct16(even, in, stride * 2, (n + 1) >> 1 CLIP_ARGS);
    I(16, 31,  1, 31,  201, 4091);
    I(17, 30, 17, 15, 3035, 2751);
    I(18, 29,  9, 23, 1751, 3703);
    I(19, 28, 25,  7, 3857, 1380);
    I(20, 27,  5, 27,  995, 3973);
    I(21, 26, 21, 11, 3513, 2106);
    I(22, 25, 13, 19, 2440, 3290);
    I(23, 24, 29,  3, 4052,  601);
    S(16, 17); S(19, 18); S(20, 21); S(23, 22); S(24, 25); S(27, 26); S(28, 29); S(31, 30);
    R(17, 30,   799, 4017);
    R(18, 29, -4017,  799);
    R(21, 26,  3406, 2276);
    R(22, 25, -2276, 3406);
    S(16, 19); S(17, 18); S(23, 20); S(22, 21); S(24, 27); S(25, 26); S(31, 28); S(30, 29);
    R(18, 29,  1567, 3784);
    R(19, 28,  1567, 3784);
    R(20, 27, -3784, 1567);
    R(21, 26, -3784, 1567);
    S(16, 23); S(17, 22); S(18, 21); S(19, 20); S(31, 24); S(30, 25); S(29, 26); S(28, 27);
    R(20, 27, 2896, 2896);
    R(21, 26, 2896, 2896);
    R(22, 25, 2896, 2896);
    R(23, 24, 2896, 2896);
    merge(out, even, odd, 16 CLIP_ARGS);
}

static ALWAYS_INLINE void dct64(v128_t out[64], const v128_t *const in, const ptrdiff_t stride, const int n CLIP_DECL) {
    v128_t even[32], odd[32], *const t = odd - 32;
    dct32(even, in, stride * 2, (n + 1) >> 1 CLIP_ARGS);
    I(32, 63,  1, 63,  101, 4095);
    I(33, 62, 33, 31, 2967, 2824);
    I(34, 61, 17, 47, 1660, 3745);
    I(35, 60, 49, 15, 3822, 1474);
    I(36, 59,  9, 55,  897, 3996);
    I(37, 58, 41, 23, 3461, 2191);
    I(38, 57, 25, 39, 2359, 3349);
    I(39, 56, 57,  7, 4036,  700);
    I(40, 55,  5, 59,  501, 4065);
    I(41, 54, 37, 27, 3229, 2520);
    I(42, 53, 21, 43, 2019, 3564);
    I(43, 52, 53, 11, 3948, 1092);
    I(44, 51, 13, 51, 1285, 3889);
    I(45, 50, 45, 19, 3659, 1842);
    I(46, 49, 29, 35, 2675, 3102);
    I(47, 48, 61,  3, 4085,  301);
    S(32, 33); S(35, 34); S(36, 37); S(39, 38); S(40, 41); S(43, 42); S(44, 45); S(47, 46);
    S(48, 49); S(51, 50); S(52, 53); S(55, 54); S(56, 57); S(59, 58); S(60, 61); S(63, 62);
    R(33, 62,   401, 4076);
    R(34, 61, -4076,  401);
    R(37, 58,  3166, 2598);
    R(38, 57, -2598, 3166);
    R(41, 54,  1931, 3612);
    R(42, 53, -3612, 1931);
    R(45, 50,  3920, 1189);
    R(46, 49, -1189, 3920);
    S(32, 35); S(33, 34); S(39, 36); S(38, 37); S(40, 43); S(41, 42); S(47, 44); S(46, 45);
    S(48, 51); S(49, 50); S(55, 52); S(54, 53); S(56, 59); S(57, 58); S(63, 60); S(62, 61);
    R(34, 61,   799, 4017);
    R(35, 60,   799, 4017);
    R(36, 59, -4017,  799);
    R(37, 58, -4017,  799);
    R(42, 53,  3406, 2276);
    R(43, 52,  3406, 2276);
    R(44, 51, -2276, 3406);
    R(45, 50, -2276, 3406);
    S(32, 39); S(33, 38); S(34, 37); S(35, 36); S(47, 40); S(46, 41); S(45, 42); S(44, 43);
    S(48, 55); S(49, 54); S(50, 53); S(51, 52); S(63, 56); S(62, 57); S(61, 58); S(60, 59);
    R(36, 59,  1567, 3784);
    R(37, 58,  1567, 3784);
    R(38, 57,  1567, 3784);
    R(39, 56,  1567, 3784);
    R(40, 55, -3784, 1567);
    R(41, 54, -3784, 1567);
    R(42, 53, -3784, 1567);
    R(43, 52, -3784, 1567);
    S(32, 47); S(33, 46); S(34, 45); S(35, 44); S(36, 43); S(37, 42); S(38, 41); S(39, 40);
    S(63, 48); S(62, 49); S(61, 50); S(60, 51); S(59, 52); S(58, 53); S(57, 54); S(56, 55);
    R(40, 55, 2896, 2896);
    R(41, 54, 2896, 2896);
    R(42, 53, 2896, 2896);
    R(43, 52, 2896, 2896);
    R(44, 51, 2896, 2896);
    R(45, 50, 2896, 2896);
    R(46, 49, 2896, 2896);
    R(47, 48, 2896, 2896);
    merge(out, even, odd, 32 CLIP_ARGS);
}

/* One of four for each size and each number of inputs that are not zero, from c to c. */
#define dct_fn(size, n) \
static NOINLINE void dct##size##_##n(v128_t *const c CLIP_DECL) { \
    v128_t out[size]; \
    dct##size(out, c, 1, n CLIP_ARGS); \
    for (int i = 0; i < size; i++) \
        c[i] = out[i]; \
}
dct_fn( 4,  4)
dct_fn( 8,  8)
dct_fn(16,  8)
dct_fn(16, 16)
dct_fn(32,  8)
dct_fn(32, 16)
dct_fn(32, 32)
dct_fn(64,  8)
dct_fn(64, 16)
dct_fn(64, 32)

static NOINLINE void adst4(v128_t *const c CLIP_DECL) {
    const v128_t in0 = c[0], in1 = c[1], in2 = c[2], in3 = c[3];
#if BITDEPTH == 8
    const v128_t lo02 = zip_lo_16(in0, in2), hi02 = zip_hi_16(in0, in2);
    const v128_t lo31 = zip_lo_16(in3, in1), hi31 = zip_hi_16(in3, in1);
#define sum_of_4(c0, c1, c2, c3) \
    shifted_12(wasm_i32x4_add(wasm_i32x4_dot_i16x8(lo02, splat_pair(c0, c2)), \
                              wasm_i32x4_dot_i16x8(lo31, splat_pair(c3, c1))), \
               wasm_i32x4_add(wasm_i32x4_dot_i16x8(hi02, splat_pair(c0, c2)), \
                              wasm_i32x4_dot_i16x8(hi31, splat_pair(c3, c1))))
#else
#define sum_of_4(c0, c1, c2, c3) \
    shifted_12(wasm_i32x4_add(wasm_i32x4_add(wasm_i32x4_mul(in0, wasm_i32x4_splat(c0)), \
                                             wasm_i32x4_mul(in1, wasm_i32x4_splat(c1))), \
                              wasm_i32x4_add(wasm_i32x4_mul(in2, wasm_i32x4_splat(c2)), \
                                             wasm_i32x4_mul(in3, wasm_i32x4_splat(c3)))))
#endif
    c[0] = sum_of_4(1321,  3344,  3803,  2482);
    c[1] = sum_of_4(2482,  3344, -1321, -3803);
    c[2] = sum_of_4(3344,     0, -3344,  3344);
    c[3] = sum_of_4(3803, -3344,  2482, -1321);
}

static NOINLINE void adst8(v128_t *const c CLIP_DECL) {
    v128_t t[8];
    rotate(&t[1], &t[0], c[7], c[0],  401, 4076);
    rotate(&t[3], &t[2], c[5], c[2], 1931, 3612);
    rotate(&t[5], &t[4], c[3], c[4], 3166, 2598);
    rotate(&t[7], &t[6], c[1], c[6], 3920, 1189);
    S(0, 4); S(1, 5); S(2, 6); S(3, 7);
    rotate(&t[5], &t[4], t[4], t[5], 1567, 3784);
    rotate(&t[6], &t[7], t[7], t[6], 3784, 1567);
    S(0, 2); S(1, 3); S(4, 6); S(5, 7);
    c[0] = t[0];
    c[7] = negated(t[1]);
    c[1] = negated(t[4]);
    c[6] = t[5];
    rotate(&c[4], &c[3], t[2], t[3], 2896, 2896);
    c[3] = negated(c[3]);
    rotate(&c[5], &c[2], t[6], t[7], 2896, 2896);
    c[5] = negated(c[5]);
}

static NOINLINE void adst16(v128_t *const c CLIP_DECL) {
    v128_t t[16];
    rotate(&t[ 1], &t[ 0], c[15], c[ 0],  201, 4091);
    rotate(&t[ 3], &t[ 2], c[13], c[ 2],  995, 3973);
    rotate(&t[ 5], &t[ 4], c[11], c[ 4], 1751, 3703);
    rotate(&t[ 7], &t[ 6], c[ 9], c[ 6], 2440, 3290);
    rotate(&t[ 9], &t[ 8], c[ 7], c[ 8], 3035, 2751);
    rotate(&t[11], &t[10], c[ 5], c[10], 3513, 2106);
    rotate(&t[13], &t[12], c[ 3], c[12], 3857, 1380);
    rotate(&t[15], &t[14], c[ 1], c[14], 4052,  601);
    S(0, 8); S(1, 9); S(2, 10); S(3, 11); S(4, 12); S(5, 13); S(6, 14); S(7, 15);
    rotate(&t[ 9], &t[ 8], t[ 8], t[ 9],  799, 4017);
    rotate(&t[11], &t[10], t[10], t[11], 3406, 2276);
    rotate(&t[12], &t[13], t[13], t[12], 4017,  799);
    rotate(&t[14], &t[15], t[15], t[14], 2276, 3406);
    S(0, 4); S(1, 5); S(2, 6); S(3, 7); S(8, 12); S(9, 13); S(10, 14); S(11, 15);
    rotate(&t[ 5], &t[ 4], t[ 4], t[ 5], 1567, 3784);
    rotate(&t[ 6], &t[ 7], t[ 7], t[ 6], 3784, 1567);
    rotate(&t[13], &t[12], t[12], t[13], 1567, 3784);
    rotate(&t[14], &t[15], t[15], t[14], 3784, 1567);
    S(0, 2); S(1, 3); S(4, 6); S(5, 7); S(8, 10); S(9, 11); S(12, 14); S(13, 15);
    c[ 0] = t[0];
    c[15] = negated(t[1]);
    c[ 3] = negated(t[4]);
    c[12] = t[5];
    c[ 1] = negated(t[8]);
    c[14] = t[9];
    c[ 2] = t[12];
    c[13] = negated(t[13]);
    rotate(&c[ 8], &c[7], t[ 2], t[ 3], 2896, 2896);
    c[7] = negated(c[7]);
    rotate(&c[11], &c[4], t[ 6], t[ 7], 2896, 2896);
    c[11] = negated(c[11]);
    rotate(&c[ 9], &c[6], t[10], t[11], 2896, 2896);
    c[9] = negated(c[9]);
    rotate(&c[10], &c[5], t[14], t[15], 2896, 2896);
    c[5] = negated(c[5]);
}

/* n inputs at most are not zero. */
static void transform(v128_t *const c, const int size, const enum Tx1dType type, const int n CLIP_DECL) {
    if (type == DCT) {
        if (size == 4)
            dct4_4(c CLIP_ARGS);
        else if (size == 8)
            dct8_8(c CLIP_ARGS);
        else if (size == 16)
            n <= 8 ? dct16_8(c CLIP_ARGS) : dct16_16(c CLIP_ARGS);
        else if (size == 32)
            n <= 8 ? dct32_8(c CLIP_ARGS) : n <= 16 ? dct32_16(c CLIP_ARGS) : dct32_32(c CLIP_ARGS);
        else
            n <= 8 ? dct64_8(c CLIP_ARGS) : n <= 16 ? dct64_16(c CLIP_ARGS) : dct64_32(c CLIP_ARGS);
    } else if (size == 4) {
        adst4(c CLIP_ARGS);
    } else if (size == 8) {
        adst8(c CLIP_ARGS);
    } else {
        adst16(c CLIP_ARGS);
    }
}

/* Shifts and rounds, and clips to what the second dimension takes. */
static ALWAYS_INLINE v128_t shifted(const v128_t a, const int shift CLIP_DECL) {
#if BITDEPTH == 8
    return shift ? wasm_i16x8_q15mulr_sat(a, wasm_i16x8_splat(1 << (15 - shift))) : a;
#else
    return clip(wasm_i32x4_shr(wasm_i32x4_add(a, wasm_i32x4_splat((1 << shift) >> 1)), shift) CLIP_ARGS);
#endif
}

#if BITDEPTH != 8
static ALWAYS_INLINE v128_t identity_sum(const v128_t a, const int size) {
    v128_t sum;
    if (size == 8) {
        sum = wasm_i32x4_add(a, a);
    } else if (size == 32) {
        sum = wasm_i32x4_shl(a, 2);
    } else {
        v128_t more = wasm_i32x4_mul(a, wasm_i32x4_const_splat(1697));
        if (size == 4) {
            more = wasm_i32x4_shr(wasm_i32x4_add(more, wasm_i32x4_const_splat(2048)), 12);
            sum = wasm_i32x4_add(a, more);
        } else {
            more = wasm_i32x4_shr(wasm_i32x4_add(more, wasm_i32x4_const_splat(1024)), 11);
            sum = wasm_i32x4_add(wasm_i32x4_add(a, a), more);
        }
    }
    return sum;
}
#endif

/* The transform that only scales, by the root of half its size, and the shift; steps between have more than 16 bits. */
static ALWAYS_INLINE v128_t identity(const v128_t a, const int size, const int shift CLIP_DECL) {
#if BITDEPTH == 8
    if (size == 8)
        return shift ? shift == 1 ? a : shifted(a, shift - 1) : wasm_i16x8_add_sat(a, a);
    if (size == 32) {
        if (shift >= 2)
            return shift == 2 ? a : shifted(a, shift - 2);
        const v128_t twice = wasm_i16x8_add_sat(a, a);
        return shift ? twice : wasm_i16x8_add_sat(twice, twice);
    }
    const v128_t factor = wasm_i16x8_splat(size == 4 ? 5793 : 11586);
    v128_t sums[2] = { wasm_i32x4_extmul_low_i16x8(a, factor), wasm_i32x4_extmul_high_i16x8(a, factor) };
    const v128_t rounding = wasm_i32x4_splat((1 << shift) >> 1);
    for (int i = 0; i < 2; i++) {
        sums[i] = wasm_i32x4_shr(wasm_i32x4_add(sums[i], wasm_i32x4_const_splat(2048)), 12);
        sums[i] = wasm_i32x4_shr(wasm_i32x4_add(sums[i], rounding), shift);
    }
    return wasm_i16x8_narrow_i32x4(sums[0], sums[1]);
#else
    return shifted(identity_sum(a, size), shift CLIP_ARGS);
#endif
}

/* After the second dimension: the last four bits are rounded away, and nothing is clipped before the pixels are. */
static ALWAYS_INLINE v128_t shifted_4(const v128_t a) {
#if BITDEPTH == 8
    return shifted(a, 4);
#else
    return wasm_i32x4_shr(wasm_i32x4_add(a, wasm_i32x4_const_splat(8)), 4);
#endif
}

static ALWAYS_INLINE v128_t identity_4(const v128_t a, const int size) {
#if BITDEPTH == 8
    return identity(a, size, 4);
#else
    return shifted_4(identity_sum(a, size));
#endif
}

static ALWAYS_INLINE void transpose(v128_t c[LANES]) {
#if BITDEPTH == 8
    transpose_8x8(c);
#else
    const v128_t t0 = zip_lo_32(c[0], c[2]), t1 = zip_hi_32(c[0], c[2]);
    const v128_t t2 = zip_lo_32(c[1], c[3]), t3 = zip_hi_32(c[1], c[3]);
    c[0] = zip_lo_32(t0, t2);
    c[1] = zip_hi_32(t0, t2);
    c[2] = zip_lo_32(t1, t3);
    c[3] = zip_hi_32(t1, t3);
#endif
}

/* Coefficients times the root of a half, for blocks twice as long as wide. */
static ALWAYS_INLINE v128_t times_root(const v128_t a) {
#if BITDEPTH == 8
    return wasm_i16x8_q15mulr_sat(a, wasm_i16x8_const_splat(181 * 128));
#else
    const v128_t sum = wasm_i32x4_mul(a, wasm_i32x4_const_splat(181));
    return wasm_i32x4_shr(wasm_i32x4_add(sum, wasm_i32x4_const_splat(128)), 8);
#endif
}

/* Adds LANES numbers of a row to w pixels. */
static ALWAYS_INLINE void add_row(pixel *const dst, const v128_t c, const int w, const v128_t top) {
#if BITDEPTH == 8
    if (w == 4)
        store_pixels(dst, wasm_i16x8_add_sat(load_4_pixels(dst), c), 4, top);
    else
        store_pixels(dst, wasm_i16x8_add_sat(load_8_pixels(dst), c), 8, top);
#else
    const v128_t sum = wasm_i32x4_add(wasm_u32x4_load16x4(dst), c);
    v128_t pixels = wasm_u16x8_narrow_i32x4(sum, sum);
    pixels = wasm_u16x8_min(pixels, top);
    wasm_v128_store64_lane(dst, pixels, 0);
#endif
}

static NOINLINE void add_dc(pixel *dst, const ptrdiff_t stride, int dc, const int w, int h, const v128_t top) {
    const v128_t c = wasm_i16x8_splat(iclip(dc, -0x7fff, 0x7fff));
#if BITDEPTH == 8
    if (w >= 16) {
        /* One of both is zero. */
        const v128_t more = wasm_u8x16_narrow_i16x8(c, c);
        const v128_t less = wasm_u8x16_narrow_i16x8(wasm_i16x8_neg(c), wasm_i16x8_neg(c));
        do {
            for (int x = 0; x < w; x += 16) {
                const v128_t row = wasm_v128_load(dst + x);
                wasm_v128_store(dst + x, wasm_u8x16_sub_sat(wasm_u8x16_add_sat(row, more), less));
            }
            dst += stride;
        } while (--h);
        return;
    }
#endif
    do {
        if (w == 4)
            store_pixels(dst, wasm_i16x8_add_sat(load_4_pixels(dst), c), 4, top);
        else
            for (int x = 0; x < w; x += 8)
                store_pixels(dst + x, wasm_i16x8_add_sat(load_8_pixels(dst + x), c), 8, top);
        dst += stride;
    } while (--h);
}

/* What a function is for: the size, and both dimensions' types. */
#define kind_of(tx, first, second) ((tx) << 4 | (first) << 2 | (second))

static const uint8_t shifts[N_RECT_TX_SIZES] = {
    [TX_8X8] = 1, [TX_16X16] = 2, [TX_32X32] = 2, [TX_64X64] = 2,
    [RTX_4X16] = 1, [RTX_16X4] = 1, [RTX_8X16] = 1, [RTX_16X8] = 1, [RTX_8X32] = 2, [RTX_32X8] = 2,
    [RTX_16X32] = 1, [RTX_32X16] = 1, [RTX_16X64] = 2, [RTX_64X16] = 2, [RTX_32X64] = 1, [RTX_64X32] = 1,
};

/* How far coefficients that are not zero reach along the first dimension, of which one register each is. */
static ALWAYS_INLINE int reach_of(const v128_t *const c, const int n) {
    int reach = n;
    while (reach > 8) {
        v128_t any = c[reach >> 1];
        for (int i = (reach >> 1) + 1; i < reach; i++)
            any = wasm_v128_or(any, c[i]);
        if (wasm_v128_any_true(any))
            break;
        reach >>= 1;
    }
    return reach;
}

static NOINLINE void inv_txfm_add(pixel *dst, ptrdiff_t stride, coef *const coeff, const int kind, const int eob
                                  HIGHBD_DECL_SUFFIX)
{
    const int tx = kind >> 4;
    const enum Tx1dType first = kind >> 2 & 3, second = kind & 3;
    const TxfmInfo *const t_dim = &dav1d_txfm_dimensions[tx];
    const int w = 4 * t_dim->w, h = 4 * t_dim->h, shift = shifts[tx];
    const int is_rect2 = w * 2 == h || h * 2 == w;
#if BITDEPTH == 8
    const v128_t top_pixel = none();
#else
    const v128_t top_pixel = wasm_i16x8_splat(bitdepth_max);
    const v128_t col_top = wasm_i32x4_splat(~((unsigned) ~bitdepth_max << 5));
    const v128_t col_bottom = wasm_v128_not(col_top);
#endif
    stride = PXSTRIDE(stride);

    if (first == DCT && second == DCT && !eob) {
        int dc = coeff[0];
        coeff[0] = 0;
        if (is_rect2)
            dc = (dc * 181 + 128) >> 8;
        dc = (dc * 181 + 128) >> 8;
        dc = (dc + ((1 << shift) >> 1)) >> shift;
        add_dc(dst, stride, (dc * 181 + 128 + 2048) >> 12, w, h, top_pixel);
        return;
    }

    const int sh = imin(h, 32), sw = imin(w, 32);
    int last;
    if (second == IDENTITY && first != IDENTITY)
        last = imin(sh - 1, eob);
    else if (first == IDENTITY && second != IDENTITY)
        last = eob >> (t_dim->lw + 2);
    else
        last = dav1d_last_nonzero_col_from_eob[tx][eob];
    /* Coefficients lie so that those of one column come one after the other, and rows as lanes. */
    v128_t tmp[32 * 64 / LANES], c[64];
    const int groups = w > LANES ? w / LANES : 1;
    int y = 0;
    {
#if BITDEPTH != 8
        const v128_t top = wasm_i32x4_splat(~((unsigned) ~bitdepth_max << 7));
        const v128_t bottom = wasm_v128_not(top);
#endif
        for (; y <= last; y += LANES) {
            coef *column = coeff + y;
            for (int x = 0; x < sw; x++, column += sh) {
#if BITDEPTH == 8
                if (sh == 4) {
                    c[x] = wasm_v128_load64_zero(column);
                    wasm_v128_store64_lane(column, none(), 0);
                } else
#endif
                {
                    c[x] = wasm_v128_load(column);
                    wasm_v128_store(column, none());
                }
            }
            if (is_rect2)
                for (int x = 0; x < sw; x++)
                    c[x] = times_root(c[x]);
            v128_t *const row = tmp + y * groups;
            if (first == IDENTITY) {
#if BITDEPTH != 8
                const v128_t top = col_top, bottom = col_bottom;
#endif
                for (int x = 0; x < sw; x++)
                    c[x] = identity(c[x], w, shift CLIP_ARGS);
            } else {
                transform(c, w, first, first == DCT ? reach_of(c, sw) : sw CLIP_ARGS);
#if BITDEPTH != 8
                const v128_t top = col_top, bottom = col_bottom;
#endif
                if (BITDEPTH != 8 || shift)
                    for (int x = 0; x < w; x++)
                        c[x] = shifted(c[x], shift CLIP_ARGS);
            }
            if (w < LANES)
                for (int x = w; x < LANES; x++)
                    c[x] = none();
            for (int g = 0; g < groups; g++) {
                v128_t block[LANES];
                for (int i = 0; i < LANES; i++)
                    block[i] = c[first == FLIPADST && w >= LANES ? w - 1 - (g * LANES + i) : g * LANES + i];
                if (first == FLIPADST && w < LANES)
                    for (int i = 0; i < w; i++)
                        block[i] = c[w - 1 - i];
                transpose(block);
                for (int i = 0; i < LANES; i++)
                    row[i * groups + g] = block[i];
            }
        }
    }
    const int rows = imin(y, sh);
#if BITDEPTH != 8
    const v128_t top = col_top, bottom = col_bottom;
#endif
    for (int g = 0; g < groups; g++) {
        for (int i = 0; i < rows; i++)
            c[i] = tmp[i * groups + g];
        for (int i = rows; i < sh; i++)
            c[i] = none();
        pixel *at = dst + g * LANES;
        if (second == IDENTITY) {
            for (int i = 0; i < rows; i++)
                c[i] = identity_4(c[i], h);
        } else {
            transform(c, h, second, rows CLIP_ARGS);
            for (int i = 0; i < h; i++)
                c[i] = shifted_4(c[i]);
        }
        const v128_t *row = c;
        ptrdiff_t step = 1;
        if (second == FLIPADST) {
            row += h - 1;
            step = -1;
        }
        const int count = second == IDENTITY ? rows : h;
        if (w == 4)
            for (int i = 0; i < count; i++, at += stride, row += step)
                add_row(at, *row, 4, top_pixel);
        else
            for (int i = 0; i < count; i++, at += stride, row += step)
                add_row(at, *row, LANES, top_pixel);
    }
}

#define itx_fn(name_first, name_second, first, second, pfx, w, h) \
decl_itx_fn(BF(dav1d_inv_txfm_add_##name_first##_##name_second##_##w##x##h, simd128)) { \
    inv_txfm_add(dst, dst_stride, coeff, kind_of(pfx##TX_##w##X##h, first, second), eob HIGHBD_TAIL_SUFFIX); \
}
#define itx1_fns(pfx, w, h) \
itx_fn(dct, dct, DCT, DCT, pfx, w, h)
#define itx2_fns(pfx, w, h) \
itx1_fns(pfx, w, h) \
itx_fn(identity, identity, IDENTITY, IDENTITY, pfx, w, h)
#define itx12_fns(pfx, w, h) \
itx2_fns(pfx, w, h) \
itx_fn(dct, adst, DCT, ADST, pfx, w, h) \
itx_fn(dct, flipadst, DCT, FLIPADST, pfx, w, h) \
itx_fn(dct, identity, DCT, IDENTITY, pfx, w, h) \
itx_fn(adst, dct, ADST, DCT, pfx, w, h) \
itx_fn(adst, adst, ADST, ADST, pfx, w, h) \
itx_fn(adst, flipadst, ADST, FLIPADST, pfx, w, h) \
itx_fn(flipadst, dct, FLIPADST, DCT, pfx, w, h) \
itx_fn(flipadst, adst, FLIPADST, ADST, pfx, w, h) \
itx_fn(flipadst, flipadst, FLIPADST, FLIPADST, pfx, w, h) \
itx_fn(identity, dct, IDENTITY, DCT, pfx, w, h)
#define itx16_fns(pfx, w, h) \
itx12_fns(pfx, w, h) \
itx_fn(adst, identity, ADST, IDENTITY, pfx, w, h) \
itx_fn(flipadst, identity, FLIPADST, IDENTITY, pfx, w, h) \
itx_fn(identity, adst, IDENTITY, ADST, pfx, w, h) \
itx_fn(identity, flipadst, IDENTITY, FLIPADST, pfx, w, h)

itx16_fns( ,  4,  4)
itx16_fns(R,  4,  8)
itx16_fns(R,  4, 16)
itx16_fns(R,  8,  4)
itx16_fns( ,  8,  8)
itx16_fns(R,  8, 16)
itx2_fns (R,  8, 32)
itx16_fns(R, 16,  4)
itx16_fns(R, 16,  8)
itx12_fns( , 16, 16)
itx2_fns (R, 16, 32)
itx1_fns (R, 16, 64)
itx2_fns (R, 32,  8)
itx2_fns (R, 32, 16)
itx2_fns ( , 32, 32)
itx1_fns (R, 32, 64)
itx1_fns (R, 64, 16)
itx1_fns (R, 64, 32)
itx1_fns ( , 64, 64)
