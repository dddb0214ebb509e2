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

/* Motion compensation, 8 and 10 bits. Results are those of hevc/dsp_template.c, for pixels of no more bits than these. */

#include "libavutil/attributes.h"
#include "libavcodec/hevc/dsp.h"
#include "libavcodec/wasm/hevc/hevcdsp.h"

/* A filter computes numbers of 14 bits, in strips of eight columns whatever the width. They are stored (put), or are turned into
 * pixels, alone (uni) or after the prediction from another picture is added (bi). Weights are a second pass, see weigh().
 *
 * Loops over rows have no conditions: Cranelift moves arithmetic into the branches that use its results, and does it again for
 * the next row. */

/* Filtering in both directions with eight taps gives -16830 to 33247, more than 16 bits can hold. So this is subtracted from the
 * results of such a filter, and the code that uses them adds it again. */
#define QPEL_HV_BIAS 512

/* The place that the rows of a strip are stored to. */
typedef struct Target {
    uint8_t *dst;
    ptrdiff_t stride;
    const int16_t *src2;
    ptrdiff_t src2_stride;
    int rounding, shift;
} Target;

static av_always_inline void store_8_pixels(uint8_t *dst, v128_t pixels, int bits)
{
    if (bits > 8)
        wasm_v128_store(dst, clip_pixels(pixels, bits));
    else
        wasm_v128_store64_lane(dst, wasm_u8x16_narrow_i16x8(pixels, pixels), 0);
}

static av_always_inline void store_row(Target *to, v128_t row, int bits, int put)
{
    if (put) {
        wasm_v128_store(to->dst, wasm_i16x8_add(row, wasm_i16x8_splat(to->rounding)));
    } else {
        /* A sum that saturates belongs to a pixel that is clipped. */
        row = wasm_i16x8_add_sat(row, wasm_v128_load(to->src2));
        row = wasm_i16x8_add_sat(row, wasm_i16x8_splat(to->rounding));
        store_8_pixels(to->dst, wasm_i16x8_shr(row, to->shift), bits);
        to->src2 += to->src2_stride;
    }
    to->dst += to->stride;
}

static av_always_inline v128_t load_coefficients(int taps, int fraction)
{
    return wasm_i16x8_extend_low_i8x16(taps == 8 ? wasm_v128_load64_zero(ff_hevc_qpel_filters[fraction])
                                                 : wasm_v128_load32_zero(ff_hevc_epel_filters[fraction]));
}

/* Coefficients in pairs, a register to each pair. */
static av_always_inline void load_pairs(v128_t pairs[4], v128_t all, int taps)
{
    pairs[0] = wasm_i32x4_shuffle(all, all, 0, 0, 0, 0);
    pairs[1] = wasm_i32x4_shuffle(all, all, 1, 1, 1, 1);
    if (taps == 8) {
        pairs[2] = wasm_i32x4_shuffle(all, all, 2, 2, 2, 2);
        pairs[3] = wasm_i32x4_shuffle(all, all, 3, 3, 3, 3);
    }
}

/* Products of pairs of pixels give the even results; the odd ones come from pairs that begin one pixel later. */
static av_always_inline v128_t filter_row(const uint8_t *src, const v128_t pairs[4], int taps, int bits)
{
    const int pixel = bits > 8 ? 2 : 1;
    /* clang would compute the address of each load; from a base that it knows nothing of, the offset is part of the load. */
    src = opaque_pointer(src - (taps / 2 - 1) * pixel);
    v128_t even = wasm_i32x4_dot_i16x8(load_8_pixels(src, bits), pairs[0]);
    v128_t odd  = wasm_i32x4_dot_i16x8(load_8_pixels(src + pixel, bits), pairs[0]);
    for (int i = 1; i < taps / 2; i++) {
        even = wasm_i32x4_add(even, wasm_i32x4_dot_i16x8(load_8_pixels(src + 2 * i * pixel, bits), pairs[i]));
        odd  = wasm_i32x4_add(odd, wasm_i32x4_dot_i16x8(load_8_pixels(src + (2 * i + 1) * pixel, bits), pairs[i]));
    }
    even = wasm_i32x4_shr(even, bits - 8);
    odd  = wasm_i32x4_shl(odd, 24 - bits);
    return wasm_i16x8_shuffle(even, odd, 0, 9, 2, 11, 4, 13, 6, 15);
}

