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

/* Intra prediction, 8 and 10 bits. Results are those of hevc/pred_template.c. Strides count pixels here. */

#include "libavutil/attributes.h"
#include "libavutil/common.h"
#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libavutil/macros.h"
#include "libavutil/intreadwrite.h"
#include "libavcodec/hevc/pred.h"
#include "libavcodec/wasm/hevc/hevcdsp.h"

static av_always_inline int get_pixel(const uint8_t *pixels, ptrdiff_t i, int bits)
{
    return bits > 8 ? AV_RN16(pixels + 2 * i) : pixels[i];
}

static av_always_inline void set_pixel(uint8_t *pixels, ptrdiff_t i, int value, int bits)
{
    value = av_clip_uintp2(value, bits);
    if (bits > 8)
        AV_WN16(pixels + 2 * i, value);
    else
        pixels[i] = value;
}

/* Eight pixels, or the first four of them if width is 4. */
static av_always_inline void store_8_or_4_pixels(uint8_t *dst, v128_t pixels, int width, int bits)
{
    if (bits == 8)
        pixels = wasm_u8x16_narrow_i16x8(pixels, pixels);
    if (width == 4 && bits == 8)
        wasm_v128_store32_lane(dst, pixels, 0);
    else if (width == 4 || bits == 8)
        wasm_v128_store64_lane(dst, pixels, 0);
    else
        wasm_v128_store(dst, pixels);
}

static av_always_inline void predict_planar(uint8_t *dst, const uint8_t *top, const uint8_t *left, ptrdiff_t stride,
                                            int log2_size, int bits)
{
    const int size = 1 << log2_size, pixel = bits > 8 ? 2 : 1;
    v128_t right = wasm_i16x8_splat(get_pixel(top, size, bits)), bottom = wasm_i16x8_splat(get_pixel(left, size, bits));
    for (int x = 0; x < size; x += 8) {
        v128_t column = wasm_i16x8_add(wasm_i16x8_splat(x), wasm_i16x8_const(1, 2, 3, 4, 5, 6, 7, 8));
        v128_t distance = wasm_i16x8_sub(wasm_i16x8_splat(size), column), above = load_8_pixels(top + x * pixel, bits);
        /* The part of the sum that does not depend on the row, and the difference from each row to the next. */
        v128_t sum = wasm_i16x8_add(wasm_i16x8_mul(right, column), wasm_i16x8_splat(size));
        sum = wasm_i16x8_add(sum, wasm_i16x8_shl(above, log2_size));
        v128_t step = wasm_i16x8_sub(bottom, above);
        for (int y = 0; y < size; y++) {
            sum = wasm_i16x8_add(sum, step);
            /* Up to 64 * 1023 + 32, which 16 bits hold without a sign. */
            v128_t row = wasm_i16x8_add(sum, wasm_i16x8_mul(distance, wasm_i16x8_splat(get_pixel(left, y, bits))));
            store_8_or_4_pixels(dst + (y * stride + x) * pixel, wasm_u16x8_shr(row, log2_size + 1), size, bits);
        }
    }
}

