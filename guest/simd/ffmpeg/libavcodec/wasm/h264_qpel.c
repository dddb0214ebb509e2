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

/* Motion compensation of luma, 8-bit, blocks of 16x16 and 8x8. Results are those of h264qpel_template.c. */

#include <string.h>

#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libavutil/mem_internal.h"
#include "libavcodec/h264qpel.h"
#include "vector.h"

/* A quarter-pel position is the average of two positions that are whole or half-pel. One of them is given as a plane to the
 * filter that computes the other. So a filter has four forms: its result is averaged with a plane or not, and is then stored
 * into the picture or averaged with it. */

/* Eight 16-bit numbers, which may lie outside of the range of pixels. */
static av_always_inline void store_row(uint8_t *dst, v128_t row, const uint8_t *plane, int l2, int average)
{
    row = wasm_u8x16_narrow_i16x8(row, row);
    if (l2)
        row = wasm_u8x16_avgr(row, wasm_v128_load64_zero(plane));
    if (average)
        row = wasm_u8x16_avgr(row, wasm_v128_load64_zero(dst));
    wasm_v128_store64_lane(dst, row, 0);
}

/* a - 5b + 20c. Of sums of two pixels, it is -2550 to 10710. */
static av_always_inline v128_t lowpass(v128_t a, v128_t b, v128_t c)
{
    v128_t inner = wasm_i16x8_sub(wasm_i16x8_shl(c, 2), b);
    return wasm_i16x8_add(a, wasm_i16x8_add(inner, wasm_i16x8_shl(inner, 2)));
}

static av_always_inline v128_t round_5(v128_t sum)
{
    return wasm_i16x8_shr(wasm_i16x8_add(sum, wasm_i16x8_const_splat(16)), 5);
}

/* (a - 5b + 20c + 512) >> 10 of sums of two that lowpass() gave. Floors nest: (((a - b >> 2) - b + c) >> 2) + c is the sum
 * without its lowest four bits. Where that exceeds 16 bits the pixel is clipped anyway. */
static av_always_inline v128_t lowpass_round_10(v128_t a, v128_t b, v128_t c)
{
    v128_t sum = wasm_i16x8_sub(wasm_i16x8_shr(wasm_i16x8_sub(a, b), 2), b);
    sum = wasm_i16x8_add_sat(wasm_i16x8_shr(wasm_i16x8_add_sat(sum, c), 2), c);
    return wasm_i16x8_shr(wasm_i16x8_add_sat(sum, wasm_i16x8_const_splat(32)), 6);
}

static av_always_inline v128_t load_h_lowpass(const uint8_t *src)
{
    return lowpass(wasm_i16x8_add(wasm_u16x8_load8x8(src - 2), wasm_u16x8_load8x8(src + 3)),
                   wasm_i16x8_add(wasm_u16x8_load8x8(src - 1), wasm_u16x8_load8x8(src + 2)),
                   wasm_i16x8_add(wasm_u16x8_load8x8(src), wasm_u16x8_load8x8(src + 1)));
}

static av_always_inline void h_lowpass(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride,
                                       const uint8_t *plane, ptrdiff_t plane_stride, int size, int l2, int average)
{
#pragma clang loop unroll(disable)
    for (int x = 0; x < size; x += 8)
        for (int y = 0; y < size; y++)
            store_row(dst + y * dst_stride + x, round_5(load_h_lowpass(src + y * stride + x)),
                      plane + y * plane_stride + x, l2, average);
}

static av_always_inline v128_t row(const uint8_t *src, int filtered)
{
    return filtered ? load_h_lowpass(src) : wasm_u16x8_load8x8(src);
}

