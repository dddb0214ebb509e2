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

/* Loop filters, 8-bit. Results are those of vp9dsp_template.c. */

#include "libavutil/mem_internal.h"
#include "vector.h"
#include "vp9dsp.h"

/* A filter works on rows above and below an edge, p7 .. p0 | q0 .. q7, on 16 or 8 positions along it. For edges between columns
 * the pixels are transposed into a buffer and back. */

static av_always_inline v128_t difference(v128_t a, v128_t b)
{
    return wasm_v128_or(wasm_u8x16_sub_sat(a, b), wasm_u8x16_sub_sat(b, a));
}

static av_always_inline v128_t largest(v128_t a, v128_t b, v128_t c)
{
    return wasm_u8x16_max(wasm_u8x16_max(a, b), c);
}

/* Not zero where a exceeds the limit. */
static av_always_inline v128_t excess(v128_t a, v128_t limit)
{
    return wasm_u8x16_sub_sat(a, limit);
}

static av_always_inline v128_t is_zero(v128_t a)
{
    return wasm_i8x16_eq(a, wasm_i8x16_const_splat(0));
}

static av_always_inline int any(v128_t mask, int positions)
{
    return positions == 16 ? wasm_v128_any_true(mask) : wasm_i64x2_extract_lane(mask, 0) != 0;
}

static av_always_inline v128_t shift_right_u8(v128_t a, int shift)
{
    return wasm_v128_and(wasm_u16x8_shr(a, shift), wasm_i8x16_splat(255 >> shift));
}

/* Pixels less 128, which are signed. */
static av_always_inline v128_t less_128(v128_t a)
{
    return wasm_v128_xor(a, wasm_i8x16_const_splat(-128));
}

/* Changes p1 .. q1 where mask says so. Where p1 or q1 stand out (hev), p1 and q1 stay. */
static av_always_inline void filter_4(uint8_t *dst, ptrdiff_t stride, v128_t p1, v128_t p0, v128_t q0, v128_t q1, v128_t mask,
                                      v128_t hev, int positions)
{
    p1 = less_128(p1), p0 = less_128(p0), q0 = less_128(q0), q1 = less_128(q1);
    v128_t step = wasm_i8x16_sub_sat(q0, p0), f = wasm_v128_and(wasm_i8x16_sub_sat(p1, q1), hev);
    f = wasm_i8x16_add_sat(wasm_i8x16_add_sat(wasm_i8x16_add_sat(f, step), step), step);
    /* There is no shift of signed bytes: these are 16 too large. */
    f = less_128(wasm_v128_and(f, mask));
    v128_t f1 = shift_right_u8(wasm_u8x16_add_sat(f, wasm_i8x16_const_splat(4)), 3);
    v128_t f2 = shift_right_u8(wasm_u8x16_add_sat(f, wasm_i8x16_const_splat(3)), 3);
    v128_t half = wasm_i8x16_sub(wasm_u8x16_avgr(f1, wasm_i8x16_const_splat(0)), wasm_i8x16_const_splat(8));
    half = wasm_v128_andnot(half, hev);
    f1 = wasm_i8x16_sub(f1, wasm_i8x16_const_splat(16));
    f2 = wasm_i8x16_sub(f2, wasm_i8x16_const_splat(16));
    store_pixels(dst - 2 * stride, less_128(wasm_i8x16_add_sat(p1, half)), positions);
    store_pixels(dst - stride, less_128(wasm_i8x16_add_sat(p0, f2)), positions);
    store_pixels(dst, less_128(wasm_i8x16_sub_sat(q0, f1)), positions);
    store_pixels(dst + stride, less_128(wasm_i8x16_sub_sat(q1, half)), positions);
}

/* Smooths what is flat, where the lower half of mask says so: of 8 rows all but the outer ones become averages over 8 weights,
 * of 16 rows over 16. From one to the next two rows enter the sum and two leave it. */
