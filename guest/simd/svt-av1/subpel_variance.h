/*
* Copyright (c) 2026 the afmpeg authors
* SPDX-License-Identifier: BSD-3-Clause-Clear
*
* This source code is subject to the terms of the BSD 3-Clause Clear License and
* the Alliance for Open Media Patent License 1.0. If the BSD 3-Clause Clear License
* was not distributed with this source code in the LICENSE file, you can
* obtain it at https://www.aomedia.org/license/software-license. If the Alliance for Open
* Media Patent License 1.0 was not distributed with this source code in the
* PATENTS file, you can obtain it at https://www.aomedia.org/license/patent-license.
*
* Parts of this file are also in libvpx's wasm/subpel_variance.h (BSD-3-Clause);
* their authors license them under that licence too.
*/

#ifndef EbWasmSubpelVariance_h
#define EbWasmSubpelVariance_h

// The differences between a block at eighths of pixels, by bilinear filters, and another block: their sum, and the sum of
// their squares.

#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

// The sums of up to 64 rows: differences of two halves of a row add up to at most 64 * 2 * 255 in a lane.
typedef struct Sums {
    v128_t sum, sse;
} Sums;

static inline v128_t load_width(const uint8_t *pixels, int width) {
    return width == 16 ? wasm_v128_load(pixels) : width == 8 ? wasm_v128_load64_zero(pixels) : wasm_v128_load32_zero(pixels);
}

// (a * (8 - offset) + b * offset + 4) >> 3
static inline v128_t between(v128_t a, v128_t b, int offset, v128_t weight_a, v128_t weight_b, int width) {
    if (offset == 0)
        return a;
    if (offset == 4)
        return wasm_u8x16_avgr(a, b);
    const v128_t round = wasm_i16x8_const_splat(4);
    v128_t low = wasm_i16x8_add(wasm_i16x8_mul(wasm_u16x8_extend_low_u8x16(a), weight_a),
                                wasm_i16x8_mul(wasm_u16x8_extend_low_u8x16(b), weight_b));
    low = wasm_u16x8_shr(wasm_i16x8_add(low, round), 3);
    if (width < 16)
        return wasm_u8x16_narrow_i16x8(low, low);
    v128_t high = wasm_i16x8_add(wasm_i16x8_mul(wasm_u16x8_extend_high_u8x16(a), weight_a),
                                 wasm_i16x8_mul(wasm_u16x8_extend_high_u8x16(b), weight_b));
    high = wasm_u16x8_shr(wasm_i16x8_add(high, round), 3);
    return wasm_u8x16_narrow_i16x8(low, high);
}

static inline void add_difference(Sums *sums, v128_t block, v128_t other, int width) {
    const v128_t low = wasm_i16x8_sub(wasm_u16x8_extend_low_u8x16(block), wasm_u16x8_extend_low_u8x16(other));
    sums->sum = wasm_i16x8_add(sums->sum, low);
    sums->sse = wasm_i32x4_add(sums->sse, wasm_i32x4_dot_i16x8(low, low));
    if (width < 16)
        return;
    const v128_t high = wasm_i16x8_sub(wasm_u16x8_extend_high_u8x16(block), wasm_u16x8_extend_high_u8x16(other));
    sums->sum = wasm_i16x8_add(sums->sum, high);
    sums->sse = wasm_i32x4_add(sums->sse, wasm_i32x4_dot_i16x8(high, high));
}

static inline int add_lanes(v128_t lanes) {
    lanes = wasm_i32x4_add(lanes, wasm_i32x4_shuffle(lanes, lanes, 2, 3, 0, 1));
    lanes = wasm_i32x4_add(lanes, wasm_i32x4_shuffle(lanes, lanes, 1, 0, 3, 2));
    return wasm_i32x4_extract_lane(lanes, 0);
}

// A row at eighths of pixels.
static inline v128_t row_between(const uint8_t *src, int x_offset, v128_t weight_a, v128_t weight_b, int width) {
    const v128_t row = load_width(src, width);
    return x_offset ? between(row, load_width(src + 1, width), x_offset, weight_a, weight_b, width) : row;
}

