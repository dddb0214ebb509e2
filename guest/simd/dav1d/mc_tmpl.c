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

#include "src/wasm/mc.h"

#include "src/tables.h"
#include "src/wasm/vector.h"

#if BITDEPTH == 8
#define INTERMEDIATE_BITS 4
#define PREP_BIAS 0
#define top_of_pixels() wasm_i16x8_const_splat(0)
#else
#define INTERMEDIATE_BITS (14 - bitdepth_from_max(bitdepth_max))
#define PREP_BIAS 8192
#define top_of_pixels() wasm_i16x8_splat(bitdepth_max)
#endif

/* Filters of two dimensions run along rows first, for eight columns at a time, and write each row interleaved with the
 * next one. So the filter along columns is one dot product for two of its taps, with memory as operand. */
#define MID_ROWS (128 + 7)

/* How many taps of the eight are not zero: all, those in the middle, or the four in the middle of small blocks. */
static ALWAYS_INLINE int first_tap(const int taps) {
    return (8 - taps) >> 1;
}

/* The taps for products along one row: of 8 bits single ones, the sum of whose products fits 16 bits; of more bits
 * pairs. */
static ALWAYS_INLINE void load_taps_h(v128_t f[8], const int8_t *const filter, const int taps) {
    const int first = first_tap(taps);
#if BITDEPTH == 8
    for (int i = 0; i < taps; i++)
        f[i] = wasm_i16x8_splat(filter[first + i]);
#else
    for (int i = 0; i < taps >> 1; i++)
        f[i] = splat_pair(filter[first + 2 * i], filter[first + 2 * i + 1]);
#endif
}

static ALWAYS_INLINE void load_taps_v(v128_t f[4], const int8_t *const filter, const int taps) {
    const int first = first_tap(taps);
    for (int i = 0; i < taps >> 1; i++)
        f[i] = splat_pair(filter[first + 2 * i], filter[first + 2 * i + 1]);
}

/* Eight sums along a row, rounded and shifted; src is at the first tap. */
static ALWAYS_INLINE v128_t filter_row(const pixel *const src, const v128_t *const f, const int taps,
                                       const v128_t rounding, const int shift)
{
#if BITDEPTH == 8
    v128_t sum = wasm_i16x8_mul(load_8_pixels(src), f[0]);
    for (int i = 1; i < taps; i++)
        sum = wasm_i16x8_add(sum, wasm_i16x8_mul(load_8_pixels(src + i), f[i]));
    return wasm_i16x8_shr(wasm_i16x8_add(sum, rounding), shift);
#else
    v128_t even = wasm_i32x4_dot_i16x8(wasm_v128_load(src), f[0]);
    v128_t odd = wasm_i32x4_dot_i16x8(wasm_v128_load(src + 1), f[0]);
    for (int i = 1; i < taps >> 1; i++) {
        even = wasm_i32x4_add(even, wasm_i32x4_dot_i16x8(wasm_v128_load(src + 2 * i), f[i]));
        odd = wasm_i32x4_add(odd, wasm_i32x4_dot_i16x8(wasm_v128_load(src + 2 * i + 1), f[i]));
    }
    even = wasm_i32x4_shr(wasm_i32x4_add(even, rounding), shift);
    odd = wasm_i32x4_shr(wasm_i32x4_add(odd, rounding), shift);
    return join_even_odd(even, odd);
#endif
}

static ALWAYS_INLINE v128_t splat_rounding_h(const int rounding) {
#if BITDEPTH == 8
    return wasm_i16x8_splat(rounding);
#else
    return wasm_i32x4_splat(rounding);
#endif
}

static ALWAYS_INLINE void rows_to_mid(v128_t *mid, const pixel *src, const ptrdiff_t src_stride, int rows,
                                      const int8_t *const filter, const int taps, const int shift)
{
    const v128_t rounding = splat_rounding_h((1 << shift) >> 1);
    v128_t f[8];
    load_taps_h(f, filter, taps);
    src += first_tap(taps) - 3;
    v128_t above = filter_row(src, f, taps, rounding, shift);
    /* After the first row there are as many as h and an even number of taps. */
    while ((rows -= 2) > 0) {
        mid = (v128_t *) opaque_pointer(mid);
        for (int i = 0; i < 2; i++) {
            src = opaque_pointer(src + src_stride);
            const v128_t row = filter_row(src, f, taps, rounding, shift);
            mid[2 * i] = zip_lo_16(above, row);
            mid[2 * i + 1] = zip_hi_16(above, row);
            above = row;
        }
        mid += 4;
    }
}

static NOINLINE void rows_to_mid_8tap(v128_t *mid, const pixel *src, const ptrdiff_t src_stride, const int rows,
                                      const int8_t *const filter, const int shift)
{
    rows_to_mid(mid, src, src_stride, rows, filter, 8, shift);
}

static NOINLINE void rows_to_mid_6tap(v128_t *mid, const pixel *src, const ptrdiff_t src_stride, const int rows,
                                      const int8_t *const filter, const int shift)
{
    rows_to_mid(mid, src, src_stride, rows, filter, 6, shift);
}

static NOINLINE void rows_to_mid_4tap(v128_t *mid, const pixel *src, const ptrdiff_t src_stride, const int rows,
                                      const int8_t *const filter, const int shift)
{
    rows_to_mid(mid, src, src_stride, rows, filter, 4, shift);
}

#if BITDEPTH != 8
static NOINLINE void copy_to_mid(v128_t *mid, const pixel *src, const ptrdiff_t src_stride, int rows) {
    v128_t above = load_8_pixels(src);
    while (--rows) {
        src += src_stride;
        const v128_t row = load_8_pixels(src);
        mid[0] = zip_lo_16(above, row);
        mid[1] = zip_hi_16(above, row);
        mid += 2;
        above = row;
    }
}
#endif

/* Sums of four columns, rounded and shifted. */
static ALWAYS_INLINE v128_t filter_4_columns(const v128_t *mid, const v128_t *const f, const int taps,
                                             const v128_t rounding, const int shift)
{
    v128_t sum = wasm_i32x4_add(rounding, wasm_i32x4_dot_i16x8(f[0], mid[0]));
    for (int i = 1; i < taps >> 1; i++)
        sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(f[i], mid[4 * i]));
    return wasm_i32x4_shr(sum, shift);
}