static av_always_inline void smooth(uint8_t *dst, ptrdiff_t stride, v128_t mask, int size)
{
    const int half = size / 2;
    v128_t r[16];
    dst -= half * stride;
    for (int i = 0; i < size; i++)
        r[i] = wasm_u16x8_load8x8(dst + i * stride);
    v128_t sum = wasm_i16x8_add(wasm_i16x8_mul(r[0], wasm_i16x8_splat(half - 1)), wasm_i16x8_add(r[1], wasm_i16x8_splat(half)));
    for (int i = 1; i <= half; i++)
        sum = wasm_i16x8_add(sum, r[i]);
    for (int i = 1; i < size - 1; i++) {
        v128_t row = wasm_u16x8_shr(sum, size == 16 ? 4 : 3);
        row = wasm_v128_bitselect(wasm_u8x16_narrow_i16x8(row, row), wasm_v128_load64_zero(dst + i * stride), mask);
        wasm_v128_store64_lane(dst + i * stride, row, 0);
        v128_t leave = wasm_i16x8_add(r[FFMAX(i + 1 - half, 0)], r[i]);
        v128_t enter = wasm_i16x8_add(r[i + 1], r[FFMIN(i + half, size - 1)]);
        sum = wasm_i16x8_add(sum, wasm_i16x8_sub(enter, leave));
    }
}

static av_noinline void smooth_8(uint8_t *dst, ptrdiff_t stride, v128_t mask)
{
    smooth(dst, stride, mask, 8);
}

static av_noinline void smooth_16(uint8_t *dst, ptrdiff_t stride, v128_t mask)
{
    smooth(dst, stride, mask, 16);
}

/* The distance from the edge up to which rows may have changed. */
enum Reach { NOTHING, TWO_ROWS, THREE_ROWS, SEVEN_ROWS };

/* Limits are splats, or of two halves; smoothing over 8 is where smoothed says so. */
static av_always_inline enum Reach filter(uint8_t *dst, ptrdiff_t stride, v128_t edge_limit, v128_t limit, v128_t hev_limit,
                                          v128_t smoothed, int size, int positions)
{
    v128_t p3 = load_pixels(dst - 4 * stride, positions), p2 = load_pixels(dst - 3 * stride, positions);
    v128_t p1 = load_pixels(dst - 2 * stride, positions), p0 = load_pixels(dst - stride, positions);
    v128_t q0 = load_pixels(dst, positions), q1 = load_pixels(dst + stride, positions);
    v128_t q2 = load_pixels(dst + 2 * stride, positions), q3 = load_pixels(dst + 3 * stride, positions);
    v128_t inner = wasm_u8x16_max(difference(p1, p0), difference(q1, q0));
    v128_t outer = wasm_u8x16_max(largest(difference(p3, p2), difference(p2, p1), difference(q2, q1)), difference(q3, q2));
    v128_t edge = difference(p0, q0);
    edge = wasm_u8x16_add_sat(wasm_u8x16_add_sat(edge, edge), shift_right_u8(difference(p1, q1), 1));
    v128_t mask = is_zero(wasm_v128_or(excess(wasm_u8x16_max(inner, outer), limit), excess(edge, edge_limit)));
    if (!any(mask, positions))
        return NOTHING;

    enum Reach reach = NOTHING;
    v128_t flat = wasm_i8x16_const_splat(0), wide = flat;
    if (size >= 8) {
        const v128_t one = wasm_i8x16_const_splat(1);
        flat = largest(inner, difference(p2, p0), difference(q2, q0));
        flat = is_zero(excess(largest(flat, difference(p3, p0), difference(q3, q0)), one));
        flat = wasm_v128_and(flat, wasm_v128_and(mask, smoothed));
        if (size == 16 && any(flat, positions)) {
            for (int i = 4; i < 8; i++)
                wide = largest(wide, difference(load_pixels(dst + i * stride, positions), q0),
                               difference(load_pixels(dst - (i + 1) * stride, positions), p0));
            wide = wasm_v128_and(flat, is_zero(excess(wide, one)));
        }
    }
    mask = wasm_v128_andnot(mask, flat);
    flat = wasm_v128_andnot(flat, wide);
    if (any(mask, positions)) {
        v128_t hev = wasm_v128_not(is_zero(excess(inner, hev_limit)));
        filter_4(dst, stride, p1, p0, q0, q1, mask, hev, positions);
        reach = TWO_ROWS;
    }
    /* No position is in two masks, so what was stored is what is read where it matters. */
    if (size >= 8 && any(flat, positions)) {
        smooth_8(dst, stride, flat);
        if (positions == 16)
            smooth_8(dst + 8, stride, wasm_i64x2_shuffle(flat, flat, 1, 0));
        reach = THREE_ROWS;
    }
    if (size == 16 && any(wide, positions)) {
        smooth_16(dst, stride, wide);
        if (positions == 16)
            smooth_16(dst + 8, stride, wasm_i64x2_shuffle(wide, wide, 1, 0));
        reach = SEVEN_ROWS;
    }
    return reach;
}

