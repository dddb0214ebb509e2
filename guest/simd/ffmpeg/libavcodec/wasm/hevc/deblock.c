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

/* Deblocking, 8 and 10 bits. Results are those of h26x/h2656_deblock_template.c. */

#include "libavutil/attributes.h"
#include "libavcodec/wasm/hevc/hevcdsp.h"

/* A filter works on eight positions along an edge in 16 bits, with a register for each distance from the edge:
 * p3 p2 p1 p0 | q0 q1 q2 q3. Lanes 0 to 3 and lanes 4 to 7 are two groups, about which the standard decides apart. */

/* Each lane gets the sum of the first and the last lane of its group. */
static av_always_inline v128_t ends_sum(v128_t lanes)
{
    return wasm_i16x8_add(wasm_i16x8_shuffle(lanes, lanes, 0, 0, 0, 0, 4, 4, 4, 4),
                          wasm_i16x8_shuffle(lanes, lanes, 3, 3, 3, 3, 7, 7, 7, 7));
}

/* The same with a bitwise and. */
static av_always_inline v128_t ends_and(v128_t lanes)
{
    return wasm_v128_and(wasm_i16x8_shuffle(lanes, lanes, 0, 0, 0, 0, 4, 4, 4, 4),
                         wasm_i16x8_shuffle(lanes, lanes, 3, 3, 3, 3, 7, 7, 7, 7));
}

static av_always_inline v128_t clip(v128_t lanes, v128_t limit)
{
    return wasm_i16x8_max(wasm_i16x8_min(lanes, limit), wasm_i16x8_neg(limit));
}

static av_always_inline v128_t difference(v128_t a, v128_t b)
{
    return wasm_i16x8_abs(wasm_i16x8_sub(a, b));
}

/* |a - 2b + c| */
static av_always_inline v128_t bend(v128_t a, v128_t b, v128_t c)
{
    return wasm_i16x8_abs(wasm_i16x8_add(wasm_i16x8_sub(a, b), wasm_i16x8_sub(c, b)));
}

/* The strong filter of one side, by which p0, p1 and p2 change. */
static av_always_inline void strong_deltas(v128_t p3, v128_t p2, v128_t p1, v128_t p0, v128_t q0, v128_t q1, v128_t tc2,
                                           v128_t deltas[3])
{
    const v128_t two = wasm_i16x8_const_splat(2), four = wasm_i16x8_const_splat(4);
    v128_t inner = wasm_i16x8_add(wasm_i16x8_add(p1, p0), q0), sum = wasm_i16x8_add(inner, p2);
    v128_t new0 = wasm_i16x8_shr(wasm_i16x8_add(wasm_i16x8_add(wasm_i16x8_add(sum, inner), q1), four), 3);
    v128_t new1 = wasm_i16x8_shr(wasm_i16x8_add(sum, two), 2);
    v128_t outer = wasm_i16x8_shl(wasm_i16x8_add(p3, p2), 1);
    v128_t new2 = wasm_i16x8_shr(wasm_i16x8_add(wasm_i16x8_add(outer, sum), four), 3);
    deltas[0] = clip(wasm_i16x8_sub(new0, p0), tc2);
    deltas[1] = clip(wasm_i16x8_sub(new1, p1), tc2);
    deltas[2] = clip(wasm_i16x8_sub(new2, p2), tc2);
}

/* The weak filter of the second pixel of one side, which is next to p0 and has p2 behind it. */
static av_always_inline v128_t weak_delta(v128_t p2, v128_t p1, v128_t p0, v128_t delta, v128_t tc)
{
    v128_t target = wasm_i16x8_sub(wasm_u16x8_avgr(p2, p0), p1);
    return clip(wasm_i16x8_shr(wasm_i16x8_add(target, delta), 1), wasm_u16x8_shr(tc, 1));
}