/* w sums along columns, not more than eight. */
static ALWAYS_INLINE v128_t filter_mid(const v128_t *mid, const v128_t *const f, const int taps,
                                       const v128_t rounding, const int shift, const int w)
{
    v128_t lo = filter_4_columns(mid, f, taps, rounding, shift);
    if (w < 8)
        return wasm_i16x8_narrow_i32x4(lo, lo);
    return wasm_i16x8_narrow_i32x4(lo, filter_4_columns(mid + 1, f, taps, rounding, shift));
}

static ALWAYS_INLINE void store_tmp(int16_t *const tmp, const v128_t numbers, const int w) {
    if (w == 8)
        wasm_v128_store(tmp, numbers);
    else
        wasm_v128_store64_lane(tmp, numbers, 0);
}

/* Rows are even in number, and made in pairs. */
static ALWAYS_INLINE void mid_to_pixels(pixel *dst, const ptrdiff_t dst_stride, const v128_t *mid, int h,
                                        const int8_t *const filter, const int taps, const int shift, const int w,
                                        const v128_t top)
{
    const v128_t rounding = wasm_i32x4_splat((1 << shift) >> 1);
    v128_t f[4];
    load_taps_v(f, filter, taps);
    do {
        for (int i = 0; i < 2; i++) {
            store_pixels(dst, filter_mid(mid + 2 * i, f, taps, rounding, shift, w), w, top);
            dst += dst_stride;
        }
        mid = opaque_pointer(mid + 4);
    } while (h -= 2);
}

static ALWAYS_INLINE void mid_to_tmp(int16_t *tmp, const ptrdiff_t tmp_stride, const v128_t *mid, int h,
                                     const int8_t *const filter, const int taps, const int shift, const int w)
{
    const v128_t rounding = wasm_i32x4_splat(((1 << shift) >> 1) - PREP_BIAS * (1 << shift));
    v128_t f[4];
    load_taps_v(f, filter, taps);
    do {
        for (int i = 0; i < 2; i++) {
            store_tmp(tmp, filter_mid(mid + 2 * i, f, taps, rounding, shift, w), w);
            tmp += tmp_stride;
        }
        mid = opaque_pointer(mid + 4);
    } while (h -= 2);
}

#define mid_to_pixels_fn(taps) \
static NOINLINE void mid_to_pixels_##taps##tap(pixel *dst, const ptrdiff_t dst_stride, const v128_t *mid, const int h, \
                                               const int8_t *const filter, const int shift, const int w \
                                               HIGHBD_DECL_SUFFIX) \
{ \
    const v128_t top = top_of_pixels(); \
    if (w >= 8) \
        mid_to_pixels(dst, dst_stride, mid, h, filter, taps, shift, 8, top); \
    else if (w == 4) \
        mid_to_pixels(dst, dst_stride, mid, h, filter, taps, shift, 4, top); \
    else \
        mid_to_pixels(dst, dst_stride, mid, h, filter, taps, shift, 2, top); \
} \
static NOINLINE void mid_to_tmp_##taps##tap(int16_t *tmp, const ptrdiff_t tmp_stride, const v128_t *mid, const int h, \
                                            const int8_t *const filter, const int shift) \
{ \
    if (tmp_stride >= 8) \
        mid_to_tmp(tmp, tmp_stride, mid, h, filter, taps, shift, 8); \
    else \
        mid_to_tmp(tmp, tmp_stride, mid, h, filter, taps, shift, 4); \
}
mid_to_pixels_fn(8)
mid_to_pixels_fn(6)
mid_to_pixels_fn(4)

/* One dimension along rows. */
static ALWAYS_INLINE void rows_to_pixels(pixel *dst, const ptrdiff_t dst_stride, const pixel *src,
                                         const ptrdiff_t src_stride, int h, const v128_t *const f, const int taps,
                                         const v128_t rounding, const int w, const v128_t top)
{
    do {
        for (int i = 0; i < 2; i++) {
            store_pixels(dst, filter_row(src, f, taps, rounding, 6), w, top);
            dst += dst_stride;
            src = opaque_pointer(src + src_stride);
        }
    } while (h -= 2);
}

static ALWAYS_INLINE void put_rows(pixel *dst, const ptrdiff_t dst_stride, const pixel *src,
                                   const ptrdiff_t src_stride, int w, const int h, const int8_t *const filter,
                                   const int taps HIGHBD_DECL_SUFFIX)
{
    const v128_t top = top_of_pixels();
    const v128_t rounding = splat_rounding_h(32 + ((1 << (6 - INTERMEDIATE_BITS)) >> 1));
    v128_t f[8];
    load_taps_h(f, filter, taps);
    src += first_tap(taps) - 3;
    if (w >= 8) {
        do {
            rows_to_pixels(dst, dst_stride, src, src_stride, h, f, taps, rounding, 8, top);
            dst += 8;
            src += 8;
        } while ((w -= 8));
    } else if (w == 4) {
        rows_to_pixels(dst, dst_stride, src, src_stride, h, f, taps, rounding, 4, top);
    } else {
        rows_to_pixels(dst, dst_stride, src, src_stride, h, f, taps, rounding, 2, top);
    }
}

static ALWAYS_INLINE void prep_rows(int16_t *tmp, const pixel *src, const ptrdiff_t src_stride, const int w, int h,
                                    const int8_t *const filter, const int taps, const int shift)
{
    const v128_t rounding = splat_rounding_h(((1 << shift) >> 1) - PREP_BIAS * (1 << shift));
    v128_t f[8];
    load_taps_h(f, filter, taps);
    src += first_tap(taps) - 3;
    if (w == 4) {
        do {
            wasm_v128_store64_lane(tmp, filter_row(src, f, taps, rounding, shift), 0);
            tmp += 4;
            src = opaque_pointer(src + src_stride);
        } while (--h);
        return;
    }
    do {
        for (int x = 0; x < w; x += 8)
            wasm_v128_store(tmp + x, filter_row(opaque_pointer(src + x), f, taps, rounding, shift));
        tmp += w;
        src += src_stride;
    } while (--h);
}

/* One dimension along columns: of 8 bits in 16-bit lanes, of more bits as the second of two dimensions. */
#if BITDEPTH == 8
static ALWAYS_INLINE v128_t filter_rows(const v128_t *const rows, const v128_t *const f, const int taps,
                                        const v128_t rounding, const int shift)
{
    v128_t sum = wasm_i16x8_mul(rows[0], f[0]);
    for (int i = 1; i < taps; i++)
        sum = wasm_i16x8_add(sum, wasm_i16x8_mul(rows[i], f[i]));
    return wasm_i16x8_shr(wasm_i16x8_add(sum, rounding), shift);
}