static av_always_inline void predict_dc(uint8_t *dst, const uint8_t *top, const uint8_t *left, ptrdiff_t stride,
                                        int log2_size, int c_idx, int bits)
{
    const int size = 1 << log2_size, width = FFMIN(size, 8), pixel = bits > 8 ? 2 : 1;
    v128_t sums = wasm_i16x8_const_splat(0);
    for (int i = 0; i < size * pixel; i += 8 * pixel)
        sums = wasm_i16x8_add(sums, wasm_i16x8_add(load_8_pixels(top + i, bits), load_8_pixels(left + i, bits)));
    if (size == 4)
        sums = wasm_i64x2_shuffle(sums, wasm_i64x2_const_splat(0), 0, 2);
    sums = wasm_i32x4_extadd_pairwise_i16x8(sums);
    sums = wasm_i32x4_add(sums, wasm_i64x2_shuffle(sums, sums, 1, 0));
    int dc = (wasm_i32x4_extract_lane(sums, 0) + wasm_i32x4_extract_lane(sums, 1) + size) >> (log2_size + 1);

    v128_t row = wasm_i16x8_splat(dc), edge = wasm_i16x8_splat(3 * dc + 2);
    for (int x = 0; x < size; x += 8) {
        uint8_t *to = dst + x * pixel;
        v128_t above = load_8_pixels(top + x * pixel, bits);
        for (int y = 0; y < size; y++)
            /* Else clang makes a loop for each width. */
            store_8_or_4_pixels(to + y * stride * pixel, row, opaque(width), bits);
        if (c_idx == 0 && size < 32)
            store_8_or_4_pixels(to, wasm_i16x8_shr(wasm_i16x8_add(above, edge), 2), width, bits);
    }
    if (c_idx == 0 && size < 32) {
        /* Else clang unrolls the loop. */
        for (int y = 1; y < size; y++)
            set_pixel(dst, y * stride, (get_pixel(left, opaque(y), bits) + 3 * dc + 2) >> 2, bits);
        set_pixel(dst, 0, (get_pixel(left, 0, bits) + 2 * dc + get_pixel(top, 0, bits) + 2) >> 2, bits);
    }
}

/* Eight pixels of a line, each interpolated between two neighbours of the reference; position counts 32nds of a pixel. */
static av_always_inline v128_t interpolate(const uint8_t *ref, int position, int bits)
{
    const int pixel = bits > 8 ? 2 : 1;
    int fraction = position & 31;
    const uint8_t *src = ref + ((position >> 5) + 1) * pixel;
    v128_t a = wasm_i16x8_mul(load_8_pixels(src, bits), wasm_i16x8_splat(32 - fraction));
    v128_t b = wasm_i16x8_mul(load_8_pixels(src + pixel, bits), wasm_i16x8_splat(fraction));
    return wasm_i16x8_shr(wasm_i16x8_add(wasm_i16x8_add(a, b), wasm_i16x8_const_splat(16)), 5);
}

/* Modes from 18 on predict rows from above. The others predict columns from the left, which are transposed when stored. */
static av_always_inline void predict_angular(uint8_t *dst, const uint8_t *top, const uint8_t *left, ptrdiff_t stride,
                                             int c_idx, int mode, int size, int bits)
{
    static const int8_t angles[] = { 32, 26, 21, 17, 13, 9, 5, 2, 0, -2, -5, -9, -13, -17, -21, -26, -32,
                                     -26, -21, -17, -13, -9, -5, -2, 0, 2, 5, 9, 13, 17, 21, 26, 32 };
    static const int16_t inverse_angles[] = { -4096, -1638, -910, -630, -482, -390, -315, -256,
                                              -315, -390, -482, -630, -910, -1638, -4096 };
    const int pixel = bits > 8 ? 2 : 1, rows = mode >= 18, angle = angles[mode - 2], last = size * angle >> 5;
    const uint8_t *main = rows ? top : left, *side = rows ? left : top, *ref = main - pixel;
    uint8_t extended[2 * (3 * 32 + 16)];

    if (angle < 0 && last < -1) {
        uint8_t *own = extended + size * pixel;
        for (int i = 0; i <= size; i += 8)
            wasm_v128_store(own + i * pixel, wasm_v128_load(ref + i * pixel));
        /* Opaque, as clang would unroll the loop. */
        for (int i = last; i <= opaque(-1); i++) {
            int from = -1 + ((i * inverse_angles[mode - 11] + 128) >> 8);
            if (bits > 8)
                AV_WN16(own + 2 * i, AV_RN16(side + 2 * from));
            else
                own[i] = side[from];
        }
        ref = own;
    }

    if (size == 4) {
        v128_t lines01 = wasm_i64x2_shuffle(interpolate(ref, angle, bits), interpolate(ref, 2 * angle, bits), 0, 2);
        v128_t lines23 = wasm_i64x2_shuffle(interpolate(ref, 3 * angle, bits), interpolate(ref, 4 * angle, bits), 0, 2);
        if (!rows)
            transpose_4x4_i16(&lines01, &lines23);
        if (bits == 8) {
            store_4_rows_of_4(dst, stride, wasm_u8x16_narrow_i16x8(lines01, lines23));
        } else {
            wasm_v128_store64_lane(dst, lines01, 0);
            wasm_v128_store64_lane(dst + 2 * stride, lines01, 1);
            wasm_v128_store64_lane(dst + 4 * stride, lines23, 0);
            wasm_v128_store64_lane(dst + 6 * stride, lines23, 1);
        }
    } else {
        for (int line = 0; line < size; line += 8)
            for (int i = 0; i < size; i += 8) {
                v128_t r[8];
#pragma clang loop unroll(disable)
                for (int j = 0; j < 8; j++)
                    r[j] = interpolate(ref + i * pixel, (line + j + 1) * angle, bits);
                if (!rows)
                    transpose_8x8_i16(r);
                uint8_t *to = dst + (rows ? line * stride + i : i * stride + line) * pixel;
                for (int j = 0; j < 8; j++)
                    store_8_or_4_pixels(to + j * stride * pixel, r[j], 8, bits);
            }
    }

    /* Straight down or right: the edge takes half of the other edge's slope. */
    if (angle == 0 && c_idx == 0 && size < 32)
        /* Opaque, as clang would unroll the loop. */
        for (int i = 0; i < opaque(size); i++)
            set_pixel(dst, rows ? i * stride : i,
                      get_pixel(main, 0, bits) + ((get_pixel(side, i, bits) - get_pixel(side, -1, bits)) >> 1), bits);
}

