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
 *
 * Parts of this file are also in
 * x264's common/wasm/deblock.c (GPL-2.0-or-later) and
 * openh264's codec/common/wasm/deblock_wasm.c (BSD-2-Clause);
 * their authors license them under those licences too.
 */

/* Deblocking, 8-bit. Results are those of h264dsp_template.c, and strengths those of h264_loopfilter.c. */

#include "vector.h"
#include "h264dsp.h"

/* A filter works on up to 16 positions along an edge, a register to each distance from it: p3 p2 p1 p0 | q0 q1 q2 q3. */

static av_always_inline v128_t below(v128_t a, v128_t b, v128_t limit)
{
    return wasm_u8x16_lt(wasm_v128_or(wasm_u8x16_sub_sat(a, b), wasm_u8x16_sub_sat(b, a)), limit);
}

/* All bits set where the edge is filtered. */
static av_always_inline v128_t filtered(v128_t p1, v128_t p0, v128_t q0, v128_t q1, int alpha, int beta)
{
    v128_t betas = wasm_i8x16_splat(beta);
    v128_t mask = wasm_v128_and(below(p0, q0, wasm_i8x16_splat(alpha)), below(p1, p0, betas));
    return wasm_v128_and(mask, below(q1, q0, betas));
}

/* (a + b) >> 1, where the instruction rounds up. */
static av_always_inline v128_t average_down(v128_t a, v128_t b)
{
    v128_t odd = wasm_v128_and(wasm_v128_xor(a, b), wasm_i8x16_const_splat(1));
    return wasm_i8x16_sub(wasm_u8x16_avgr(a, b), odd);
}

/* Moves p0 and q0 towards each other by delta = clip((4 * (q0 - p0) + (p1 - q1) + 4) >> 3, -tc, tc), all in bytes: averages
 * with complements give differences offset by 128, averaging again halves them, and what is added up is delta + 161. */
static av_always_inline void filter_p0_q0(v128_t p1, v128_t *p0, v128_t *q0, v128_t q1, v128_t tc)
{
    const v128_t offset = wasm_u8x16_const_splat(161);
    v128_t quarter = wasm_u8x16_avgr(wasm_u8x16_avgr(p1, wasm_v128_not(q1)), wasm_i8x16_const_splat(3));
    v128_t odd = wasm_v128_and(wasm_v128_xor(*p0, *q0), wasm_i8x16_const_splat(1));
    v128_t half = wasm_u8x16_avgr(*q0, wasm_v128_not(*p0));
    v128_t delta = wasm_u8x16_add_sat(wasm_u8x16_avgr(quarter, odd), half);
    v128_t down = wasm_u8x16_min(wasm_u8x16_sub_sat(offset, delta), tc);
    v128_t up = wasm_u8x16_min(wasm_u8x16_sub_sat(delta, offset), tc);
    *p0 = wasm_u8x16_add_sat(wasm_u8x16_sub_sat(*p0, down), up);
    *q0 = wasm_u8x16_add_sat(wasm_u8x16_sub_sat(*q0, up), down);
}

/* p1 moves to (p2 + (p0 + q0 + 1) / 2) / 2 by at most tc. */
static av_always_inline v128_t filter_p1(v128_t p2, v128_t p1, v128_t average, v128_t tc)
{
    v128_t target = average_down(p2, average);
    return wasm_u8x16_min(wasm_u8x16_max(target, wasm_u8x16_sub_sat(p1, tc)), wasm_u8x16_add_sat(p1, tc));
}

