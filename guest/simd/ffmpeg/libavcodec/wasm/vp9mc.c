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

/* Motion compensation, 8-bit, but for bilinear filters and references of another size. Results are those of
 * vp9dsp_template.c. */

#include "libavutil/mem_internal.h"
#include "vector.h"
#include "vp9dsp.h"

/* Eight products add up to -13770 to 46410. Less 16384, which is 128 in pixels, that fits into 16 bits: sums may wrap around on
 * their way. What was taken off comes back after the shift. */
#define ROUND_LESS_16384 wasm_i16x8_const_splat(64 - 16384)

static av_always_inline v128_t add_product(v128_t sum, v128_t pixels, v128_t tap)
{
    return wasm_i16x8_add(sum, wasm_i16x8_mul(pixels, tap));
}

static av_always_inline v128_t narrow(v128_t sum)
{
    v128_t pixels = wasm_i16x8_add(wasm_i16x8_shr(sum, 7), wasm_i16x8_const_splat(128));
    return wasm_u8x16_narrow_i16x8(pixels, pixels);
}

static av_always_inline void load_taps(v128_t tap[8], const int16_t *filter)
{
    for (int i = 0; i < 8; i++)
        tap[i] = wasm_v128_load16_splat(filter + i);
}

/* 16 pixels: a row, or two rows of 8, or four of 4. */
static av_always_inline v128_t load_strip(const uint8_t *src, ptrdiff_t stride, int strip)
{
    if (strip == 4)
        return load_4_rows_of_4(src, stride);
    v128_t row = load_pixels(src, strip);
    return strip == 16 ? row : wasm_v128_load64_lane(src + stride, row, 1);
}

static av_always_inline void store_strip(uint8_t *dst, ptrdiff_t stride, v128_t pixels, int strip)
{
    if (strip == 4) {
        store_4_rows_of_4(dst, stride, pixels);
    } else {
        store_pixels(dst, pixels, strip);
        if (strip == 8)
            wasm_v128_store64_lane(dst + stride, pixels, 1);
    }
}

/* Along rows, apart for even and odd pixels. The upper byte of a 16-bit number is to an even pixel's next tap what it is to the
 * odd pixel's tap: nine registers serve sixteen pixels. One byte more is read than is needed: frames are padded by more. */
static av_always_inline void h_strip(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int width, int h,
                                     const v128_t tap[8], int strip)
{
    const v128_t lower_byte = wasm_i16x8_const_splat(255);
    const int rows = 16 / strip;
    for (int y = 0; y < h; y += rows, dst += rows * dst_stride, src += rows * stride)
#pragma clang loop unroll(disable)
        for (int x = 0; x < width; x += strip) {
            v128_t even = ROUND_LESS_16384, odd = even, pixels = load_strip(src + x - 3, stride, strip);
            v128_t lower = wasm_v128_and(pixels, lower_byte);
            for (int i = 0; i < 8; i += 2) {
                v128_t upper = wasm_u16x8_shr(pixels, 8);
                even = add_product(add_product(even, lower, tap[i]), upper, tap[i + 1]);
                pixels = load_strip(src + x + i - 1, stride, strip);
                lower = wasm_v128_and(pixels, lower_byte);
                odd = add_product(add_product(odd, upper, tap[i]), lower, tap[i + 1]);
            }
            store_strip(dst + x, dst_stride, unpack_low_u8(narrow(even), narrow(odd)), strip);
        }
}

/* Along columns, in strips 8 wide. The eight rows that make one are at hand. */
static av_always_inline void v_8(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int width, int h,
                                 const v128_t tap[8])
{
#pragma clang loop unroll(disable)
    for (int x = 0; x < width; x += 8) {
        const uint8_t *next = src + x - 3 * stride;
        /* Eight variables, as clang would keep an array in memory. */
        v128_t r0 = wasm_u16x8_load8x8(next), r1 = wasm_u16x8_load8x8(next + stride);
        v128_t r2 = wasm_u16x8_load8x8(next + 2 * stride), r3 = wasm_u16x8_load8x8(next + 3 * stride);
        v128_t r4 = wasm_u16x8_load8x8(next + 4 * stride), r5 = wasm_u16x8_load8x8(next + 5 * stride);
        v128_t r6 = wasm_u16x8_load8x8(next + 6 * stride);
        next += 7 * stride;
#pragma clang loop unroll(disable)
        for (int y = 0; y < h; y++, next += stride) {
            v128_t r7 = wasm_u16x8_load8x8(next);
            v128_t sum = add_product(add_product(ROUND_LESS_16384, r0, tap[0]), r1, tap[1]);
            sum = add_product(add_product(sum, r2, tap[2]), r3, tap[3]);
            sum = add_product(add_product(sum, r4, tap[4]), r5, tap[5]);
            sum = add_product(add_product(sum, r6, tap[6]), r7, tap[7]);
            store_pixels(dst + y * dst_stride + x, narrow(sum), 8);
            r0 = r1, r1 = r2, r2 = r3, r3 = r4, r4 = r5, r5 = r6, r6 = r7;
        }
    }
}

