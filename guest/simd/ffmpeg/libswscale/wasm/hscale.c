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

/* Horizontal scaling to 15 bits, of 8 bits and of up to 16. */

#include <string.h>
#include <wasm_simd128.h>

#include "libavutil/pixdesc.h"
#include "libswscale/wasm/swscale_wasm.h"

/* Sums of even and odd lanes: of {a0 a1 a2 a3}, {b0 b1 b2 b3} {a0+a1 a2+a3 b0+b1 b2+b3}. Each shuffle is one instruction. */
static av_always_inline v128_t add_pairs(v128_t a, v128_t b)
{
    return wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
}

/* As the C code stores an int into an int16_t: clipped from above, but truncated from below. */
static av_always_inline void store_15(int16_t *dst, int count, v128_t sums, int shift)
{
    v128_t values = wasm_i32x4_min(wasm_i32x4_shr(sums, shift), wasm_i32x4_const_splat(INT16_MAX));
    int16_t lanes[8];

    values = wasm_v128_and(values, wasm_i32x4_const_splat(0xFFFF));
    values = wasm_u16x8_narrow_i32x4(values, values);
    if (count >= 4) {
        wasm_v128_store64_lane(dst, values, 0);
    } else {
        wasm_v128_store(lanes, values);
        memcpy(dst, lanes, count * sizeof(*dst));
    }
}

/* 16-bit samples are unsigned, and the multiplication is of signed ones: they are taken less 0x8000, which is added back
 * as often as the coefficients say. */
static av_always_inline v128_t multiply_16(v128_t samples, v128_t coefficients)
{
    v128_t low = wasm_i16x8_const_splat(INT16_MIN);

    return wasm_i32x4_sub(wasm_i32x4_dot_i16x8(wasm_v128_xor(samples, low), coefficients),
                          wasm_i32x4_dot_i16x8(low, coefficients));
}

static av_always_inline v128_t multiply_8(const uint8_t *src, int position, v128_t coefficients, int is_16)
{
    if (is_16)
        return multiply_16(wasm_v128_load((const uint16_t *)src + position), coefficients);
    return wasm_i32x4_dot_i16x8(wasm_u16x8_load8x8(src + position), coefficients);
}

static av_always_inline v128_t multiply_4(const uint8_t *src, int position, v128_t coefficients, int is_16)
{
    if (is_16)
        return multiply_16(wasm_v128_load64_zero((const uint16_t *)src + position), coefficients);
    return wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(src + position)), coefficients);
}

/* The size of a filter is a multiple of 4. Positions and coefficients go on for three more outputs than there are, so the
 * last four can be computed whole. */
static av_always_inline void hscale_X(int16_t *dst, int dst_w, const uint8_t *src, const int16_t *filter,
                                      const int32_t *filter_pos, int filter_size, int shift, int is_16)
{
    for (int i = 0; i < dst_w; i += 4, filter += 4 * filter_size) {
        v128_t sums[4] = { 0 };
        int j = 0;

        for (; j + 8 <= filter_size; j += 8)
            for (int k = 0; k < 4; k++) {
                v128_t coefficients = wasm_v128_load(filter + k * filter_size + j);
                sums[k] = wasm_i32x4_add(sums[k], multiply_8(src, filter_pos[i + k] + j, coefficients, is_16));
            }
        if (j < filter_size)
            for (int k = 0; k < 4; k++) {
                v128_t coefficients = wasm_v128_load64_zero(filter + k * filter_size + j);
                sums[k] = wasm_i32x4_add(sums[k], multiply_4(src, filter_pos[i + k] + j, coefficients, is_16));
            }
        store_15(dst + i, dst_w - i, add_pairs(add_pairs(sums[0], sums[1]), add_pairs(sums[2], sums[3])), shift);
    }
}

void ff_hscale8to15_X_simd128(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                              const int16_t *filter, const int32_t *filter_pos, int filter_size)
{
    if (filter_size == 8)
        hscale_X(dst, dst_w, src, filter, filter_pos, 8, 7, 0);
    else
        hscale_X(dst, dst_w, src, filter, filter_pos, filter_size, 7, 0);
}

void ff_hscale8to15_4_simd128(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                              const int16_t *filter, const int32_t *filter_pos, int filter_size)
{
    for (int i = 0; i < dst_w; i += 4) {
        v128_t samples = wasm_v128_load32_zero(src + filter_pos[i]);
        v128_t sums01, sums23;

        samples = wasm_v128_load32_lane(src + filter_pos[i + 1], samples, 1);
        samples = wasm_v128_load32_lane(src + filter_pos[i + 2], samples, 2);
        samples = wasm_v128_load32_lane(src + filter_pos[i + 3], samples, 3);
        sums01 = wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(samples), wasm_v128_load(filter + 4 * i));
        sums23 = wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(samples), wasm_v128_load(filter + 4 * i + 8));
        store_15(dst + i, dst_w - i, add_pairs(sums01, sums23), 7);
    }
}

/* Filters of one coefficient mostly belong to planes that keep their width, where samples lie side by side. */
static av_always_inline void hscale_1(int16_t *dst, int dst_w, const uint8_t *src, const int16_t *filter,
                                      const int32_t *filter_pos, int shift, int is_16)
{
    const uint16_t *src16 = (const uint16_t *)src;

    for (int i = 0; i < dst_w; i += 4) {
        v128_t positions = wasm_v128_load(filter_pos + i);
        v128_t side_by_side = wasm_i32x4_add(wasm_i32x4_splat(filter_pos[i]), wasm_i32x4_const(0, 1, 2, 3));
        v128_t samples;

        if (wasm_i32x4_all_true(wasm_i32x4_eq(positions, side_by_side))) {
            samples = is_16 ? wasm_u32x4_load16x4(src16 + filter_pos[i]) :
                      wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(src + filter_pos[i])));
        } else if (is_16) {
            samples = wasm_i32x4_make(src16[filter_pos[i]], src16[filter_pos[i + 1]],
                                      src16[filter_pos[i + 2]], src16[filter_pos[i + 3]]);
        } else {
            samples = wasm_i32x4_make(src[filter_pos[i]], src[filter_pos[i + 1]],
                                      src[filter_pos[i + 2]], src[filter_pos[i + 3]]);
        }
        store_15(dst + i, dst_w - i, wasm_i32x4_mul(samples, wasm_i32x4_load16x4(filter + i)), shift);
    }
}

void ff_hscale8to15_1_simd128(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                              const int16_t *filter, const int32_t *filter_pos, int filter_size)
{
    hscale_1(dst, dst_w, src, filter, filter_pos, 7, 0);
}

/* As in hScale16To15_c. */
static int shift_of_16(const SwsInternal *c)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(c->opts.src_format);
    int depth = desc->comp[0].depth;

    if (depth < 16)
        return isAnyRGB(c->opts.src_format) || c->opts.src_format == AV_PIX_FMT_PAL8 ? 13 : depth - 1;
    return desc->flags & AV_PIX_FMT_FLAG_FLOAT ? 15 : depth - 1;
}

void ff_hscale16to15_1_simd128(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                               const int16_t *filter, const int32_t *filter_pos, int filter_size)
{
    hscale_1(dst, dst_w, src, filter, filter_pos, shift_of_16(c), 1);
}

void ff_hscale16to15_X_simd128(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                               const int16_t *filter, const int32_t *filter_pos, int filter_size)
{
    hscale_X(dst, dst_w, src, filter, filter_pos, filter_size, shift_of_16(c), 1);
}