/* Pixels of 8 bits along columns: sums fit into 16 bits. */
static av_always_inline v128_t filter_column(const uint8_t *src, ptrdiff_t stride, const v128_t coefficients[8], int taps)
{
    src -= (taps / 2 - 1) * stride;
    v128_t sum = wasm_i16x8_mul(wasm_u16x8_load8x8(src), coefficients[0]);
    for (int i = 1; i < taps; i++)
        sum = wasm_i16x8_add(sum, wasm_i16x8_mul(wasm_u16x8_load8x8(src + i * stride), coefficients[i]));
    return sum;
}

/* size counts bytes and is even. memcpy() would be a call of the engine for each row. */
static av_noinline void copy_rows(uint8_t *dst, ptrdiff_t stride, const uint8_t *src, ptrdiff_t src_stride, int height,
                                  int size)
{
    for (int y = 0; y < height; y++, dst += stride, src += src_stride) {
        int x = 0;
#pragma clang loop unroll(disable)
        for (; x + 16 <= size; x += 16)
            wasm_v128_store(dst + x, wasm_v128_load(src + x));
        /* Else clang makes a loop over rows for each case of the rest. */
        int rest = opaque(size);
        if (rest & 8)
            wasm_v128_store64_lane(dst + x, wasm_v128_load64_zero(src + x), 0), x += 8;
        if (rest & 4)
            wasm_v128_store32_lane(dst + x, wasm_v128_load32_zero(src + x), 0), x += 4;
        if (rest & 2)
            wasm_v128_store16_lane(dst + x, wasm_v128_load16_splat(src + x), 0);
    }
}

enum { PUT, PIXELS };

/* Only the columns of a strip may be written. Strips of less than eight go through a buffer with rows of 16 bytes. */
static av_always_inline Target strip(uint8_t *dst, ptrdiff_t stride, const int16_t *src2, int bias, int width,
                                     uint8_t *narrow, int bits, int output)
{
    static const int16_t zeros[8];
    if (output == PUT)
        return (Target) { dst, stride, .rounding = bias };
    /* Without a second prediction a row of zeros is added, so that the loop over rows is the same. */
    int shift = src2 ? 15 - bits : 14 - bits;
    /* The shift is opaque as a precaution: clang 22 makes one loop for both shifts without it, too. */
    Target to = { dst, stride, src2 ? src2 : zeros, src2 ? MAX_PB_SIZE : 0, bias + (1 << (shift - 1)), opaque(shift) };
    /* Else clang copies the code below, with its calls, for narrow strips. */
    if (opaque(width) < 8)
        to.dst = narrow, to.stride = 16;
    return to;
}

/* Filters in one direction, except for columns of 10 bits. Without taps it copies pixels. */
static av_always_inline void predict_direct(uint8_t *dst, ptrdiff_t stride, const uint8_t *src, ptrdiff_t src_stride,
                                            const int16_t *src2, int height, int fraction, int width, int taps, int vertical,
                                            int bits, int output)
{
    const int pixel = bits > 8 ? 2 : 1;
    uint8_t narrow[16 * MAX_PB_SIZE];
    v128_t factors[8];
    if (vertical)
        for (int i = 0; i < taps; i++)
            factors[i] = wasm_i16x8_splat(taps == 8 ? ff_hevc_qpel_filters[fraction][i] : ff_hevc_epel_filters[fraction][i]);
    else if (taps)
        load_pairs(factors, load_coefficients(taps, fraction), taps);
    for (int x = 0; x < width; x += 8) {
        Target to = strip(dst, stride, src2, 0, width - x, narrow, bits, output);
        const uint8_t *from = src;
        for (int y = 0; y < height; y++, from += src_stride)
            store_row(&to, vertical ? filter_column(from, src_stride, factors, taps)
                           : taps   ? filter_row(from, factors, taps, bits)
                                    : wasm_i16x8_shl(load_8_pixels(from, bits), 14 - bits), bits, output == PUT);
        /* Opaque as in strip(); a precaution, too. */
        if (output == PIXELS && opaque(width - x) < 8)
            copy_rows(dst, stride, narrow, 16, height, (width - x) * pixel);
        src += 8 * pixel;
        dst += output == PUT ? 16 : 8 * pixel;
        src2 = src2 ? src2 + 8 : NULL;
    }
}