// Inlined for each kind of offset, so that no row decides anything. With `out` it stores the block, and otherwise adds up
// its differences.
static inline __attribute__((always_inline)) void subpel_rows(const uint8_t *src, ptrdiff_t src_stride, int x_offset,
                                                              int y_offset, const uint8_t *other, uint8_t *out,
                                                              ptrdiff_t other_stride, int height, Sums *sums, int width,
                                                              const v128_t weights[4]) {
    const v128_t x_a = weights[0], x_b = weights[1], y_a = weights[2], y_b = weights[3];
    v128_t above = wasm_i32x4_const_splat(0);
    if (y_offset) {
        above = row_between(src, x_offset, x_a, x_b, width);
        src += src_stride;
    }
    for (int y = 0; y < height; y++) {
        const v128_t row = row_between(src, x_offset, x_a, x_b, width);
        const v128_t block = y_offset ? between(above, row, y_offset, y_a, y_b, width) : row;
        if (!out) {
            add_difference(sums, block, load_width(other, width), width);
            other += other_stride;
        } else {
            if (width == 16)
                wasm_v128_store(out, block);
            else if (width == 8)
                wasm_v128_store64_lane(out, block, 0);
            else
                wasm_v128_store32_lane(out, block, 0);
            out += other_stride;
        }
        above = row;
        src += src_stride;
    }
}

// 0: at the pixel, 4: half way, which is an average, and 1: elsewhere.
static inline int offset_kind(int offset) {
    return offset == 0 || offset == 4 ? offset : 1;
}

#define SUBPEL_CASE(x, y)                                                                                              \
    case (x) * 8 + (y):                                                                                                \
        subpel_rows(src, src_stride, x, y, other, out, other_stride, height, sums, width, weights);                    \
        break;

static inline __attribute__((always_inline)) void subpel(const uint8_t *src, ptrdiff_t src_stride, int x_offset,
                                                         int y_offset, const uint8_t *other, uint8_t *out,
                                                         ptrdiff_t other_stride, int height, Sums *sums, int width) {
    const v128_t weights[4] = { wasm_i16x8_splat(8 - x_offset), wasm_i16x8_splat(x_offset),
                                wasm_i16x8_splat(8 - y_offset), wasm_i16x8_splat(y_offset) };
    switch (offset_kind(x_offset) * 8 + offset_kind(y_offset)) {
        SUBPEL_CASE(0, 0)
        SUBPEL_CASE(0, 4)
        SUBPEL_CASE(0, 1)
        SUBPEL_CASE(4, 0)
        SUBPEL_CASE(4, 4)
        SUBPEL_CASE(4, 1)
        SUBPEL_CASE(1, 0)
        SUBPEL_CASE(1, 4)
        SUBPEL_CASE(1, 1)
    }
}

#define SUBPEL(width)                                                                                                  \
    static inline int subpel_variance_##width(const uint8_t *src, ptrdiff_t src_stride, int x_offset, int y_offset,    \
                                              const uint8_t *other, ptrdiff_t other_stride, int height,                \
                                              unsigned int *sse) {                                                     \
        Sums sums = { wasm_i32x4_const_splat(0), wasm_i32x4_const_splat(0) };                                          \
        subpel(src, src_stride, x_offset, y_offset, other, NULL, other_stride, height, &sums, width);                  \
        *sse = add_lanes(sums.sse);                                                                                    \
        return add_lanes(wasm_i32x4_extadd_pairwise_i16x8(sums.sum));                                                  \
    }                                                                                                                  \
    static inline void subpel_block_##width(const uint8_t *src, ptrdiff_t src_stride, int x_offset, int y_offset,      \
                                            uint8_t *out, ptrdiff_t out_stride, int height) {                          \
        subpel(src, src_stride, x_offset, y_offset, NULL, out, out_stride, height, NULL, width);                       \
    }

SUBPEL(4)
SUBPEL(8)
SUBPEL(16)

#endif // EbWasmSubpelVariance_h