/* Filters r in place and returns 0 if no position was filtered. Results may lie outside of the range of pixels. */
static av_always_inline int filter_luma(v128_t r[8], v128_t tc, int beta)
{
    v128_t p3 = r[0], p2 = r[1], p1 = r[2], p0 = r[3], q0 = r[4], q1 = r[5], q2 = r[6], q3 = r[7];
    v128_t bend_p = bend(p2, p1, p0), bend_q = bend(q2, q1, q0);
    v128_t bends_p = ends_sum(bend_p), bends_q = ends_sum(bend_q);
    v128_t filtered = wasm_i16x8_lt(wasm_i16x8_add(bends_p, bends_q), wasm_i16x8_splat(beta));
    /* Groups without a strength have no tc. */
    filtered = wasm_v128_and(filtered, wasm_i16x8_gt(tc, wasm_i16x8_const_splat(0)));
    if (!wasm_v128_any_true(filtered))
        return 0;

    v128_t tc5 = wasm_i16x8_add(wasm_i16x8_shl(tc, 2), tc), limit = wasm_u16x8_avgr(tc5, wasm_i16x8_const_splat(0));
    v128_t strong = wasm_i16x8_lt(wasm_i16x8_add(difference(p3, p0), difference(q3, q0)), wasm_i16x8_splat(beta >> 3));
    strong = wasm_v128_and(strong, wasm_i16x8_lt(difference(p0, q0), limit));
    v128_t twice = wasm_i16x8_shl(wasm_i16x8_add(bend_p, bend_q), 1);
    strong = wasm_v128_and(strong, wasm_i16x8_lt(twice, wasm_i16x8_splat(beta >> 2)));
    strong = wasm_v128_and(ends_and(strong), filtered);
    v128_t weak = wasm_v128_andnot(filtered, strong);

    if (wasm_v128_any_true(weak)) {
        /* (9 (q0 - p0) - 3 (q1 - p1) + 8) >> 4 */
        v128_t d0 = wasm_i16x8_sub(q0, p0), d1 = wasm_i16x8_sub(q1, p1);
        v128_t third = wasm_i16x8_sub(wasm_i16x8_add(wasm_i16x8_shl(d0, 1), d0), d1);
        v128_t delta = wasm_i16x8_add(wasm_i16x8_add(wasm_i16x8_shl(third, 1), third), wasm_i16x8_const_splat(8));
        delta = wasm_i16x8_shr(delta, 4);
        weak = wasm_v128_and(weak, wasm_i16x8_lt(wasm_i16x8_abs(delta), wasm_i16x8_shl(tc5, 1)));
        delta = clip(delta, tc);
        v128_t smooth = wasm_i16x8_splat((beta + (beta >> 1)) >> 3);
        v128_t weak_p = wasm_v128_and(weak, wasm_i16x8_lt(bends_p, smooth));
        v128_t weak_q = wasm_v128_and(weak, wasm_i16x8_lt(bends_q, smooth));
        r[2] = wasm_i16x8_add(p1, wasm_v128_and(weak_p, weak_delta(p2, p1, p0, delta, tc)));
        r[5] = wasm_i16x8_add(q1, wasm_v128_and(weak_q, weak_delta(q2, q1, q0, wasm_i16x8_neg(delta), tc)));
        delta = wasm_v128_and(delta, weak);
        r[3] = wasm_i16x8_add(p0, delta);
        r[4] = wasm_i16x8_sub(q0, delta);
    }
    if (wasm_v128_any_true(strong)) {
        v128_t tc2 = wasm_i16x8_shl(tc, 1), deltas[3];
        strong_deltas(p3, p2, p1, p0, q0, q1, tc2, deltas);
        for (int i = 0; i < 3; i++)
            r[3 - i] = wasm_i16x8_add(r[3 - i], wasm_v128_and(deltas[i], strong));
        strong_deltas(q3, q2, q1, q0, p0, p1, tc2, deltas);
        for (int i = 0; i < 3; i++)
            r[4 + i] = wasm_i16x8_add(r[4 + i], wasm_v128_and(deltas[i], strong));
    }
    return 1;
}

/* Each of two numbers in four lanes. */
static av_always_inline v128_t load_tc(const int32_t *tc, int bits)
{
    v128_t both = wasm_v128_load64_zero(tc);
    return wasm_i16x8_shl(wasm_i16x8_shuffle(both, both, 0, 0, 0, 0, 2, 2, 2, 2), bits - 8);
}

