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

/* Intra prediction, 8-bit: the directions of blocks of 4x4 and 8x8, and planes. Results are those of h264pred_template.c.
 *
 * In a directional mode each row of the block is the filtered edge, shifted by one more step than the row before. */

#include "libavutil/attributes.h"
#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libavutil/intreadwrite.h"
#include "libavcodec/avcodec.h"
#include "libavcodec/h264pred.h"
#include "vector.h"

/* (a + 2 b + c + 2) >> 2. The instruction for averages rounds up, which is corrected for the average of a and c. */
static av_always_inline v128_t filter_3_taps(v128_t a, v128_t b, v128_t c)
{
    v128_t odd = wasm_v128_and(wasm_v128_xor(a, c), wasm_i8x16_splat(1));
    return wasm_u8x16_avgr(wasm_i8x16_sub(wasm_u8x16_avgr(a, c), odd), b);
}

static av_always_inline v128_t shift_by_1(v128_t a, v128_t b)
{
    return wasm_i8x16_shuffle(a, b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
}

static av_always_inline v128_t shift_by_2(v128_t a, v128_t b)
{
    return wasm_i8x16_shuffle(a, b, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17);
}

/* An edge with both filters: rounded averages of neighbours, and three taps. */
typedef struct Edge {
    v128_t average, smooth;
} Edge;

/* `next` is what follows, in its first two lanes. */
static av_always_inline Edge filter_edge(v128_t edge, v128_t next)
{
    v128_t second = shift_by_1(edge, next);
    return (Edge) { wasm_u8x16_avgr(edge, second), filter_3_taps(edge, second, shift_by_2(edge, next)) };
}

static av_always_inline uint64_t low_half(v128_t vector)
{
    return wasm_i64x2_extract_lane(vector, 0);
}

static av_always_inline void store_rows_of_4(uint8_t *src, ptrdiff_t stride, uint32_t row0, uint32_t row1, uint32_t row2,
                                             uint32_t row3)
{
    AV_WN32(src, row0);
    AV_WN32(src + stride, row1);
    AV_WN32(src + 2 * stride, row2);
    AV_WN32(src + 3 * stride, row3);
}

/* From the lower left corner up, then to the right: the left column is lanes 0 to 3, the corner 4, the top 5 to 8. */
static av_always_inline Edge edge_around_4x4(const uint8_t *src, ptrdiff_t stride)
{
    uint32_t left = src[3 * stride - 1] | src[2 * stride - 1] << 8 | src[stride - 1] << 16 | (uint32_t)src[-1] << 24;
    uint64_t top = AV_RN64(src - stride - 1);
    v128_t edge = wasm_i64x2_make(left | top << 32, top >> 32);
    return filter_edge(edge, edge);
}

static av_always_inline Edge edge_above_4x4(const uint8_t *src, const uint8_t *topright, ptrdiff_t stride)
{
    v128_t edge = wasm_i64x2_make(AV_RN32(src - stride) | (uint64_t)AV_RN32(topright) << 32,
                                  topright[3] * 0x0101010101010101);
    return filter_edge(edge, edge);
}

static void pred4x4_down_right_wasm(uint8_t *src, const uint8_t *topright, ptrdiff_t stride)
{
    uint64_t smooth = low_half(edge_around_4x4(src, stride).smooth);
    store_rows_of_4(src, stride, smooth >> 24, smooth >> 16, smooth >> 8, smooth);
}

static void pred4x4_vertical_right_wasm(uint8_t *src, const uint8_t *topright, ptrdiff_t stride)
{
    Edge edge = edge_around_4x4(src, stride);
    uint64_t smooth = low_half(edge.smooth);
    uint32_t row0 = low_half(edge.average) >> 32, row1 = smooth >> 24;
    store_rows_of_4(src, stride, row0, row1, row0 << 8 | (smooth >> 16 & 0xFF), row1 << 8 | (smooth >> 8 & 0xFF));
}

static void pred4x4_horizontal_down_wasm(uint8_t *src, const uint8_t *topright, ptrdiff_t stride)
{
    Edge edge = edge_around_4x4(src, stride);
    uint64_t both = low_half(unpack_low_u8(edge.average, edge.smooth));
    uint32_t top = low_half(edge.smooth) >> 32;
    store_rows_of_4(src, stride, both >> 48 | top << 16, both >> 32, both >> 16, both);
}

static void pred4x4_down_left_wasm(uint8_t *src, const uint8_t *topright, ptrdiff_t stride)
{
    uint64_t smooth = low_half(edge_above_4x4(src, topright, stride).smooth);
    store_rows_of_4(src, stride, smooth, smooth >> 8, smooth >> 16, smooth >> 24);
}

static void pred4x4_vertical_left_wasm(uint8_t *src, const uint8_t *topright, ptrdiff_t stride)
{
    Edge edge = edge_above_4x4(src, topright, stride);
    uint64_t average = low_half(edge.average), smooth = low_half(edge.smooth);
    store_rows_of_4(src, stride, average, smooth, average >> 8, smooth >> 8);
}

static void pred4x4_horizontal_up_wasm(uint8_t *src, const uint8_t *topright, ptrdiff_t stride)
{
    uint64_t last = src[3 * stride - 1] * 0x0101010101000000;
    v128_t left = wasm_i64x2_splat(src[-1] | src[stride - 1] << 8 | src[2 * stride - 1] << 16 | last);
    Edge edge = filter_edge(left, left);
    uint64_t both = low_half(unpack_low_u8(edge.average, edge.smooth));
    store_rows_of_4(src, stride, both, both >> 16, both >> 32, last >> 32);
}

static av_always_inline v128_t load_column_of_8(const uint8_t *pixel, ptrdiff_t stride)
{
    v128_t column = wasm_v128_load8_lane(pixel, wasm_i8x16_splat(0), 0);
    column = wasm_v128_load8_lane(pixel + stride, column, 1);
    column = wasm_v128_load8_lane(pixel + 2 * stride, column, 2);
    column = wasm_v128_load8_lane(pixel + 3 * stride, column, 3);
    column = wasm_v128_load8_lane(pixel + 4 * stride, column, 4);
    column = wasm_v128_load8_lane(pixel + 5 * stride, column, 5);
    column = wasm_v128_load8_lane(pixel + 6 * stride, column, 6);
    return wasm_v128_load8_lane(pixel + 7 * stride, column, 7);
}

/* The standard smooths the edges of 8x8 blocks before it predicts from them. This is the top with what is right of it. */
static av_always_inline v128_t smooth_top(const uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    const uint8_t *above = src - stride;
    v128_t top = has_topright ? wasm_v128_load(above)
                              : wasm_i64x2_make(AV_RN64(above), above[7] * 0x0101010101010101);
    v128_t corner = wasm_i8x16_splat(above[has_topleft ? -1 : 0]);
    v128_t previous = wasm_i8x16_shuffle(corner, top, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
    v128_t next = wasm_i8x16_shuffle(top, top, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15);
    return filter_3_taps(previous, top, next);
}

/* The left column in lanes 0 to 7, from the top down; the last one again in those that follow. */
static av_always_inline v128_t smooth_left(const uint8_t *src, int has_topleft, ptrdiff_t stride)
{
    v128_t left = load_column_of_8(src - 1, stride);
    v128_t corner = wasm_i8x16_splat(src[has_topleft ? -1 - stride : -1]);
    v128_t previous = wasm_i8x16_shuffle(corner, left, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
    v128_t next = wasm_i8x16_shuffle(left, left, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7);
    v128_t smooth = filter_3_taps(previous, left, next);
    return wasm_i8x16_shuffle(smooth, smooth, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7);
}

/* From the lower left corner up, then to the right: the left column is lanes 0 to 7, the corner 8, the top 9 and on. */
static av_always_inline Edge edge_around_8x8(const uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    const uint8_t *above = src - stride;
    uint64_t left = low_half(smooth_left(src, has_topleft, stride));
    uint64_t top = low_half(smooth_top(src, has_topleft, has_topright, stride));
    uint64_t corner = (src[-1] + 2 * above[-1] + above[0] + 2) >> 2;
    v128_t edge = wasm_i64x2_make(__builtin_bswap64(left), corner | top << 8);
    return filter_edge(edge, wasm_i64x2_splat(top >> 56));
}

static void pred8x8l_down_right_wasm(uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    v128_t smooth = edge_around_8x8(src, has_topleft, has_topright, stride).smooth;
    for (int y = 7; y >= 0; y--, smooth = shift_by_1(smooth, smooth))
        wasm_v128_store64_lane(src + y * stride, smooth, 0);
}

static void pred8x8l_vertical_right_wasm(uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    Edge edge = edge_around_8x8(src, has_topleft, has_topright, stride);
    v128_t even = wasm_i8x16_shuffle(edge.smooth, edge.average, 2, 4, 6, 24, 25, 26, 27, 28, 29, 30, 31, 0, 0, 0, 0, 0);
    v128_t odd = wasm_i8x16_shuffle(edge.smooth, edge.smooth, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 0, 0, 0, 0, 0);
    for (int y = 6; y >= 0; y -= 2) {
        wasm_v128_store64_lane(src + y * stride, even, 0);
        wasm_v128_store64_lane(src + (y + 1) * stride, odd, 0);
        even = shift_by_1(even, even);
        odd = shift_by_1(odd, odd);
    }
}

static void pred8x8l_horizontal_down_wasm(uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    Edge edge = edge_around_8x8(src, has_topleft, has_topright, stride);
    v128_t both = unpack_low_u8(edge.average, edge.smooth);
    v128_t top = wasm_i64x2_shuffle(edge.smooth, edge.smooth, 1, 1);
    for (int y = 7; y >= 0; y--) {
        wasm_v128_store64_lane(src + y * stride, both, 0);
        both = shift_by_2(both, top);
        top = shift_by_2(top, top);
    }
}

static av_always_inline Edge edge_above_8x8(const uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    v128_t top = smooth_top(src, has_topleft, has_topright, stride);
    return filter_edge(top, wasm_i8x16_splat(wasm_u8x16_extract_lane(top, 15)));
}

static void pred8x8l_down_left_wasm(uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    v128_t smooth = edge_above_8x8(src, has_topleft, has_topright, stride).smooth;
    for (int y = 0; y < 8; y++, smooth = shift_by_1(smooth, smooth))
        wasm_v128_store64_lane(src + y * stride, smooth, 0);
}

static void pred8x8l_vertical_left_wasm(uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    Edge edge = edge_above_8x8(src, has_topleft, has_topright, stride);
    for (int y = 0; y < 8; y += 2) {
        wasm_v128_store64_lane(src + y * stride, edge.average, 0);
        wasm_v128_store64_lane(src + (y + 1) * stride, edge.smooth, 0);
        edge.average = shift_by_1(edge.average, edge.average);
        edge.smooth = shift_by_1(edge.smooth, edge.smooth);
    }
}

static void pred8x8l_horizontal_up_wasm(uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    v128_t left = smooth_left(src, has_topleft, stride);
    v128_t last = wasm_i64x2_shuffle(left, left, 1, 1);
    Edge edge = filter_edge(left, last);
    v128_t both = unpack_low_u8(edge.average, edge.smooth);
    for (int y = 0; y < 8; y++, both = shift_by_2(both, last))
        wasm_v128_store64_lane(src + y * stride, both, 0);
}

static void pred8x8l_vertical_wasm(uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    v128_t top = smooth_top(src, has_topleft, has_topright, stride);
    for (int y = 0; y < 8; y++)
        wasm_v128_store64_lane(src + y * stride, top, 0);
}

static void pred8x8l_dc_wasm(uint8_t *src, int has_topleft, int has_topright, ptrdiff_t stride)
{
    v128_t top = smooth_top(src, has_topleft, has_topright, stride), left = smooth_left(src, has_topleft, stride);
    v128_t sums = wasm_u32x4_extadd_pairwise_u16x8(wasm_u16x8_extadd_pairwise_u8x16(wasm_i64x2_shuffle(top, left, 0, 2)));
    sums = wasm_i32x4_add(sums, wasm_i64x2_shuffle(sums, sums, 1, 1));
    uint64_t sum = low_half(sums);
    uint64_t dc = (((uint32_t)sum + (uint32_t)(sum >> 32) + 8) >> 4) * 0x0101010101010101;
    for (int y = 0; y < 8; y++)
        AV_WN64(src + y * stride, dc);
}

static av_always_inline int sum_i32(v128_t vector)
{
    vector = wasm_i32x4_add(vector, wasm_i64x2_shuffle(vector, vector, 1, 1));
    return wasm_i32x4_extract_lane(vector, 0) + wasm_i32x4_extract_lane(vector, 1);
}

/* The slope of a row or column of 16 pixels and the pixel before it. */
static av_always_inline int slope_of_16(v128_t edge, int corner)
{
    v128_t low = wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(edge), wasm_i16x8_const(-7, -6, -5, -4, -3, -2, -1, 0));
    v128_t high = wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(edge), wasm_i16x8_const(1, 2, 3, 4, 5, 6, 7, 8));
    return (5 * (sum_i32(wasm_i32x4_add(low, high)) - 8 * corner) + 32) >> 6;
}

static av_always_inline int slope_of_8(v128_t edge, int corner)
{
    v128_t sums = wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(edge), wasm_i16x8_const(-3, -2, -1, 0, 1, 2, 3, 4));
    return (17 * (sum_i32(sums) - 4 * corner) + 16) >> 5;
}

