/*
 * Copyright (c) 2026 the afmpeg authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * This file is part of FFmpeg.
 *
 * FFmpeg is free software; you can redistribute it and/or
 * modify it under the terms of the GNU Lesser General Public
 * License as published by the Free Software Foundation; either
 * version 2.1 of the License, or (at your option) any later version.
 *
 * FFmpeg is distributed in the hope that it will be useful,
 * but WITHOUT ANY WARRANTY; without even the implied warranty of
 * MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the GNU
 * Lesser General Public License for more details.
 *
 * You should have received a copy of the GNU Lesser General Public
 * License along with FFmpeg; if not, write to the Free Software
 * Foundation, Inc., 51 Franklin Street, Fifth Floor, Boston, MA 02110-1301 USA
 */

/* Inverse transforms, and adding what they give to predictions, 8 and 10 bits. Results are those of hevc/dsp_template.c. */

#include "libavutil/attributes.h"
#include "libavutil/macros.h"
#include "libavcodec/wasm/hevc/hevcdsp.h"

static void add_residual_4x4_8(uint8_t *dst, const int16_t *residual, ptrdiff_t stride)
{
    v128_t old  = load_4_rows_of_4(dst, stride);
    v128_t low  = wasm_i16x8_add_sat(wasm_u16x8_extend_low_u8x16(old), wasm_v128_load(residual));
    v128_t high = wasm_i16x8_add_sat(wasm_u16x8_extend_high_u8x16(old), wasm_v128_load(residual + 8));
    store_4_rows_of_4(dst, stride, wasm_u8x16_narrow_i16x8(low, high));
}

static void add_residual_4x4_10(uint8_t *dst, const int16_t *residual, ptrdiff_t stride)
{
    for (int y = 0; y < 4; y++, dst += stride, residual += 4) {
        v128_t sum = wasm_i16x8_add_sat(wasm_v128_load64_zero(dst), wasm_v128_load64_zero(residual));
        wasm_v128_store64_lane(dst, clip_pixels(sum, 10), 0);
    }
}

static av_always_inline void add_residual_8(uint8_t *dst, const int16_t *residual, ptrdiff_t stride, int size)
{
    for (int y = 0; y < size; y++, dst += stride)
        for (int x = 0; x < size; x += 8, residual += 8) {
            v128_t sum = wasm_i16x8_add_sat(wasm_u16x8_load8x8(dst + x), wasm_v128_load(residual));
            wasm_v128_store64_lane(dst + x, wasm_u8x16_narrow_i16x8(sum, sum), 0);
        }
}

static av_always_inline void add_residual_10(uint8_t *dst, const int16_t *residual, ptrdiff_t stride, int size)
{
    for (int y = 0; y < size; y++, dst += stride)
        for (int x = 0; x < 2 * size; x += 16, residual += 8)
            wasm_v128_store(dst + x, clip_pixels(wasm_i16x8_add_sat(wasm_v128_load(dst + x), wasm_v128_load(residual)), 10));
}

#define ADD_RESIDUAL(size, bits)                                                                                       \
static void add_residual_##size##x##size##_##bits(uint8_t *dst, const int16_t *residual, ptrdiff_t stride)             \
{                                                                                                                      \
    add_residual_##bits(dst, residual, stride, size);                                                                  \
}

ADD_RESIDUAL(8, 8)
ADD_RESIDUAL(16, 8)
ADD_RESIDUAL(32, 8)
ADD_RESIDUAL(8, 10)
ADD_RESIDUAL(16, 10)
ADD_RESIDUAL(32, 10)

/* A transform is a multiplication by a matrix in each direction, with 16-bit numbers between the two. Rows are multiplied in
 * pairs. */

