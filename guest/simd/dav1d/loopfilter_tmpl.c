/*
 * Copyright (c) 2026, the afmpeg authors
 * SPDX-License-Identifier: BSD-2-Clause
 * All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 *
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the documentation
 *    and/or other materials provided with the distribution.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR
 * ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES
 * (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES;
 * LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND
 * ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT
 * (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS
 * SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */

#include "src/wasm/loopfilter.h"
#include "src/wasm/vector.h"

/* Eight pixels along an edge at once, in 16-bit lanes: two units of four, each with limits and a width of its own. */
typedef struct {
    /* Limits for each lane; where nothing is filtered e is -1. */
    v128_t e, i, h;
    /* Lanes of units that are filtered over more than four pixels, and over sixteen. */
    v128_t wide, widest;
    /* The differences that count as flat, the greatest correction, the greatest pixel. */
    v128_t flat, top_of_diff, top;
} Limits;

/* Across the edge: p0 and those before it are at 7 and below, q0 and those after it at 8 and above. */
#define P(k) px[7 - (k)]
#define Q(k) px[8 + (k)]

static ALWAYS_INLINE v128_t apart(const v128_t a, const v128_t b) {
    return wasm_i16x8_abs(wasm_i16x8_sub(a, b));
}

static ALWAYS_INLINE v128_t max_of_2(const v128_t a, const v128_t b) {
    return wasm_i16x8_max(a, b);
}

static ALWAYS_INLINE v128_t clip(const v128_t a, const v128_t bottom, const v128_t top) {
    return wasm_i16x8_min(wasm_i16x8_max(a, bottom), top);
}

/* Takes a number out of a sum that moves along, and another in. */
static ALWAYS_INLINE v128_t moved(const v128_t sum, const v128_t out0, const v128_t out1, const v128_t in0,
                                  const v128_t in1)
{
    return wasm_i16x8_add(wasm_i16x8_sub(sum, wasm_i16x8_add(out0, out1)), wasm_i16x8_add(in0, in1));
}

static ALWAYS_INLINE void put(v128_t *const px, const v128_t sum, const int shift, const v128_t mask) {
    *px = wasm_v128_bitselect(wasm_u16x8_shr(sum, shift), *px, mask);
}

static ALWAYS_INLINE v128_t twice(const v128_t a) {
    return wasm_i16x8_add(a, a);
}