static ALWAYS_INLINE void columns_to_pixels(pixel *dst, const ptrdiff_t dst_stride, const pixel *src,
                                            const ptrdiff_t src_stride, int h, const v128_t *const f, const int taps,
                                            const int w)
{
    v128_t rows[9];
    for (int i = 0; i < taps - 1; i++, src += src_stride)
        rows[i] = load_8_pixels(src);
    do {
        for (int i = 0; i < 2; i++) {
            rows[taps - 1 + i] = load_8_pixels(src);
            store_pixels(dst, filter_rows(rows + i, f, taps, wasm_i16x8_const_splat(32), 6), w, rows[0]);
            dst += dst_stride;
            src += src_stride;
        }
        for (int i = 0; i < taps - 1; i++)
            rows[i] = rows[i + 2];
    } while (h -= 2);
}

static ALWAYS_INLINE void put_columns(pixel *dst, const ptrdiff_t dst_stride, const pixel *src,
                                      const ptrdiff_t src_stride, int w, const int h, const int8_t *const filter,
                                      const int taps)
{
    v128_t f[8];
    load_taps_h(f, filter, taps);
    src += (first_tap(taps) - 3) * src_stride;
    if (w >= 8) {
        do {
            columns_to_pixels(dst, dst_stride, src, src_stride, h, f, taps, 8);
            dst += 8;
            src += 8;
        } while ((w -= 8));
    } else if (w == 4) {
        columns_to_pixels(dst, dst_stride, src, src_stride, h, f, taps, 4);
    } else {
        columns_to_pixels(dst, dst_stride, src, src_stride, h, f, taps, 2);
    }
}

static ALWAYS_INLINE void columns_to_tmp(int16_t *tmp, const ptrdiff_t tmp_stride, const pixel *src,
                                         const ptrdiff_t src_stride, int h, const v128_t *const f, const int taps,
                                         const int w)
{
    v128_t rows[9];
    for (int i = 0; i < taps - 1; i++, src += src_stride)
        rows[i] = load_8_pixels(src);
    do {
        for (int i = 0; i < 2; i++) {
            rows[taps - 1 + i] = load_8_pixels(src);
            store_tmp(tmp, filter_rows(rows + i, f, taps, wasm_i16x8_const_splat(2), 2), w);
            tmp += tmp_stride;
            src += src_stride;
        }
        for (int i = 0; i < taps - 1; i++)
            rows[i] = rows[i + 2];
    } while (h -= 2);
}

static ALWAYS_INLINE void prep_columns(int16_t *tmp, const pixel *src, const ptrdiff_t src_stride, const int w,
                                       const int h, const int8_t *const filter, const int taps)
{
    v128_t f[8];
    load_taps_h(f, filter, taps);
    src += (first_tap(taps) - 3) * src_stride;
    if (w == 4) {
        columns_to_tmp(tmp, 4, src, src_stride, h, f, taps, 4);
        return;
    }
    for (int x = 0; x < w; x += 8)
        columns_to_tmp(tmp + x, w, src + x, src_stride, h, f, taps, 8);
}
#endif

#define one_dimension_fns(taps) \
static NOINLINE void put_rows_##taps##tap(pixel *dst, const ptrdiff_t dst_stride, const pixel *src, \
                                          const ptrdiff_t src_stride, const int w, const int h, \
                                          const int8_t *const filter HIGHBD_DECL_SUFFIX) \
{ \
    put_rows(dst, dst_stride, src, src_stride, w, h, filter, taps HIGHBD_TAIL_SUFFIX); \
} \
static NOINLINE void prep_rows_##taps##tap(int16_t *tmp, const pixel *src, const ptrdiff_t src_stride, const int w, \
                                           const int h, const int8_t *const filter, const int shift) \
{ \
    prep_rows(tmp, src, src_stride, w, h, filter, taps, shift); \
}
one_dimension_fns(8)
one_dimension_fns(6)
one_dimension_fns(4)

#if BITDEPTH == 8
#define columns_fns(taps) \
static NOINLINE void put_columns_##taps##tap(pixel *dst, const ptrdiff_t dst_stride, const pixel *src, \
                                             const ptrdiff_t src_stride, const int w, const int h, \
                                             const int8_t *const filter) \
{ \
    put_columns(dst, dst_stride, src, src_stride, w, h, filter, taps); \
} \
static NOINLINE void prep_columns_##taps##tap(int16_t *tmp, const pixel *src, const ptrdiff_t src_stride, const int w, \
                                              const int h, const int8_t *const filter) \
{ \
    prep_columns(tmp, src, src_stride, w, h, filter, taps); \
}
columns_fns(8)
columns_fns(6)
columns_fns(4)
#endif

/* Calls the function for so many taps. */
#define by_taps(taps, name, ...) do { \
    if ((taps) == 6) \
        name##_6tap(__VA_ARGS__); \
    else if ((taps) == 8) \
        name##_8tap(__VA_ARGS__); \
    else \
        name##_4tap(__VA_ARGS__); \
} while (0)

static ALWAYS_INLINE int taps_of(const int type, const int size) {
    return size <= 4 ? 4 : type == DAV1D_FILTER_8TAP_SHARP ? 8 : 6;
}

static ALWAYS_INLINE const int8_t *filter_of(const int type, const int size, const int fraction) {
    return dav1d_mc_subpel_filters[size <= 4 ? 3 + (type & 1) : type][fraction - 1];
}

static void put_copy(pixel *dst, const ptrdiff_t dst_stride, const pixel *src, const ptrdiff_t src_stride, const int w,
                     int h)
{
    const int bytes = w * (int) sizeof(pixel);
    if (bytes >= 16) {
        do {
            for (int x = 0; x < bytes; x += 16)
                wasm_v128_store((uint8_t *) dst + x, wasm_v128_load((const uint8_t *) src + x));
            dst += dst_stride;
            src += src_stride;
        } while (--h);
    } else if (bytes == 8) {
        do {
            memcpy(dst, src, 8);
            dst += dst_stride;
            src += src_stride;
        } while (--h);
    } else if (bytes == 4) {
        do {
            memcpy(dst, src, 4);
            dst += dst_stride;
            src += src_stride;
        } while (--h);
    } else {
        do {
            memcpy(dst, src, 2);
            dst += dst_stride;
            src += src_stride;
        } while (--h);
    }
}