/* r is p2 p1 p0 q0 q1 q2; tc is below zero where nothing is filtered. */
static av_always_inline void filter_luma(v128_t r[6], int alpha, int beta, v128_t tc)
{
    v128_t p2 = r[0], p1 = r[1], p0 = r[2], q0 = r[3], q1 = r[4], q2 = r[5], betas = wasm_i8x16_splat(beta);
    v128_t mask = wasm_v128_andnot(filtered(p1, p0, q0, q1, alpha, beta), wasm_i8x16_shr(tc, 7));
    v128_t mask_p = wasm_v128_and(mask, below(p2, p0, betas)), mask_q = wasm_v128_and(mask, below(q2, q0, betas));
    tc = wasm_v128_and(tc, mask);
    v128_t average = wasm_u8x16_avgr(p0, q0);
    r[1] = filter_p1(p2, p1, average, wasm_v128_and(tc, mask_p));
    r[4] = filter_p1(q2, q1, average, wasm_v128_and(tc, mask_q));
    /* A mask is -1: subtracting it adds 1 to tc for each side that is smooth. */
    tc = wasm_i8x16_sub(wasm_i8x16_sub(tc, mask_p), mask_q);
    filter_p0_q0(p1, &r[2], &r[3], q1, tc);
}

/* Four strengths become sixteen, four positions to each. */
static av_always_inline v128_t load_tc(const int8_t *tc0)
{
    v128_t tc = wasm_v128_load32_zero(tc0);
    return wasm_i8x16_shuffle(tc, tc, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
}

void ff_h264_v_loop_filter_luma_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, int8_t *tc0)
{
    v128_t r[6];
    for (int i = 0; i < 6; i++)
        r[i] = wasm_v128_load(pix + (i - 3) * stride);
    filter_luma(r, alpha, beta, load_tc(tc0));
    for (int i = 1; i < 5; i++)
        wasm_v128_store(pix + (i - 3) * stride, r[i]);
}

void ff_h264_h_loop_filter_luma_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, int8_t *tc0)
{
    v128_t r[8];
    load_columns(pix - 4, stride, r);
    filter_luma(r + 1, alpha, beta, load_tc(tc0));
    store_columns(pix - 4, stride, r);
}

/* Chroma: 8 positions, in the lower halves of registers. */

static av_always_inline void filter_chroma(v128_t r[4], int alpha, int beta, v128_t tc)
{
    v128_t mask = wasm_v128_and(filtered(r[0], r[1], r[2], r[3], alpha, beta),
                                wasm_i8x16_gt(tc, wasm_i8x16_const_splat(0)));
    filter_p0_q0(r[0], &r[1], &r[2], r[3], wasm_v128_and(tc, mask));
}

/* (2a + b + c + 2) >> 2: floors nest. */
static av_always_inline v128_t weak(v128_t a, v128_t b, v128_t c)
{
    return wasm_u8x16_avgr(a, average_down(b, c));
}

static av_always_inline void filter_chroma_intra(v128_t r[4], int alpha, int beta)
{
    v128_t mask = filtered(r[0], r[1], r[2], r[3], alpha, beta);
    v128_t p0 = weak(r[0], r[1], r[3]), q0 = weak(r[3], r[2], r[0]);
    r[1] = wasm_v128_bitselect(p0, r[1], mask);
    r[2] = wasm_v128_bitselect(q0, r[2], mask);
}

static av_always_inline void load_chroma_rows(const uint8_t *pix, ptrdiff_t stride, v128_t r[4])
{
    for (int i = 0; i < 4; i++)
        r[i] = wasm_v128_load64_zero(pix + (i - 2) * stride);
}

static av_always_inline void store_chroma_rows(uint8_t *pix, ptrdiff_t stride, const v128_t r[4])
{
    wasm_v128_store64_lane(pix - stride, r[1], 0);
    wasm_v128_store64_lane(pix, r[2], 0);
}

/* 8 rows of 4 become 4 columns of 8: rows that lie four apart are interleaved three times. */
static av_always_inline void load_chroma_columns(const uint8_t *pix, ptrdiff_t stride, v128_t r[4])
{
    v128_t upper = load_4_rows_of_4(pix - 2, stride), lower = load_4_rows_of_4(pix - 2 + 4 * stride, stride);
    for (int round = 0; round < 3; round++) {
        v128_t low = unpack_low_u8(upper, lower);
        lower = unpack_high_u8(upper, lower);
        upper = low;
    }
    r[0] = upper;
    r[1] = wasm_i64x2_shuffle(upper, upper, 1, 0);
    r[2] = lower;
    r[3] = wasm_i64x2_shuffle(lower, lower, 1, 0);
}