static av_always_inline v128_t load_pair(const uint8_t *src, ptrdiff_t stride)
{
    return wasm_u16x8_extend_low_u8x16(wasm_v128_load32_lane(src + stride, wasm_v128_load32_zero(src), 1));
}

/* 4 wide: two rows are made at a time, so a register has one row and the next. */
static av_always_inline void v_4(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int h,
                                 const v128_t tap[8])
{
    const uint8_t *next = src + 3 * stride;
    v128_t r0 = load_pair(src - 3 * stride, stride), r1 = load_pair(src - 2 * stride, stride);
    v128_t r2 = load_pair(src - stride, stride), r3 = load_pair(src, stride);
    v128_t r4 = load_pair(src + stride, stride), r5 = load_pair(src + 2 * stride, stride);
#pragma clang loop unroll(disable)
    for (int y = 0; y < h; y += 2, dst += 2 * dst_stride, next += 2 * stride) {
        v128_t r6 = load_pair(next, stride), r7 = load_pair(next + stride, stride);
        v128_t sum = add_product(add_product(ROUND_LESS_16384, r0, tap[0]), r1, tap[1]);
        sum = add_product(add_product(sum, r2, tap[2]), r3, tap[3]);
        sum = add_product(add_product(sum, r4, tap[4]), r5, tap[5]);
        sum = add_product(add_product(sum, r6, tap[6]), r7, tap[7]);
        v128_t rows = narrow(sum);
        wasm_v128_store32_lane(dst, rows, 0);
        wasm_v128_store32_lane(dst + dst_stride, rows, 1);
        r0 = r2, r1 = r3, r2 = r4, r3 = r5, r4 = r6, r5 = r7;
    }
}

/* Once for all widths. Heights are multiples of four. */
#define PARAMETERS uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int width, int h

static av_noinline void put_h(PARAMETERS, const int16_t *filter)
{
    v128_t tap[8];
    load_taps(tap, filter);
    if (width > 8)
        h_strip(dst, dst_stride, src, stride, width, h, tap, 16);
    else if (width == 8)
        h_strip(dst, dst_stride, src, stride, 8, h, tap, 8);
    else
        h_strip(dst, dst_stride, src, stride, 4, h, tap, 4);
}

static av_noinline void put_v(PARAMETERS, const int16_t *filter)
{
    v128_t tap[8];
    load_taps(tap, filter);
    if (width > 4)
        v_8(dst, dst_stride, src, stride, width, h, tap);
    else
        v_4(dst, dst_stride, src, stride, h, tap);
}

/* The decoder guarantees one row more than the seven that are needed. */
static av_noinline void put_hv(PARAMETERS, const int16_t *filter_x, const int16_t *filter_y)
{
    LOCAL_ALIGNED_16(uint8_t, rows, [64 * (64 + 8)]);
    put_h(rows, 64, src - 3 * stride, stride, width, h + 7 + (width < 16), filter_x);
    put_v(dst, dst_stride, rows + 3 * 64, 64, width, h, filter_y);
}

static av_always_inline void average(PARAMETERS)
{
    const int part = FFMIN(width, 16);
#pragma clang loop unroll(disable)
    for (int y = 0; y < h; y++, dst += dst_stride, src += stride)
        for (int x = 0; x < width; x += part)
            store_pixels(dst + x, wasm_u8x16_avgr(load_pixels(dst + x, part), load_pixels(src + x, part)), part);
}

static av_noinline void avg(PARAMETERS)
{
    if (width > 8)
        average(dst, dst_stride, src, stride, width, h);
    else if (width == 8)
        average(dst, dst_stride, src, stride, 8, h);
    else
        average(dst, dst_stride, src, stride, 4, h);
}