static void prep_copy(int16_t *tmp, const pixel *src, const ptrdiff_t src_stride, const int w, int h
                      HIGHBD_DECL_SUFFIX)
{
    const int bits = INTERMEDIATE_BITS;
    const v128_t bias = wasm_i16x8_const_splat(PREP_BIAS);
    if (w == 4) {
        do {
            const v128_t row = wasm_i16x8_sub(wasm_i16x8_shl(load_4_pixels(src), bits), bias);
            wasm_v128_store64_lane(tmp, row, 0);
            tmp += 4;
            src += src_stride;
        } while (--h);
        return;
    }
    do {
        for (int x = 0; x < w; x += 8)
            wasm_v128_store(tmp + x, wasm_i16x8_sub(wasm_i16x8_shl(load_8_pixels(src + x), bits), bias));
        tmp += w;
        src += src_stride;
    } while (--h);
}

static NOINLINE void put_8tap(pixel *dst, ptrdiff_t dst_stride, const pixel *src, ptrdiff_t src_stride, const int w,
                              const int h, const int mx, const int my, const int type_h, const int type_v
                              HIGHBD_DECL_SUFFIX)
{
    dst_stride = PXSTRIDE(dst_stride);
    src_stride = PXSTRIDE(src_stride);
    const int taps_h = taps_of(type_h, w), taps_v = taps_of(type_v, h);
    const int8_t *const fh = filter_of(type_h, w, mx), *const fv = filter_of(type_v, h, my);
#if BITDEPTH == 8
    if (!mx) {
        if (my)
            by_taps(taps_v, put_columns, dst, dst_stride, src, src_stride, w, h, fv);
        else
            put_copy(dst, dst_stride, src, src_stride, w, h);
        return;
    }
#else
    if (!mx && !my) {
        put_copy(dst, dst_stride, src, src_stride, w, h);
        return;
    }
#endif
    if (!my) {
        by_taps(taps_h, put_rows, dst, dst_stride, src, src_stride, w, h, fh HIGHBD_TAIL_SUFFIX);
        return;
    }
    v128_t mid[MID_ROWS * 2];
    const int rows = h + taps_v - 1;
    src += (first_tap(taps_v) - 3) * src_stride;
    for (int x = 0; x < w; x += 8) {
        int shift = 6 + INTERMEDIATE_BITS;
#if BITDEPTH != 8
        if (!mx) {
            copy_to_mid(mid, src + x, src_stride, rows);
            shift = 6;
        } else
#endif
        by_taps(taps_h, rows_to_mid, mid, src + x, src_stride, rows, fh, 6 - INTERMEDIATE_BITS);
        by_taps(taps_v, mid_to_pixels, dst + x, dst_stride, mid, h, fv, shift, w HIGHBD_TAIL_SUFFIX);
    }
}

static NOINLINE void prep_8tap(int16_t *const tmp, const pixel *src, ptrdiff_t src_stride, const int w, const int h,
                               const int mx, const int my, const int type_h, const int type_v HIGHBD_DECL_SUFFIX)
{
    src_stride = PXSTRIDE(src_stride);
    const int taps_h = taps_of(type_h, w), taps_v = taps_of(type_v, h);
    const int8_t *const fh = filter_of(type_h, w, mx), *const fv = filter_of(type_v, h, my);
#if BITDEPTH == 8
    if (!mx) {
        if (my)
            by_taps(taps_v, prep_columns, tmp, src, src_stride, w, h, fv);
        else
            prep_copy(tmp, src, src_stride, w, h);
        return;
    }
#else
    if (!mx && !my) {
        prep_copy(tmp, src, src_stride, w, h, bitdepth_max);
        return;
    }
#endif
    if (!my) {
        by_taps(taps_h, prep_rows, tmp, src, src_stride, w, h, fh, 6 - INTERMEDIATE_BITS);
        return;
    }
    v128_t mid[MID_ROWS * 2];
    const int rows = h + taps_v - 1;
    src += (first_tap(taps_v) - 3) * src_stride;
    for (int x = 0; x < w; x += 8) {
        int shift = 6;
#if BITDEPTH != 8
        if (!mx) {
            copy_to_mid(mid, src + x, src_stride, rows);
            shift = 6 - INTERMEDIATE_BITS;
        } else
#endif
        by_taps(taps_h, rows_to_mid, mid, src + x, src_stride, rows, fh, 6 - INTERMEDIATE_BITS);
        by_taps(taps_v, mid_to_tmp, tmp + x, w, mid, h, fv, shift);
    }
}

