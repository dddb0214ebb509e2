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
*/

// Sums of absolute differences, of which only AVX2 has kernels or SSE4.1 has an instruction that WebAssembly lacks.

#include <wasm_simd128.h>

#include "aom_dsp_rtcd.h"
#include "compute_sad_c.h"

void svt_aom_setup_rtcd_wasm(void);

static inline v128_t absolute_differences(const v128_t a, const v128_t b) {
    return wasm_u16x8_extadd_pairwise_u8x16(wasm_v128_or(wasm_u8x16_sub_sat(a, b), wasm_u8x16_sub_sat(b, a)));
}

static inline v128_t rows_of_8(const uint8_t* p, uint32_t stride) {
    return wasm_v128_load64_lane(p + stride, wasm_v128_load64_zero(p), 1);
}

static inline v128_t rows_of_4(const uint8_t* p, uint32_t stride) {
    v128_t rows = wasm_v128_load32_zero(p);
    rows        = wasm_v128_load32_lane(p + stride, rows, 1);
    rows        = wasm_v128_load32_lane(p + 2 * stride, rows, 2);
    return wasm_v128_load32_lane(p + 3 * stride, rows, 3);
}

// A block's height in rows that come at once is even for all blocks that are searched for, and a multiple of four where they
// are four pixels wide. 16 bits hold the differences of 2048 pixels in pairs of lanes: 16 rows of 128.
static inline __attribute__((always_inline)) uint32_t block_sad(const uint8_t* src, uint32_t src_stride, const uint8_t* ref,
                                                                uint32_t ref_stride, uint32_t height, uint32_t width) {
    v128_t total = wasm_i32x4_const_splat(0);
    for (uint32_t y = 0; y < height;) {
        v128_t         sum = wasm_i16x8_const_splat(0);
        const uint32_t end = height - y > 16 ? y + 16 : height;
        while (y < end) {
            if (width == 4) {
                sum = wasm_i16x8_add(sum, absolute_differences(rows_of_4(src, src_stride), rows_of_4(ref, ref_stride)));
                y += 4, src += 4 * src_stride, ref += 4 * ref_stride;
            } else if (width == 8) {
                sum = wasm_i16x8_add(sum, absolute_differences(rows_of_8(src, src_stride), rows_of_8(ref, ref_stride)));
                y += 2, src += 2 * src_stride, ref += 2 * ref_stride;
            } else {
                for (uint32_t x = 0; x < width; x += 16) {
                    sum = wasm_i16x8_add(sum, absolute_differences(wasm_v128_load(src + x), wasm_v128_load(ref + x)));
                }
                y++, src += src_stride, ref += ref_stride;
            }
        }
        total = wasm_i32x4_add(total, wasm_u32x4_extadd_pairwise_u16x8(sum));
    }
    total = wasm_i32x4_add(total, wasm_i32x4_shuffle(total, total, 2, 3, 0, 1));
    total = wasm_i32x4_add(total, wasm_i32x4_shuffle(total, total, 1, 0, 3, 2));
    return wasm_i32x4_extract_lane(total, 0);
}

#define SIZES(of) \
    of(4, 4) of(4, 8) of(4, 16) of(8, 4) of(8, 8) of(8, 16) \
    of(8, 32) of(16, 4) of(16, 8) of(16, 16) of(16, 32) of(16, 64) \
    of(32, 8) of(32, 16) of(32, 32) of(32, 64) of(64, 16) of(64, 32) \
    of(64, 64) of(64, 128) of(128, 64) of(128, 128)

#define SAD(width, height)                                                                                              \
    static uint32_t sad##width##x##height(const uint8_t* src, int src_stride, const uint8_t* ref, int ref_stride) {     \
        return block_sad(src, src_stride, ref, ref_stride, height, width);                                              \
    }                                                                                                                   \
    static void sad##width##x##height##x4d(                                                                             \
        const uint8_t* src, int src_stride, const uint8_t* const refs[], int ref_stride, uint32_t* sads) {              \
        for (int i = 0; i < 4; i++) { sads[i] = block_sad(src, src_stride, refs[i], ref_stride, height, width); }       \
    }

SIZES(SAD)

static inline __attribute__((always_inline)) void sad_loop(const uint8_t* src, uint32_t src_stride, const uint8_t* ref,
                                                           uint32_t ref_stride, uint32_t block_height, uint32_t block_width,
                                                           uint64_t* best_sad, int16_t* x_search_center,
                                                           int16_t* y_search_center, uint32_t src_stride_raw,
                                                           uint8_t skip_search_line, int16_t search_area_width,
                                                           int16_t search_area_height) {
    uint32_t best = 0xffffff;
    for (int16_t y = 0; y < search_area_height; y++, ref += src_stride_raw) {
        if (block_width == 16 && block_height <= 16 && skip_search_line && (y & 1) == 0) {
            continue;
        }
        for (int16_t x = 0; x < search_area_width; x++) {
            const uint32_t sad = block_sad(src, src_stride, ref + x, ref_stride, block_height, block_width);
            if (sad < best) {
                best             = sad;
                *x_search_center = x;
                *y_search_center = y;
            }
        }
    }
    *best_sad = best;
}

