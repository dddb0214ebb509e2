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
 *
 * Parts of this file are also in
 * x264's common/wasm/dct.c (GPL-2.0-or-later);
 * their authors license them under that licence too.
 */

/* Inverse transforms, 8-bit. Results are those of h264idct_template.c. */

#include "libavcodec/h264_parse.h"
#include "libavcodec/h264idct.h"
#include "vector.h"
#include "h264dsp.h"

/* The C code has 16 bits between its passes and 32 within them. These kernels have 16 everywhere, which gives the same results
 * unless a sum overflows. Where the input of a pass is so large that one could, as in damaged streams only, the C code is
 * called. */

/* Not zero where any of the numbers may be out of -limit .. limit - 1; limit is a power of two. */
static av_always_inline v128_t exceeding(v128_t numbers, int limit)
{
    return wasm_v128_and(wasm_i16x8_add(numbers, wasm_i16x8_splat(limit)), wasm_i16x8_splat(-2 * limit));
}

static av_always_inline v128_t add_first(v128_t row, int number)
{
    return wasm_i16x8_add(row, wasm_i16x8_make(number, 0, 0, 0, 0, 0, 0, 0));
}

/* Four columns in two registers. */
static av_always_inline void idct4_1d(v128_t *r01, v128_t *r23)
{
    v128_t r0 = *r01, r1 = wasm_i64x2_shuffle(r0, r0, 1, 0), r2 = *r23, r3 = wasm_i64x2_shuffle(r2, r2, 1, 0);
    v128_t s02 = wasm_i16x8_add(r0, r2), d02 = wasm_i16x8_sub(r0, r2);
    v128_t s13 = wasm_i16x8_add(r1, wasm_i16x8_shr(r3, 1)), d13 = wasm_i16x8_sub(wasm_i16x8_shr(r1, 1), r3);
    *r01 = wasm_i64x2_shuffle(wasm_i16x8_add(s02, s13), wasm_i16x8_add(d02, d13), 0, 2);
    *r23 = wasm_i64x2_shuffle(wasm_i16x8_sub(d02, d13), wasm_i16x8_sub(s02, s13), 0, 2);
}

static av_always_inline void idct_add(uint8_t *dst, int16_t *block, ptrdiff_t stride)
{
    v128_t r01 = add_first(wasm_v128_load(block), 32), r23 = wasm_v128_load(block + 8);
    idct4_1d(&r01, &r23);
    /* A sum of a pass is at most 3.5 times the largest input. Sums of the first pass may wrap around, as they do in the C code. */
    if (wasm_v128_any_true(wasm_v128_or(exceeding(r01, 8192), exceeding(r23, 8192)))) {
        ff_h264_idct_add_8_c(dst, block, stride);
        return;
    }
    transpose_4x4_i16(&r01, &r23);
    idct4_1d(&r01, &r23);
    v128_t old  = load_4_rows_of_4(dst, stride);
    v128_t low  = wasm_i16x8_add(wasm_u16x8_extend_low_u8x16(old), wasm_i16x8_shr(r01, 6));
    v128_t high = wasm_i16x8_add(wasm_u16x8_extend_high_u8x16(old), wasm_i16x8_shr(r23, 6));
    store_4_rows_of_4(dst, stride, wasm_u8x16_narrow_i16x8(low, high));
    wasm_v128_store(block, wasm_i16x8_const_splat(0));
    wasm_v128_store(block + 8, wasm_i16x8_const_splat(0));
}

/* Adds to bytes with saturation: a positive difference is added and a negative one subtracted, the other operand being zero. */
typedef struct DC {
    v128_t up, down;
} DC;

static av_always_inline DC load_dc(int16_t *block)
{
    v128_t dc = wasm_i16x8_splat((block[0] + 32) >> 6), negative = wasm_i16x8_neg(dc);
    block[0] = 0;
    return (DC) { wasm_u8x16_narrow_i16x8(dc, dc), wasm_u8x16_narrow_i16x8(negative, negative) };
}

static av_always_inline v128_t add_dc(v128_t pixels, DC dc)
{
    return wasm_u8x16_sub_sat(wasm_u8x16_add_sat(pixels, dc.up), dc.down);
}

static av_always_inline void idct_dc_add(uint8_t *dst, int16_t *block, ptrdiff_t stride)
{
    store_4_rows_of_4(dst, stride, add_dc(load_4_rows_of_4(dst, stride), load_dc(block)));
}

static av_always_inline void idct8_dc_add(uint8_t *dst, int16_t *block, ptrdiff_t stride)
{
    DC dc = load_dc(block);
    for (int y = 0; y < 8; y++, dst += stride)
        wasm_v128_store64_lane(dst, add_dc(wasm_v128_load64_zero(dst), dc), 0);
}

