/*!
 * \copy
 *     Copyright (c)  2026, the afmpeg authors
 *     SPDX-License-Identifier: BSD-2-Clause
 *
 *     Redistribution and use in source and binary forms, with or without
 *     modification, are permitted provided that the following conditions
 *     are met:
 *
 *        * Redistributions of source code must retain the above copyright
 *          notice, this list of conditions and the following disclaimer.
 *
 *        * Redistributions in binary form must reproduce the above copyright
 *          notice, this list of conditions and the following disclaimer in
 *          the documentation and/or other materials provided with the
 *          distribution.
 *
 *     THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS
 *     "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT
 *     LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS
 *     FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE
 *     COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT,
 *     INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING,
 *     BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES;
 *     LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 *     CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT
 *     LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN
 *     ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
 *     POSSIBILITY OF SUCH DAMAGE.
 *
 */

/* Video analysis of a picture and the one before it. Names and results are those of vaacalcfuncs.cpp and md.cpp. */

#include "wasm.h"
#include "vector.h"

/* Sums of two 8x8 blocks, in lanes (left, left, right, right): those of upper and of lower blocks become four. */
static ALWAYS_INLINE v128_t sums_of_blocks (v128_t upper, v128_t lower) {
  return wasm_i32x4_add (wasm_i32x4_shuffle (upper, lower, 0, 2, 4, 6), wasm_i32x4_shuffle (upper, lower, 1, 3, 5, 7));
}

/* Puts the largest byte of each half into its lowest byte. */
static ALWAYS_INLINE v128_t max_of_halves (v128_t bytes) {
  bytes = wasm_u8x16_max (bytes, wasm_u64x2_shr (bytes, 32));
  bytes = wasm_u8x16_max (bytes, wasm_u64x2_shr (bytes, 16));
  return wasm_u8x16_max (bytes, wasm_u64x2_shr (bytes, 8));
}

/* The step from one row of macroblocks to the next. If the width is not a multiple of 16, the C code is off by the remainder
 * after each row; results must be the same, so this is, too. */
static ALWAYS_INLINE int32_t next_macroblock_row (int32_t width, int32_t stride) {
  return 16 * stride - (width & 15);
}

/* Two 8x8 blocks side by side: sums of absolute differences, sums of differences, the largest differences. */
static ALWAYS_INLINE void analyse_16x8 (const uint8_t* cur, const uint8_t* ref, int32_t stride, v128_t* sad, v128_t* sd, v128_t* mad) {
  v128_t sums = wasm_i16x8_const_splat (0), differences = sums, max = sums;
  for (int32_t y = 0; y < 8; y++, cur += stride, ref += stride) {
    v128_t a = wasm_v128_load (cur), b = wasm_v128_load (ref), absolute = absolute_difference_u8 (a, b);
    sums = wasm_i16x8_add (sums, wasm_u16x8_extadd_pairwise_u8x16 (absolute));
    differences = wasm_i16x8_add (differences, wasm_i16x8_sub (wasm_u16x8_extadd_pairwise_u8x16 (a), wasm_u16x8_extadd_pairwise_u8x16 (b)));
    max = wasm_u8x16_max (max, absolute);
  }
  *sad = sum_pairs_i16x8 (sums);
  *sd = sum_pairs_i16x8 (differences);
  *mad = max_of_halves (max);
}

void VAACalcSadBgd_wasm (const uint8_t* pCurData, const uint8_t* pRefData, int32_t iPicWidth, int32_t iPicHeight,
                         int32_t iPicStride, int32_t* pFrameSad, int32_t* pSad8x8, int32_t* pSd8x8, uint8_t* pMad8x8) {
  v128_t frame = wasm_i32x4_const_splat (0);
  int32_t next_row = next_macroblock_row (iPicWidth, iPicStride);
  for (int32_t y = 0; y + 16 <= iPicHeight; y += 16, pCurData += next_row, pRefData += next_row)
    for (int32_t x = 0; x + 16 <= iPicWidth; x += 16, pSad8x8 += 4, pSd8x8 += 4, pMad8x8 += 4) {
      v128_t sad0, sad1, sd0, sd1, mad0, mad1;
      analyse_16x8 (pCurData + x, pRefData + x, iPicStride, &sad0, &sd0, &mad0);
      analyse_16x8 (pCurData + x + 8 * iPicStride, pRefData + x + 8 * iPicStride, iPicStride, &sad1, &sd1, &mad1);
      v128_t sads = sums_of_blocks (sad0, sad1);
      frame = wasm_i32x4_add (frame, sads);
      wasm_v128_store (pSad8x8, sads);
      wasm_v128_store (pSd8x8, sums_of_blocks (sd0, sd1));
      wasm_v128_store32_lane (pMad8x8, wasm_i8x16_shuffle (mad0, mad1, 0, 8, 16, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    }
  *pFrameSad = sum_i32x4 (frame);
}

void VAACalcSad_wasm (const uint8_t* pCurData, const uint8_t* pRefData, int32_t iPicWidth, int32_t iPicHeight, int32_t iPicStride,
                      int32_t* pFrameSad, int32_t* pSad8x8) {
  v128_t frame = wasm_i32x4_const_splat (0);
  int32_t next_row = next_macroblock_row (iPicWidth, iPicStride);
  for (int32_t y = 0; y + 16 <= iPicHeight; y += 16, pCurData += next_row, pRefData += next_row)
    for (int32_t x = 0; x + 16 <= iPicWidth; x += 16, pSad8x8 += 4) {
      v128_t sad0, sad1, sd, mad;
      analyse_16x8 (pCurData + x, pRefData + x, iPicStride, &sad0, &sd, &mad);
      analyse_16x8 (pCurData + x + 8 * iPicStride, pRefData + x + 8 * iPicStride, iPicStride, &sad1, &sd, &mad);
      v128_t sads = sums_of_blocks (sad0, sad1);
      frame = wasm_i32x4_add (frame, sads);
      wasm_v128_store (pSad8x8, sads);
    }
  *pFrameSad = sum_i32x4 (frame);
}

/* Which of the four blocks differ by more than the average, the first one in the highest of four bits. */
uint8_t MdInterAnalysisVaaInfo_wasm (int32_t* pSad8x8) {
  const int32_t threshold = 20;
  v128_t sads = wasm_v128_load (pSad8x8);
  int32_t average = sum_i32x4 (sads) >> 2;
  v128_t deviations = wasm_i32x4_sub (wasm_i32x4_shr (sads, 6), wasm_i32x4_splat (average >> 6));
  if (sum_i32x4 (wasm_i32x4_mul (deviations, deviations)) < threshold)
    return 15;
  v128_t above = wasm_i32x4_gt (sads, wasm_i32x4_splat (average));
  return wasm_i32x4_bitmask (wasm_i32x4_shuffle (above, above, 3, 2, 1, 0));
}