/* Through a buffer: filters that average as they store would double the code for little speed. */
static av_noinline void avg_h(PARAMETERS, const int16_t *filter)
{
    LOCAL_ALIGNED_16(uint8_t, block, [64 * 64]);
    put_h(block, 64, src, stride, width, h, filter);
    avg(dst, dst_stride, block, 64, width, h);
}

static av_noinline void avg_v(PARAMETERS, const int16_t *filter)
{
    LOCAL_ALIGNED_16(uint8_t, block, [64 * 64]);
    put_v(block, 64, src, stride, width, h, filter);
    avg(dst, dst_stride, block, 64, width, h);
}

static av_noinline void avg_hv(PARAMETERS, const int16_t *filter_x, const int16_t *filter_y)
{
    LOCAL_ALIGNED_16(uint8_t, block, [64 * 64]);
    put_hv(block, 64, src, stride, width, h, filter_x, filter_y);
    avg(dst, dst_stride, block, 64, width, h);
}

#define ARGUMENTS uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int h, int mx, int my
#define FILTER(op, width, name, type)                                                                                  \
static void op##_8tap_##name##_##width##h(ARGUMENTS)                                                                   \
{                                                                                                                      \
    op##_h(dst, dst_stride, src, stride, width, h, ff_vp9_subpel_filters[type][mx]);                                   \
}                                                                                                                      \
static void op##_8tap_##name##_##width##v(ARGUMENTS)                                                                   \
{                                                                                                                      \
    op##_v(dst, dst_stride, src, stride, width, h, ff_vp9_subpel_filters[type][my]);                                   \
}                                                                                                                      \
static void op##_8tap_##name##_##width##hv(ARGUMENTS)                                                                  \
{                                                                                                                      \
    op##_hv(dst, dst_stride, src, stride, width, h, ff_vp9_subpel_filters[type][mx], ff_vp9_subpel_filters[type][my]); \
}
#define WIDTH(op, width)                                                                                               \
FILTER(op, width, smooth, FILTER_8TAP_SMOOTH)                                                                          \
FILTER(op, width, regular, FILTER_8TAP_REGULAR)                                                                        \
FILTER(op, width, sharp, FILTER_8TAP_SHARP)
#define WIDTHS(op) WIDTH(op, 64) WIDTH(op, 32) WIDTH(op, 16) WIDTH(op, 8) WIDTH(op, 4)
WIDTHS(put)
WIDTHS(avg)

#define AVERAGE(width)                                                                                                 \
static void avg##width(ARGUMENTS)                                                                                      \
{                                                                                                                      \
    average(dst, dst_stride, src, stride, width, h);                                                                   \
}
AVERAGE(64)
AVERAGE(32)
AVERAGE(16)
AVERAGE(8)

av_cold void ff_vp9dsp_mc_init_wasm(VP9DSPContext *dsp)
{
#define INIT_FILTER(i, average, op, width, name, type)                                                                 \
    dsp->mc[i][type][average][1][0] = op##_8tap_##name##_##width##h;                                                   \
    dsp->mc[i][type][average][0][1] = op##_8tap_##name##_##width##v;                                                   \
    dsp->mc[i][type][average][1][1] = op##_8tap_##name##_##width##hv;
#define INIT(i, average, op, width)                                                                                    \
    INIT_FILTER(i, average, op, width, smooth, FILTER_8TAP_SMOOTH)                                                     \
    INIT_FILTER(i, average, op, width, regular, FILTER_8TAP_REGULAR)                                                   \
    INIT_FILTER(i, average, op, width, sharp, FILTER_8TAP_SHARP)
#define INIT_WIDTHS(average, op)                                                                                       \
    INIT(0, average, op, 64) INIT(1, average, op, 32) INIT(2, average, op, 16) INIT(3, average, op, 8)                 \
    INIT(4, average, op, 4)
    INIT_WIDTHS(0, put)
    INIT_WIDTHS(1, avg)

    /* Copies, and averages 4 wide, are left to the C code: clang compiles it as well as kernels would be. */
    for (int type = 0; type < N_FILTERS; type++) {
        dsp->mc[0][type][1][0][0] = avg64;
        dsp->mc[1][type][1][0][0] = avg32;
        dsp->mc[2][type][1][0][0] = avg16;
        dsp->mc[3][type][1][0][0] = avg8;
    }
}
