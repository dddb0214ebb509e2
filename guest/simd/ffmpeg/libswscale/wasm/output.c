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

/* Vertical scaling of 15-bit lines to 8-bit planes. */

#include <wasm_simd128.h>

#include "libswscale/wasm/swscale_wasm.h"

/* Eight pixels' dither, from where the offset says. */
static av_always_inline v128_t load_dither(const uint8_t *dither, int offset)
{
    uint8_t turned[8];

    for (int i = 0; i < 8; i++)
        turned[i] = dither[(i + offset) & 7];
    return wasm_u16x8_load8x8(turned);
}

void ff_yuv2plane1_8_simd128(const int16_t *src, uint8_t *dest, int dst_w, const uint8_t *dither, int offset)
{
    v128_t dithers = load_dither(dither, offset);
    int i = 0;

    /* A sum that saturates is clipped in the C code, too. */
    for (; i + 16 <= dst_w; i += 16) {
        v128_t low = wasm_i16x8_shr(wasm_i16x8_add_sat(wasm_v128_load(src + i), dithers), 7);
        v128_t high = wasm_i16x8_shr(wasm_i16x8_add_sat(wasm_v128_load(src + i + 8), dithers), 7);
        wasm_v128_store(dest + i, wasm_u8x16_narrow_i16x8(low, high));
    }
    for (; i < dst_w; i++)
        dest[i] = av_clip_uint8((src[i] + dither[(i + offset) & 7]) >> 7);
}

/* Eight pixels: two lines at a time, so that one multiplication does both. */
static av_always_inline v128_t filter_8(const int16_t *filter, int filter_size, const int16_t **src, int i,
                                        v128_t sums0, v128_t sums1)
{
    int j = 0;

    for (; j + 2 <= filter_size; j += 2) {
        v128_t coefficients = wasm_v128_load32_splat(filter + j);
        v128_t line0 = wasm_v128_load(src[j] + i), line1 = wasm_v128_load(src[j + 1] + i);
        v128_t low = wasm_i16x8_shuffle(line0, line1, 0, 8, 1, 9, 2, 10, 3, 11);
        v128_t high = wasm_i16x8_shuffle(line0, line1, 4, 12, 5, 13, 6, 14, 7, 15);
        sums0 = wasm_i32x4_add(sums0, wasm_i32x4_dot_i16x8(low, coefficients));
        sums1 = wasm_i32x4_add(sums1, wasm_i32x4_dot_i16x8(high, coefficients));
    }
    if (j < filter_size) {
        v128_t coefficient = wasm_i32x4_splat((uint16_t)filter[j]);
        v128_t line = wasm_v128_load(src[j] + i);
        sums0 = wasm_i32x4_add(sums0, wasm_i32x4_dot_i16x8(wasm_u32x4_extend_low_u16x8(line), coefficient));
        sums1 = wasm_i32x4_add(sums1, wasm_i32x4_dot_i16x8(wasm_u32x4_extend_high_u16x8(line), coefficient));
    }
    return wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(sums0, 19), wasm_i32x4_shr(sums1, 19));
}

void ff_yuv2planeX_8_simd128(const int16_t *filter, int filter_size, const int16_t **src, uint8_t *dest, int dst_w,
                             const uint8_t *dither, int offset)
{
    v128_t dithers = load_dither(dither, offset);
    v128_t sums0 = wasm_i32x4_shl(wasm_u32x4_extend_low_u16x8(dithers), 12);
    v128_t sums1 = wasm_i32x4_shl(wasm_u32x4_extend_high_u16x8(dithers), 12);
    int i = 0;

    for (; i + 16 <= dst_w; i += 16) {
        v128_t low = filter_8(filter, filter_size, src, i, sums0, sums1);
        v128_t high = filter_8(filter, filter_size, src, i + 8, sums0, sums1);
        wasm_v128_store(dest + i, wasm_u8x16_narrow_i16x8(low, high));
    }
    for (; i < dst_w; i++) {
        int value = dither[(i + offset) & 7] << 12;

        for (int j = 0; j < filter_size; j++)
            value += (unsigned)(src[j][i] * filter[j]);
        dest[i] = av_clip_uint8(value >> 19);
    }
}
