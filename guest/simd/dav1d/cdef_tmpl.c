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

#include <stdint.h>

#include "common/intops.h"

#include "src/wasm/cdef.h"
#include "src/wasm/vector.h"

/* Rows and columns from a pixel to the two on each side in one direction, the secondary ones of which are two entries
 * before and after. */
static const int8_t steps[2 + 8 + 2][2][2] = {
    { {  1, 0 }, {  2,  0 } },
    { {  1, 0 }, {  2, -1 } },
    { { -1, 1 }, { -2,  2 } },
    { {  0, 1 }, { -1,  2 } },
    { {  0, 1 }, {  0,  2 } },
    { {  0, 1 }, {  1,  2 } },
    { {  1, 1 }, {  2,  2 } },
    { {  1, 0 }, {  2,  1 } },
    { {  1, 0 }, {  2,  0 } },
    { {  1, 0 }, {  2, -1 } },
    { { -1, 1 }, { -2,  2 } },
    { {  0, 1 }, { -1,  2 } },
};

/* What the rows of a block with two pixels around are copied to. */
#define STRIDE_16 16

static ALWAYS_INLINE ptrdiff_t offset_of(const int dir, const int k, const ptrdiff_t stride) {
    return steps[dir][k][0] * stride + steps[dir][k][1];
}

/* How far a neighbour draws a pixel: as far as it is apart, or what the strength leaves of that. */
static ALWAYS_INLINE v128_t constrain_16(const v128_t p, const v128_t px, const v128_t strength, const int shift) {
    const v128_t diff = wasm_i16x8_sub(p, px);
    const v128_t apart = wasm_i16x8_abs(diff);
    const v128_t most = wasm_u16x8_sub_sat(strength, wasm_u16x8_shr(apart, shift));
    const v128_t sign = wasm_i16x8_shr(diff, 15);
    return wasm_i16x8_sub(wasm_v128_xor(wasm_u16x8_min(apart, most), sign), sign);
}

static ALWAYS_INLINE v128_t load_tmp_16(const int16_t *const tmp, const int w) {
    if (w == 8)
        return wasm_v128_load(tmp);
    return wasm_v128_load64_lane(tmp + STRIDE_16, wasm_v128_load64_zero(tmp), 1);
}

/* 16-bit lanes, for more bits than 8 and for blocks at the picture's edges, where what is missing is a large number
 * without a sign and a small one with it. */
static ALWAYS_INLINE void filter_16(pixel *dst, const ptrdiff_t dst_stride, const int16_t *tmp, const int w, int h,
                                    const int pri_strength, const int sec_strength, const int pri_tap, const int dir,
                                    const int pri_shift, const int sec_shift)
{
    const v128_t pri = wasm_i16x8_splat(pri_strength), sec = wasm_i16x8_splat(sec_strength);
    do {
        const v128_t px = load_tmp_16(tmp, w);
        v128_t sum = wasm_i16x8_const_splat(0), min = px, max = px;
        for (int k = 0; k < 2; k++) {
            if (pri_strength) {
                const ptrdiff_t off = offset_of(dir + 2, k, STRIDE_16);
                const v128_t p0 = load_tmp_16(tmp + off, w), p1 = load_tmp_16(tmp - off, w);
                min = wasm_u16x8_min(wasm_u16x8_min(min, p0), p1);
                max = wasm_i16x8_max(wasm_i16x8_max(max, p0), p1);
                const v128_t both = wasm_i16x8_add(constrain_16(p0, px, pri, pri_shift),
                                                   constrain_16(p1, px, pri, pri_shift));
                const int tap = k ? (pri_tap & 3) | 2 : pri_tap;
                sum = wasm_i16x8_add(sum, wasm_i16x8_mul(both, wasm_i16x8_splat(tap)));
            }
            if (sec_strength) {
                const ptrdiff_t off2 = offset_of(dir + 4, k, STRIDE_16), off3 = offset_of(dir, k, STRIDE_16);
                const v128_t s0 = load_tmp_16(tmp + off2, w), s1 = load_tmp_16(tmp - off2, w);
                const v128_t s2 = load_tmp_16(tmp + off3, w), s3 = load_tmp_16(tmp - off3, w);
                min = wasm_u16x8_min(wasm_u16x8_min(min, s0), s1);
                max = wasm_i16x8_max(wasm_i16x8_max(max, s0), s1);
                min = wasm_u16x8_min(wasm_u16x8_min(min, s2), s3);
                max = wasm_i16x8_max(wasm_i16x8_max(max, s2), s3);
                const v128_t four = wasm_i16x8_add(wasm_i16x8_add(constrain_16(s0, px, sec, sec_shift),
                                                                  constrain_16(s1, px, sec, sec_shift)),
                                                   wasm_i16x8_add(constrain_16(s2, px, sec, sec_shift),
                                                                  constrain_16(s3, px, sec, sec_shift)));
                sum = wasm_i16x8_add(sum, k ? four : wasm_i16x8_add(four, four));
            }
        }
        sum = wasm_i16x8_add(wasm_i16x8_add(sum, wasm_i16x8_shr(sum, 15)), wasm_i16x8_const_splat(8));
        v128_t pixels = wasm_i16x8_add(px, wasm_i16x8_shr(sum, 4));
        if (pri_strength && sec_strength)
            pixels = wasm_i16x8_min(wasm_i16x8_max(pixels, min), max);
#if BITDEPTH == 8
        pixels = wasm_u8x16_narrow_i16x8(pixels, pixels);
        if (w == 8) {
            wasm_v128_store64_lane(dst, pixels, 0);
        } else {
            wasm_v128_store32_lane(dst, pixels, 0);
            wasm_v128_store32_lane(dst + dst_stride, pixels, 1);
        }
#else
        if (w == 8) {
            wasm_v128_store(dst, pixels);
        } else {
            wasm_v128_store64_lane(dst, pixels, 0);
            wasm_v128_store64_lane(dst + dst_stride, pixels, 1);
        }
#endif
        dst += dst_stride * (8 / w);
        tmp += STRIDE_16 * (8 / w);
        h -= 8 / w;
    } while (h);
}