/* One direction of 4x4, with rows 0 and 1 in one register and 2 and 3 in the other. The result is transposed. */
static av_always_inline void pass_4x4(v128_t *rows01, v128_t *rows23, const int16_t matrix[4][4], int shift)
{
    const v128_t rounding = wasm_i32x4_splat(1 << (shift - 1));
    v128_t rows02 = unpack_low_i16(*rows01, *rows23), rows13 = unpack_high_i16(*rows01, *rows23), sums[4];
    for (int i = 0; i < 4; i++) {
        sums[i] = wasm_i32x4_add(wasm_i32x4_dot_i16x8(rows02, wasm_v128_load32_splat(matrix[i])),
                                 wasm_i32x4_dot_i16x8(rows13, wasm_v128_load32_splat(matrix[i] + 2)));
        sums[i] = wasm_i32x4_shr(wasm_i32x4_add(sums[i], rounding), shift);
    }
    *rows01 = wasm_i16x8_narrow_i32x4(sums[0], sums[1]);
    *rows23 = wasm_i16x8_narrow_i32x4(sums[2], sums[3]);
    transpose_4x4_i16(rows01, rows23);
}

static av_noinline void transform_4x4(int16_t *coefficients, const int16_t matrix[4][4], int bits)
{
    v128_t rows01 = wasm_v128_load(coefficients), rows23 = wasm_v128_load(coefficients + 8);
    pass_4x4(&rows01, &rows23, matrix, 7);
    pass_4x4(&rows01, &rows23, matrix, 20 - bits);
    wasm_v128_store(coefficients, rows01);
    wasm_v128_store(coefficients + 8, rows23);
}

/* What rows 0, 2, 1 and 3 add to each. */
static const int16_t sine_4[4][4] = {
    { 29, 84, 74, 55 }, { 55, -29, 74, -84 }, { 74, -74, 0, 74 }, { 84, 55, -74, -29 }
};
static const int16_t cosine_4[4][4] = {
    { 64, 64, 83, 36 }, { 64, -64, 36, -83 }, { 64, -64, -36, 83 }, { 64, 64, -83, -36 }
};

/* The larger transforms: even rows are a transform of half the size, whose results are used twice, once plus and once minus the
 * sum of the odd rows, which have these factors. */
static const int16_t odd_factors[4 * 4 + 8 * 8 + 16 * 16] = {
     89,  75,  50,  18,
     75, -18, -89, -50,
     50, -89,  18,  75,
     18, -50,  75, -89,

     90,  87,  80,  70,  57,  43,  25,   9,
     87,  57,   9, -43, -80, -90, -70, -25,
     80,   9, -70, -87, -25,  57,  90,  43,
     70, -43, -87,   9,  90,  25, -80, -57,
     57, -80, -25,  90,  -9, -87,  43,  70,
     43, -90,  57,  25, -87,  70,   9, -80,
     25, -70,  90, -80,  43,   9, -57,  87,
      9, -25,  43, -57,  70, -80,  87, -90,

     90,  90,  88,  85,  82,  78,  73,  67,  61,  54,  46,  38,  31,  22,  13,   4,
     90,  82,  67,  46,  22,  -4, -31, -54, -73, -85, -90, -88, -78, -61, -38, -13,
     88,  67,  31, -13, -54, -82, -90, -78, -46,  -4,  38,  73,  90,  85,  61,  22,
     85,  46, -13, -67, -90, -73, -22,  38,  82,  88,  54,  -4, -61, -90, -78, -31,
     82,  22, -54, -90, -61,  13,  78,  85,  31, -46, -90, -67,   4,  73,  88,  38,
     78,  -4, -82, -73,  13,  85,  67, -22, -88, -61,  31,  90,  54, -38, -90, -46,
     73, -31, -90, -22,  78,  67, -38, -90, -13,  82,  61, -46, -88,  -4,  85,  54,
     67, -54, -78,  38,  85, -22, -90,   4,  90,  13, -88, -31,  82,  46, -73, -61,
     61, -73, -46,  82,  31, -88, -13,  90,  -4, -90,  22,  85, -38, -78,  54,  67,
     54, -85,  -4,  88, -46, -61,  82,  13, -90,  38,  67, -78, -22,  90, -31, -73,
     46, -90,  38,  54, -90,  31,  61, -88,  22,  67, -85,  13,  73, -82,   4,  78,
     38, -88,  73,  -4, -67,  90, -46, -31,  85, -78,  13,  61, -90,  54,  22, -82,
     31, -78,  90, -61,   4,  54, -88,  82, -38, -22,  73, -90,  67, -13, -46,  85,
     22, -61,  85, -90,  73, -38,  -4,  46, -78,  90, -82,  54, -13, -31,  67, -88,
     13, -38,  61, -78,  88, -90,  85, -73,  54, -31,   4,  22, -46,  67, -82,  90,
      4, -13,  22, -31,  38, -46,  54, -61,  67, -73,  78, -82,  85, -88,  90, -90,
};