static av_noinline enum Reach filter_4_8(uint8_t *dst, ptrdiff_t stride, int E, int I, int H)
{
    return filter(dst, stride, wasm_i8x16_splat(E), wasm_i8x16_splat(I), wasm_i8x16_splat(H), wasm_i8x16_const_splat(0), 4, 8);
}

static av_noinline enum Reach filter_8_8(uint8_t *dst, ptrdiff_t stride, int E, int I, int H)
{
    return filter(dst, stride, wasm_i8x16_splat(E), wasm_i8x16_splat(I), wasm_i8x16_splat(H), wasm_i8x16_const_splat(-1), 8, 8);
}

static av_noinline enum Reach filter_16_8(uint8_t *dst, ptrdiff_t stride, int E, int I, int H)
{
    return filter(dst, stride, wasm_i8x16_splat(E), wasm_i8x16_splat(I), wasm_i8x16_splat(H), wasm_i8x16_const_splat(-1), 16, 8);
}

static av_noinline enum Reach filter_16_16(uint8_t *dst, ptrdiff_t stride, int E, int I, int H)
{
    return filter(dst, stride, wasm_i8x16_splat(E), wasm_i8x16_splat(I), wasm_i8x16_splat(H), wasm_i8x16_const_splat(-1), 16, 16);
}

