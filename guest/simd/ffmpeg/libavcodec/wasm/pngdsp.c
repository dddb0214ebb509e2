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

/* Undoing PNG's row filters. */

#include <wasm_simd128.h>

#include "libavutil/attributes.h"
#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libavutil/intreadwrite.h"
#include "libavcodec/pngdsp.h"

/* Of pixels of 3 and 6 bytes, a little more is loaded, but nothing beyond the row. */
static av_always_inline v128_t load_pixel(const uint8_t *src, int bpp)
{
    return bpp > 4 ? wasm_u16x8_load8x8(src) : wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(src));
}

/* dst may be top, so nothing behind the pixel is written. */
static av_always_inline void store_pixel(uint8_t *dst, v128_t pixel, int bpp)
{
    pixel = wasm_u8x16_narrow_i16x8(pixel, pixel);
    if (bpp == 8) {
        wasm_v128_store64_lane(dst, pixel, 0);
    } else if (bpp == 3) {
        unsigned bytes = wasm_i32x4_extract_lane(pixel, 0);
        AV_WL16(dst, bytes);
        dst[2] = bytes >> 16;
    } else {
        wasm_v128_store32_lane(dst, pixel, 0);
        if (bpp == 6)
            wasm_v128_store16_lane(dst + 4, pixel, 2);
    }
}

/* A pixel depends on the one to its left, so only its channels can be computed at once, and the time is that of the chain of
 * instructions from one pixel to the next. To shorten it all three sums are computed before it is known which one is needed.
 * Paeth chooses of left (a), above (b) and the corner (c) the one that is nearest to a + b - c. That is the smaller of a and b where
 * the larger is at most 3c - a - b, the larger where that is at most the smaller, and else c. */
static av_always_inline void add_paeth_prediction(uint8_t *dst, const uint8_t *src, const uint8_t *top, int w, int bpp)
{
    v128_t left = load_pixel(dst - bpp, bpp), corner = load_pixel(top - bpp, bpp);
    int i = 0;

    for (; i + (bpp > 4 ? 8 : 4) <= w; i += bpp) {
        v128_t above = load_pixel(top + i, bpp), added = load_pixel(src + i, bpp);
        v128_t corner3 = wasm_i16x8_add(wasm_i16x8_add(corner, corner), corner);
        v128_t limit = wasm_i16x8_sub(wasm_i16x8_sub(corner3, above), left);
        v128_t smaller = wasm_i16x8_min(left, above), larger = wasm_i16x8_max(left, above);
        v128_t by_smaller = wasm_i16x8_add(smaller, added), by_larger = wasm_i16x8_add(larger, added);
        v128_t sum = wasm_v128_bitselect(wasm_i16x8_add(corner, added), by_smaller, wasm_i16x8_gt(larger, limit));

        sum = wasm_v128_bitselect(sum, by_larger, wasm_i16x8_gt(limit, smaller));
        left = wasm_v128_and(sum, wasm_i16x8_const_splat(0xFF));
        corner = above;
        store_pixel(dst + i, left, bpp);
    }
    if (i < w)
        ff_png_add_paeth_prediction(dst + i, src + i, top + i, w - i, bpp);
}

static void add_paeth_prediction_simd128(uint8_t *dst, const uint8_t *src, const uint8_t *top, int w, int bpp)
{
    if (bpp == 3)
        add_paeth_prediction(dst, src, top, w, 3);
    else if (bpp == 4)
        add_paeth_prediction(dst, src, top, w, 4);
    else if (bpp == 6)
        add_paeth_prediction(dst, src, top, w, 6);
    else if (bpp == 8)
        add_paeth_prediction(dst, src, top, w, 8);
    else
        ff_png_add_paeth_prediction(dst, src, top, w, bpp);
}

av_cold void ff_pngdsp_init_wasm(PNGDSPContext *dsp)
{
    int cpu_flags = av_get_cpu_flags();

    if (CPUEXT(cpu_flags, SIMD128))
        dsp->add_paeth_prediction = add_paeth_prediction_simd128;
}