/* Filters px, with the units' widths at most width: 4, 6, 8 or 16. Returns whether anything is to be stored. */
static ALWAYS_INLINE int filter(v128_t *const px, const Limits *const s, const int width) {
    const v128_t p1 = P(1), p0 = P(0), q0 = Q(0), q1 = Q(1);
    const v128_t p1p0 = apart(p1, p0), q1q0 = apart(q1, q0);
    const v128_t across = wasm_i16x8_add(twice(apart(p0, q0)), wasm_u16x8_shr(apart(p1, q1), 1));
    const v128_t steepest = max_of_2(p1p0, q1q0);
    v128_t most = steepest;
    if (width >= 6) {
        v128_t more = max_of_2(apart(P(2), p1), apart(Q(2), q1));
        if (width >= 8)
            more = max_of_2(more, max_of_2(apart(P(3), P(2)), apart(Q(3), Q(2))));
        most = max_of_2(most, wasm_v128_and(more, s->wide));
    }
    const v128_t fm = wasm_v128_andnot(wasm_i16x8_le(most, s->i), wasm_i16x8_gt(across, s->e));
    if (!wasm_v128_any_true(fm))
        return 0;

    v128_t flat_in = wasm_i16x8_const_splat(0), flat_out = flat_in;
    if (width >= 6) {
        v128_t in = max_of_2(steepest, max_of_2(apart(P(2), p0), apart(Q(2), q0)));
        if (width >= 8)
            in = max_of_2(in, max_of_2(apart(P(3), p0), apart(Q(3), q0)));
        flat_in = wasm_v128_and(wasm_v128_and(wasm_i16x8_le(in, s->flat), fm), s->wide);
    }
    if (width >= 16) {
        v128_t out = max_of_2(apart(P(4), p0), apart(Q(4), q0));
        out = max_of_2(out, max_of_2(apart(P(5), p0), apart(Q(5), q0)));
        out = max_of_2(out, max_of_2(apart(P(6), p0), apart(Q(6), q0)));
        flat_out = wasm_v128_and(wasm_v128_and(wasm_i16x8_le(out, s->flat), flat_in), s->widest);
    }

    v128_t wide_px[16];
    if (width >= 6)
        for (int k = 0; k < 16; k++)
            wide_px[k] = px[k];

    const v128_t narrow = wasm_v128_andnot(fm, flat_in);
    if (width < 6 || wasm_v128_any_true(narrow)) {
        const v128_t zero = wasm_i16x8_const_splat(0), ones = wasm_i16x8_const_splat(-1);
        const v128_t bottom_of_diff = wasm_v128_xor(s->top_of_diff, ones);
        const v128_t hev = wasm_i16x8_gt(steepest, s->h);
        const v128_t outer = wasm_v128_and(clip(wasm_i16x8_sub(p1, q1), bottom_of_diff, s->top_of_diff), hev);
        const v128_t inner = wasm_i16x8_sub(q0, p0);
        const v128_t f = clip(wasm_i16x8_add(wasm_i16x8_add(twice(inner), inner), outer), bottom_of_diff,
                              s->top_of_diff);
        const v128_t f1 = wasm_i16x8_shr(wasm_i16x8_min(wasm_i16x8_add(f, wasm_i16x8_const_splat(4)), s->top_of_diff), 3);
        const v128_t f2 = wasm_i16x8_shr(wasm_i16x8_min(wasm_i16x8_add(f, wasm_i16x8_const_splat(3)), s->top_of_diff), 3);
        const v128_t half = wasm_i16x8_shr(wasm_i16x8_sub(f1, ones), 1);
        const v128_t inner_mask = narrow, outer_mask = wasm_v128_andnot(narrow, hev);
        P(0) = wasm_v128_bitselect(clip(wasm_i16x8_add(p0, f2), zero, s->top), p0, inner_mask);
        Q(0) = wasm_v128_bitselect(clip(wasm_i16x8_sub(q0, f1), zero, s->top), q0, inner_mask);
        P(1) = wasm_v128_bitselect(clip(wasm_i16x8_add(p1, half), zero, s->top), p1, outer_mask);
        Q(1) = wasm_v128_bitselect(clip(wasm_i16x8_sub(q1, half), zero, s->top), q1, outer_mask);
    }

#define p(k) wide_px[7 - (k)]
#define q(k) wide_px[8 + (k)]
    if (width == 6 && wasm_v128_any_true(flat_in)) {
        v128_t sum = wasm_i16x8_add(wasm_i16x8_add(twice(p(2)), p(2)), twice(wasm_i16x8_add(p(1), p(0))));
        sum = wasm_i16x8_add(sum, wasm_i16x8_add(q(0), wasm_i16x8_const_splat(4)));
        put(&P(1), sum, 3, flat_in);
        sum = moved(sum, p(2), p(2), q(0), q(1));
        put(&P(0), sum, 3, flat_in);
        sum = moved(sum, p(2), p(1), q(1), q(2));
        put(&Q(0), sum, 3, flat_in);
        sum = moved(sum, p(1), p(0), q(2), q(2));
        put(&Q(1), sum, 3, flat_in);
    }
    if (width >= 8 && wasm_v128_any_true(width >= 16 ? wasm_v128_andnot(flat_in, flat_out) : flat_in)) {
        v128_t sum = wasm_i16x8_add(wasm_i16x8_add(twice(p(3)), p(3)), twice(p(2)));
        sum = wasm_i16x8_add(sum, wasm_i16x8_add(wasm_i16x8_add(p(1), p(0)), wasm_i16x8_add(q(0), wasm_i16x8_const_splat(4))));
        put(&P(2), sum, 3, flat_in);
        sum = moved(sum, p(3), p(2), p(1), q(1));
        put(&P(1), sum, 3, flat_in);
        sum = moved(sum, p(3), p(1), p(0), q(2));
        put(&P(0), sum, 3, flat_in);
        sum = moved(sum, p(3), p(0), q(0), q(3));
        put(&Q(0), sum, 3, flat_in);
        sum = moved(sum, p(2), q(0), q(1), q(3));
        put(&Q(1), sum, 3, flat_in);
        sum = moved(sum, p(1), q(1), q(2), q(3));
        put(&Q(2), sum, 3, flat_in);
    }
    if (width >= 16 && wasm_v128_any_true(flat_out)) {
        v128_t sum = wasm_i16x8_sub(wasm_i16x8_shl(p(6), 3), p(6));
        sum = wasm_i16x8_add(sum, twice(wasm_i16x8_add(p(5), p(4))));
        sum = wasm_i16x8_add(sum, wasm_i16x8_add(wasm_i16x8_add(p(3), p(2)), wasm_i16x8_add(p(1), p(0))));
        sum = wasm_i16x8_add(sum, wasm_i16x8_add(q(0), wasm_i16x8_const_splat(8)));
        put(&P(5), sum, 4, flat_out);
        sum = moved(sum, p(6), p(6), p(3), q(1));
        put(&P(4), sum, 4, flat_out);
        sum = moved(sum, p(6), p(5), p(2), q(2));
        put(&P(3), sum, 4, flat_out);
        sum = moved(sum, p(6), p(4), p(1), q(3));
        put(&P(2), sum, 4, flat_out);
        sum = moved(sum, p(6), p(3), p(0), q(4));
        put(&P(1), sum, 4, flat_out);
        sum = moved(sum, p(6), p(2), q(0), q(5));
        put(&P(0), sum, 4, flat_out);
        sum = moved(sum, p(6), p(1), q(1), q(6));
        put(&Q(0), sum, 4, flat_out);
        sum = moved(sum, p(5), p(0), q(2), q(6));
        put(&Q(1), sum, 4, flat_out);
        sum = moved(sum, p(4), q(0), q(3), q(6));
        put(&Q(2), sum, 4, flat_out);
        sum = moved(sum, p(3), q(1), q(4), q(6));
        put(&Q(3), sum, 4, flat_out);
        sum = moved(sum, p(2), q(2), q(5), q(6));
        put(&Q(4), sum, 4, flat_out);
        sum = moved(sum, p(1), q(3), q(6), q(6));
        put(&Q(5), sum, 4, flat_out);
    }
#undef p
#undef q
    return 1;
}