static av_always_inline void store_chroma_columns(uint8_t *pix, ptrdiff_t stride, const v128_t r[4])
{
    v128_t pairs = unpack_low_u8(r[1], r[2]);
    wasm_v128_store16_lane(pix - 1, pairs, 0);
    wasm_v128_store16_lane(pix - 1 + stride, pairs, 1);
    wasm_v128_store16_lane(pix - 1 + 2 * stride, pairs, 2);
    wasm_v128_store16_lane(pix - 1 + 3 * stride, pairs, 3);
    wasm_v128_store16_lane(pix - 1 + 4 * stride, pairs, 4);
    wasm_v128_store16_lane(pix - 1 + 5 * stride, pairs, 5);
    wasm_v128_store16_lane(pix - 1 + 6 * stride, pairs, 6);
    wasm_v128_store16_lane(pix - 1 + 7 * stride, pairs, 7);
}

/* Two positions to each strength. */
static av_always_inline v128_t load_tc_chroma(const int8_t *tc0)
{
    v128_t tc = wasm_v128_load32_zero(tc0);
    return unpack_low_u8(tc, tc);
}

void ff_h264_v_loop_filter_chroma_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, int8_t *tc0)
{
    v128_t r[4];
    load_chroma_rows(pix, stride, r);
    filter_chroma(r, alpha, beta, load_tc_chroma(tc0));
    store_chroma_rows(pix, stride, r);
}

static av_always_inline void h_loop_filter_chroma(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, v128_t tc)
{
    v128_t r[4];
    load_chroma_columns(pix, stride, r);
    filter_chroma(r, alpha, beta, tc);
    store_chroma_columns(pix, stride, r);
}

void ff_h264_h_loop_filter_chroma_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, int8_t *tc0)
{
    h_loop_filter_chroma(pix, stride, alpha, beta, load_tc_chroma(tc0));
}

/* Twice as high, so each strength has twice as many positions. */
void ff_h264_h_loop_filter_chroma422_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, int8_t *tc0)
{
    v128_t tc = load_tc(tc0);
    for (int i = 0; i < 2; i++) {
        h_loop_filter_chroma(pix + 8 * i * stride, stride, alpha, beta, tc);
        tc = wasm_i64x2_shuffle(tc, tc, 1, 0);
    }
}

void ff_h264_v_loop_filter_chroma_intra_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta)
{
    v128_t r[4];
    load_chroma_rows(pix, stride, r);
    filter_chroma_intra(r, alpha, beta);
    store_chroma_rows(pix, stride, r);
}

void ff_h264_h_loop_filter_chroma_intra_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta)
{
    v128_t r[4];
    load_chroma_columns(pix, stride, r);
    filter_chroma_intra(r, alpha, beta);
    store_chroma_columns(pix, stride, r);
}

void ff_h264_h_loop_filter_chroma422_intra_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta)
{
    ff_h264_h_loop_filter_chroma_intra_wasm(pix, stride, alpha, beta);
    ff_h264_h_loop_filter_chroma_intra_wasm(pix + 8 * stride, stride, alpha, beta);
}

/* Luma of intra blocks. */

/* The strong filter of one side, on eight positions in 16 bits: what becomes of p0, p1 and p2. */
static av_always_inline void strong_8(v128_t p3, v128_t p2, v128_t p1, v128_t p0, v128_t q0, v128_t q1, v128_t out[3])
{
    const v128_t two = wasm_i16x8_const_splat(2), four = wasm_i16x8_const_splat(4);
    v128_t inner = wasm_i16x8_add(wasm_i16x8_add(p1, p0), q0), sum = wasm_i16x8_add(inner, p2);
    out[0] = wasm_i16x8_shr(wasm_i16x8_add(wasm_i16x8_add(wasm_i16x8_add(sum, inner), q1), four), 3);
    out[1] = wasm_i16x8_shr(wasm_i16x8_add(sum, two), 2);
    v128_t outer = wasm_i16x8_shl(wasm_i16x8_add(p3, p2), 1);
    out[2] = wasm_i16x8_shr(wasm_i16x8_add(wasm_i16x8_add(outer, sum), four), 3);
}

