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

/* Intra prediction, 8-bit: the modes that clang does not vectorise well. Results are those of vp9dsp_template.c. */

#include "libavutil/mem_internal.h"
#include "vector.h"
#include "vp9dsp.h"

#define ARGUMENTS uint8_t *dst, ptrdiff_t stride, const uint8_t *left, const uint8_t *top

/* Adds left - corner to the pixels above: a positive difference is added and a negative one subtracted, with saturation. */
static av_always_inline void tm(ARGUMENTS, int size)
{
    const int width = FFMIN(size, 16);
    v128_t corner = wasm_v128_load8_splat(top - 1);
#pragma clang loop unroll(disable)
    for (int y = size - 1; y >= 0; y--, dst += stride) {
        v128_t neighbour = wasm_v128_load8_splat(left + y);
        v128_t up = wasm_u8x16_sub_sat(neighbour, corner), down = wasm_u8x16_sub_sat(corner, neighbour);
        for (int x = 0; x < size; x += width)
            store_pixels(dst + x, wasm_u8x16_sub_sat(wasm_u8x16_add_sat(load_pixels(top + x, width), up), down), width);
    }
}

static av_always_inline void hor(ARGUMENTS, int size)
{
#pragma clang loop unroll(disable)
    for (int y = size - 1; y >= 0; y--, dst += stride)
        for (int x = 0; x < size; x += 16)
            wasm_v128_store(dst + x, wasm_v128_load8_splat(left + y));
}

static av_always_inline v128_t add_up(v128_t sums, const uint8_t *pixels, int size)
{
    for (int x = 0; x < size; x += 16)
        sums = wasm_i16x8_add(sums, wasm_u16x8_extadd_pairwise_u8x16(wasm_v128_load(pixels + x)));
    return sums;
}

static av_always_inline void fill(uint8_t *dst, ptrdiff_t stride, v128_t sums, int count, int size)
{
    sums = wasm_u32x4_extadd_pairwise_u16x8(sums);
    sums = wasm_i32x4_add(sums, wasm_i64x2_shuffle(sums, sums, 1, 0));
    int sum = wasm_i32x4_extract_lane(sums, 0) + wasm_i32x4_extract_lane(sums, 1);
    v128_t average = wasm_i8x16_splat((sum + count / 2) / (unsigned) count);
#pragma clang loop unroll(disable)
    for (int y = 0; y < size; y++, dst += stride)
        for (int x = 0; x < size; x += 16)
            wasm_v128_store(dst + x, average);
}

static av_always_inline void dc(ARGUMENTS, int size)
{
    fill(dst, stride, add_up(add_up(wasm_i16x8_const_splat(0), left, size), top, size), 2 * size, size);
}

static av_always_inline void dc_left(ARGUMENTS, int size)
{
    fill(dst, stride, add_up(wasm_i16x8_const_splat(0), left, size), size, size);
}

static av_always_inline void dc_top(ARGUMENTS, int size)
{
    fill(dst, stride, add_up(wasm_i16x8_const_splat(0), top, size), size, size);
}

#define MODE(name, size)                                                                                               \
static void name##_##size##x##size(ARGUMENTS)                                                                          \
{                                                                                                                      \
    name(dst, stride, left, top, size);                                                                                \
}
MODE(tm, 8)
#define MODES(size) MODE(tm, size) MODE(hor, size) MODE(dc, size) MODE(dc_left, size) MODE(dc_top, size)
MODES(16)
MODES(32)

av_cold void ff_vp9dsp_intrapred_init_wasm(VP9DSPContext *dsp)
{
#define INIT(tx, size)                                                                                                 \
    dsp->intra_pred[tx][TM_VP8_PRED] = tm_##size;                                                                      \
    dsp->intra_pred[tx][HOR_PRED] = hor_##size;                                                                        \
    dsp->intra_pred[tx][DC_PRED] = dc_##size;                                                                          \
    dsp->intra_pred[tx][LEFT_DC_PRED] = dc_left_##size;                                                                \
    dsp->intra_pred[tx][TOP_DC_PRED] = dc_top_##size;
    INIT(TX_16X16, 16x16)
    INIT(TX_32X32, 32x32)
    dsp->intra_pred[TX_8X8][TM_VP8_PRED] = tm_8x8;
}