static ALWAYS_INLINE void store_row(pixel *const dst, const v128_t row) {
#if BITDEPTH == 8
    wasm_v128_store64_lane(dst, wasm_u8x16_narrow_i16x8(row, row), 0);
#else
    wasm_v128_store(dst, row);
#endif
}

/* An edge between rows. */
static ALWAYS_INLINE void filter_rows(pixel *const dst, const ptrdiff_t stride, const Limits *const s, const int width) {
    const int reads = width == 16 ? 7 : width == 8 ? 4 : width == 6 ? 3 : 2;
    const int writes = width == 16 ? 6 : width == 8 ? 3 : 2;
    v128_t px[16];
    for (int k = -reads; k < reads; k++)
        px[8 + k] = load_8_pixels(dst + k * stride);
    if (filter(px, s, width))
        for (int k = -writes; k < writes; k++)
            store_row(dst + k * stride, px[8 + k]);
}

/* An edge between columns: eight rows are turned, and turned back. */
static ALWAYS_INLINE void filter_columns(pixel *const dst, const ptrdiff_t stride, const Limits *const s,
                                         const int width)
{
    v128_t px[16];
    for (int half = width == 16 ? 0 : 4; half < (width == 16 ? 16 : 12); half += 8) {
        for (int y = 0; y < 8; y++)
            px[half + y] = load_8_pixels(dst + y * stride + half - 8);
        transpose_8x8(px + half);
    }
    if (!filter(px, s, width))
        return;
    for (int half = width == 16 ? 0 : 4; half < (width == 16 ? 16 : 12); half += 8) {
        transpose_8x8(px + half);
        for (int y = 0; y < 8; y++)
            store_row(dst + y * stride + half - 8, px[half + y]);
    }
}

static NOINLINE void filter_rows_4(pixel *const dst, const ptrdiff_t stride, const Limits *const s) {
    filter_rows(dst, stride, s, 4);
}
static NOINLINE void filter_rows_6(pixel *const dst, const ptrdiff_t stride, const Limits *const s) {
    filter_rows(dst, stride, s, 6);
}
static NOINLINE void filter_rows_8(pixel *const dst, const ptrdiff_t stride, const Limits *const s) {
    filter_rows(dst, stride, s, 8);
}
static NOINLINE void filter_rows_16(pixel *const dst, const ptrdiff_t stride, const Limits *const s) {
    filter_rows(dst, stride, s, 16);
}
static NOINLINE void filter_columns_4(pixel *const dst, const ptrdiff_t stride, const Limits *const s) {
    filter_columns(dst, stride, s, 4);
}
static NOINLINE void filter_columns_6(pixel *const dst, const ptrdiff_t stride, const Limits *const s) {
    filter_columns(dst, stride, s, 6);
}
static NOINLINE void filter_columns_8(pixel *const dst, const ptrdiff_t stride, const Limits *const s) {
    filter_columns(dst, stride, s, 8);
}
static NOINLINE void filter_columns_16(pixel *const dst, const ptrdiff_t stride, const Limits *const s) {
    filter_columns(dst, stride, s, 16);
}