/* The other filters along columns have two passes. The first one interleaves each row, which is a result of the filter along
 * rows, or pixels if there are no taps, with the row before it. */
static av_always_inline void interleave_rows(v128_t *rows, const uint8_t *src, ptrdiff_t stride, int count, int fraction,
                                             int taps, int bits)
{
    v128_t pairs[4], before = { 0 };
    if (taps)
        load_pairs(pairs, load_coefficients(taps, fraction), taps);
    for (int y = 0; y < count; y++, src += stride, rows += 2) {
        v128_t row = taps ? filter_row(src, pairs, taps, bits) : load_8_pixels(src, bits);
        /* Coefficients along columns add up to 64, and results are divided by 64, so they lack the same. */
        if (taps == 8)
            row = wasm_i16x8_sub(row, wasm_i16x8_const_splat(QPEL_HV_BIAS));
        rows[0] = unpack_low_i16(before, row);
        rows[1] = unpack_high_i16(before, row);
        before = row;
    }
}

/* The second pass multiplies pairs of rows, which lie interleaved in memory, so that no row moves from register to register. The
 * first row is no pair: none came before it. */
static av_always_inline void predict_columns(Target *target, const v128_t *rows, int height, v128_t coefficients, int taps,
                                             int bits, int put)
{
    Target to = *target;
    v128_t pairs[4];
    load_pairs(pairs, coefficients, taps);
    for (int y = 0; y < height; y++, rows += 2) {
        /* As in filter_row(): offsets become part of the loads. */
        const v128_t *from = opaque_pointer(rows);
        v128_t low = wasm_i32x4_dot_i16x8(from[2], pairs[0]), high = wasm_i32x4_dot_i16x8(from[3], pairs[0]);
        for (int i = 1; i < taps / 2; i++) {
            low  = wasm_i32x4_add(low, wasm_i32x4_dot_i16x8(from[4 * i + 2], pairs[i]));
            high = wasm_i32x4_add(high, wasm_i32x4_dot_i16x8(from[4 * i + 3], pairs[i]));
        }
        store_row(&to, wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(low, 6), wasm_i32x4_shr(high, 6)), bits, put);
    }
}

#define COLUMNS(name, taps, bits, put)                                                                                 \
static av_noinline void name(Target *to, const v128_t *rows, int height, v128_t coefficients)                          \
{                                                                                                                      \
    predict_columns(to, rows, height, coefficients, taps, bits, put);                                                  \
}

#define INTERLEAVE(name, taps, bits)                                                                                   \
static av_noinline void name(v128_t *rows, const uint8_t *src, ptrdiff_t stride, int count, int fraction)              \
{                                                                                                                      \
    interleave_rows(rows, src, stride, count, fraction, taps, bits);                                                   \
}

COLUMNS(epel_columns_put, 4, 8, 1)
COLUMNS(epel_columns_8, 4, 8, 0)
COLUMNS(epel_columns_10, 4, 10, 0)
COLUMNS(qpel_columns_put, 8, 8, 1)
COLUMNS(qpel_columns_8, 8, 8, 0)
COLUMNS(qpel_columns_10, 8, 10, 0)

INTERLEAVE(interleave_10, 0, 10)
INTERLEAVE(epel_interleave_8, 4, 8)
INTERLEAVE(epel_interleave_10, 4, 10)
INTERLEAVE(qpel_interleave_8, 8, 8)
INTERLEAVE(qpel_interleave_10, 8, 10)

typedef struct Filter {
    void (*interleave)(v128_t *rows, const uint8_t *src, ptrdiff_t stride, int count, int fraction);
    void (*columns[2])(Target *to, const v128_t *rows, int height, v128_t coefficients); /* The functions for PUT and for PIXELS. */
    int taps, bits;
    int bias;
    int scale; /* The left shift of coefficients along columns, so that after the division by 64 pixels of 10 bits have become 14 bits. */
} Filter;