/* Eight 32-bit numbers, the first four and the last four; or a pair of rows, interleaved. */
typedef struct Halves {
    v128_t low, high;
} Halves;

/* Row `row`, or zeros if there are no more than `rows`. */
static av_always_inline v128_t load_row(const int16_t *src, int size, int row, int rows)
{
    return row < rows ? wasm_v128_load(src + row * size) : wasm_i16x8_const_splat(0);
}

static av_always_inline Halves load_pair(const int16_t *src, int size, int row_a, int row_b, int rows)
{
    v128_t a = load_row(src, size, row_a, rows), b = load_row(src, size, row_b, rows);
    return (Halves) { unpack_low_i16(a, b), unpack_high_i16(a, b) };
}

static av_always_inline Halves multiply(Halves pair, v128_t factors)
{
    return (Halves) { wasm_i32x4_dot_i16x8(pair.low, factors), wasm_i32x4_dot_i16x8(pair.high, factors) };
}

static av_always_inline Halves add(Halves a, Halves b)
{
    return (Halves) { wasm_i32x4_add(a.low, b.low), wasm_i32x4_add(a.high, b.high) };
}

static av_always_inline Halves subtract(Halves a, Halves b)
{
    return (Halves) { wasm_i32x4_sub(a.low, b.low), wasm_i32x4_sub(a.high, b.high) };
}

/* Makes a transform of size points of one of half the size, in place: each sum becomes two results, one from each end. */
static av_always_inline void add_odd_rows(Halves *sums, int points, const int16_t *odd, const int16_t *src, int size,
                                          int rows)
{
    const int step = size / points, half = points / 2;
    Halves pairs[8];
    int count = 0;
    for (int row = step; row < rows; row += 4 * step, count++)
        pairs[count] = load_pair(src, size, row, row + 2 * step, rows);
    /* Two at a time, as the loop has few steps. */
    for (int i = 0; i < half; i += 2, odd += 2 * half) {
        Halves sum0 = { 0 }, sum1 = { 0 };
        for (int j = 0; j < count; j++) {
            sum0 = add(sum0, multiply(pairs[j], wasm_v128_load32_splat(odd + 2 * j)));
            sum1 = add(sum1, multiply(pairs[j], wasm_v128_load32_splat(odd + 2 * j + half)));
        }
        sums[points - 1 - i] = subtract(sums[i], sum0);
        sums[points - 2 - i] = subtract(sums[i + 1], sum1);
        sums[i]     = add(sums[i], sum0);
        sums[i + 1] = add(sums[i + 1], sum1);
    }
}

/* One direction, eight columns at a time; the result is transposed. */
static av_always_inline void pass(int16_t *dst, const int16_t *src, int size, int rows, int columns, int shift)
{
    for (int x = 0; x < columns; x += 8, src += 8, dst += 8 * size) {
        const v128_t rounding = wasm_i32x4_splat(1 << (shift - 1));
        Halves sums[32];
        Halves pair = load_pair(src, size, 0, size / 2, rows);
        Halves even0 = multiply(pair, wasm_i16x8_const(64, 64, 64, 64, 64, 64, 64, 64));
        Halves even1 = multiply(pair, wasm_i16x8_const(64, -64, 64, -64, 64, -64, 64, -64));
        even0 = add(even0, (Halves) { rounding, rounding });
        even1 = add(even1, (Halves) { rounding, rounding });
        pair = load_pair(src, size, size / 4, 3 * size / 4, rows);
        Halves odd0 = multiply(pair, wasm_i16x8_const(83, 36, 83, 36, 83, 36, 83, 36));
        Halves odd1 = multiply(pair, wasm_i16x8_const(36, -83, 36, -83, 36, -83, 36, -83));
        sums[0] = add(even0, odd0);
        sums[1] = add(even1, odd1);
        sums[2] = subtract(even1, odd1);
        sums[3] = subtract(even0, odd0);
        const int16_t *odd = odd_factors;
        for (int points = 8; points <= size; odd += points * points / 4, points *= 2)
            add_odd_rows(sums, points, odd, src, size, rows);
        for (int y = 0; y < size; y += 8) {
            v128_t r[8];
            for (int i = 0; i < 8; i++)
                r[i] = wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(sums[y + i].low, shift),
                                               wasm_i32x4_shr(sums[y + i].high, shift));
            transpose_8x8_i16(r);
            for (int i = 0; i < 8; i++)
                wasm_v128_store(dst + i * size + y, r[i]);
        }
    }
}