static void sad_loop_kernel(uint8_t* src, uint32_t src_stride, uint8_t* ref, uint32_t ref_stride, uint32_t block_height,
                            uint32_t block_width, uint64_t* best_sad, int16_t* x_search_center, int16_t* y_search_center,
                            uint32_t src_stride_raw, uint8_t skip_search_line, int16_t search_area_width,
                            int16_t search_area_height) {
#define WIDTH(width)                                                                                                   \
    if (block_width == width) {                                                                                        \
        sad_loop(src, src_stride, ref, ref_stride, block_height, width, best_sad, x_search_center, y_search_center,    \
                 src_stride_raw, skip_search_line, search_area_width, search_area_height);                             \
        return;                                                                                                        \
    }
    if (block_height % 2 == 0) {
        WIDTH(16)
        WIDTH(32)
        WIDTH(64)
        WIDTH(8)
    }
    svt_sad_loop_kernel_c(src, src_stride, ref, ref_stride, block_height, block_width, best_sad, x_search_center,
                          y_search_center, src_stride_raw, skip_search_line, search_area_width, search_area_height);
}

// Four blocks of 8x8 pixels, of every row or every other one.
static inline __attribute__((always_inline)) v128_t sads_of_16x16(const uint8_t* src, uint32_t src_stride, const uint8_t* ref,
                                                                  uint32_t ref_stride, int step) {
    v128_t halves[2];
    for (int half = 0; half < 2; half++) {
        v128_t sum = wasm_i16x8_const_splat(0);
        for (int y = 8 * half; y < 8 * half + 8; y += step) {
            sum = wasm_i16x8_add(
                sum, absolute_differences(wasm_v128_load(src + y * src_stride), wasm_v128_load(ref + y * ref_stride)));
        }
        halves[half] = wasm_u32x4_extadd_pairwise_u16x8(sum);
    }
    const v128_t sads = wasm_i32x4_add(wasm_i32x4_shuffle(halves[0], halves[1], 0, 2, 4, 6),
                                       wasm_i32x4_shuffle(halves[0], halves[1], 1, 3, 5, 7));
    return step == 2 ? wasm_i32x4_shl(sads, 1) : sads;
}

// The best of eight positions beside each other, for each block of 8x8 and 16x16 pixels of one of 64x64.
static inline __attribute__((always_inline)) void all_sads(const uint8_t* src, uint32_t src_stride, const uint8_t* ref,
                                                           uint32_t ref_stride, uint32_t mv, uint32_t* best_sad_8x8,
                                                           uint32_t* best_sad_16x16, uint32_t* best_mv_8x8,
                                                           uint32_t* best_mv_16x16, uint32_t eight_sad_16x16[16][8], int step) {
    for (int block = 0; block < 16; block++) {
        // Quarters, and quarters of these.
        const int      x = 16 * ((block & 1) + (block >> 1 & 2)), y = 16 * ((block >> 1 & 1) + (block >> 2 & 2));
        const uint8_t* corner = src + y * src_stride + x;
        const uint8_t* searched = ref + y * ref_stride + x;
        v128_t         best = wasm_v128_load(best_sad_8x8 + 4 * block), best_mv = wasm_v128_load(best_mv_8x8 + 4 * block);
        for (int position = 0; position < 8; position++) {
            const uint32_t position_mv = (mv & 0xffff0000) | (uint16_t)(mv + position);
            const v128_t   sads        = sads_of_16x16(corner, src_stride, searched + position, ref_stride, step);
            const v128_t   is_better   = wasm_u32x4_lt(sads, best);
            best                       = wasm_v128_bitselect(sads, best, is_better);
            best_mv                    = wasm_v128_bitselect(wasm_i32x4_splat(position_mv), best_mv, is_better);
            const uint32_t sad         = wasm_u32x4_extract_lane(sads, 0) + wasm_u32x4_extract_lane(sads, 1) +
                wasm_u32x4_extract_lane(sads, 2) + wasm_u32x4_extract_lane(sads, 3);
            eight_sad_16x16[block][position] = sad;
            if (sad < best_sad_16x16[block]) {
                best_sad_16x16[block] = sad;
                best_mv_16x16[block]  = position_mv;
            }
        }
        wasm_v128_store(best_sad_8x8 + 4 * block, best);
        wasm_v128_store(best_mv_8x8 + 4 * block, best_mv);
    }
}

static void ext_all_sad_calculation_8x8_16x16(uint8_t* src, uint32_t src_stride, uint8_t* ref, uint32_t ref_stride, uint32_t mv,
                                              uint32_t* p_best_sad_8x8, uint32_t* p_best_sad_16x16, uint32_t* p_best_mv8x8,
                                              uint32_t* p_best_mv16x16, uint32_t p_eight_sad16x16[16][8],
                                              uint32_t p_eight_sad8x8[64][8], bool sub_sad) {
    (void)p_eight_sad8x8;
    if (sub_sad) {
        all_sads(src, src_stride, ref, ref_stride, mv, p_best_sad_8x8, p_best_sad_16x16, p_best_mv8x8, p_best_mv16x16,
                 p_eight_sad16x16, 2);
    } else {
        all_sads(src, src_stride, ref, ref_stride, mv, p_best_sad_8x8, p_best_sad_16x16, p_best_mv8x8, p_best_mv16x16,
                 p_eight_sad16x16, 1);
    }
}

void svt_aom_setup_rtcd_wasm(void) {
#define SET(width, height)                                 \
    svt_aom_sad##width##x##height     = sad##width##x##height; \
    svt_aom_sad##width##x##height##x4d = sad##width##x##height##x4d;
    SIZES(SET)
    svt_sad_loop_kernel                  = sad_loop_kernel;
    svt_ext_all_sad_calculation_8x8_16x16 = ext_all_sad_calculation_8x8_16x16;
}