static av_always_inline void predict(const Filter *filter, int output, uint8_t *dst, ptrdiff_t stride, const uint8_t *src,
                                    ptrdiff_t src_stride, const int16_t *src2, int height, int mx, int my, int width)
{
    const int bits = filter->bits, taps = filter->taps, pixel = bits > 8 ? 2 : 1;
    uint8_t narrow[16 * MAX_PB_SIZE];
    v128_t between[2 * (MAX_PB_SIZE + 7)];
    v128_t coefficients = wasm_i16x8_shl(load_coefficients(taps, my), filter->scale);
    src -= (taps / 2 - 1) * src_stride;
    for (int x = 0; x < width; x += 8) {
        Target to = strip(dst, stride, src2, filter->bias, width - x, narrow, bits, output);
        filter->interleave(between, src, src_stride, height + taps - 1, mx);
        filter->columns[output](&to, between, height, coefficients);
        if (output == PIXELS && width - x < 8)
            copy_rows(dst, stride, narrow, 16, height, (width - x) * pixel);
        src += 8 * pixel;
        dst += output == PUT ? 16 : 8 * pixel;
        src2 = src2 ? src2 + 8 : NULL;
    }
}

#define FILTERS(bits)                                                                                                  \
static const Filter qpel_hv_##bits = {                                                                                 \
    qpel_interleave_##bits, { qpel_columns_put, qpel_columns_##bits }, 8, bits, QPEL_HV_BIAS, 0                        \
};                                                                                                                     \
static const Filter epel_hv_##bits = { epel_interleave_##bits, { epel_columns_put, epel_columns_##bits }, 4, bits, 0, 0 };

FILTERS(8)
FILTERS(10)
static const Filter qpel_v_10 = { interleave_10, { qpel_columns_put, qpel_columns_10 }, 8, 10, 0, 4 };
static const Filter epel_v_10 = { interleave_10, { epel_columns_put, epel_columns_10 }, 4, 10, 0, 4 };

#define TWO_PASSES(filter)                                                                                             \
static av_noinline void put_##filter(int16_t *dst, const uint8_t *src, ptrdiff_t src_stride, int height, intptr_t mx,  \
                                     intptr_t my, int width)                                                           \
{                                                                                                                      \
    predict(&filter, PUT, (uint8_t *)dst, 2 * MAX_PB_SIZE, src, src_stride, NULL, height, mx, my, width);              \
}                                                                                                                      \
static av_noinline void put_bi_##filter(uint8_t *dst, ptrdiff_t stride, const uint8_t *src, ptrdiff_t src_stride,      \
                                        const int16_t *src2, int height, intptr_t mx, intptr_t my, int width)          \
{                                                                                                                      \
    predict(&filter, PIXELS, dst, stride, src, src_stride, src2, height, mx, my, width);                               \
}

#define DIRECT(filter, taps, fraction, vertical, bits)                                                                 \
static av_noinline void put_##filter(int16_t *dst, const uint8_t *src, ptrdiff_t src_stride, int height, intptr_t mx,  \
                                     intptr_t my, int width)                                                           \
{                                                                                                                      \
    predict_direct((uint8_t *)dst, 2 * MAX_PB_SIZE, src, src_stride, NULL, height, fraction, width, taps, vertical,    \
                   bits, PUT);                                                                                         \
}                                                                                                                      \
static av_noinline void put_bi_##filter(uint8_t *dst, ptrdiff_t stride, const uint8_t *src, ptrdiff_t src_stride,      \
                                        const int16_t *src2, int height, intptr_t mx, intptr_t my, int width)          \
{                                                                                                                      \
    predict_direct(dst, stride, src, src_stride, src2, height, fraction, width, taps, vertical, bits, PIXELS);         \
}

DIRECT(pel_8, 0, 0, 0, 8)
DIRECT(pel_10, 0, 0, 0, 10)
DIRECT(qpel_h_8, 8, mx, 0, 8)
DIRECT(qpel_h_10, 8, mx, 0, 10)
DIRECT(epel_h_8, 4, mx, 0, 8)
DIRECT(epel_h_10, 4, mx, 0, 10)
DIRECT(qpel_v_8, 8, my, 1, 8)
DIRECT(epel_v_8, 4, my, 1, 8)
TWO_PASSES(qpel_v_10)
TWO_PASSES(epel_v_10)
TWO_PASSES(qpel_hv_8)
TWO_PASSES(qpel_hv_10)
TWO_PASSES(epel_hv_8)
TWO_PASSES(epel_hv_10)