static av_always_inline void idct8_1d(v128_t r[8])
{
    v128_t a0 = wasm_i16x8_add(r[0], r[4]), a2 = wasm_i16x8_sub(r[0], r[4]);
    v128_t a4 = wasm_i16x8_sub(wasm_i16x8_shr(r[2], 1), r[6]), a6 = wasm_i16x8_add(wasm_i16x8_shr(r[6], 1), r[2]);
    v128_t b0 = wasm_i16x8_add(a0, a6), b6 = wasm_i16x8_sub(a0, a6);
    v128_t b2 = wasm_i16x8_add(a2, a4), b4 = wasm_i16x8_sub(a2, a4);
    v128_t r1_3 = wasm_i16x8_add(r[1], wasm_i16x8_shr(r[1], 1)), r3_3 = wasm_i16x8_add(r[3], wasm_i16x8_shr(r[3], 1));
    v128_t r5_3 = wasm_i16x8_add(r[5], wasm_i16x8_shr(r[5], 1)), r7_3 = wasm_i16x8_add(r[7], wasm_i16x8_shr(r[7], 1));
    v128_t a1 = wasm_i16x8_sub(wasm_i16x8_sub(r[5], r[3]), r7_3);
    v128_t a3 = wasm_i16x8_sub(wasm_i16x8_add(r[1], r[7]), r3_3);
    v128_t a5 = wasm_i16x8_add(wasm_i16x8_sub(r[7], r[1]), r5_3);
    v128_t a7 = wasm_i16x8_add(wasm_i16x8_add(r[3], r[5]), r1_3);
    v128_t b1 = wasm_i16x8_add(wasm_i16x8_shr(a7, 2), a1);
    v128_t b3 = wasm_i16x8_add(a3, wasm_i16x8_shr(a5, 2));
    v128_t b5 = wasm_i16x8_sub(wasm_i16x8_shr(a3, 2), a5);
    v128_t b7 = wasm_i16x8_sub(a7, wasm_i16x8_shr(a1, 2));
    r[0] = wasm_i16x8_add(b0, b7);
    r[1] = wasm_i16x8_add(b2, b5);
    r[2] = wasm_i16x8_add(b4, b3);
    r[3] = wasm_i16x8_add(b6, b1);
    r[4] = wasm_i16x8_sub(b6, b1);
    r[5] = wasm_i16x8_sub(b4, b3);
    r[6] = wasm_i16x8_sub(b2, b5);
    r[7] = wasm_i16x8_sub(b0, b7);
}

/* A sum of a pass is at most 7.875 times the largest input. */
static av_always_inline int idct8_overflows(const v128_t r[8])
{
    v128_t any = exceeding(r[0], 4096);
    for (int i = 1; i < 8; i++)
        any = wasm_v128_or(any, exceeding(r[i], 4096));
    return wasm_v128_any_true(any);
}

static av_noinline void idct8_add(uint8_t *dst, int16_t *block, ptrdiff_t stride)
{
    v128_t r[8];
    for (int i = 0; i < 8; i++)
        r[i] = wasm_v128_load(block + 8 * i);
    r[0] = add_first(r[0], 32);
    int overflows = idct8_overflows(r);
    idct8_1d(r);
    if (overflows | idct8_overflows(r)) {
        ff_h264_idct8_add_8_c(dst, block, stride);
        return;
    }
    transpose_8x8_i16(r);
    idct8_1d(r);
    for (int y = 0; y < 8; y++, dst += stride) {
        v128_t row = wasm_i16x8_add(wasm_u16x8_load8x8(dst), wasm_i16x8_shr(r[y], 6));
        wasm_v128_store64_lane(dst, wasm_u8x16_narrow_i16x8(row, row), 0);
        wasm_v128_store(block + 8 * y, wasm_i16x8_const_splat(0));
    }
}

void ff_h264_idct_add_wasm(uint8_t *dst, int16_t *block, int stride)
{
    idct_add(dst, block, stride);
}

void ff_h264_idct_dc_add_wasm(uint8_t *dst, int16_t *block, int stride)
{
    idct_dc_add(dst, block, stride);
}

void ff_h264_idct8_add_wasm(uint8_t *dst, int16_t *block, int stride)
{
    idct8_add(dst, block, stride);
}

void ff_h264_idct8_dc_add_wasm(uint8_t *dst, int16_t *block, int stride)
{
    idct8_dc_add(dst, block, stride);
}

void ff_h264_idct_add16_wasm(uint8_t *dst, const int *block_offset, int16_t *block, int stride, const uint8_t nnzc[5 * 8])
{
    for (int i = 0; i < 16; i++, block += 16) {
        int nnz = nnzc[scan8[i]];
        if (nnz == 1 && block[0])
            idct_dc_add(dst + block_offset[i], block, stride);
        else if (nnz)
            idct_add(dst + block_offset[i], block, stride);
    }
}

/* Blocks whose DC comes from another transform, so that nnz does not count it. */
static av_always_inline void idct_add_intra(uint8_t *dst, int16_t *block, ptrdiff_t stride, int nnz)
{
    if (nnz)
        idct_add(dst, block, stride);
    else if (block[0])
        idct_dc_add(dst, block, stride);
}

void ff_h264_idct_add16intra_wasm(uint8_t *dst, const int *block_offset, int16_t *block, int stride,
                                  const uint8_t nnzc[5 * 8])
{
    for (int i = 0; i < 16; i++)
        idct_add_intra(dst + block_offset[i], block + 16 * i, stride, nnzc[scan8[i]]);
}

void ff_h264_idct_add8_wasm(uint8_t **dst, const int *block_offset, int16_t *block, int stride, const uint8_t nnzc[15 * 8])
{
    for (int plane = 1; plane < 3; plane++)
        for (int i = 16 * plane; i < 16 * plane + 4; i++)
            idct_add_intra(dst[plane - 1] + block_offset[i], block + 16 * i, stride, nnzc[scan8[i]]);
}

void ff_h264_idct8_add4_wasm(uint8_t *dst, const int *block_offset, int16_t *block, int stride, const uint8_t nnzc[5 * 8])
{
    for (int i = 0; i < 16; i += 4) {
        int nnz = nnzc[scan8[i]];
        if (nnz == 1 && block[16 * i])
            idct8_dc_add(dst + block_offset[i], block + 16 * i, stride);
        else if (nnz)
            idct8_add(dst + block_offset[i], block + 16 * i, stride);
    }
}