/* (a + 2b + c + 2) >> 2 */
static av_always_inline void smooth(uint8_t *dst, const uint8_t *src, int count, int bits)
{
    const int pixel = bits > 8 ? 2 : 1;
    for (int i = 0; i < count; i += 8) {
        const uint8_t *from = src + i * pixel;
        v128_t sum = wasm_i16x8_add(load_8_pixels(from - pixel, bits), load_8_pixels(from + pixel, bits));
        sum = wasm_i16x8_add(sum, wasm_i16x8_shl(load_8_pixels(from, bits), 1));
        sum = wasm_i16x8_shr(wasm_i16x8_add(sum, wasm_i16x8_const_splat(2)), 2);
        store_8_or_4_pixels(dst + i * pixel, sum, 8, bits);
    }
}

static av_always_inline void smooth_edges(uint8_t *filtered_left, uint8_t *filtered_top, const uint8_t *left,
                                          const uint8_t *top, int size, int bits)
{
    const int last = 2 * size - 1;
    smooth(filtered_left, left, 2 * size, bits);
    smooth(filtered_top, top, 2 * size, bits);
    set_pixel(filtered_left, last, get_pixel(left, last, bits), bits);
    set_pixel(filtered_top, last, get_pixel(top, last, bits), bits);
    int corner = (get_pixel(left, 0, bits) + 2 * get_pixel(left, -1, bits) + get_pixel(top, 0, bits) + 2) >> 2;
    set_pixel(filtered_left, -1, corner, bits);
    set_pixel(filtered_top, -1, corner, bits);
}

/* 64 pixels on a straight line from first, which is the pixel before them, to last. */
static av_always_inline void straighten(uint8_t *dst, int first, int last, int bits)
{
    v128_t sum = wasm_i16x8_splat(64 * first + 32), slope = wasm_i16x8_splat(last - first);
    v128_t eighth = wasm_i16x8_shl(slope, 3);
    sum = wasm_i16x8_add(sum, wasm_i16x8_mul(slope, wasm_i16x8_const(1, 2, 3, 4, 5, 6, 7, 8)));
#pragma clang loop unroll(disable)
    for (int i = 0; i < 64; i += 8) {
        store_8_or_4_pixels(dst + (bits > 8 ? 2 * i : i), wasm_u16x8_shr(sum, 6), 8, bits);
        sum = wasm_i16x8_add(sum, eighth);
    }
}

static av_always_inline void straighten_edges(uint8_t *filtered_top, uint8_t *left, const uint8_t *top, int bits)
{
    set_pixel(filtered_top, -1, get_pixel(top, -1, bits), bits);
    straighten(filtered_top, get_pixel(top, -1, bits), get_pixel(top, 63, bits), bits);
    straighten(left, get_pixel(left, -1, bits), get_pixel(left, 63, bits), bits);
}

