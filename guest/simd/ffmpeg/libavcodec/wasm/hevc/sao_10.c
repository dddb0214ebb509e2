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

/* Sample adaptive offset, 10 bits; sao.c has it for 8. Results are those of h26x/h2656_sao_template.c. */

#include "libavutil/attributes.h"
#include "libavcodec/defs.h"
#include "libavcodec/wasm/hevc/hevcdsp.h"

/* Widths that are not multiples of eight occur at the right edge of the picture, where rows have room after it. */
static av_always_inline void add_offsets(uint8_t *dst, v128_t pixels, v128_t offsets)
{
    wasm_v128_store(dst, clip_pixels(wasm_i16x8_add(pixels, offsets), 10));
}

/* Four bands of 32 have an offset. */
static void sao_band_filter(uint8_t *dst, const uint8_t *src, ptrdiff_t stride_dst, ptrdiff_t stride_src,
                            const int16_t *offsets, int first, int width, int height)
{
    v128_t bands[4], values[4];
    for (int i = 0; i < 4; i++) {
        bands[i]  = wasm_i16x8_splat((first + i) & 31);
        values[i] = wasm_i16x8_splat(offsets[i + 1]);
    }
    for (int y = 0; y < height; y++, dst += stride_dst, src += stride_src)
        for (int x = 0; x < 2 * width; x += 16) {
            v128_t pixels = wasm_v128_load(src + x), band = wasm_u16x8_shr(pixels, 5);
            v128_t sum = wasm_v128_and(wasm_i16x8_eq(band, bands[0]), values[0]);
            for (int i = 1; i < 4; i++)
                sum = wasm_v128_or(sum, wasm_v128_and(wasm_i16x8_eq(band, bands[i]), values[i]));
            add_offsets(dst + x, pixels, sum);
        }
}

/* 1 where a exceeds b, -1 where it is below. */
static av_always_inline v128_t sign(v128_t a, v128_t b)
{
    return wasm_i16x8_sub(wasm_i16x8_gt(b, a), wasm_i16x8_gt(a, b));
}

static void sao_edge_filter(uint8_t *dst, const uint8_t *src, ptrdiff_t stride_dst, const int16_t *offsets, int direction,
                            int width, int height)
{
    const ptrdiff_t stride = 2 * MAX_PB_SIZE + AV_INPUT_BUFFER_PADDING_SIZE;
    const ptrdiff_t neighbours[4] = { 2, stride, stride + 2, stride - 2 };
    ptrdiff_t neighbour = neighbours[direction];
    /* The sum of two signs, from -2 to 2, is an index into a table of 16-bit numbers: the indices of its two bytes. */
    v128_t table = wasm_i16x8_make(offsets[1], offsets[2], offsets[0], offsets[3], offsets[4], 0, 0, 0);
    for (int y = 0; y < height; y++, dst += stride_dst, src += stride)
        for (int x = 0; x < 2 * width; x += 16) {
            v128_t pixels = wasm_v128_load(src + x);
            v128_t sum = wasm_i16x8_add(sign(pixels, wasm_v128_load(src + x - neighbour)),
                                        sign(pixels, wasm_v128_load(src + x + neighbour)));
            sum = wasm_i16x8_mul(wasm_i16x8_add(sum, wasm_i16x8_const_splat(2)), wasm_i16x8_const_splat(0x0202));
            sum = wasm_i16x8_add(sum, wasm_i16x8_const_splat(0x0100));
            add_offsets(dst + x, pixels, wasm_i8x16_swizzle(table, sum));
        }
}

av_cold void ff_hevc_sao_init_10_simd128(HEVCDSPContext *c)
{
    for (int i = 0; i < 5; i++) {
        c->sao_band_filter[i] = sao_band_filter;
        c->sao_edge_filter[i] = sao_edge_filter;
    }
}