/* All of it in registers. */
static av_noinline void pass_8x8(int16_t *dst, const int16_t *src, int shift)
{
    pass(dst, src, 8, 8, 8, shift);
}

static av_noinline void pass_larger(int16_t *dst, const int16_t *src, int size, int rows, int columns, int shift)
{
    pass(dst, src, size, rows, columns, shift);
}

static av_always_inline void transform_8x8(int16_t *coefficients, int bits)
{
    int16_t between[8 * 8];
    pass_8x8(between, coefficients, 7);
    pass_8x8(coefficients, between, 20 - bits);
}

/* Coefficients are zero from column limit on, and from the fourth row after that. */
static av_always_inline void transform(int16_t *coefficients, int limit, int size, int bits)
{
    int16_t between[32 * 32];
    int columns = FFMIN(limit, size), rows = FFMIN(limit + 4, size);
    pass_larger(between, coefficients, size, rows, columns, 7);
    pass_larger(coefficients, between, size, columns, size, 20 - bits);
}

#define TRANSFORMS(bits)                                                                                               \
static void transform_4x4_luma_##bits(int16_t *coefficients)                                                           \
{                                                                                                                      \
    transform_4x4(coefficients, sine_4, bits);                                                                         \
}                                                                                                                      \
static void idct_4x4_##bits(int16_t *coefficients, int limit)                                                          \
{                                                                                                                      \
    transform_4x4(coefficients, cosine_4, bits);                                                                       \
}                                                                                                                      \
static void idct_8x8_##bits(int16_t *coefficients, int limit)                                                          \
{                                                                                                                      \
    transform_8x8(coefficients, bits);                                                                                 \
}                                                                                                                      \
static void idct_16x16_##bits(int16_t *coefficients, int limit)                                                        \
{                                                                                                                      \
    transform(coefficients, limit, 16, bits);                                                                          \
}                                                                                                                      \
static void idct_32x32_##bits(int16_t *coefficients, int limit)                                                        \
{                                                                                                                      \
    transform(coefficients, limit, 32, bits);                                                                          \
}

TRANSFORMS(8)
TRANSFORMS(10)

av_cold void ff_hevc_transform_init_simd128(HEVCDSPContext *c, int bit_depth)
{
    if (bit_depth == 8) {
        c->add_residual[0] = add_residual_4x4_8;
        c->add_residual[1] = add_residual_8x8_8;
        c->add_residual[2] = add_residual_16x16_8;
        c->add_residual[3] = add_residual_32x32_8;
        c->transform_4x4_luma = transform_4x4_luma_8;
        c->idct[0] = idct_4x4_8;
        c->idct[1] = idct_8x8_8;
        c->idct[2] = idct_16x16_8;
        c->idct[3] = idct_32x32_8;
    } else if (bit_depth == 10) {
        c->add_residual[0] = add_residual_4x4_10;
        c->add_residual[1] = add_residual_8x8_10;
        c->add_residual[2] = add_residual_16x16_10;
        c->add_residual[3] = add_residual_32x32_10;
        c->transform_4x4_luma = transform_4x4_luma_10;
        c->idct[0] = idct_4x4_10;
        c->idct[1] = idct_8x8_10;
        c->idct[2] = idct_16x16_10;
        c->idct[3] = idct_32x32_10;
    }
}