/* Along columns: of pixels (v), or of what the filter along rows makes (hv). The six rows that make one are at hand. */
static av_always_inline void v_or_hv_lowpass(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride,
                                             const uint8_t *plane, ptrdiff_t plane_stride, int size, int l2, int average,
                                             int hv)
{
#pragma clang loop unroll(disable)
    for (int x = 0; x < size; x += 8) {
        const uint8_t *next = src + x - 2 * stride;
        /* Six variables, as clang would keep an array in memory. */
        v128_t r0 = row(next, hv), r1 = row(next + stride, hv), r2 = row(next + 2 * stride, hv);
        v128_t r3 = row(next + 3 * stride, hv), r4 = row(next + 4 * stride, hv);
        next += 5 * stride;
        for (int y = 0; y < size; y++, next += stride) {
            v128_t r5 = row(next, hv);
            v128_t a = wasm_i16x8_add(r0, r5), b = wasm_i16x8_add(r1, r4), c = wasm_i16x8_add(r2, r3);
            store_row(dst + y * dst_stride + x, hv ? lowpass_round_10(a, b, c) : round_5(lowpass(a, b, c)),
                      plane + y * plane_stride + x, l2, average);
            r0 = r1, r1 = r2, r2 = r3, r3 = r4, r4 = r5;
        }
    }
}

/* One function for both sizes, not inlined: a call is short beside the work on 64 pixels. */
#define FILTERS(op, average)                                                                                           \
static av_noinline void op##_h(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int size)     \
{                                                                                                                      \
    h_lowpass(dst, dst_stride, src, stride, dst, 0, size, 0, average);                                                 \
}                                                                                                                      \
static av_noinline void op##_v(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int size)     \
{                                                                                                                      \
    v_or_hv_lowpass(dst, dst_stride, src, stride, dst, 0, size, 0, average, 0);                                        \
}                                                                                                                      \
static av_noinline void op##_hv(uint8_t *dst, const uint8_t *src, ptrdiff_t stride, int size)                          \
{                                                                                                                      \
    v_or_hv_lowpass(dst, stride, src, stride, dst, 0, size, 0, average, 1);                                            \
}                                                                                                                      \
static av_noinline void op##_h_l2(uint8_t *dst, const uint8_t *src, ptrdiff_t stride,                                  \
                                  const uint8_t *plane, int size)                                                      \
{                                                                                                                      \
    h_lowpass(dst, stride, src, stride, plane, stride, size, 1, average);                                              \
}                                                                                                                      \
static av_noinline void op##_v_l2(uint8_t *dst, const uint8_t *src, ptrdiff_t stride,                                  \
                                  const uint8_t *plane, ptrdiff_t plane_stride, int size)                              \
{                                                                                                                      \
    v_or_hv_lowpass(dst, stride, src, stride, plane, plane_stride, size, 1, average, 0);                               \
}                                                                                                                      \
static av_noinline void op##_hv_l2(uint8_t *dst, const uint8_t *src, ptrdiff_t stride,                                 \
                                   const uint8_t *plane, ptrdiff_t plane_stride, int size)                             \
{                                                                                                                      \
    v_or_hv_lowpass(dst, stride, src, stride, plane, plane_stride, size, 1, average, 1);                               \
}
FILTERS(put, 0)
FILTERS(avg, 1)

static av_always_inline void whole(uint8_t *dst, const uint8_t *src, ptrdiff_t stride, int size, int average)
{
    for (int y = 0; y < size; y++, dst += stride, src += stride) {
        v128_t row = size == 16 ? wasm_v128_load(src) : wasm_v128_load64_zero(src);
        if (average)
            row = wasm_u8x16_avgr(row, size == 16 ? wasm_v128_load(dst) : wasm_v128_load64_zero(dst));
        if (size == 16)
            wasm_v128_store(dst, row);
        else
            wasm_v128_store64_lane(dst, row, 0);
    }
}