/* One function, as the filter is long, and directions and bit depths differ in loads and stores only. */
static av_noinline void loop_filter_luma(uint8_t *pix, ptrdiff_t stride, int beta, const int32_t *tc, int columns, int bits)
{
    v128_t r[8];
    pix -= columns ? 4 * (bits > 8 ? 2 : 1) : 4 * stride;
    if (bits > 8)
        for (int i = 0; i < 8; i++)
            r[i] = wasm_v128_load(pix + i * stride);
    else
        for (int i = 0; i < 8; i++)
            r[i] = wasm_u16x8_load8x8(pix + i * stride);
    if (columns)
        transpose_8x8_i16(r);
    if (!filter_luma(r, load_tc(tc, bits), beta << (bits - 8)))
        return;
    if (columns)
        transpose_8x8_i16(r);
    if (bits > 8)
        for (int i = 0; i < 8; i++)
            wasm_v128_store(pix + i * stride, clip_pixels(r[i], bits));
    else
        for (int i = 0; i < 8; i++)
            wasm_v128_store64_lane(pix + i * stride, wasm_u8x16_narrow_i16x8(r[i], r[i]), 0);
}

static void h_loop_filter_luma_8(uint8_t *pix, ptrdiff_t stride, int beta, const int32_t *tc, const uint8_t *no_p,
                                 const uint8_t *no_q)
{
    loop_filter_luma(pix, stride, beta, tc, 0, 8);
}

static void v_loop_filter_luma_8(uint8_t *pix, ptrdiff_t stride, int beta, const int32_t *tc, const uint8_t *no_p,
                                 const uint8_t *no_q)
{
    loop_filter_luma(pix, stride, beta, tc, 1, 8);
}

static void h_loop_filter_luma_10(uint8_t *pix, ptrdiff_t stride, int beta, const int32_t *tc, const uint8_t *no_p,
                                  const uint8_t *no_q)
{
    loop_filter_luma(pix, stride, beta, tc, 0, 10);
}

static void v_loop_filter_luma_10(uint8_t *pix, ptrdiff_t stride, int beta, const int32_t *tc, const uint8_t *no_p,
                                  const uint8_t *no_q)
{
    loop_filter_luma(pix, stride, beta, tc, 1, 10);
}

/* r is p1 p0 q0 q1. A tc of zero leaves pixels as they are. */
static av_always_inline void filter_chroma(v128_t r[4], v128_t tc)
{
    v128_t delta = wasm_i16x8_shl(wasm_i16x8_sub(r[2], r[1]), 2);
    delta = wasm_i16x8_add(wasm_i16x8_add(delta, wasm_i16x8_sub(r[0], r[3])), wasm_i16x8_const_splat(4));
    delta = clip(wasm_i16x8_shr(delta, 3), tc);
    r[1] = wasm_i16x8_add(r[1], delta);
    r[2] = wasm_i16x8_sub(r[2], delta);
}

static av_always_inline void h_loop_filter_chroma(uint8_t *pix, ptrdiff_t stride, const int32_t *tc, int bits)
{
    v128_t r[4];
    for (int i = 0; i < 4; i++)
        r[i] = bits > 8 ? wasm_v128_load(pix + (i - 2) * stride) : wasm_u16x8_load8x8(pix + (i - 2) * stride);
    filter_chroma(r, load_tc(tc, bits));
    if (bits > 8) {
        wasm_v128_store(pix - stride, clip_pixels(r[1], bits));
        wasm_v128_store(pix, clip_pixels(r[2], bits));
    } else {
        v128_t pixels = wasm_u8x16_narrow_i16x8(r[1], r[2]);
        wasm_v128_store64_lane(pix - stride, pixels, 0);
        wasm_v128_store64_lane(pix, pixels, 1);
    }
}