/* Two edges side by side, whose limits are the two lowest bytes. */
static av_always_inline v128_t two_limits(int limits)
{
    v128_t pairs = wasm_i16x8_splat(limits);
    return wasm_i8x16_shuffle(pairs, pairs, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
}

static av_noinline enum Reach filter_44_16(uint8_t *dst, ptrdiff_t stride, int E, int I, int H)
{
    return filter(dst, stride, two_limits(E), two_limits(I), two_limits(H), wasm_i8x16_const_splat(0), 4, 16);
}

static av_noinline enum Reach filter_mix_16(uint8_t *dst, ptrdiff_t stride, int E, int I, int H, v128_t smoothed)
{
    return filter(dst, stride, two_limits(E), two_limits(I), two_limits(H), smoothed, 8, 16);
}

static enum Reach filter_48_16(uint8_t *dst, ptrdiff_t stride, int E, int I, int H)
{
    return filter_mix_16(dst, stride, E, I, H, wasm_i64x2_const(0, -1));
}

static enum Reach filter_84_16(uint8_t *dst, ptrdiff_t stride, int E, int I, int H)
{
    return filter_mix_16(dst, stride, E, I, H, wasm_i64x2_const(-1, 0));
}

static enum Reach filter_88_16(uint8_t *dst, ptrdiff_t stride, int E, int I, int H)
{
    return filter_mix_16(dst, stride, E, I, H, wasm_i64x2_const_splat(-1));
}

/* Edges between columns: eight columns become rows of a buffer, which are 16 bytes apart, and rows become columns again. */
#define ROW 16

static av_noinline void turn_16x8(uint8_t *rows, const uint8_t *src, ptrdiff_t stride)
{
    v128_t r[8];
    load_columns(src, stride, r);
    for (int i = 0; i < 8; i++)
        wasm_v128_store(rows + ROW * i, r[i]);
}

static av_noinline void turn_8x16(uint8_t *dst, ptrdiff_t stride, const uint8_t *rows)
{
    v128_t r[8];
    for (int i = 0; i < 8; i++)
        r[i] = wasm_v128_load(rows + ROW * i);
    store_columns(dst, stride, r);
}

static av_noinline void turn_8x8(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride)
{
    v128_t r[4];
    for (int i = 0; i < 4; i++)
        r[i] = wasm_v128_load64_lane(src + (2 * i + 1) * stride, wasm_v128_load64_zero(src + 2 * i * stride), 1);
    for (int round = 0; round < 3; round++)
        unpack_round_u8(r, 4);
    for (int i = 0; i < 4; i++) {
        wasm_v128_store64_lane(dst + 2 * i * dst_stride, r[i], 0);
        wasm_v128_store64_lane(dst + (2 * i + 1) * dst_stride, r[i], 1);
    }
}

static av_noinline void turn_4x16(uint8_t *dst, ptrdiff_t stride, const uint8_t *rows)
{
    v128_t r[4];
    for (int i = 0; i < 4; i++)
        r[i] = wasm_v128_load(rows + ROW * i);
    unpack_round_u8(r, 4);
    unpack_round_u8(r, 4);
    for (int i = 0; i < 4; i++)
        store_4_rows_of_4(dst + 4 * i * stride, stride, r[i]);
}

static av_noinline void turn_4x8(uint8_t *dst, ptrdiff_t stride, const uint8_t *rows)
{
    v128_t r[2];
    for (int i = 0; i < 2; i++)
        r[i] = wasm_v128_load64_lane(rows + ROW * (2 * i + 1), wasm_v128_load64_zero(rows + ROW * 2 * i), 1);
    unpack_round_u8(r, 2);
    unpack_round_u8(r, 2);
    store_4_rows_of_4(dst, stride, r[0]);
    store_4_rows_of_4(dst + 4 * stride, stride, r[1]);
}

static av_always_inline void turn_in(uint8_t *rows, const uint8_t *src, ptrdiff_t stride, int positions)
{
    if (positions == 16)
        turn_16x8(rows, src, stride);
    else
        turn_8x8(rows, ROW, src, stride);
}

static av_always_inline void turn_out(uint8_t *dst, ptrdiff_t stride, const uint8_t *rows, int positions)
{
    if (positions == 16)
        turn_8x16(dst, stride, rows);
    else
        turn_8x8(dst, stride, rows, ROW);
}

static av_always_inline void filter_columns(uint8_t *dst, ptrdiff_t stride, int E, int I, int H, int size, int positions,
                                            enum Reach (*filter_rows)(uint8_t *, ptrdiff_t, int, int, int))
{
    LOCAL_ALIGNED_16(uint8_t, rows, [16 * ROW]);
    uint8_t *edge = rows + 8 * ROW;
    if (size == 16) {
        turn_in(edge - 8 * ROW, dst - 8, stride, positions);
        turn_in(edge, dst, stride, positions);
    } else {
        turn_in(edge - 4 * ROW, dst - 4, stride, positions);
    }
    enum Reach reach = filter_rows(edge, ROW, E, I, H);
    if (reach == TWO_ROWS) {
        if (positions == 16)
            turn_4x16(dst - 2, stride, edge - 2 * ROW);
        else
            turn_4x8(dst - 2, stride, edge - 2 * ROW);
    } else if (reach == THREE_ROWS) {
        turn_out(dst - 4, stride, edge - 4 * ROW, positions);
    } else if (reach == SEVEN_ROWS) {
        turn_out(dst - 8, stride, edge - 8 * ROW, positions);
        turn_out(dst, stride, edge, positions);
    }
}

#define LOOP_FILTER(name, size, positions)                                                                             \
static void loop_filter_v_##name(uint8_t *dst, ptrdiff_t stride, int E, int I, int H)                                  \
{                                                                                                                      \
    filter_##name(dst, stride, E, I, H);                                                                               \
}                                                                                                                      \
static void loop_filter_h_##name(uint8_t *dst, ptrdiff_t stride, int E, int I, int H)                                  \
{                                                                                                                      \
    filter_columns(dst, stride, E, I, H, size, positions, filter_##name);                                              \
}
LOOP_FILTER(4_8, 4, 8)
LOOP_FILTER(8_8, 8, 8)
LOOP_FILTER(16_8, 16, 8)
LOOP_FILTER(16_16, 16, 16)
LOOP_FILTER(44_16, 4, 16)
LOOP_FILTER(48_16, 8, 16)
LOOP_FILTER(84_16, 8, 16)
LOOP_FILTER(88_16, 8, 16)

av_cold void ff_vp9dsp_loopfilter_init_wasm(VP9DSPContext *dsp)
{
#define INIT(pair, name)                                                                                               \
    pair[0] = loop_filter_h_##name;                                                                                    \
    pair[1] = loop_filter_v_##name;
    INIT(dsp->loop_filter_8[0], 4_8)
    INIT(dsp->loop_filter_8[1], 8_8)
    INIT(dsp->loop_filter_8[2], 16_8)
    INIT(dsp->loop_filter_16, 16_16)
    INIT(dsp->loop_filter_mix2[0][0], 44_16)
    INIT(dsp->loop_filter_mix2[0][1], 48_16)
    INIT(dsp->loop_filter_mix2[1][0], 84_16)
    INIT(dsp->loop_filter_mix2[1][1], 88_16)
}