typedef struct Weights {
    int src, src2;      /* Factors. */
    int rounding, shift;
    int offset;         /* Added after the shift. */
} Weights;

/* Computes pixels of numbers of 14 bits and a second prediction, both in rows of MAX_PB_SIZE. Numbers that exceeded 16 bits (see
 * QPEL_HV_BIAS) have wrapped around; subtracting the bias undoes it. */
static av_noinline void weigh(uint8_t *dst, ptrdiff_t stride, const int16_t *src, int bias, const int16_t *src2, int height,
                              int width, Weights weights, int bits)
{
    const int pixel = bits > 8 ? 2 : 1;
    uint8_t narrow[16 * MAX_PB_SIZE];
    v128_t factors = wasm_i32x4_splat((uint16_t)weights.src | (uint32_t)weights.src2 << 16);
    v128_t rounding = wasm_i32x4_splat(weights.rounding + bias * weights.src), offset = wasm_i32x4_splat(weights.offset);
    for (int x = 0; x < width; x += 8) {
        int is_narrow = width - x < 8;
        uint8_t *to = is_narrow ? narrow : dst + x * pixel;
        ptrdiff_t step = is_narrow ? 16 : stride;
        for (int y = 0; y < height; y++, to += step) {
            v128_t a = wasm_i16x8_sub(wasm_v128_load(src + y * MAX_PB_SIZE + x), wasm_i16x8_splat(bias));
            v128_t b = wasm_v128_load(src2 + y * MAX_PB_SIZE + x);
            v128_t low  = wasm_i32x4_add(wasm_i32x4_dot_i16x8(unpack_low_i16(a, b), factors), rounding);
            v128_t high = wasm_i32x4_add(wasm_i32x4_dot_i16x8(unpack_high_i16(a, b), factors), rounding);
            low  = wasm_i32x4_add(wasm_i32x4_shr(low, weights.shift), offset);
            high = wasm_i32x4_add(wasm_i32x4_shr(high, weights.shift), offset);
            v128_t pixels = wasm_i16x8_narrow_i32x4(low, high);
            /* Else clang makes a loop for each bit depth. */
            if (opaque(bits) > 8)
                store_8_pixels(to, pixels, 10);
            else
                store_8_pixels(to, pixels, 8);
        }
        if (is_narrow)
            copy_rows(dst + x * pixel, stride, narrow, 16, height, (width - x) * pixel);
    }
}

typedef void Put(int16_t *dst, const uint8_t *src, ptrdiff_t src_stride, int height, intptr_t mx, intptr_t my, int width);

static av_noinline void predict_uni_w(Put *put, int bias, int bits, uint8_t *dst, ptrdiff_t stride, const uint8_t *src,
                                      ptrdiff_t src_stride, int height, int denom, int wx, int ox, int mx, int my, int width)
{
    int16_t plane[MAX_PB_SIZE * MAX_PB_SIZE];
    int shift = denom + 14 - bits;
    put(plane, src, src_stride, height, mx, my, width);
    weigh(dst, stride, plane, bias, plane, height, width,
          (Weights) { wx, 0, 1 << (shift - 1), shift, ox * (1 << (bits - 8)) }, bits);
}

static av_noinline void predict_bi_w(Put *put, int bias, int bits, uint8_t *dst, ptrdiff_t stride, const uint8_t *src,
                                     ptrdiff_t src_stride, const int16_t *src2, int height, int denom, int wx0, int wx1,
                                     int ox0, int ox1, int mx, int my, int width)
{
    int16_t plane[MAX_PB_SIZE * MAX_PB_SIZE];
    int shift = denom + 14 - bits, offset = (ox0 + ox1) * (1 << (bits - 8)) + 1;
    put(plane, src, src_stride, height, mx, my, width);
    weigh(dst, stride, plane, bias, src2, height, width, (Weights) { wx1, wx0, offset * (1 << shift), shift + 1, 0 },
          bits);
}