/* Pixels fit into 16 bits before they are shifted, as those in the corners of the plane do. */
static av_always_inline void store_plane(uint8_t *src, ptrdiff_t stride, int first, int h, int v, int size)
{
    v128_t down = wasm_i16x8_splat(v), right = wasm_i16x8_splat(8 * h);
    v128_t row = wasm_i16x8_add(wasm_i16x8_splat(first),
                                wasm_i16x8_mul(wasm_i16x8_splat(h), wasm_i16x8_const(0, 1, 2, 3, 4, 5, 6, 7)));
    for (int y = 0; y < size; y++, src += stride) {
        v128_t low = wasm_i16x8_shr(row, 5);
        if (size == 16)
            wasm_v128_store(src, wasm_u8x16_narrow_i16x8(low, wasm_i16x8_shr(wasm_i16x8_add(row, right), 5)));
        else
            wasm_v128_store64_lane(src, wasm_u8x16_narrow_i16x8(low, low), 0);
        row = wasm_i16x8_add(row, down);
    }
}

static void pred16x16_plane_wasm(uint8_t *src, ptrdiff_t stride)
{
    const uint8_t *above = src - stride;
    v128_t left = wasm_i64x2_shuffle(load_column_of_8(src - 1, stride), load_column_of_8(src - 1 + 8 * stride, stride), 0, 2);
    int h = slope_of_16(wasm_v128_load(above), above[-1]), v = slope_of_16(left, above[-1]);
    store_plane(src, stride, 16 * (src[15 * stride - 1] + above[15] + 1) - 7 * (v + h), h, v, 16);
}