#define filter_fns(name, type_h, type_v) \
decl_mc_fn(BF(dav1d_put_8tap_##name, simd128)) { \
    put_8tap(dst, dst_stride, src, src_stride, w, h, mx, my, type_h, type_v HIGHBD_TAIL_SUFFIX); \
} \
decl_mct_fn(BF(dav1d_prep_8tap_##name, simd128)) { \
    prep_8tap(tmp, src, src_stride, w, h, mx, my, type_h, type_v HIGHBD_TAIL_SUFFIX); \
}
filter_fns(regular,        DAV1D_FILTER_8TAP_REGULAR, DAV1D_FILTER_8TAP_REGULAR)
filter_fns(regular_sharp,  DAV1D_FILTER_8TAP_REGULAR, DAV1D_FILTER_8TAP_SHARP)
filter_fns(regular_smooth, DAV1D_FILTER_8TAP_REGULAR, DAV1D_FILTER_8TAP_SMOOTH)
filter_fns(smooth,         DAV1D_FILTER_8TAP_SMOOTH,  DAV1D_FILTER_8TAP_SMOOTH)
filter_fns(smooth_regular, DAV1D_FILTER_8TAP_SMOOTH,  DAV1D_FILTER_8TAP_REGULAR)
filter_fns(smooth_sharp,   DAV1D_FILTER_8TAP_SMOOTH,  DAV1D_FILTER_8TAP_SHARP)
filter_fns(sharp,          DAV1D_FILTER_8TAP_SHARP,   DAV1D_FILTER_8TAP_SHARP)
filter_fns(sharp_regular,  DAV1D_FILTER_8TAP_SHARP,   DAV1D_FILTER_8TAP_REGULAR)
filter_fns(sharp_smooth,   DAV1D_FILTER_8TAP_SHARP,   DAV1D_FILTER_8TAP_SMOOTH)

/* a weighted by 16 - fraction and b by fraction. All steps fit 16 bits without a sign, also with 12 bits, where the sum is
 * shifted by two before it goes on. */
static ALWAYS_INLINE v128_t bilin(const v128_t a, const v128_t b, const v128_t fraction, const v128_t rest) {
    return wasm_i16x8_add(wasm_i16x8_mul(a, rest), wasm_i16x8_mul(b, fraction));
}

/* Steps of bilinear filters for eight columns; *above is the row before in the first of two dimensions. */
typedef struct {
    v128_t fh, rest_h, fv, rest_v, pair_v, rounding_h, top;
    int shift_h, bits;
} Bilin;

static ALWAYS_INLINE Bilin bilin_of(const int mx, const int my HIGHBD_DECL_SUFFIX) {
    Bilin s;
    s.bits = INTERMEDIATE_BITS;
    s.shift_h = 4 - s.bits;
    s.fh = wasm_i16x8_splat(mx);
    s.rest_h = wasm_i16x8_splat(16 - mx);
    s.fv = wasm_i16x8_splat(my);
    s.rest_v = wasm_i16x8_splat(16 - my);
    s.pair_v = splat_pair(16 - my, my);
    s.rounding_h = wasm_i16x8_splat((1 << s.shift_h) >> 1);
    s.top = top_of_pixels();
    return s;
}

static ALWAYS_INLINE v128_t bilin_row(const pixel *const src, const Bilin *const s) {
    const v128_t sum = bilin(load_8_pixels(src), load_8_pixels(src + 1), s->fh, s->rest_h);
#if BITDEPTH == 8
    return sum;
#else
    return wasm_u16x8_shr(wasm_i16x8_add(sum, s->rounding_h), s->shift_h);
#endif
}

/* The second dimension; the sum of more bits than 8 does not fit 16. */
static ALWAYS_INLINE v128_t bilin_mid(const v128_t above, const v128_t row, const Bilin *const s, const int shift,
                                      const int bias)
{
#if BITDEPTH == 8
    const v128_t sum = bilin(above, row, s->fv, s->rest_v);
    return wasm_u16x8_shr(wasm_i16x8_add(sum, wasm_i16x8_splat((1 << shift) >> 1)), shift);
#else
    const v128_t rounding = wasm_i32x4_splat(((1 << shift) >> 1) - bias * (1 << shift));
    const v128_t lo = wasm_i32x4_add(wasm_i32x4_dot_i16x8(zip_lo_16(above, row), s->pair_v), rounding);
    const v128_t hi = wasm_i32x4_add(wasm_i32x4_dot_i16x8(zip_hi_16(above, row), s->pair_v), rounding);
    return wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(lo, shift), wasm_i32x4_shr(hi, shift));
#endif
}

static ALWAYS_INLINE void put_bilin_columns(pixel *dst, const ptrdiff_t dst_stride, const pixel *src,
                                            const ptrdiff_t src_stride, const int w, int h, const int mx, const int my,
                                            const Bilin *const s)
{
    if (mx && my) {
        v128_t above = bilin_row(src, s);
        do {
            src += src_stride;
            const v128_t row = bilin_row(src, s);
            store_pixels(dst, bilin_mid(above, row, s, 4 + s->bits, 0), w, s->top);
            above = row;
            dst += dst_stride;
        } while (--h);
    } else if (mx) {
        const v128_t rounding = wasm_i16x8_splat((1 << s->bits) >> 1);
        do {
            const v128_t row = wasm_u16x8_shr(wasm_i16x8_add(bilin_row(src, s), rounding), s->bits);
            store_pixels(dst, row, w, s->top);
            src += src_stride;
            dst += dst_stride;
        } while (--h);
    } else {
        v128_t above = load_8_pixels(src);
        do {
            src += src_stride;
            const v128_t row = load_8_pixels(src);
            const v128_t sum = wasm_i16x8_add(bilin(above, row, s->fv, s->rest_v), wasm_i16x8_const_splat(8));
            store_pixels(dst, wasm_u16x8_shr(sum, 4), w, s->top);
            above = row;
            dst += dst_stride;
        } while (--h);
    }
}

decl_mc_fn(BF(dav1d_put_bilin, simd128)) {
    dst_stride = PXSTRIDE(dst_stride);
    src_stride = PXSTRIDE(src_stride);
    if (!mx && !my) {
        put_copy(dst, dst_stride, src, src_stride, w, h);
        return;
    }
    const Bilin s = bilin_of(mx, my HIGHBD_TAIL_SUFFIX);
    if (w >= 8) {
        for (int x = 0; x < w; x += 8)
            put_bilin_columns(dst + x, dst_stride, src + x, src_stride, 8, h, mx, my, &s);
    } else if (w == 4) {
        put_bilin_columns(dst, dst_stride, src, src_stride, 4, h, mx, my, &s);
    } else {
        put_bilin_columns(dst, dst_stride, src, src_stride, 2, h, mx, my, &s);
    }
}

static ALWAYS_INLINE void prep_bilin_columns(int16_t *tmp, const ptrdiff_t tmp_stride, const pixel *src,
                                             const ptrdiff_t src_stride, const int w, int h, const int mx, const int my,
                                             const Bilin *const s)
{
    const v128_t bias = wasm_i16x8_const_splat(PREP_BIAS);
    if (mx && my) {
        v128_t above = bilin_row(src, s);
        do {
            src += src_stride;
            const v128_t row = bilin_row(src, s);
            store_tmp(tmp, bilin_mid(above, row, s, 4, PREP_BIAS), w);
            above = row;
            tmp += tmp_stride;
        } while (--h);
    } else if (mx) {
        do {
            store_tmp(tmp, wasm_i16x8_sub(bilin_row(src, s), bias), w);
            src += src_stride;
            tmp += tmp_stride;
        } while (--h);
    } else {
        v128_t above = load_8_pixels(src);
        do {
            src += src_stride;
            const v128_t row = load_8_pixels(src);
            v128_t sum = bilin(above, row, s->fv, s->rest_v);
#if BITDEPTH != 8
            sum = wasm_u16x8_shr(wasm_i16x8_add(sum, s->rounding_h), s->shift_h);
#endif
            store_tmp(tmp, wasm_i16x8_sub(sum, bias), w);
            above = row;
            tmp += tmp_stride;
        } while (--h);
    }
}

decl_mct_fn(BF(dav1d_prep_bilin, simd128)) {
    src_stride = PXSTRIDE(src_stride);
    if (!mx && !my) {
        prep_copy(tmp, src, src_stride, w, h HIGHBD_TAIL_SUFFIX);
        return;
    }
    const Bilin s = bilin_of(mx, my HIGHBD_TAIL_SUFFIX);
    if (w == 4) {
        prep_bilin_columns(tmp, 4, src, src_stride, 4, h, mx, my, &s);
        return;
    }
    for (int x = 0; x < w; x += 8)
        prep_bilin_columns(tmp + x, w, src + x, src_stride, 8, h, mx, my, &s);
}

/* Two predictions become one. Those of blocks of width 4 lie two rows to a register. */
static ALWAYS_INLINE void store_8_of(pixel *const dst, const ptrdiff_t dst_stride, v128_t numbers, const int w,
                                     const v128_t top)
{
    if (w != 4) {
        store_pixels(dst, numbers, 8, top);
        return;
    }
#if BITDEPTH == 8
    numbers = wasm_u8x16_narrow_i16x8(numbers, numbers);
    wasm_v128_store32_lane(dst, numbers, 0);
    wasm_v128_store32_lane(dst + dst_stride, numbers, 1);
#else
    numbers = wasm_i16x8_min(wasm_i16x8_max(numbers, wasm_i16x8_const_splat(0)), top);
    wasm_v128_store64_lane(dst, numbers, 0);
    wasm_v128_store64_lane(dst + dst_stride, numbers, 1);
#endif
}

/* The loop over all registers of two predictions: x counts pixels, i those before in all rows. */
#define for_each_8(w, h, dst, dst_stride, ...) do { \
    int i = 0; \
    if ((w) == 4) { \
        do { \
            const int x = 0, columns = 4; \
            __VA_ARGS__ \
            i += 8; \
            dst += 2 * (dst_stride); \
        } while ((h) -= 2); \
    } else { \
        do { \
            for (int x = 0; x < (w); x += 8, i += 8) { \
                const int columns = 8; \
                __VA_ARGS__ \
            } \
            dst += (dst_stride); \
        } while (--(h)); \
    } \
} while (0)