/* One row with two pixels on both sides, as 16-bit lanes; src is at the first of them. */
static ALWAYS_INLINE void pad_row(int16_t *const tmp, const pixel *const src, const int w) {
    wasm_v128_store(tmp, load_8_pixels(src));
    if (w == 8)
        wasm_v128_store64_lane(tmp + 8, load_4_pixels(src + 8), 0);
}

static ALWAYS_INLINE void store_missing(int16_t *const tmp, const int w) {
    const v128_t missing = wasm_i16x8_const_splat(INT16_MIN);
    wasm_v128_store(tmp, missing);
    if (w == 8)
        wasm_v128_store64_lane(tmp + 8, missing, 0);
}

static ALWAYS_INLINE void store_missing_2(int16_t *const tmp) {
    wasm_v128_store32_lane(tmp, wasm_i16x8_const_splat(INT16_MIN), 0);
}

/* tmp is at the block's first pixel. */
static ALWAYS_INLINE void pad(int16_t *tmp, const pixel *src, const ptrdiff_t src_stride,
                              const_left_pixel_row_2px left, const pixel *top, const pixel *bottom, const int w,
                              const int h, const enum CdefEdgeFlags edges)
{
    for (int y = 0; y < 2; y++) {
        int16_t *const above = tmp + (y - 2) * STRIDE_16 - 2, *const below = tmp + (h + y) * STRIDE_16 - 2;
        if (edges & CDEF_HAVE_TOP)
            pad_row(above, top + y * src_stride - 2, w);
        else
            store_missing(above, w);
        if (edges & CDEF_HAVE_BOTTOM)
            pad_row(below, bottom + y * src_stride - 2, w);
        else
            store_missing(below, w);
    }
    for (int y = 0; y < h; y++) {
        int16_t *const row = tmp + y * STRIDE_16;
        pad_row(row - 2, src + y * src_stride - 2, w);
        row[-2] = left[y][0];
        row[-1] = left[y][1];
    }
    if (!(edges & CDEF_HAVE_LEFT))
        for (int y = -2; y < h + 2; y++)
            store_missing_2(tmp + y * STRIDE_16 - 2);
    if (!(edges & CDEF_HAVE_RIGHT))
        for (int y = -2; y < h + 2; y++)
            store_missing_2(tmp + y * STRIDE_16 + w);
}

