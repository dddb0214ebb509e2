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

/* Motion compensation of chroma, 8-bit, blocks 8 and 4 wide. Results are those of h264chroma_template.c. */

#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libavcodec/h264chroma.h"
#include "vector.h"

static av_always_inline v128_t load_row(const uint8_t *src, int width)
{
    return width == 8 ? wasm_u16x8_load8x8(src) : wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(src));
}

static av_always_inline void store_row(uint8_t *dst, v128_t sum, int width, int average)
{
    sum = wasm_u16x8_shr(wasm_i16x8_add(sum, wasm_i16x8_const_splat(32)), 6);
    v128_t row = wasm_u8x16_narrow_i16x8(sum, sum);
    if (average)
        row = wasm_u8x16_avgr(row, width == 8 ? wasm_v128_load64_zero(dst) : wasm_v128_load32_zero(dst));
    if (width == 8)
        wasm_v128_store64_lane(dst, row, 0);
    else
        wasm_v128_store32_lane(dst, row, 0);
}

static av_always_inline v128_t weigh(v128_t a, v128_t b, v128_t weight_a, v128_t weight_b)
{
    return wasm_i16x8_add(wasm_i16x8_mul(a, weight_a), wasm_i16x8_mul(b, weight_b));
}

static av_always_inline void chroma_mc(uint8_t *dst, const uint8_t *src, ptrdiff_t stride, int h, int x, int y, int width,
                                       int average)
{
    if (x && y) {
        v128_t left = wasm_i16x8_splat(8 - x), right = wasm_i16x8_splat(x);
        v128_t above = wasm_i16x8_splat(8 - y), below = wasm_i16x8_splat(y);
        v128_t row = weigh(load_row(src, width), load_row(src + 1, width), left, right);
        for (int i = 0; i < h; i++, dst += stride) {
            src += stride;
            v128_t next = weigh(load_row(src, width), load_row(src + 1, width), left, right);
            store_row(dst, weigh(row, next, above, below), width, average);
            row = next;
        }
    } else {
        /* A neighbour whose weight is zero is not read, as it may lie outside of the buffer. */
        ptrdiff_t step = y ? stride : !!x;
        v128_t first = wasm_i16x8_splat(64 - 8 * (x + y)), second = wasm_i16x8_splat(8 * (x + y));
        for (int i = 0; i < h; i++, dst += stride, src += stride)
            store_row(dst, weigh(load_row(src, width), load_row(src + step, width), first, second), width, average);
    }
}

#define CHROMA_MC(op, width, average)                                                                                  \
static void op##_h264_chroma_mc##width(uint8_t *dst, const uint8_t *src, ptrdiff_t stride, int h, int x, int y)        \
{                                                                                                                      \
    chroma_mc(dst, src, stride, h, x, y, width, average);                                                              \
}
CHROMA_MC(put, 8, 0)
CHROMA_MC(put, 4, 0)
CHROMA_MC(avg, 8, 1)
CHROMA_MC(avg, 4, 1)

av_cold void ff_h264chroma_init_wasm(H264ChromaContext *c, int bit_depth)
{
    if (!CPUEXT(av_get_cpu_flags(), SIMD128) || bit_depth > 8)
        return;
    c->put_h264_chroma_pixels_tab[0] = put_h264_chroma_mc8;
    c->put_h264_chroma_pixels_tab[1] = put_h264_chroma_mc4;
    c->avg_h264_chroma_pixels_tab[0] = avg_h264_chroma_mc8;
    c->avg_h264_chroma_pixels_tab[1] = avg_h264_chroma_mc4;
}