decl_avg_fn(BF(dav1d_avg, simd128)) {
    dst_stride = PXSTRIDE(dst_stride);
    const v128_t top = top_of_pixels();
    const int shift = INTERMEDIATE_BITS + 1;
#if BITDEPTH == 8
    for_each_8(w, h, dst, dst_stride,
        const v128_t sum = wasm_i16x8_add(wasm_v128_load(tmp1 + i), wasm_v128_load(tmp2 + i));
        store_8_of(dst + x, dst_stride, wasm_i16x8_shr(wasm_i16x8_add(sum, wasm_i16x8_const_splat(16)), shift),
                   columns, top);
    );
#else
    const v128_t sum_rounding = wasm_i32x4_splat((1 << INTERMEDIATE_BITS) + PREP_BIAS * 2);
    const v128_t ones = wasm_i16x8_const_splat(1);
    for_each_8(w, h, dst, dst_stride,
        const v128_t a = wasm_v128_load(tmp1 + i);
        const v128_t b = wasm_v128_load(tmp2 + i);
        v128_t lo = wasm_i32x4_dot_i16x8(zip_lo_16(a, b), ones);
        v128_t hi = wasm_i32x4_dot_i16x8(zip_hi_16(a, b), ones);
        lo = wasm_i32x4_shr(wasm_i32x4_add(lo, sum_rounding), shift);
        hi = wasm_i32x4_shr(wasm_i32x4_add(hi, sum_rounding), shift);
        store_8_of(dst + x, dst_stride, wasm_i16x8_narrow_i32x4(lo, hi), columns, top);
    );
#endif
}

/* Sums of a and b with weights that lie in pairs, shifted. */
static ALWAYS_INLINE v128_t weighted(const v128_t a, const v128_t b, const v128_t weights_lo, const v128_t weights_hi,
                                     const v128_t rounding, const int shift)
{
    const v128_t lo = wasm_i32x4_dot_i16x8(zip_lo_16(a, b), weights_lo);
    const v128_t hi = wasm_i32x4_dot_i16x8(zip_hi_16(a, b), weights_hi);
    return wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(wasm_i32x4_add(lo, rounding), shift),
                                   wasm_i32x4_shr(wasm_i32x4_add(hi, rounding), shift));
}

decl_w_avg_fn(BF(dav1d_w_avg, simd128)) {
    dst_stride = PXSTRIDE(dst_stride);
    const v128_t top = top_of_pixels();
    const int shift = INTERMEDIATE_BITS + 4;
    const v128_t rounding = wasm_i32x4_splat((8 << INTERMEDIATE_BITS) + PREP_BIAS * 16);
    const v128_t weights = splat_pair(weight, 16 - weight);
    for_each_8(w, h, dst, dst_stride,
        const v128_t sum = weighted(wasm_v128_load(tmp1 + i), wasm_v128_load(tmp2 + i), weights, weights, rounding,
                                    shift);
        store_8_of(dst + x, dst_stride, sum, columns, top);
    );
}

static ALWAYS_INLINE v128_t masked(const v128_t a, const v128_t b, const v128_t m, const v128_t rounding,
                                   const int shift)
{
    const v128_t rest = wasm_i16x8_sub(wasm_i16x8_const_splat(64), m);
    return weighted(a, b, zip_lo_16(m, rest), zip_hi_16(m, rest), rounding, shift);
}

decl_mask_fn(BF(dav1d_mask, simd128)) {
    dst_stride = PXSTRIDE(dst_stride);
    const v128_t top = top_of_pixels();
    const int shift = INTERMEDIATE_BITS + 6;
    const v128_t rounding = wasm_i32x4_splat((32 << INTERMEDIATE_BITS) + PREP_BIAS * 64);
    for_each_8(w, h, dst, dst_stride,
        const v128_t m = wasm_u16x8_load8x8(mask + i);
        const v128_t sum = masked(wasm_v128_load(tmp1 + i), wasm_v128_load(tmp2 + i), m, rounding, shift);
        store_8_of(dst + x, dst_stride, sum, columns, top);
    );
}

/* The mask that follows from how far two predictions are apart. */
static ALWAYS_INLINE v128_t mask_of(const v128_t a, const v128_t b, const v128_t rounding, const int shift) {
    const v128_t apart = wasm_i16x8_sub(wasm_i16x8_max(a, b), wasm_i16x8_min(a, b));
    const v128_t m = wasm_u16x8_shr(wasm_i16x8_add(apart, rounding), shift);
    return wasm_i16x8_min(wasm_i16x8_add(m, wasm_i16x8_const_splat(38)), wasm_i16x8_const_splat(64));
}