static av_always_inline void v_loop_filter_chroma(uint8_t *pix, ptrdiff_t stride, const int32_t *tc, int bits)
{
    const int pixel = bits > 8 ? 2 : 1;
    v128_t rows[8], t[4], r[4];
    pix -= 2 * pixel;
    for (int i = 0; i < 8; i++)
        rows[i] = bits > 8 ? wasm_v128_load64_zero(pix + i * stride)
                           : wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(pix + i * stride));
    /* 8 rows of 4 become 4 columns of 8: three rounds of interleaving rows that lie four, two and one apart. */
    for (int i = 0; i < 4; i++)
        t[i] = unpack_low_i16(rows[i], rows[i + 4]);
    for (int i = 0; i < 2; i++) {
        rows[i]     = unpack_low_i16(t[i], t[i + 2]);
        rows[i + 2] = unpack_high_i16(t[i], t[i + 2]);
    }
    for (int i = 0; i < 2; i++) {
        r[2 * i]     = unpack_low_i16(rows[2 * i], rows[2 * i + 1]);
        r[2 * i + 1] = unpack_high_i16(rows[2 * i], rows[2 * i + 1]);
    }
    filter_chroma(r, load_tc(tc, bits));
    /* p0 and q0 of a row are next to each other. */
    pix += pixel;
    if (bits > 8) {
        v128_t p0 = clip_pixels(r[1], bits), q0 = clip_pixels(r[2], bits);
        v128_t low = unpack_low_i16(p0, q0), high = unpack_high_i16(p0, q0);
        wasm_v128_store32_lane(pix, low, 0);
        wasm_v128_store32_lane(pix + stride, low, 1);
        wasm_v128_store32_lane(pix + 2 * stride, low, 2);
        wasm_v128_store32_lane(pix + 3 * stride, low, 3);
        wasm_v128_store32_lane(pix + 4 * stride, high, 0);
        wasm_v128_store32_lane(pix + 5 * stride, high, 1);
        wasm_v128_store32_lane(pix + 6 * stride, high, 2);
        wasm_v128_store32_lane(pix + 7 * stride, high, 3);
    } else {
        v128_t both = wasm_u8x16_narrow_i16x8(r[1], r[2]);
        both = unpack_low_u8(both, wasm_i64x2_shuffle(both, both, 1, 1));
        wasm_v128_store16_lane(pix, both, 0);
        wasm_v128_store16_lane(pix + stride, both, 1);
        wasm_v128_store16_lane(pix + 2 * stride, both, 2);
        wasm_v128_store16_lane(pix + 3 * stride, both, 3);
        wasm_v128_store16_lane(pix + 4 * stride, both, 4);
        wasm_v128_store16_lane(pix + 5 * stride, both, 5);
        wasm_v128_store16_lane(pix + 6 * stride, both, 6);
        wasm_v128_store16_lane(pix + 7 * stride, both, 7);
    }
}

static void h_loop_filter_chroma_8(uint8_t *pix, ptrdiff_t stride, const int32_t *tc, const uint8_t *no_p,
                                   const uint8_t *no_q)
{
    h_loop_filter_chroma(pix, stride, tc, 8);
}

static void v_loop_filter_chroma_8(uint8_t *pix, ptrdiff_t stride, const int32_t *tc, const uint8_t *no_p,
                                   const uint8_t *no_q)
{
    v_loop_filter_chroma(pix, stride, tc, 8);
}

static void h_loop_filter_chroma_10(uint8_t *pix, ptrdiff_t stride, const int32_t *tc, const uint8_t *no_p,
                                    const uint8_t *no_q)
{
    h_loop_filter_chroma(pix, stride, tc, 10);
}

static void v_loop_filter_chroma_10(uint8_t *pix, ptrdiff_t stride, const int32_t *tc, const uint8_t *no_p,
                                    const uint8_t *no_q)
{
    v_loop_filter_chroma(pix, stride, tc, 10);
}

/* The functions with _c at the end of their names, for lossless blocks (no_p, no_q), stay those in C. */
av_cold void ff_hevc_deblock_init_simd128(HEVCDSPContext *c, int bit_depth)
{
    if (bit_depth == 8) {
        c->hevc_h_loop_filter_luma   = h_loop_filter_luma_8;
        c->hevc_v_loop_filter_luma   = v_loop_filter_luma_8;
        c->hevc_h_loop_filter_chroma = h_loop_filter_chroma_8;
        c->hevc_v_loop_filter_chroma = v_loop_filter_chroma_8;
    } else if (bit_depth == 10) {
        c->hevc_h_loop_filter_luma   = h_loop_filter_luma_10;
        c->hevc_v_loop_filter_luma   = v_loop_filter_luma_10;
        c->hevc_h_loop_filter_chroma = h_loop_filter_chroma_10;
        c->hevc_v_loop_filter_chroma = v_loop_filter_chroma_10;
    }
}