/* A number for each unit, in its four lanes. */
static ALWAYS_INLINE v128_t two_units(const int a, const int b) {
    return wasm_i16x8_shuffle(wasm_i32x4_splat(a), wasm_i32x4_splat(b), 0, 0, 0, 0, 8, 8, 8, 8);
}

/* Walks along an edge, two units a step. between is the distance to the level on the other side of the edge, step that
 * to the next unit's. */
static ALWAYS_INLINE void filter_edge(pixel *dst, const ptrdiff_t stride, const uint32_t *const mask,
                                      const uint8_t (*l)[4], const ptrdiff_t between, const ptrdiff_t step,
                                      const Av1FilterLUT *const lut, const int is_luma, const int is_rows
                                      HIGHBD_DECL_SUFFIX)
{
    const int bitdepth_min_8 = bitdepth_from_max(bitdepth_max) - 8;
    const uint32_t mask1 = mask[1], mask2 = is_luma ? mask[2] : 0;
    uint32_t wide = mask1 | mask2, widest = mask2, all = mask[0] | wide;
    Limits s;
    s.flat = wasm_i16x8_splat(1 << bitdepth_min_8);
    s.top_of_diff = wasm_i16x8_splat((128 << bitdepth_min_8) - 1);
    s.top = wasm_i16x8_splat(BITDEPTH_MAX);
    for (; all; all >>= 2, wide >>= 2, widest >>= 2, l += 2 * step, dst += is_rows ? 8 : 8 * stride) {
        if (!(all & 3))
            continue;
        int e[2], i[2], h[2];
        for (int n = 0; n < 2; n++) {
            int level = 0;
            if (all >> n & 1) {
                const uint8_t (*const ln)[4] = l + n * step;
                level = ln[0][0] ? ln[0][0] : ln[-between][0];
            }
            e[n] = level ? lut->e[level] << bitdepth_min_8 : -1;
            i[n] = lut->i[level] << bitdepth_min_8;
            h[n] = (level >> 4) << bitdepth_min_8;
        }
        if ((e[0] & e[1]) < 0)
            continue;
        s.e = two_units(e[0], e[1]);
        s.i = two_units(i[0], i[1]);
        s.h = two_units(h[0], h[1]);
        if (wide & 3)
            s.wide = two_units(-(int) (wide & 1), -(int) (wide >> 1 & 1));
        if (widest & 3) {
            s.widest = two_units(-(int) (widest & 1), -(int) (widest >> 1 & 1));
            if (is_rows)
                filter_rows_16(dst, stride, &s);
            else
                filter_columns_16(dst, stride, &s);
        } else if (wide & 3) {
            if (is_rows && is_luma)
                filter_rows_8(dst, stride, &s);
            else if (is_luma)
                filter_columns_8(dst, stride, &s);
            else if (is_rows)
                filter_rows_6(dst, stride, &s);
            else
                filter_columns_6(dst, stride, &s);
        } else if (is_rows) {
            filter_rows_4(dst, stride, &s);
        } else {
            filter_columns_4(dst, stride, &s);
        }
    }
}

decl_loopfilter_sb_fn(BF(dav1d_lpf_h_sb_y, simd128)) {
    filter_edge(dst, PXSTRIDE(stride), mask, lvl, 1, lvl_stride, lut, 1, 0 HIGHBD_TAIL_SUFFIX);
}

decl_loopfilter_sb_fn(BF(dav1d_lpf_v_sb_y, simd128)) {
    filter_edge(dst, PXSTRIDE(stride), mask, lvl, lvl_stride, 1, lut, 1, 1 HIGHBD_TAIL_SUFFIX);
}

decl_loopfilter_sb_fn(BF(dav1d_lpf_h_sb_uv, simd128)) {
    filter_edge(dst, PXSTRIDE(stride), mask, lvl, 1, lvl_stride, lut, 0, 0 HIGHBD_TAIL_SUFFIX);
}

decl_loopfilter_sb_fn(BF(dav1d_lpf_v_sb_uv, simd128)) {
    filter_edge(dst, PXSTRIDE(stride), mask, lvl, lvl_stride, 1, lut, 0, 1 HIGHBD_TAIL_SUFFIX);
}