static av_always_inline void filter_side_intra(const v128_t p[4], v128_t q0, v128_t q1, v128_t mask, v128_t mask_strong,
                                               v128_t out[3])
{
    v128_t low[3], high[3];
    strong_8(wasm_u16x8_extend_low_u8x16(p[3]), wasm_u16x8_extend_low_u8x16(p[2]), wasm_u16x8_extend_low_u8x16(p[1]),
             wasm_u16x8_extend_low_u8x16(p[0]), wasm_u16x8_extend_low_u8x16(q0), wasm_u16x8_extend_low_u8x16(q1), low);
    strong_8(wasm_u16x8_extend_high_u8x16(p[3]), wasm_u16x8_extend_high_u8x16(p[2]), wasm_u16x8_extend_high_u8x16(p[1]),
             wasm_u16x8_extend_high_u8x16(p[0]), wasm_u16x8_extend_high_u8x16(q0), wasm_u16x8_extend_high_u8x16(q1), high);
    out[0] = wasm_v128_bitselect(weak(p[1], p[0], q1), p[0], mask);
    out[0] = wasm_v128_bitselect(wasm_u8x16_narrow_i16x8(low[0], high[0]), out[0], mask_strong);
    out[1] = wasm_v128_bitselect(wasm_u8x16_narrow_i16x8(low[1], high[1]), p[1], mask_strong);
    out[2] = wasm_v128_bitselect(wasm_u8x16_narrow_i16x8(low[2], high[2]), p[2], mask_strong);
}

/* r is p3 p2 p1 p0 q0 q1 q2 q3. */
static av_always_inline void filter_luma_intra(v128_t r[8], int alpha, int beta)
{
    v128_t p[4] = { r[3], r[2], r[1], r[0] }, q[4] = { r[4], r[5], r[6], r[7] }, betas = wasm_i8x16_splat(beta);
    v128_t mask = filtered(p[1], p[0], q[0], q[1], alpha, beta);
    v128_t near = wasm_v128_and(mask, below(p[0], q[0], wasm_i8x16_splat((alpha >> 2) + 2)));
    v128_t out[3];
    filter_side_intra(p, q[0], q[1], mask, wasm_v128_and(near, below(p[2], p[0], betas)), out);
    r[3] = out[0];
    r[2] = out[1];
    r[1] = out[2];
    filter_side_intra(q, p[0], p[1], mask, wasm_v128_and(near, below(q[2], q[0], betas)), out);
    r[4] = out[0];
    r[5] = out[1];
    r[6] = out[2];
}

void ff_h264_v_loop_filter_luma_intra_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta)
{
    v128_t r[8];
    for (int i = 0; i < 8; i++)
        r[i] = wasm_v128_load(pix + (i - 4) * stride);
    filter_luma_intra(r, alpha, beta);
    for (int i = 1; i < 7; i++)
        wasm_v128_store(pix + (i - 4) * stride, r[i]);
}

void ff_h264_h_loop_filter_luma_intra_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta)
{
    v128_t r[8];
    load_columns(pix - 4, stride, r);
    filter_luma_intra(r, alpha, beta);
    store_columns(pix - 4, stride, r);
}

/* Strengths. Caches have rows of eight, and a block's own four by four begin here. */
#define BLOCK 12

static av_always_inline v128_t load_cache(const void *cache)
{
    return load_4_rows_of_4(cache, 8);
}

/* Four lanes of a row: -1 where the vectors differ by as much as limits say, in either direction. */
static av_always_inline v128_t vectors_differ(const int16_t (*mv)[2], const int16_t (*neighbour)[2], v128_t limits)
{
    v128_t difference = wasm_i16x8_sub_sat(wasm_v128_load(mv), wasm_v128_load(neighbour));
    return wasm_u16x8_ge(wasm_i16x8_abs(difference), limits);
}