#define w_mask_start() \
    dst_stride = PXSTRIDE(dst_stride); \
    const v128_t top = top_of_pixels(); \
    const int shift = INTERMEDIATE_BITS + 6; \
    const v128_t rounding = wasm_i32x4_splat((32 << INTERMEDIATE_BITS) + PREP_BIAS * 64); \
    const int mask_shift = bitdepth_from_max(bitdepth_max) + INTERMEDIATE_BITS - 4; \
    const v128_t mask_rounding = wasm_i16x8_splat(1 << (mask_shift - 5))

/* Blends eight pixels and makes their mask m. */
#define w_mask_8(m, dst, columns, i) \
    const v128_t m##_a = wasm_v128_load(tmp1 + (i)); \
    const v128_t m##_b = wasm_v128_load(tmp2 + (i)); \
    const v128_t m = mask_of(m##_a, m##_b, mask_rounding, mask_shift); \
    store_8_of(dst, dst_stride, masked(m##_a, m##_b, m, rounding, shift), columns, top)

decl_w_mask_fn(BF(dav1d_w_mask_444, simd128)) {
    w_mask_start();
    for_each_8(w, h, dst, dst_stride,
        w_mask_8(m, dst + x, columns, i);
        wasm_v128_store64_lane(mask + i, wasm_u8x16_narrow_i16x8(m, m), 0);
    );
}

static ALWAYS_INLINE void store_4_bytes_of_i32(uint8_t *const p, v128_t numbers) {
    numbers = wasm_i16x8_narrow_i32x4(numbers, numbers);
    wasm_v128_store32_lane(p, wasm_u8x16_narrow_i16x8(numbers, numbers), 0);
}

decl_w_mask_fn(BF(dav1d_w_mask_422, simd128)) {
    w_mask_start();
    const v128_t ones = wasm_i16x8_const_splat(1);
    const v128_t pair_rounding = wasm_i32x4_splat(1 - sign);
    for_each_8(w, h, dst, dst_stride,
        w_mask_8(m, dst + x, columns, i);
        const v128_t sum = wasm_i32x4_add(wasm_i32x4_dot_i16x8(m, ones), pair_rounding);
        store_4_bytes_of_i32(mask + (i >> 1), wasm_u32x4_shr(sum, 1));
    );
}

decl_w_mask_fn(BF(dav1d_w_mask_420, simd128)) {
    w_mask_start();
    const v128_t ones = wasm_i16x8_const_splat(1);
    const v128_t four_rounding = wasm_i32x4_splat(2 - sign);
    if (w == 4) {
        do {
            w_mask_8(m, dst, 4, 0);
            const v128_t pairs = wasm_i32x4_dot_i16x8(m, ones);
            const v128_t sum = wasm_i32x4_add(wasm_i32x4_add(pairs, zip_hi_64(pairs, pairs)), four_rounding);
            v128_t bytes = wasm_u32x4_shr(sum, 2);
            bytes = wasm_i16x8_narrow_i32x4(bytes, bytes);
            wasm_v128_store16_lane(mask, wasm_u8x16_narrow_i16x8(bytes, bytes), 0);
            tmp1 += 8;
            tmp2 += 8;
            mask += 2;
            dst += 2 * dst_stride;
        } while (h -= 2);
        return;
    }
    do {
        for (int x = 0; x < w; x += 8) {
            w_mask_8(m, dst + x, 8, x);
            w_mask_8(n, dst + dst_stride + x, 8, w + x);
            const v128_t sum = wasm_i32x4_add(wasm_i32x4_dot_i16x8(wasm_i16x8_add(m, n), ones), four_rounding);
            store_4_bytes_of_i32(mask + (x >> 1), wasm_u32x4_shr(sum, 2));
        }
        tmp1 += 2 * w;
        tmp2 += 2 * w;
        mask += w >> 1;
        dst += 2 * dst_stride;
    } while (h -= 2);
}

/* a where m is 0, b where it is 64. */
static ALWAYS_INLINE v128_t blend_8(const v128_t a, const v128_t b, const v128_t m) {
    const v128_t rest = wasm_i16x8_sub(wasm_i16x8_const_splat(64), m);
#if BITDEPTH == 8
    const v128_t sum = wasm_i16x8_add(wasm_i16x8_mul(a, rest), wasm_i16x8_mul(b, m));
    return wasm_u16x8_shr(wasm_i16x8_add(sum, wasm_i16x8_const_splat(32)), 6);
#else
    return weighted(a, b, zip_lo_16(rest, m), zip_hi_16(rest, m), wasm_i32x4_const_splat(32), 6);
#endif
}

static ALWAYS_INLINE v128_t load_pixels(const pixel *const p, const int w) {
    if (w == 8)
        return load_8_pixels(p);
    if (w == 4)
        return load_4_pixels(p);
#if BITDEPTH == 8
    return wasm_u16x8_extend_low_u8x16(wasm_v128_load16_lane(p, wasm_i16x8_const_splat(0), 0));
#else
    return wasm_v128_load32_zero(p);
#endif
}

/* Results of blending are between two pixels, so that nothing is clipped. */
#if BITDEPTH == 8
#define no_top wasm_i16x8_const_splat(0)
#else
#define no_top wasm_i16x8_const_splat(0x7fff)
#endif

static ALWAYS_INLINE void blend_w(pixel *dst, const ptrdiff_t dst_stride, const pixel *tmp, const int w, int h,
                                  const uint8_t *mask, const int mask_stride, const int columns)
{
    do {
        for (int x = 0; x < w; x += 8) {
            const v128_t m = wasm_u16x8_load8x8(mask + x);
            const v128_t pixels = blend_8(load_pixels(dst + x, columns), load_pixels(tmp + x, columns), m);
            store_pixels(dst + x, pixels, columns, no_top);
        }
        dst += dst_stride;
        tmp += w;
        mask += mask_stride;
    } while (--h);
}

decl_blend_fn(BF(dav1d_blend, simd128)) {
    dst_stride = PXSTRIDE(dst_stride);
    if (w >= 8)
        blend_w(dst, dst_stride, tmp, w, h, mask, w, 8);
    else
        blend_w(dst, dst_stride, tmp, 4, h, mask, 4, 4);
}

/* The masks end with zeros, for pixels that stay as they are. */
decl_blend_dir_fn(BF(dav1d_blend_v, simd128)) {
    dst_stride = PXSTRIDE(dst_stride);
    const uint8_t *const mask = &dav1d_obmc_masks[w];
    if (w >= 8)
        blend_w(dst, dst_stride, tmp, w, h, mask, 0, 8);
    else if (w == 4)
        blend_w(dst, dst_stride, tmp, 4, h, mask, 0, 4);
    else
        blend_w(dst, dst_stride, tmp, 2, h, mask, 0, 2);
}

static ALWAYS_INLINE void blend_h_w(pixel *dst, const ptrdiff_t dst_stride, const pixel *tmp, const int w, int h,
                                    const int columns)
{
    const uint8_t *mask = &dav1d_obmc_masks[h];
    h = (h * 3) >> 2;
    do {
        const v128_t m = wasm_i16x8_splat(*mask++);
        for (int x = 0; x < w; x += 8) {
            const v128_t pixels = blend_8(load_pixels(dst + x, columns), load_pixels(tmp + x, columns), m);
            store_pixels(dst + x, pixels, columns, no_top);
        }
        dst += dst_stride;
        tmp += w;
    } while (--h);
}

decl_blend_dir_fn(BF(dav1d_blend_h, simd128)) {
    dst_stride = PXSTRIDE(dst_stride);
    if (w >= 8)
        blend_h_w(dst, dst_stride, tmp, w, h, 8);
    else if (w == 4)
        blend_h_w(dst, dst_stride, tmp, 4, h, 4);
    else
        blend_h_w(dst, dst_stride, tmp, 2, h, 2);
}

/* Each of the four lanes is the sum of one operand. */
static ALWAYS_INLINE v128_t sums_of_4(const v128_t a, const v128_t b, const v128_t c, const v128_t d) {
    const v128_t ab = wasm_i32x4_add(zip_lo_32(a, b), zip_hi_32(a, b));
    const v128_t cd = wasm_i32x4_add(zip_lo_32(c, d), zip_hi_32(c, d));
    return wasm_i32x4_add(zip_lo_64(ab, cd), zip_hi_64(ab, cd));
}

static ALWAYS_INLINE v128_t warp_filter(const int position) {
    return wasm_i16x8_load8x8(dav1d_mc_warp_filter[64 + ((position + 512) >> 10)]);
}

/* Each pixel of a row has a filter of its own. */
static ALWAYS_INLINE v128_t warp_row(const pixel *const src, const int mx, const int step, const v128_t rounding,
                                     const int shift)
{
    v128_t sums[2];
    for (int i = 0; i < 2; i++) {
        v128_t products[4];
        for (int j = 0; j < 4; j++)
            products[j] = wasm_i32x4_dot_i16x8(load_8_pixels(src + 4 * i + j - 3), warp_filter(mx + (4 * i + j) * step));
        const v128_t sum = sums_of_4(products[0], products[1], products[2], products[3]);
        sums[i] = wasm_i32x4_shr(wasm_i32x4_add(sum, rounding), shift);
    }
    return wasm_i16x8_narrow_i32x4(sums[0], sums[1]);
}

/* Four columns: their filters become pairs of taps, as rows lie in mid. */
static ALWAYS_INLINE v128_t warp_columns(const v128_t *const mid, const int my, const int step) {
    const v128_t f0 = warp_filter(my), f1 = warp_filter(my + step);
    const v128_t f2 = warp_filter(my + 2 * step), f3 = warp_filter(my + 3 * step);
    const v128_t lo01 = zip_lo_32(f0, f1), hi01 = zip_hi_32(f0, f1);
    const v128_t lo23 = zip_lo_32(f2, f3), hi23 = zip_hi_32(f2, f3);
    v128_t sum = wasm_i32x4_dot_i16x8(mid[0], zip_lo_64(lo01, lo23));
    sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(mid[4], zip_hi_64(lo01, lo23)));
    sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(mid[8], zip_lo_64(hi01, hi23)));
    return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(mid[12], zip_hi_64(hi01, hi23)));
}