static ALWAYS_INLINE void filter_padded(pixel *dst, const ptrdiff_t dst_stride, const_left_pixel_row_2px left,
                                        const pixel *const top, const pixel *const bottom, const int pri_strength,
                                        const int sec_strength, const int dir, const int damping, const int w,
                                        const int h, const enum CdefEdgeFlags edges HIGHBD_DECL_SUFFIX)
{
    /* Vectors go beyond the last row's end. */
    int16_t buffer[12 * STRIDE_16 + 8];
    int16_t *const tmp = buffer + 2 * STRIDE_16 + 2;
    pad(tmp, dst, dst_stride, left, top, bottom, w, h, edges);
    const int bitdepth_min_8 = bitdepth_from_max(bitdepth_max) - 8;
    const int pri_tap = 4 - ((pri_strength >> bitdepth_min_8) & 1);
    const int pri_shift = pri_strength ? imax(0, damping - ulog2(pri_strength)) : 0;
    const int sec_shift = sec_strength ? damping - ulog2(sec_strength) : 0;
    if (!sec_strength)
        filter_16(dst, dst_stride, tmp, w, h, pri_strength, 0, pri_tap, dir, pri_shift, 0);
    else if (!pri_strength)
        filter_16(dst, dst_stride, tmp, w, h, 0, sec_strength, pri_tap, dir, 0, sec_shift);
    else
        filter_16(dst, dst_stride, tmp, w, h, pri_strength, sec_strength, pri_tap, dir, pri_shift, sec_shift);
}

#if BITDEPTH == 8
/* Sixteen pixels of 8 bits at once, where nothing is missing around the block. */
#define STRIDE_8(w) ((w) == 8 ? 16 : 8)

static ALWAYS_INLINE v128_t load_tmp_8(const uint8_t *const tmp, const int w) {
    if (w == 8)
        return wasm_v128_load64_lane(tmp + 16, wasm_v128_load64_zero(tmp), 1);
    return wasm_i32x4_shuffle(wasm_v128_load(tmp), wasm_v128_load(tmp + 16), 0, 2, 4, 6);
}

typedef struct {
    v128_t strength, kept;
    int shift;
} Strength;

/* Bytes are shifted as 16 bits, and lose what comes from the byte above. */
static ALWAYS_INLINE Strength strength_of(const int strength, const int shift) {
    return (Strength) { wasm_i8x16_splat(strength), wasm_i8x16_splat(0xff >> shift), shift };
}

static ALWAYS_INLINE v128_t constrain_8(const v128_t p, const v128_t px, const Strength *const s) {
    const v128_t above = wasm_u8x16_sub_sat(p, px), below = wasm_u8x16_sub_sat(px, p);
    const v128_t shifted = wasm_v128_and(wasm_u16x8_shr(wasm_v128_or(above, below), s->shift), s->kept);
    const v128_t most = wasm_u8x16_sub_sat(s->strength, shifted);
    return wasm_i8x16_sub(wasm_u8x16_min(above, most), wasm_u8x16_min(below, most));
}