/* x quarters to the right and y quarters down. */
#define MC(op, average)                                                                                                \
static av_always_inline void op##_mc(uint8_t *dst, const uint8_t *src, ptrdiff_t stride, int size, int x, int y)       \
{                                                                                                                      \
    LOCAL_ALIGNED_16(uint8_t, half, [16 * 16]);                                                                        \
    const uint8_t *right = src + (x == 3), *below = src + (y == 3) * stride;                                           \
    if (!x && !y) {                                                                                                    \
        whole(dst, src, stride, size, average);                                                                        \
    } else if (!y) {                                                                                                   \
        if (x == 2)                                                                                                    \
            op##_h(dst, stride, src, stride, size);                                                                    \
        else                                                                                                           \
            op##_h_l2(dst, src, stride, right, size);                                                                  \
    } else if (!x) {                                                                                                   \
        if (y == 2)                                                                                                    \
            op##_v(dst, stride, src, stride, size);                                                                    \
        else                                                                                                           \
            op##_v_l2(dst, src, stride, below, stride, size);                                                          \
    } else if (x == 2 && y == 2) {                                                                                     \
        op##_hv(dst, src, stride, size);                                                                               \
    } else if (y == 2) {                                                                                               \
        put_v(half, size, right, stride, size);                                                                        \
        op##_hv_l2(dst, src, stride, half, size, size);                                                                \
    } else {                                                                                                           \
        put_h(half, size, below, stride, size);                                                                        \
        if (x == 2)                                                                                                    \
            op##_hv_l2(dst, src, stride, half, size, size);                                                            \
        else                                                                                                           \
            op##_v_l2(dst, right, stride, half, size, size);                                                           \
    }                                                                                                                  \
}
MC(put, 0)
MC(avg, 1)

#define POSITION(op, size, x, y)                                                                                       \
static void op##_h264_qpel##size##_mc##x##y(uint8_t *dst, const uint8_t *src, ptrdiff_t stride)                        \
{                                                                                                                      \
    op##_mc(dst, src, stride, size, x, y);                                                                             \
}
#define POSITIONS(op, size)                                                                                            \
POSITION(op, size, 0, 0) POSITION(op, size, 1, 0) POSITION(op, size, 2, 0) POSITION(op, size, 3, 0)                    \
POSITION(op, size, 0, 1) POSITION(op, size, 1, 1) POSITION(op, size, 2, 1) POSITION(op, size, 3, 1)                    \
POSITION(op, size, 0, 2) POSITION(op, size, 1, 2) POSITION(op, size, 2, 2) POSITION(op, size, 3, 2)                    \
POSITION(op, size, 0, 3) POSITION(op, size, 1, 3) POSITION(op, size, 2, 3) POSITION(op, size, 3, 3)                    \
static const qpel_mc_func op##_h264_qpel##size[16] = {                                                                 \
    op##_h264_qpel##size##_mc00, op##_h264_qpel##size##_mc10, op##_h264_qpel##size##_mc20, op##_h264_qpel##size##_mc30, \
    op##_h264_qpel##size##_mc01, op##_h264_qpel##size##_mc11, op##_h264_qpel##size##_mc21, op##_h264_qpel##size##_mc31, \
    op##_h264_qpel##size##_mc02, op##_h264_qpel##size##_mc12, op##_h264_qpel##size##_mc22, op##_h264_qpel##size##_mc32, \
    op##_h264_qpel##size##_mc03, op##_h264_qpel##size##_mc13, op##_h264_qpel##size##_mc23, op##_h264_qpel##size##_mc33, \
};
POSITIONS(put, 16)
POSITIONS(put, 8)
POSITIONS(avg, 16)
POSITIONS(avg, 8)

av_cold void ff_h264qpel_init_wasm(H264QpelContext *c, int bit_depth)
{
    if (!CPUEXT(av_get_cpu_flags(), SIMD128) || bit_depth > 8)
        return;
    memcpy(c->put_h264_qpel_pixels_tab[0], put_h264_qpel16, sizeof(put_h264_qpel16));
    memcpy(c->put_h264_qpel_pixels_tab[1], put_h264_qpel8, sizeof(put_h264_qpel8));
    memcpy(c->avg_h264_qpel_pixels_tab[0], avg_h264_qpel16, sizeof(avg_h264_qpel16));
    memcpy(c->avg_h264_qpel_pixels_tab[1], avg_h264_qpel8, sizeof(avg_h264_qpel8));
}