/* Sixteen lanes, not zero where vectors differ. The marks of the two components of a vector are taken together as a 32-bit
 * number, which is not zero if either mark is set; narrowing it with saturation leaves it so. */
static av_always_inline v128_t motion_differs(const int16_t (*mv)[2], const int16_t (*neighbour)[2], v128_t limits)
{
    v128_t row0 = vectors_differ(mv, neighbour, limits), row1 = vectors_differ(mv + 8, neighbour + 8, limits);
    v128_t row2 = vectors_differ(mv + 16, neighbour + 16, limits), row3 = vectors_differ(mv + 24, neighbour + 24, limits);
    return wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(row0, row1), wasm_i16x8_narrow_i32x4(row2, row3));
}

/* 0, 1 where motion differs from the neighbour's, 2 where either has coefficients. */
static av_always_inline v128_t strengths(const uint8_t *nnz, const int8_t ref[2][40], const int16_t mv[2][40][2],
                                         int distance, v128_t limits, int bidir)
{
    const v128_t one = wasm_i8x16_const_splat(1), unused = wasm_i8x16_const_splat(-1);
    const int own = BLOCK, neighbour = BLOCK - distance;
    v128_t ref0 = load_cache(ref[0] + own), neighbour_ref0 = load_cache(ref[0] + neighbour);
    v128_t differ = wasm_v128_and(motion_differs(mv[0] + own, mv[0] + neighbour, limits), wasm_i8x16_ne(ref0, unused));
    differ = wasm_v128_or(differ, wasm_v128_xor(ref0, neighbour_ref0));
    if (bidir) {
        v128_t ref1 = load_cache(ref[1] + own), neighbour_ref1 = load_cache(ref[1] + neighbour);
        differ = wasm_v128_or(differ, motion_differs(mv[1] + own, mv[1] + neighbour, limits));
        differ = wasm_v128_or(differ, wasm_v128_xor(ref1, neighbour_ref1));
        /* Motion is also equal if it is that of the other list on the other side. */
        v128_t crosswise = wasm_v128_or(motion_differs(mv[0] + own, mv[1] + neighbour, limits),
                                        motion_differs(mv[1] + own, mv[0] + neighbour, limits));
        crosswise = wasm_v128_or(crosswise, wasm_v128_xor(ref0, neighbour_ref1));
        crosswise = wasm_v128_or(crosswise, wasm_v128_xor(ref1, neighbour_ref0));
        differ = wasm_u8x16_min(differ, crosswise);
    }
    v128_t coded = wasm_v128_or(load_cache(nnz + own), load_cache(nnz + neighbour));
    differ = wasm_u8x16_min(differ, one);
    coded = wasm_u8x16_min(coded, one);
    return wasm_u8x16_max(differ, wasm_i8x16_add(coded, coded));
}

/* Computes all edges and ignores edges, step and the masks: the caller does not read the edges that these leave out, or the
 * motion on both sides of them is the same. */
void ff_h264_loop_filter_strength_wasm(int16_t bS[2][4][4], uint8_t nnz[40], int8_t ref[2][40], int16_t mv[2][40][2],
                                       int bidir, int edges, int step, int mask_mv0, int mask_mv1, int field)
{
    v128_t limits = wasm_i32x4_splat(4 | (field ? 2 : 4) << 16);
    v128_t vertical = strengths(nnz, ref, mv, 1, limits, bidir), horizontal = strengths(nnz, ref, mv, 8, limits, bidir);
    /* Transposes, as the result has vertical edges edge by edge. */
    vertical = wasm_i8x16_shuffle(vertical, vertical, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    wasm_v128_store(bS[0][0], wasm_u16x8_extend_low_u8x16(vertical));
    wasm_v128_store(bS[0][2], wasm_u16x8_extend_high_u8x16(vertical));
    wasm_v128_store(bS[1][0], wasm_u16x8_extend_low_u8x16(horizontal));
    wasm_v128_store(bS[1][2], wasm_u16x8_extend_high_u8x16(horizontal));
}
