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

/* Weighted prediction, 8-bit, blocks 16 and 8 wide. Results are those of h264dsp_template.c. */

#include "vector.h"
#include "h264dsp.h"

/* Only the last sum can leave 16 bits. It saturates where the pixel is clipped anyway. */
static av_always_inline v128_t weigh(v128_t pixels, v128_t weight, v128_t offset, int log2_denom)
{
    return wasm_i16x8_shr(wasm_i16x8_add_sat(wasm_i16x8_mul(pixels, weight), offset), log2_denom);
}

static av_always_inline void weight_pixels(uint8_t *block, ptrdiff_t stride, int height, int log2_denom, int weight,
                                           int offset, int width)
{
    v128_t weights = wasm_i16x8_splat(weight);
    v128_t offsets = wasm_i16x8_splat(offset * (1 << log2_denom) + (log2_denom ? 1 << (log2_denom - 1) : 0));
    for (int y = 0; y < height; y++, block += stride) {
        v128_t low = weigh(wasm_u16x8_load8x8(block), weights, offsets, log2_denom), high = low;
        if (width == 16)
            high = weigh(wasm_u16x8_load8x8(block + 8), weights, offsets, log2_denom);
        low = wasm_u8x16_narrow_i16x8(low, high);
        if (width == 16)
            wasm_v128_store(block, low);
        else
            wasm_v128_store64_lane(block, low, 0);
    }
}

void ff_h264_weight_pixels16_wasm(uint8_t *block, ptrdiff_t stride, int height, int log2_denom, int weight, int offset)
{
    weight_pixels(block, stride, height, log2_denom, weight, offset, 16);
}

void ff_h264_weight_pixels8_wasm(uint8_t *block, ptrdiff_t stride, int height, int log2_denom, int weight, int offset)
{
    weight_pixels(block, stride, height, log2_denom, weight, offset, 8);
}

/* Multiplies pairs of pixels by pairs of weights in 32 bits: with two large weights of one sign, sums do not fit into 16. */
static av_always_inline v128_t weigh_pairs(v128_t pairs, v128_t weights, v128_t offset, int shift)
{
    v128_t low  = wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(pairs), weights);
    v128_t high = wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(pairs), weights);
    return wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(wasm_i32x4_add(low, offset), shift),
                                   wasm_i32x4_shr(wasm_i32x4_add(high, offset), shift));
}

static av_always_inline void biweight_pixels(uint8_t *dst, const uint8_t *src, ptrdiff_t stride, int height, int log2_denom,
                                             int weightd, int weights, int offset, int width)
{
    v128_t pair    = wasm_i32x4_splat((weightd & 0xFFFF) | (int)((unsigned)weights << 16));
    v128_t offsets = wasm_i32x4_splat((int)((unsigned)((offset + 1) | 1) << log2_denom));
    for (int y = 0; y < height; y++, dst += stride, src += stride) {
        if (width == 16) {
            v128_t d = wasm_v128_load(dst), s = wasm_v128_load(src);
            v128_t low  = weigh_pairs(unpack_low_u8(d, s), pair, offsets, log2_denom + 1);
            v128_t high = weigh_pairs(unpack_high_u8(d, s), pair, offsets, log2_denom + 1);
            wasm_v128_store(dst, wasm_u8x16_narrow_i16x8(low, high));
        } else {
            v128_t row = unpack_low_u8(wasm_v128_load64_zero(dst), wasm_v128_load64_zero(src));
            row = weigh_pairs(row, pair, offsets, log2_denom + 1);
            wasm_v128_store64_lane(dst, wasm_u8x16_narrow_i16x8(row, row), 0);
        }
    }
}

void ff_h264_biweight_pixels16_wasm(uint8_t *dst, uint8_t *src, ptrdiff_t stride, int height, int log2_denom,
                                    int weightd, int weights, int offset)
{
    biweight_pixels(dst, src, stride, height, log2_denom, weightd, weights, offset, 16);
}

void ff_h264_biweight_pixels8_wasm(uint8_t *dst, uint8_t *src, ptrdiff_t stride, int height, int log2_denom,
                                   int weightd, int weights, int offset)
{
    biweight_pixels(dst, src, stride, height, log2_denom, weightd, weights, offset, 8);
}