/* The other functions of a filter. Even in streams that have weights, those of most blocks change nothing. */
#define PREDICTIONS(filter, uni, bias, bits)                                                                           \
static void put_uni_##filter(uint8_t *dst, ptrdiff_t stride, const uint8_t *src, ptrdiff_t src_stride, int height,     \
                             intptr_t mx, intptr_t my, int width)                                                      \
{                                                                                                                      \
    uni(filter, bits, dst, stride, src, src_stride, height, mx, my, width);                                                  \
}                                                                                                                      \
static void put_uni_w_##filter(uint8_t *dst, ptrdiff_t stride, const uint8_t *src, ptrdiff_t src_stride, int height,   \
                               int denom, int wx, int ox, intptr_t mx, intptr_t my, int width)                         \
{                                                                                                                      \
    if (wx == 1 << denom && ox == 0)                                                                                   \
        put_uni_##filter(dst, stride, src, src_stride, height, mx, my, width);                                         \
    else                                                                                                               \
        predict_uni_w(put_##filter, bias, bits, dst, stride, src, src_stride, height, denom, wx, ox, mx, my, width);   \
}                                                                                                                      \
static void put_bi_w_##filter(uint8_t *dst, ptrdiff_t stride, const uint8_t *src, ptrdiff_t src_stride,                \
                              const int16_t *src2, int height, int denom, int wx0, int wx1, int ox0, int ox1,          \
                              intptr_t mx, intptr_t my, int width)                                                     \
{                                                                                                                      \
    if (wx0 == 1 << denom && wx1 == wx0 && ox0 + ox1 == 0)                                                             \
        put_bi_##filter(dst, stride, src, src_stride, src2, height, mx, my, width);                                    \
    else                                                                                                               \
        predict_bi_w(put_##filter, bias, bits, dst, stride, src, src_stride, src2, height, denom, wx0, wx1, ox0, ox1,  \
                     mx, my, width);                                                                                   \
}

#define UNI(filter, bits, dst, stride, src, src_stride, height, mx, my, width)                                         \
    put_bi_##filter(dst, stride, src, src_stride, NULL, height, mx, my, width)
#define UNI_PEL(filter, bits, dst, stride, src, src_stride, height, mx, my, width)                                     \
    copy_rows(dst, stride, src, src_stride, height, bits > 8 ? 2 * width : width)

#define ALL_PREDICTIONS(bits)                                                                                          \
PREDICTIONS(pel_##bits, UNI_PEL, 0, bits)                                                                              \
PREDICTIONS(qpel_h_##bits, UNI, 0, bits)                                                                               \
PREDICTIONS(qpel_v_##bits, UNI, 0, bits)                                                                               \
PREDICTIONS(qpel_hv_##bits, UNI, QPEL_HV_BIAS, bits)                                                                   \
PREDICTIONS(epel_h_##bits, UNI, 0, bits)                                                                               \
PREDICTIONS(epel_v_##bits, UNI, 0, bits)                                                                               \
PREDICTIONS(epel_hv_##bits, UNI, 0, bits)

ALL_PREDICTIONS(8)
ALL_PREDICTIONS(10)

#define CHOOSE(table, y, x, filter)                                                                                    \
    c->put_hevc_##table[i][y][x]         = put_##filter;                                                               \
    c->put_hevc_##table##_uni[i][y][x]   = put_uni_##filter;                                                           \
    c->put_hevc_##table##_bi[i][y][x]    = put_bi_##filter;                                                            \
    c->put_hevc_##table##_uni_w[i][y][x] = put_uni_w_##filter;                                                         \
    c->put_hevc_##table##_bi_w[i][y][x]  = put_bi_w_##filter;

#define CHOOSE_ALL(table, bits)                                                                                        \
    CHOOSE(table, 0, 0, pel_##bits)                                                                                    \
    CHOOSE(table, 0, 1, table##_h_##bits)                                                                              \
    CHOOSE(table, 1, 0, table##_v_##bits)                                                                              \
    CHOOSE(table, 1, 1, table##_hv_##bits)

av_cold void ff_hevc_inter_init_simd128(HEVCDSPContext *c, int bit_depth)
{
    for (int i = 0; i < 10; i++) {
        if (bit_depth == 8) {
            CHOOSE_ALL(qpel, 8)
            CHOOSE_ALL(epel, 8)
        } else if (bit_depth == 10) {
            CHOOSE_ALL(qpel, 10)
            CHOOSE_ALL(epel, 10)
        }
    }
}