#define OF_SIZE(log2_size, index, bits)                                                                                \
static void pred_planar_##index##_##bits(uint8_t *dst, const uint8_t *top, const uint8_t *left, ptrdiff_t stride)      \
{                                                                                                                      \
    planar_##bits(dst, top, left, stride, log2_size);                                                                  \
}                                                                                                                      \
static void pred_angular_##index##_##bits(uint8_t *dst, const uint8_t *top, const uint8_t *left, ptrdiff_t stride,     \
                                          int c_idx, int mode)                                                         \
{                                                                                                                      \
    angular_##bits(dst, top, left, stride, c_idx, mode, 1 << log2_size);                                               \
}

#define OF_DEPTH(bits)                                                                                                 \
static av_noinline void planar_##bits(uint8_t *dst, const uint8_t *top, const uint8_t *left, ptrdiff_t stride,         \
                                      int log2_size)                                                                   \
{                                                                                                                      \
    predict_planar(dst, top, left, stride, log2_size, bits);                                                           \
}                                                                                                                      \
static av_noinline void angular_##bits(uint8_t *dst, const uint8_t *top, const uint8_t *left, ptrdiff_t stride,        \
                                       int c_idx, int mode, int size)                                                  \
{                                                                                                                      \
    predict_angular(dst, top, left, stride, c_idx, mode, size, bits);                                                  \
}                                                                                                                      \
static void pred_dc_##bits(uint8_t *dst, const uint8_t *top, const uint8_t *left, ptrdiff_t stride, int log2_size,     \
                           int c_idx)                                                                                  \
{                                                                                                                      \
    predict_dc(dst, top, left, stride, log2_size, c_idx, bits);                                                        \
}                                                                                                                      \
static void ref_filter_3tap_##bits(uint8_t *filtered_left, uint8_t *filtered_top, const uint8_t *left,                 \
                                   const uint8_t *top, int size)                                                       \
{                                                                                                                      \
    smooth_edges(filtered_left, filtered_top, left, top, size, bits);                                                  \
}                                                                                                                      \
static void ref_filter_strong_##bits(uint8_t *filtered_top, uint8_t *left, const uint8_t *top)                         \
{                                                                                                                      \
    straighten_edges(filtered_top, left, top, bits);                                                                   \
}                                                                                                                      \
OF_SIZE(2, 0, bits)                                                                                                    \
OF_SIZE(3, 1, bits)                                                                                                    \
OF_SIZE(4, 2, bits)                                                                                                    \
OF_SIZE(5, 3, bits)

OF_DEPTH(8)
OF_DEPTH(10)

#define CHOOSE(bits)                                                                                                   \
    c->pred_planar[0]  = pred_planar_0_##bits;                                                                         \
    c->pred_planar[1]  = pred_planar_1_##bits;                                                                         \
    c->pred_planar[2]  = pred_planar_2_##bits;                                                                         \
    c->pred_planar[3]  = pred_planar_3_##bits;                                                                         \
    c->pred_angular[0] = pred_angular_0_##bits;                                                                        \
    c->pred_angular[1] = pred_angular_1_##bits;                                                                        \
    c->pred_angular[2] = pred_angular_2_##bits;                                                                        \
    c->pred_angular[3] = pred_angular_3_##bits;                                                                        \
    c->pred_dc         = pred_dc_##bits;                                                                               \
    c->ref_filter_3tap[0] = c->ref_filter_3tap[1] = c->ref_filter_3tap[2] = ref_filter_3tap_##bits;                    \
    c->ref_filter_strong  = ref_filter_strong_##bits;

av_cold void ff_hevc_pred_init_wasm(HEVCPredContext *c, int bit_depth)
{
    if (!CPUEXT(av_get_cpu_flags(), SIMD128))
        return;
    if (bit_depth == 8) {
        CHOOSE(8)
    } else if (bit_depth == 10) {
        CHOOSE(10)
    }
}