static ALWAYS_INLINE void filter_8(pixel *dst, const ptrdiff_t dst_stride, const uint8_t *tmp, const int w, int h,
                                   const int pri_strength, const int sec_strength, const int dir, const int pri_shift,
                                   const int sec_shift, const int pri_tap)
{
    const int stride = STRIDE_8(w);
    const ptrdiff_t p0 = offset_of(dir + 2, 0, stride), p1 = offset_of(dir + 2, 1, stride);
    const ptrdiff_t s0 = offset_of(dir + 4, 0, stride), s1 = offset_of(dir + 4, 1, stride);
    const ptrdiff_t s2 = offset_of(dir, 0, stride), s3 = offset_of(dir, 1, stride);
    const Strength pri = strength_of(pri_strength, pri_shift), sec = strength_of(sec_strength, sec_shift);
    do {
        const v128_t px = load_tmp_8(tmp, w);
        v128_t min = px, max = px;
        v128_t sum_a = wasm_i8x16_const_splat(0), sum_b = sum_a;
#define pair(name, off, s) \
        v128_t name; \
        do { \
            const v128_t a = load_tmp_8(tmp + (off), w), b = load_tmp_8(tmp - (off), w); \
            min = wasm_u8x16_min(wasm_u8x16_min(min, a), b); \
            max = wasm_u8x16_max(wasm_u8x16_max(max, a), b); \
            name = wasm_i8x16_add(constrain_8(a, px, s), constrain_8(b, px, s)); \
        } while (0)
        /* With strengths of at most 15 and 4 no sum of bytes leaves the range from -128 to 127. */
        if (pri_strength) {
            pair(near, p0, &pri);
            pair(far, p1, &pri);
            sum_a = wasm_i8x16_add(near, near);
            sum_b = wasm_i8x16_add(far, far);
            sum_a = wasm_i8x16_add(sum_a, pri_tap == 4 ? sum_a : near);
            if (pri_tap == 3)
                sum_b = wasm_i8x16_add(sum_b, far);
        }
        if (sec_strength) {
            pair(near, s0, &sec);
            pair(near2, s2, &sec);
            pair(far, s1, &sec);
            pair(far2, s3, &sec);
            near = wasm_i8x16_add(near, near2);
            near = wasm_i8x16_add(near, near);
            far = wasm_i8x16_add(far, far2);
            sum_b = wasm_i8x16_add(sum_b, far);
            if (pri_tap == 3)
                sum_a = wasm_i8x16_add(sum_a, near);
            else
                sum_b = wasm_i8x16_add(sum_b, near);
        }
#undef pair
        v128_t sums[2] = {
            wasm_i16x8_add(wasm_i16x8_extend_low_i8x16(sum_a), wasm_i16x8_extend_low_i8x16(sum_b)),
            wasm_i16x8_add(wasm_i16x8_extend_high_i8x16(sum_a), wasm_i16x8_extend_high_i8x16(sum_b)),
        };
        const v128_t px_of[2] = { wasm_u16x8_extend_low_u8x16(px), wasm_u16x8_extend_high_u8x16(px) };
        for (int i = 0; i < 2; i++) {
            const v128_t sum = wasm_i16x8_add(sums[i], wasm_i16x8_shr(sums[i], 15));
            sums[i] = wasm_i16x8_add(px_of[i], wasm_i16x8_shr(wasm_i16x8_add(sum, wasm_i16x8_const_splat(8)), 4));
        }
        v128_t pixels = wasm_u8x16_narrow_i16x8(sums[0], sums[1]);
        if (pri_strength && sec_strength)
            pixels = wasm_u8x16_min(wasm_u8x16_max(pixels, min), max);
        if (w == 8) {
            wasm_v128_store64_lane(dst, pixels, 0);
            wasm_v128_store64_lane(dst + dst_stride, pixels, 1);
        } else {
            wasm_v128_store32_lane(dst, pixels, 0);
            wasm_v128_store32_lane(dst + dst_stride, pixels, 1);
            wasm_v128_store32_lane(dst + 2 * dst_stride, pixels, 2);
            wasm_v128_store32_lane(dst + 3 * dst_stride, pixels, 3);
        }
        dst += dst_stride * (16 / w);
        tmp += stride * (16 / w);
        h -= 16 / w;
    } while (h);
}

static ALWAYS_INLINE void copy_row(uint8_t *const tmp, const pixel *const src, const int w) {
    if (w == 8)
        wasm_v128_store(tmp, wasm_v128_load(src));
    else
        wasm_v128_store64_lane(tmp, wasm_v128_load64_zero(src), 0);
}

static ALWAYS_INLINE void filter_inside(pixel *dst, const ptrdiff_t dst_stride, const_left_pixel_row_2px left,
                                        const pixel *const top, const pixel *const bottom, const int pri_strength,
                                        const int sec_strength, const int dir, const int damping, const int w,
                                        const int h)
{
    const int stride = STRIDE_8(w);
    uint8_t buffer[12 * 16 + 16];
    uint8_t *const tmp = buffer + 2 * stride + 2;
    for (int y = 0; y < 2; y++) {
        copy_row(tmp + (y - 2) * stride - 2, top + y * dst_stride - 2, w);
        copy_row(tmp + (h + y) * stride - 2, bottom + y * dst_stride - 2, w);
    }
    for (int y = 0; y < h; y++) {
        const pixel *const src = dst + y * dst_stride - 2;
        const v128_t row = w == 8 ? wasm_v128_load(src) : wasm_v128_load64_zero(src);
        const v128_t whole = wasm_v128_load16_lane(left[y], row, 0);
        if (w == 8)
            wasm_v128_store(tmp + y * stride - 2, whole);
        else
            wasm_v128_store64_lane(tmp + y * stride - 2, whole, 0);
    }
    const int pri_shift = pri_strength ? imax(0, damping - ulog2(pri_strength)) : 0;
    const int sec_shift = sec_strength ? damping - ulog2(sec_strength) : 0;
    if (!pri_strength)
        filter_8(dst, dst_stride, tmp, w, h, 0, sec_strength, dir, 0, sec_shift, 4);
    else if (!sec_strength && (pri_strength & 1))
        filter_8(dst, dst_stride, tmp, w, h, pri_strength, 0, dir, pri_shift, 0, 3);
    else if (!sec_strength)
        filter_8(dst, dst_stride, tmp, w, h, pri_strength, 0, dir, pri_shift, 0, 4);
    else if (pri_strength & 1)
        filter_8(dst, dst_stride, tmp, w, h, pri_strength, sec_strength, dir, pri_shift, sec_shift, 3);
    else
        filter_8(dst, dst_stride, tmp, w, h, pri_strength, sec_strength, dir, pri_shift, sec_shift, 4);
}
#endif