static void pred8x8_plane_wasm(uint8_t *src, ptrdiff_t stride)
{
    const uint8_t *above = src - stride;
    int h = slope_of_8(wasm_v128_load64_zero(above), above[-1]), v = slope_of_8(load_column_of_8(src - 1, stride), above[-1]);
    store_plane(src, stride, 16 * (src[7 * stride - 1] + above[7] + 1) - 3 * (v + h), h, v, 8);
}

av_cold void ff_h264_pred_init_wasm(H264PredContext *h, int codec_id, const int bit_depth, const int chroma_format_idc)
{
    if (!CPUEXT(av_get_cpu_flags(), SIMD128) || codec_id != AV_CODEC_ID_H264 || bit_depth > 8)
        return;

    h->pred4x4[DIAG_DOWN_LEFT_PRED]   = pred4x4_down_left_wasm;
    h->pred4x4[DIAG_DOWN_RIGHT_PRED]  = pred4x4_down_right_wasm;
    h->pred4x4[VERT_RIGHT_PRED]       = pred4x4_vertical_right_wasm;
    h->pred4x4[HOR_DOWN_PRED]         = pred4x4_horizontal_down_wasm;
    h->pred4x4[VERT_LEFT_PRED]        = pred4x4_vertical_left_wasm;
    h->pred4x4[HOR_UP_PRED]           = pred4x4_horizontal_up_wasm;

    h->pred8x8l[VERT_PRED]            = pred8x8l_vertical_wasm;
    h->pred8x8l[DC_PRED]              = pred8x8l_dc_wasm;
    h->pred8x8l[DIAG_DOWN_LEFT_PRED]  = pred8x8l_down_left_wasm;
    h->pred8x8l[DIAG_DOWN_RIGHT_PRED] = pred8x8l_down_right_wasm;
    h->pred8x8l[VERT_RIGHT_PRED]      = pred8x8l_vertical_right_wasm;
    h->pred8x8l[HOR_DOWN_PRED]        = pred8x8l_horizontal_down_wasm;
    h->pred8x8l[VERT_LEFT_PRED]       = pred8x8l_vertical_left_wasm;
    h->pred8x8l[HOR_UP_PRED]          = pred8x8l_horizontal_up_wasm;

    h->pred16x16[PLANE_PRED8x8] = pred16x16_plane_wasm;
    if (chroma_format_idc <= 1)
        h->pred8x8[PLANE_PRED8x8] = pred8x8_plane_wasm;
}
