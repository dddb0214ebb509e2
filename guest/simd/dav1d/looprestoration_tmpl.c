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

#include <string.h>

#include "common/intops.h"

#include "src/wasm/looprestoration.h"
#include "src/wasm/vector.h"

/* The widest unit, half as wide again, and what vectors reach beyond. */
#define ROW_SIZE (256 * 3 / 2 + 16)

/* Rows after the first dimension are smaller by this, so that the sum of two fits 16 bits with sign. */
#define BIAS (BITDEPTH == 8 ? 0 : 1 << 14)

/* Sums of eight filters that are the same from both ends. */
static ALWAYS_INLINE void symmetric(v128_t sums[2], const v128_t outer, const v128_t middle, const v128_t inner,
                                    const v128_t center, const v128_t taps01, const v128_t taps23)
{
    sums[0] = wasm_i32x4_add(wasm_i32x4_dot_i16x8(zip_lo_16(outer, middle), taps01),
                             wasm_i32x4_dot_i16x8(zip_lo_16(inner, center), taps23));
    sums[1] = wasm_i32x4_add(wasm_i32x4_dot_i16x8(zip_hi_16(outer, middle), taps01),
                             wasm_i32x4_dot_i16x8(zip_hi_16(inner, center), taps23));
}

/* Copies a row with three pixels on both sides. Without left they are those of the row itself. */
static ALWAYS_INLINE void pad_row(pixel *const row, const pixel *const src, const pixel *const left, const int w,
                                  const enum LrEdgeFlags edges)
{
    const int bytes = (w + 3) * (int) sizeof(pixel);
    for (int x = 0; x < bytes; x += 16)
        wasm_v128_store((uint8_t *) (row + 3) + x, wasm_v128_load((const uint8_t *) src + x));
    for (int i = 0; i < 3; i++)
        row[i] = !(edges & LR_HAVE_LEFT) ? src[0] : left ? left[1 + i] : src[i - 3];
    if (!(edges & LR_HAVE_RIGHT))
        for (int i = 0; i < 3; i++)
            row[3 + w + i] = src[w - 1];
}

static NOINLINE void wiener_row(int16_t *const dst, const pixel *const src, const pixel *const left,
                                const int16_t *const filter, const int w, const enum LrEdgeFlags edges
                                HIGHBD_DECL_SUFFIX)
{
    pixel row[ROW_SIZE + 16];
    pad_row(row, src, left, w, edges);
    const int bitdepth = bitdepth_from_max(bitdepth_max);
    const int shift = 3 + (bitdepth == 12) * 2;
    const v128_t taps01 = splat_pair(filter[0], filter[1]);
    const v128_t taps23 = splat_pair(filter[2], filter[3] + (BITDEPTH == 8 ? 128 : 0));
    const v128_t rounding = wasm_i32x4_splat((1 << (bitdepth + 6)) + (1 << (shift - 1)));
    const v128_t top = wasm_i16x8_splat((1 << (bitdepth + 8 - shift)) - 1), zero = wasm_i16x8_const_splat(0);
    for (int x = 0; x < w; x += 8) {
        const pixel *const p = opaque_pointer(row + x);
        v128_t sums[2];
        symmetric(sums, wasm_i16x8_add(load_8_pixels(p), load_8_pixels(p + 6)),
                  wasm_i16x8_add(load_8_pixels(p + 1), load_8_pixels(p + 5)),
                  wasm_i16x8_add(load_8_pixels(p + 2), load_8_pixels(p + 4)), load_8_pixels(p + 3), taps01, taps23);
        const v128_t lo = wasm_i32x4_shr(wasm_i32x4_add(sums[0], rounding), shift);
        const v128_t hi = wasm_i32x4_shr(wasm_i32x4_add(sums[1], rounding), shift);
        v128_t clipped = wasm_i16x8_min(wasm_i16x8_max(wasm_i16x8_narrow_i32x4(lo, hi), zero), top);
        if (BIAS)
            clipped = wasm_i16x8_sub(clipped, wasm_i16x8_splat(BIAS));
        wasm_v128_store(dst + x, clipped);
    }
}

static NOINLINE void wiener_columns(pixel *const dst, int16_t *const rows[7], const int16_t *const filter, const int w
                                    HIGHBD_DECL_SUFFIX)
{
    const int bitdepth = bitdepth_from_max(bitdepth_max);
    const int shift = 11 - (bitdepth == 12) * 2;
    const v128_t taps01 = splat_pair(filter[0], filter[1]), taps23 = splat_pair(filter[2], filter[3]);
    const int sum_of_taps = 2 * (filter[0] + filter[1] + filter[2]) + filter[3];
    const v128_t rounding = wasm_i32x4_splat((1 << (shift - 1)) - (1 << (bitdepth + shift - 1)) + sum_of_taps * BIAS);
#if BITDEPTH == 8
    const v128_t top = wasm_i16x8_const_splat(0);
#else
    const v128_t top = wasm_i16x8_splat(bitdepth_max);
#endif
    const int16_t *const r0 = rows[0], *const r1 = rows[1], *const r2 = rows[2], *const r3 = rows[3];
    const int16_t *const r4 = rows[4], *const r5 = rows[5], *const r6 = rows[6];
    for (int x = 0; x < w; x += 8) {
        v128_t sums[2];
        symmetric(sums, wasm_i16x8_add(wasm_v128_load(r0 + x), wasm_v128_load(r6 + x)),
                  wasm_i16x8_add(wasm_v128_load(r1 + x), wasm_v128_load(r5 + x)),
                  wasm_i16x8_add(wasm_v128_load(r2 + x), wasm_v128_load(r4 + x)), wasm_v128_load(r3 + x), taps01,
                  taps23);
        const v128_t lo = wasm_i32x4_shr(wasm_i32x4_add(sums[0], rounding), shift);
        const v128_t hi = wasm_i32x4_shr(wasm_i32x4_add(sums[1], rounding), shift);
        store_pixels(dst + x, wasm_i16x8_narrow_i32x4(lo, hi), 8, top);
    }
}

decl_lr_filter_fn(BF(dav1d_wiener_filter, simd128)) {
    int16_t buffer[8][ROW_SIZE], *rows[7];
    unsigned made = 0;
    const ptrdiff_t stride = PXSTRIDE(dst_stride);
    const pixel *const lpf_bottom = lpf + 6 * stride;
    const int16_t *const fh = params->filter[0], *const fv = params->filter[1];
    /* No more than seven rows are looked at at once. */
#define make_row(src, left) \
    (wiener_row(buffer[made & 7], src, left, fh, w, edges HIGHBD_TAIL_SUFFIX), buffer[made++ & 7])
    if (edges & LR_HAVE_TOP) {
        rows[0] = rows[1] = make_row(lpf, NULL);
        rows[2] = make_row(lpf + stride, NULL);
        rows[3] = make_row(dst, left[0]);
    } else {
        rows[0] = rows[1] = rows[2] = rows[3] = make_row(dst, left[0]);
    }
    const pixel *src = dst;
    for (int y = 1; y < h + 3; y++) {
        int16_t **const row = &rows[imin(3 + y, 6)];
        src += stride;
        if (y < h)
            *row = make_row(src, left[y]);
        else if (!(edges & LR_HAVE_BOTTOM) || y == h + 2)
            *row = row[-1];
        else
            *row = make_row(lpf_bottom + (y - h) * stride, NULL);
        if (y < 3)
            continue;
        wiener_columns(dst, rows, fv, w HIGHBD_TAIL_SUFFIX);
        dst += stride;
        for (int i = 0; i < 6; i++)
            rows[i] = rows[i + 1];
    }
#undef make_row
}