#define ALL_EDGES (CDEF_HAVE_LEFT | CDEF_HAVE_RIGHT | CDEF_HAVE_TOP | CDEF_HAVE_BOTTOM)

#define cdef_filter_fn(w, h) \
static NOINLINE void filter_padded_##w##x##h(pixel *dst, const ptrdiff_t stride, const_left_pixel_row_2px left, \
                                             const pixel *top, const pixel *bottom, const int pri_strength, \
                                             const int sec_strength, const int dir, const int damping, \
                                             const enum CdefEdgeFlags edges HIGHBD_DECL_SUFFIX) \
{ \
    filter_padded(dst, stride, left, top, bottom, pri_strength, sec_strength, dir, damping, w, h, edges \
                  HIGHBD_TAIL_SUFFIX); \
} \
decl_cdef_fn(BF(dav1d_cdef_filter_##w##x##h, simd128)) { \
    inside(w, h); \
    filter_padded_##w##x##h(dst, PXSTRIDE(stride), left, top, bottom, pri_strength, sec_strength, dir, damping, \
                            edges HIGHBD_TAIL_SUFFIX); \
}
#if BITDEPTH == 8
#define inside(w, h) do { \
    if (edges == ALL_EDGES) { \
        filter_inside(dst, stride, left, top, bottom, pri_strength, sec_strength, dir, damping, w, h); \
        return; \
    } \
} while (0)
#else
#define inside(w, h) do {} while (0)
#endif
cdef_filter_fn(8, 8)
cdef_filter_fn(4, 8)
cdef_filter_fn(4, 4)

/* The lanes of a moved up or down by n; zeros come after them. */
#define up(a, n) \
    wasm_i16x8_shuffle(zero, a, 8 - (n), 9 - (n), 10 - (n), 11 - (n), 12 - (n), 13 - (n), 14 - (n), 15 - (n))
#define down(a, n) \
    wasm_i16x8_shuffle(a, zero, (n), 1 + (n), 2 + (n), 3 + (n), 4 + (n), 5 + (n), 6 + (n), 7 + (n))

static ALWAYS_INLINE v128_t sum_4(const v128_t a, const v128_t b, const v128_t c, const v128_t d) {
    return wasm_i16x8_add(wasm_i16x8_add(a, b), wasm_i16x8_add(c, d));
}

static ALWAYS_INLINE int sum_i32x4(v128_t sum) {
    sum = wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 2, 3, 0, 1));
    return wasm_i32x4_extract_lane(sum, 0) + wasm_i32x4_extract_lane(sum, 1);
}

/* Squares of fifteen sums along a diagonal, weighted by how few pixels are in each; the last of hi is none. */
static ALWAYS_INLINE int diagonal_cost(const v128_t r0, const v128_t r1, const v128_t r2, const v128_t r3,
                                       const v128_t r4, const v128_t r5, const v128_t r6, const v128_t r7)
{
    const v128_t zero = wasm_i16x8_const_splat(0);
    const v128_t lo = wasm_i16x8_add(sum_4(r0, up(r1, 1), up(r2, 2), up(r3, 3)),
                                     sum_4(up(r4, 4), up(r5, 5), up(r6, 6), up(r7, 7)));
    const v128_t hi = wasm_i16x8_add(sum_4(down(r1, 7), down(r2, 6), down(r3, 5), down(r4, 4)),
                                     sum_4(down(r5, 3), down(r6, 2), down(r7, 1), zero));
    /* Lane n of lo has as many pixels as lane 6 - n of hi. */
    const v128_t back = wasm_i16x8_shuffle(hi, hi, 6, 5, 4, 3, 2, 1, 0, 7);
    const v128_t first = zip_lo_16(lo, back), last = zip_hi_16(lo, back);
    const v128_t sum = wasm_i32x4_add(
        wasm_i32x4_mul(wasm_i32x4_dot_i16x8(first, first), wasm_i32x4_const(840, 420, 280, 210)),
        wasm_i32x4_mul(wasm_i32x4_dot_i16x8(last, last), wasm_i32x4_const(168, 140, 120, 105)));
    return sum_i32x4(sum);
}

