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

/* Inverse transforms, 8-bit. Results are those of vp9dsp_template.c. */

#include <string.h>

#include "libavutil/mem_internal.h"
#include "vector.h"
#include "vp9dsp.h"

/* The C code has 16 bits between its passes and 32 within them. These kernels have 16 throughout, which gives the same results
 * unless a sum overflows. None does if the magnitudes of the inputs of a transform add up to less than this limit, as every
 * intermediate result is a sum of inputs with factors up to sqrt(2), apart from rounding. Blocks above the limit, which are some
 * of extreme contrast and those of damaged streams, are left to the C code. */
#define LIMIT 23000

typedef void (*ItxfmAdd)(uint8_t *dst, ptrdiff_t stride, int16_t *block, int eob);

static ItxfmAdd itxfm_add_c[N_TXFM_SIZES][N_TXFM_TYPES];

/* (sum + (1 << 13)) >> 14, of four sums and four. */
static av_always_inline v128_t round_14(v128_t low, v128_t high)
{
    const v128_t half = wasm_i32x4_const_splat(1 << 13);
    return wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(wasm_i32x4_add(low, half), 14),
                                   wasm_i32x4_shr(wasm_i32x4_add(high, half), 14));
}

static av_always_inline v128_t pairs_low(v128_t a, v128_t b)
{
    return wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

static av_always_inline v128_t pairs_high(v128_t a, v128_t b)
{
    return wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

static av_always_inline v128_t factors(int first, int second)
{
    return wasm_i32x4_splat((first & 0xffff) | (uint32_t) second << 16);
}

/* (a * factor + (1 << 13)) >> 14 is one instruction, which multiplies, adds 1 << 14 and shifts by 15. */
static av_always_inline v128_t multiply(v128_t a, int factor)
{
    return wasm_i16x8_q15mulr_sat(a, wasm_i16x8_splat(2 * factor));
}

/* x = a * f - b * g, y = a * g + b * f, the factors in pairs. */
static av_always_inline void rotate_by(v128_t a, v128_t b, v128_t to_x, v128_t to_y, v128_t *x, v128_t *y)
{
    v128_t low = pairs_low(a, b), high = pairs_high(a, b);
    *x = round_14(wasm_i32x4_dot_i16x8(low, to_x), wasm_i32x4_dot_i16x8(high, to_x));
    *y = round_14(wasm_i32x4_dot_i16x8(low, to_y), wasm_i32x4_dot_i16x8(high, to_y));
}

static av_always_inline void rotate(v128_t a, v128_t b, int f, int g, v128_t *x, v128_t *y)
{
    rotate_by(a, b, factors(f, -g), factors(g, f), x, y);
}

/* The same of inputs i and j, of which those from count on are zero. */
static av_always_inline void rotate_inputs(const v128_t *in, int step, int count, int i, int j, int f, int g, v128_t *x,
                                           v128_t *y)
{
    if (j >= count) {
        *x = multiply(in[i * step], f);
        *y = multiply(in[i * step], g);
    } else if (i >= count) {
        *x = multiply(in[j * step], -g);
        *y = multiply(in[j * step], f);
    } else {
        rotate(in[i * step], in[j * step], f, g, x, y);
    }
}

/* By 45 degrees: x = (a - b) / sqrt(2), y = (a + b) / sqrt(2). */
static av_always_inline void rotate_45(v128_t a, v128_t b, v128_t *x, v128_t *y)
{
    *x = multiply(wasm_i16x8_sub(a, b), 11585);
    *y = multiply(wasm_i16x8_add(a, b), 11585);
}

static av_always_inline void add_and_subtract(v128_t *a, v128_t *b)
{
    v128_t sum = wasm_i16x8_add(*a, *b);
    *b = wasm_i16x8_sub(*a, *b);
    *a = sum;
}

/* What a transform's even inputs give, and what the odd ones do, make its two halves. */
static av_always_inline void join(v128_t *out, const v128_t *even, const v128_t *odd, int size)
{
    for (int i = 0; i < size / 2; i++) {
        out[i] = wasm_i16x8_add(even[i], odd[i]);
        out[size - 1 - i] = wasm_i16x8_sub(even[i], odd[i]);
    }
}

/* Each DCT consists of a DCT of half its size, of the even inputs, and a part for the odd ones. The inputs lie `step` apart in
 * `in`. If half of them are zero, only the first rotations differ. */

static av_always_inline void idct8_inputs(v128_t t[8], const v128_t *in, int step, int count)
{
    if (count > 4)
        rotate_45(in[0], in[4 * step], &t[1], &t[0]);
    else
        t[0] = t[1] = multiply(in[0], 11585);
    rotate_inputs(in, step, count, 2, 6, 6270, 15137, &t[2], &t[3]);
    rotate_inputs(in, step, count, 1, 7, 3196, 16069, &t[4], &t[7]);
    rotate_inputs(in, step, count, 5, 3, 13623, 9102, &t[5], &t[6]);
}

static av_always_inline void idct8_outputs(v128_t out[8], v128_t t[8])
{
    add_and_subtract(&t[0], &t[3]);
    add_and_subtract(&t[1], &t[2]);
    add_and_subtract(&t[4], &t[5]);
    add_and_subtract(&t[7], &t[6]);
    rotate_45(t[6], t[5], &t[5], &t[6]);
    v128_t even[4] = { t[0], t[1], t[2], t[3] }, odd[4] = { t[7], t[6], t[5], t[4] };
    join(out, even, odd, 8);
}

static av_always_inline void idct16_inputs(v128_t t[16], const v128_t *in, int count)
{
    idct8_inputs(t, in, 2, count / 2);
    rotate_inputs(in, 1, count, 1, 15, 1606, 16305, &t[8], &t[15]);
    rotate_inputs(in, 1, count, 9, 7, 12665, 10394, &t[9], &t[14]);
    rotate_inputs(in, 1, count, 5, 11, 7723, 14449, &t[10], &t[13]);
    rotate_inputs(in, 1, count, 13, 3, 15679, 4756, &t[11], &t[12]);
}

/* A transform of eight columns in place. Rows from count on, half of them or none, are zero. */
typedef void (*Transform)(v128_t *r, int count);

static av_noinline void idct16(v128_t *r, int count)
{
    v128_t even[8], t[16];
    if (count > 8)
        idct16_inputs(t, r, 16);
    else
        idct16_inputs(t, r, 8);
    idct8_outputs(even, t);
    add_and_subtract(&t[8], &t[9]);
    add_and_subtract(&t[11], &t[10]);
    add_and_subtract(&t[12], &t[13]);
    add_and_subtract(&t[15], &t[14]);
    rotate(t[14], t[9], 6270, 15137, &t[9], &t[14]);
    rotate(t[13], t[10], -15137, 6270, &t[10], &t[13]);
    add_and_subtract(&t[8], &t[11]);
    add_and_subtract(&t[9], &t[10]);
    add_and_subtract(&t[15], &t[12]);
    add_and_subtract(&t[14], &t[13]);
    rotate_45(t[13], t[10], &t[10], &t[13]);
    rotate_45(t[12], t[11], &t[11], &t[12]);
    v128_t odd[8] = { t[15], t[14], t[13], t[12], t[11], t[10], t[9], t[8] };
    join(r, even, odd, 16);
}

/* A table, as code for so many factors would be large. */
typedef struct Rotation {
    uint8_t a, b;
    int16_t to_x[2], to_y[2];
} Rotation;

#define ROTATION(a, b, f, g) { a, b, { f, -(g) }, { g, f } }

static const Rotation inputs_of_32[8] = {
    ROTATION(1, 31, 804, 16364),   ROTATION(17, 15, 12140, 11003), ROTATION(9, 23, 7005, 14811),
    ROTATION(25, 7, 15426, 5520),  ROTATION(5, 27, 3981, 15893),   ROTATION(21, 11, 14053, 8423),
    ROTATION(13, 19, 9760, 13160), ROTATION(29, 3, 16207, 2404),
};

/* Into each other's places. */
static const Rotation second_of_32[4] = {
    ROTATION(14, 1, 3196, 16069), ROTATION(13, 2, -16069, 3196), ROTATION(10, 5, 13623, 9102), ROTATION(9, 6, -9102, 13623),
};

static const Rotation third_of_32[4] = {
    ROTATION(13, 2, 6270, 15137), ROTATION(12, 3, 6270, 15137), ROTATION(11, 4, -15137, 6270), ROTATION(10, 5, -15137, 6270),
};

static av_always_inline void rotate_in_place(v128_t *t, const Rotation rotations[4])
{
#pragma clang loop unroll(disable)
    for (const Rotation *r = rotations; r < rotations + 4; r++)
        rotate_by(t[r->a], t[r->b], wasm_v128_load32_splat(r->to_x), wasm_v128_load32_splat(r->to_y), &t[r->b], &t[r->a]);
}

static av_noinline void idct32(v128_t *r, int count)
{
    v128_t even[16], t[16], odd[16];
    for (int i = 0; i < count / 2; i++)
        even[i] = r[2 * i];
    idct16(even, count / 2);
#pragma clang loop unroll(disable)
    for (int i = 0; i < 8; i++) {
        const Rotation *in = &inputs_of_32[i];
        if (count > 16) {
            rotate_by(r[in->a], r[in->b], wasm_v128_load32_splat(in->to_x), wasm_v128_load32_splat(in->to_y), &t[i], &t[15 - i]);
        } else {
            /* By turns, the second and the first of the two are zero. */
            v128_t input = r[i & 1 ? in->b : in->a];
            t[i] = multiply(input, in->to_x[i & 1]);
            t[15 - i] = multiply(input, in->to_y[i & 1]);
        }
    }
    for (int i = 0; i < 16; i += 4) {
        add_and_subtract(&t[i], &t[i + 1]);
        add_and_subtract(&t[i + 3], &t[i + 2]);
    }
    rotate_in_place(t, second_of_32);
    for (int i = 0; i < 16; i += 8) {
        add_and_subtract(&t[i], &t[i + 3]);
        add_and_subtract(&t[i + 1], &t[i + 2]);
        add_and_subtract(&t[i + 7], &t[i + 4]);
        add_and_subtract(&t[i + 6], &t[i + 5]);
    }
    rotate_in_place(t, third_of_32);
    for (int i = 0; i < 4; i++) {
        add_and_subtract(&t[i], &t[7 - i]);
        add_and_subtract(&t[15 - i], &t[8 + i]);
    }
    for (int i = 4; i < 8; i++)
        rotate_45(t[15 - i], t[i], &t[i], &t[15 - i]);
    for (int i = 0; i < 16; i++)
        odd[i] = t[15 - i];
    join(r, even, odd, 32);
}

/* Two rotations x = a * f + b * g, y = a * g - b * f, which are added and subtracted before they are rounded. */
typedef struct TwoRotations {
    int16_t to_x0[2], to_y0[2], to_x1[2], to_y1[2];
} TwoRotations;

#define TWO_ROTATIONS(f0, g0, f1, g1) { { f0, g0 }, { g0, -(f0) }, { f1, g1 }, { g1, -(f1) } }

/* In the places of the first a and b, the sums of both x and of both y, and in those of the second, the differences. */
static av_always_inline void rotate_two(v128_t ab0[2], v128_t ab1[2], const TwoRotations *by)
{
    v128_t low = pairs_low(ab0[0], ab0[1]), high = pairs_high(ab0[0], ab0[1]);
    v128_t to_x = wasm_v128_load32_splat(by->to_x0), to_y = wasm_v128_load32_splat(by->to_y0);
    v128_t x0_low = wasm_i32x4_dot_i16x8(low, to_x), x0_high = wasm_i32x4_dot_i16x8(high, to_x);
    v128_t y0_low = wasm_i32x4_dot_i16x8(low, to_y), y0_high = wasm_i32x4_dot_i16x8(high, to_y);
    low = pairs_low(ab1[0], ab1[1]), high = pairs_high(ab1[0], ab1[1]);
    to_x = wasm_v128_load32_splat(by->to_x1), to_y = wasm_v128_load32_splat(by->to_y1);
    v128_t x1_low = wasm_i32x4_dot_i16x8(low, to_x), x1_high = wasm_i32x4_dot_i16x8(high, to_x);
    v128_t y1_low = wasm_i32x4_dot_i16x8(low, to_y), y1_high = wasm_i32x4_dot_i16x8(high, to_y);
    ab0[0] = round_14(wasm_i32x4_add(x0_low, x1_low), wasm_i32x4_add(x0_high, x1_high));
    ab0[1] = round_14(wasm_i32x4_add(y0_low, y1_low), wasm_i32x4_add(y0_high, y1_high));
    ab1[0] = round_14(wasm_i32x4_sub(x0_low, x1_low), wasm_i32x4_sub(x0_high, x1_high));
    ab1[1] = round_14(wasm_i32x4_sub(y0_low, y1_low), wasm_i32x4_sub(y0_high, y1_high));
}

static const TwoRotations last_of_iadst = TWO_ROTATIONS(15137, 6270, -6270, 15137);

static av_always_inline void iadst8(v128_t *r)
{
    static const TwoRotations first[2] = {
        TWO_ROTATIONS(16305, 1606, 10394, 12665), TWO_ROTATIONS(14449, 7723, 4756, 15679),
    };
    v128_t t[8] = { r[7], r[0], r[5], r[2], r[3], r[4], r[1], r[6] };
    rotate_two(&t[0], &t[4], &first[0]);
    rotate_two(&t[2], &t[6], &first[1]);
    rotate_two(&t[4], &t[6], &last_of_iadst);
    add_and_subtract(&t[0], &t[2]);
    add_and_subtract(&t[1], &t[3]);
    r[0] = t[0];
    r[1] = wasm_i16x8_neg(t[4]);
    r[2] = multiply(wasm_i16x8_add(t[6], t[7]), 11585);
    r[3] = wasm_i16x8_neg(multiply(wasm_i16x8_add(t[2], t[3]), 11585));
    r[4] = multiply(wasm_i16x8_sub(t[2], t[3]), 11585);
    r[5] = wasm_i16x8_neg(multiply(wasm_i16x8_sub(t[6], t[7]), 11585));
    r[6] = t[5];
    r[7] = wasm_i16x8_neg(t[1]);
}

static av_noinline void iadst16(v128_t *r, int count)
{
    static const TwoRotations first[4] = {
        TWO_ROTATIONS(16364, 804, 11003, 12140), TWO_ROTATIONS(15893, 3981, 8423, 14053),
        TWO_ROTATIONS(14811, 7005, 5520, 15426), TWO_ROTATIONS(13160, 9760, 2404, 16207),
    };
    static const TwoRotations second[2] = {
        TWO_ROTATIONS(16069, 3196, -3196, 16069), TWO_ROTATIONS(9102, 13623, -13623, 9102),
    };
    v128_t t[16] = {
        r[15], r[0], r[13], r[2], r[11], r[4], r[9], r[6], r[7], r[8], r[5], r[10], r[3], r[12], r[1], r[14],
    };
#pragma clang loop unroll(disable)
    for (int i = 0; i < 4; i++)
        rotate_two(&t[2 * i], &t[2 * i + 8], &first[i]);
#pragma clang loop unroll(disable)
    for (int i = 0; i < 2; i++)
        rotate_two(&t[2 * i + 8], &t[2 * i + 12], &second[i]);
    for (int i = 0; i < 4; i++)
        add_and_subtract(&t[i], &t[i + 4]);
#pragma clang loop unroll(disable)
    for (int i = 4; i < 16; i += 8)
        rotate_two(&t[i], &t[i + 2], &last_of_iadst);
    add_and_subtract(&t[0], &t[2]);
    add_and_subtract(&t[1], &t[3]);
    add_and_subtract(&t[8], &t[10]);
    add_and_subtract(&t[9], &t[11]);
    r[0] = t[0];
    r[1] = wasm_i16x8_neg(t[8]);
    r[2] = t[12];
    r[3] = wasm_i16x8_neg(t[4]);
    r[4] = multiply(wasm_i16x8_add(t[7], t[6]), 11585);
    r[5] = multiply(wasm_i16x8_add(t[14], t[15]), -11585);
    r[6] = multiply(wasm_i16x8_add(t[11], t[10]), 11585);
    r[7] = multiply(wasm_i16x8_add(t[2], t[3]), -11585);
    r[8] = multiply(wasm_i16x8_sub(t[2], t[3]), 11585);
    r[9] = multiply(wasm_i16x8_sub(t[11], t[10]), 11585);
    r[10] = multiply(wasm_i16x8_sub(t[14], t[15]), 11585);
    r[11] = multiply(wasm_i16x8_sub(t[7], t[6]), 11585);
    r[12] = t[5];
    r[13] = wasm_i16x8_neg(t[13]);
    r[14] = t[9];
    r[15] = wasm_i16x8_neg(t[1]);
}

static av_always_inline v128_t round_shift(v128_t residual, int shift)
{
    return wasm_i16x8_shr(wasm_i16x8_add_sat(residual, wasm_i16x8_splat(1 << (shift - 1))), shift);
}

static av_always_inline void add_row_8(uint8_t *dst, v128_t residual, int shift)
{
    v128_t pixels = wasm_i16x8_add(wasm_u16x8_load8x8(dst), round_shift(residual, shift));
    wasm_v128_store64_lane(dst, wasm_u8x16_narrow_i16x8(pixels, pixels), 0);
}

/* Sums that begin with this reach 1 << 15, the highest bit, where what is added reaches the limit. */
#define ROOM wasm_i16x8_const_splat(32768 - LIMIT)

static av_always_inline v128_t add_magnitudes(v128_t sums, v128_t numbers)
{
    return wasm_u16x8_add_sat(sums, wasm_i16x8_abs(numbers));
}

/* 16x16 and 32x32, of which only the left columns, eight or a multiple, and the upper rows are not zero. Columns come first, and
 * what they give lies turned in between. Nothing is changed and 0 returned if something may overflow. */
static av_noinline int itxfm_add(uint8_t *dst, ptrdiff_t stride, int16_t *block, int size, int columns, int rows,
                                 Transform first, Transform second)
{
    LOCAL_ALIGNED_16(int16_t, turned, [32 * 32]);
    const v128_t zero = wasm_i16x8_const_splat(0);
    v128_t r[32], row_sums[4] = { ROOM, ROOM, ROOM, ROOM }, reached = zero;
#pragma clang loop unroll(disable)
    for (int x = 0; x < columns; x += 8) {
        v128_t column_sums = ROOM;
#pragma clang loop unroll(disable)
        for (int y = 0; y < rows; y++) {
            r[y] = wasm_v128_load(block + y * size + x);
            column_sums = add_magnitudes(column_sums, r[y]);
        }
        reached = wasm_v128_or(reached, column_sums);
        first(r, rows);
        for (int y = 0; y < size; y += 8) {
            v128_t tile[8], sums = row_sums[y / 8];
            for (int i = 0; i < 8; i++)
                tile[i] = r[y + i];
            transpose_8x8_i16(tile);
            for (int i = 0; i < 8; i++) {
                sums = add_magnitudes(sums, tile[i]);
                wasm_v128_store(turned + (x + i) * size + y, tile[i]);
            }
            row_sums[y / 8] = sums;
        }
    }
    for (int i = 0; i < size / 8; i++)
        reached = wasm_v128_or(reached, row_sums[i]);
    if (wasm_i16x8_bitmask(reached))
        return 0;

    memset(block, 0, rows * size * sizeof(*block));
    for (int x = 0; x < size; x += 8) {
#pragma clang loop unroll(disable)
        for (int y = 0; y < rows; y++)
            r[y] = y < columns ? wasm_v128_load(turned + y * size + x) : zero;
        second(r, rows);
#pragma clang loop unroll(disable)
        for (int y = 0; y < size; y++)
            add_row_8(dst + y * stride + x, r[y], 6);
    }
    return 1;
}

/* 8x8 and 4x4 are one function each: both passes go through the same code, so it is there once for each kind of transform. */
enum Kind { IDCT_OF_HALF, IDCT, IADST };

static av_noinline int itxfm_add_8x8(uint8_t *dst, ptrdiff_t stride, int16_t *block, enum Kind first, enum Kind second)
{
    v128_t r[8], t[8];
    for (int y = 0; y < 8; y++)
        r[y] = wasm_v128_load(block + 8 * y);
#pragma clang loop unroll(disable)
    for (int pass = 0; pass < 2; pass++) {
        enum Kind kind = pass ? second : first;
        v128_t sums = ROOM;
        for (int y = 0; y < 8; y++)
            sums = add_magnitudes(sums, r[y]);
        if (wasm_i16x8_bitmask(sums))
            return 0;
        if (kind == IADST) {
            iadst8(r);
        } else {
            if (kind == IDCT)
                idct8_inputs(t, r, 1, 8);
            else
                idct8_inputs(t, r, 1, 4);
            idct8_outputs(r, t);
        }
        if (!pass)
            transpose_8x8_i16(r);
    }
    for (int y = 0; y < 8; y++) {
        wasm_v128_store(block + 8 * y, wasm_i16x8_const_splat(0));
        add_row_8(dst + y * stride, r[y], 5);
    }
    return 1;
}

/* With DC alone, all pixels get the same sum: a positive one is added and a negative one subtracted, with saturation. */
static av_always_inline void idct_dc_add(uint8_t *dst, ptrdiff_t stride, int16_t *block, int size, int shift)
{
    int dc = ((block[0] * 11585 + (1 << 13)) >> 14) * 11585 + (1 << 13);
    v128_t residual = round_shift(wasm_i16x8_splat(dc >> 14), shift), negative = wasm_i16x8_neg(residual);
    v128_t up = wasm_u8x16_narrow_i16x8(residual, residual), down = wasm_u8x16_narrow_i16x8(negative, negative);
    block[0] = 0;
#pragma clang loop unroll(disable)
    for (int y = 0; y < size; y++, dst += stride)
        for (int x = 0; x < size; x += 16) {
            v128_t pixels = load_pixels(dst + x, FFMIN(size, 16));
            store_pixels(dst + x, wasm_u8x16_sub_sat(wasm_u8x16_add_sat(pixels, up), down), FFMIN(size, 16));
        }
}

/* 4x4, exact with all that 16 bits can hold: rows are in pairs, and sums have 32 bits before they are cut off. */

static av_always_inline v128_t round_14_of_4(v128_t sum)
{
    return wasm_i32x4_shr(wasm_i32x4_add(sum, wasm_i32x4_const_splat(1 << 13)), 14);
}

static av_always_inline v128_t lower_halves(v128_t a, v128_t b)
{
    return wasm_i16x8_shuffle(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}

static av_always_inline void idct4(v128_t *r01, v128_t *r23)
{
    v128_t r02 = pairs_low(*r01, *r23), r13 = pairs_high(*r01, *r23);
    v128_t t0 = round_14_of_4(wasm_i32x4_dot_i16x8(r02, factors(11585, 11585)));
    v128_t t1 = round_14_of_4(wasm_i32x4_dot_i16x8(r02, factors(11585, -11585)));
    v128_t t2 = round_14_of_4(wasm_i32x4_dot_i16x8(r13, factors(6270, -15137)));
    v128_t t3 = round_14_of_4(wasm_i32x4_dot_i16x8(r13, factors(15137, 6270)));
    *r01 = lower_halves(wasm_i32x4_add(t0, t3), wasm_i32x4_add(t1, t2));
    *r23 = lower_halves(wasm_i32x4_sub(t1, t2), wasm_i32x4_sub(t0, t3));
}

static av_always_inline v128_t two_dots(v128_t r02, v128_t r13, int f0, int f1, int f2, int f3)
{
    return round_14_of_4(wasm_i32x4_add(wasm_i32x4_dot_i16x8(r02, factors(f0, f2)),
                                        wasm_i32x4_dot_i16x8(r13, factors(f1, f3))));
}

static av_always_inline void iadst4(v128_t *r01, v128_t *r23)
{
    v128_t r02 = pairs_low(*r01, *r23), r13 = pairs_high(*r01, *r23);
    *r01 = lower_halves(two_dots(r02, r13, 5283, 13377, 15212, 9929), two_dots(r02, r13, 9929, 13377, -5283, -15212));
    *r23 = lower_halves(two_dots(r02, r13, 13377, 0, -13377, 13377), two_dots(r02, r13, 15212, -13377, 9929, -5283));
}

static av_noinline void itxfm_add_4x4(uint8_t *dst, ptrdiff_t stride, int16_t *block, enum Kind first, enum Kind second)
{
    v128_t r01 = wasm_v128_load(block), r23 = wasm_v128_load(block + 8), old = load_4_rows_of_4(dst, stride);
    wasm_v128_store(block, wasm_i16x8_const_splat(0));
    wasm_v128_store(block + 8, wasm_i16x8_const_splat(0));
#pragma clang loop unroll(disable)
    for (int pass = 0; pass < 2; pass++) {
        if ((pass ? second : first) == IADST)
            iadst4(&r01, &r23);
        else
            idct4(&r01, &r23);
        if (!pass)
            transpose_4x4_i16(&r01, &r23);
    }
    v128_t low  = wasm_i16x8_add(wasm_u16x8_extend_low_u8x16(old), round_shift(r01, 4));
    v128_t high = wasm_i16x8_add(wasm_u16x8_extend_high_u8x16(old), round_shift(r23, 4));
    store_4_rows_of_4(dst, stride, wasm_u8x16_narrow_i16x8(low, high));
}

#define ARGUMENTS uint8_t *dst, ptrdiff_t stride, int16_t *block, int eob

/* The numbers that eob is compared with below: so many of the first coefficients of a scan lie in the upper left or left part. */

static void idct_idct_4x4_add(ARGUMENTS)
{
    if (eob == 1)
        idct_dc_add(dst, stride, block, 4, 4);
    else
        itxfm_add_4x4(dst, stride, block, IDCT, IDCT);
}

static void idct_idct_8x8_add(ARGUMENTS)
{
    enum Kind kind = eob <= 12 ? IDCT_OF_HALF : IDCT;
    if (eob == 1)
        idct_dc_add(dst, stride, block, 8, 5);
    else if (!itxfm_add_8x8(dst, stride, block, kind, kind))
        itxfm_add_c[TX_8X8][DCT_DCT](dst, stride, block, eob);
}

static void idct_idct_16x16_add(ARGUMENTS)
{
    int size = eob <= 38 ? 8 : 16;
    if (eob == 1)
        idct_dc_add(dst, stride, block, 16, 6);
    else if (!itxfm_add(dst, stride, block, 16, size, size, idct16, idct16))
        itxfm_add_c[TX_16X16][DCT_DCT](dst, stride, block, eob);
}

static void idct_idct_32x32_add(ARGUMENTS)
{
    int columns = eob <= 34 ? 8 : eob <= 135 ? 16 : 32;
    if (eob == 1)
        idct_dc_add(dst, stride, block, 32, 6);
    else if (!itxfm_add(dst, stride, block, 32, columns, FFMAX(columns, 16), idct32, idct32))
        itxfm_add_c[TX_32X32][DCT_DCT](dst, stride, block, eob);
}

#define WITH_IADST(first, second, KIND_1, KIND_2, type, left_of_16)                                                    \
static void first##_##second##_4x4_add(ARGUMENTS)                                                                      \
{                                                                                                                      \
    itxfm_add_4x4(dst, stride, block, KIND_1, KIND_2);                                                                 \
}                                                                                                                      \
static void first##_##second##_8x8_add(ARGUMENTS)                                                                      \
{                                                                                                                      \
    if (!itxfm_add_8x8(dst, stride, block, KIND_1, KIND_2))                                                            \
        itxfm_add_c[TX_8X8][type](dst, stride, block, eob);                                                            \
}                                                                                                                      \
static void first##_##second##_16x16_add(ARGUMENTS)                                                                    \
{                                                                                                                      \
    if (!itxfm_add(dst, stride, block, 16, eob <= left_of_16 ? 8 : 16, 16, first##16, second##16))                     \
        itxfm_add_c[TX_16X16][type](dst, stride, block, eob);                                                          \
}
WITH_IADST(iadst, idct, IADST, IDCT, DCT_ADST, 17)
WITH_IADST(idct, iadst, IDCT, IADST, ADST_DCT, 66)
WITH_IADST(iadst, iadst, IADST, IADST, ADST_ADST, 38)

av_cold void ff_vp9dsp_itxfm_init_wasm(VP9DSPContext *dsp)
{
    memcpy(itxfm_add_c, dsp->itxfm_add, sizeof(itxfm_add_c));
#define INIT(tx, size)                                                                                                 \
    dsp->itxfm_add[tx][DCT_DCT] = idct_idct_##size##_add;                                                              \
    dsp->itxfm_add[tx][DCT_ADST] = iadst_idct_##size##_add;                                                            \
    dsp->itxfm_add[tx][ADST_DCT] = idct_iadst_##size##_add;                                                            \
    dsp->itxfm_add[tx][ADST_ADST] = iadst_iadst_##size##_add;
    INIT(TX_4X4, 4x4)
    INIT(TX_8X8, 8x8)
    INIT(TX_16X16, 16x16)
    for (int type = 0; type < N_TXFM_TYPES; type++)
        dsp->itxfm_add[TX_32X32][type] = idct_idct_32x32_add;
}