static ALWAYS_INLINE void warp_to_mid(v128_t *mid, const pixel *src, const ptrdiff_t src_stride,
                                      const int16_t *const abcd, int mx HIGHBD_DECL_SUFFIX)
{
    const int shift = 7 - INTERMEDIATE_BITS;
    const v128_t rounding = wasm_i32x4_splat((1 << shift) >> 1);
    src -= 3 * src_stride;
    v128_t above = warp_row(src, mx, abcd[0], rounding, shift);
    for (int y = 0; y < 14; y++, mid += 2) {
        src += src_stride;
        mx += abcd[1];
        const v128_t row = warp_row(src, mx, abcd[0], rounding, shift);
        mid[0] = zip_lo_16(above, row);
        mid[1] = zip_hi_16(above, row);
        above = row;
    }
}

static ALWAYS_INLINE v128_t warp_mid(const v128_t *const mid, const int my, const int step, const v128_t rounding,
                                     const int shift)
{
    const v128_t lo = wasm_i32x4_add(warp_columns(mid, my, step), rounding);
    const v128_t hi = wasm_i32x4_add(warp_columns(mid + 1, my + 4 * step, step), rounding);
    return wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(lo, shift), wasm_i32x4_shr(hi, shift));
}

decl_warp8x8_fn(BF(dav1d_warp_affine_8x8, simd128)) {
    v128_t mid[14 * 2];
    warp_to_mid(mid, src, PXSTRIDE(src_stride), abcd, mx HIGHBD_TAIL_SUFFIX);
    const v128_t top = top_of_pixels();
    const int shift = 7 + INTERMEDIATE_BITS;
    const v128_t rounding = wasm_i32x4_splat((1 << shift) >> 1);
    for (int y = 0; y < 8; y++, my += abcd[3]) {
        store_pixels(dst, warp_mid(mid + 2 * y, my, abcd[2], rounding, shift), 8, top);
        dst += PXSTRIDE(dst_stride);
    }
}

decl_warp8x8t_fn(BF(dav1d_warp_affine_8x8t, simd128)) {
    v128_t mid[14 * 2];
    warp_to_mid(mid, src, PXSTRIDE(src_stride), abcd, mx HIGHBD_TAIL_SUFFIX);
    const v128_t rounding = wasm_i32x4_splat(64 - PREP_BIAS * 128);
    for (int y = 0; y < 8; y++, my += abcd[3]) {
        wasm_v128_store(tmp, warp_mid(mid + 2 * y, my, abcd[2], rounding, 7));
        tmp += tmp_stride;
    }
}