/* The same of eleven sums: three with few pixels, five with eight each, three with few. */
static ALWAYS_INLINE int flat_cost(const v128_t lo, const v128_t hi) {
    /* hi has lanes 8 to 10. */
    const v128_t back = wasm_i16x8_shuffle(hi, wasm_i16x8_const_splat(0), 2, 1, 0, 8, 8, 8, 8, 8);
    const v128_t first = zip_lo_16(lo, back), last = zip_hi_16(lo, back);
    const v128_t sum = wasm_i32x4_add(
        wasm_i32x4_mul(wasm_i32x4_dot_i16x8(first, first), wasm_i32x4_const(420, 210, 140, 105)),
        wasm_i32x4_mul(wasm_i32x4_dot_i16x8(last, last), wasm_i32x4_const_splat(105)));
    return sum_i32x4(sum);
}

/* Sums of rows that lie one, two and three lanes further each. */
static ALWAYS_INLINE int steep_cost(const v128_t a, const v128_t b, const v128_t c, const v128_t d) {
    const v128_t zero = wasm_i16x8_const_splat(0);
    return flat_cost(sum_4(a, up(b, 1), up(c, 2), up(d, 3)), sum_4(down(b, 7), down(c, 6), down(d, 5), zero));
}

decl_cdef_dir_fn(BF(dav1d_cdef_dir, simd128)) {
    const ptrdiff_t stride = PXSTRIDE(dst_stride);
    v128_t r[8];
    for (int y = 0; y < 8; y++) {
#if BITDEPTH == 8
        const v128_t row = load_8_pixels(dst + y * stride);
#else
        const v128_t row = wasm_u16x8_shr(load_8_pixels(dst + y * stride), bitdepth_from_max(bitdepth_max) - 8);
#endif
        r[y] = wasm_i16x8_sub(row, wasm_i16x8_const_splat(128));
    }
    int cost[8];
    cost[0] = diagonal_cost(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]);
    cost[4] = diagonal_cost(r[7], r[6], r[5], r[4], r[3], r[2], r[1], r[0]);

    const v128_t r01 = wasm_i16x8_add(r[0], r[1]), r23 = wasm_i16x8_add(r[2], r[3]);
    const v128_t r45 = wasm_i16x8_add(r[4], r[5]), r67 = wasm_i16x8_add(r[6], r[7]);
    const v128_t columns = sum_4(r01, r23, r45, r67);
    cost[6] = 105 * sum_i32x4(wasm_i32x4_dot_i16x8(columns, columns));
    cost[5] = steep_cost(r67, r45, r23, r01);
    cost[7] = steep_cost(r01, r23, r45, r67);

    /* Sums of two columns; each register has those of two rows that lie four apart. */
    const v128_t ones = wasm_i16x8_const_splat(1);
    v128_t pairs[4], swapped[4];
    for (int i = 0; i < 4; i++) {
        const v128_t a = wasm_i32x4_dot_i16x8(r[i], ones), b = wasm_i32x4_dot_i16x8(r[i + 4], ones);
        pairs[i] = wasm_i16x8_narrow_i32x4(a, b);
        swapped[i] = wasm_i64x2_shuffle(pairs[i], pairs[i], 1, 0);
    }
    cost[1] = steep_cost(pairs[0], pairs[1], pairs[2], pairs[3]);
    cost[3] = steep_cost(swapped[3], swapped[2], swapped[1], swapped[0]);
    const v128_t lo = wasm_i16x8_narrow_i32x4(wasm_i32x4_dot_i16x8(pairs[0], ones), wasm_i32x4_dot_i16x8(pairs[1], ones));
    const v128_t hi = wasm_i16x8_narrow_i32x4(wasm_i32x4_dot_i16x8(pairs[2], ones), wasm_i32x4_dot_i16x8(pairs[3], ones));
    const v128_t rows = wasm_i16x8_narrow_i32x4(wasm_i32x4_dot_i16x8(lo, ones), wasm_i32x4_dot_i16x8(hi, ones));
    cost[2] = 105 * sum_i32x4(wasm_i32x4_dot_i16x8(rows, rows));

    int best_dir = 0;
    unsigned best_cost = cost[0];
    for (int n = 1; n < 8; n++) {
        if ((unsigned) cost[n] > best_cost) {
            best_cost = cost[n];
            best_dir = n;
        }
    }
    *var = (best_cost - (unsigned) cost[best_dir ^ 4]) >> 10;
    return best_dir;
}
