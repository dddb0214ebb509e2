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

/* Intra prediction of planes; the time of the other modes is that of their stores. Names and results are those of get_intra_predictor.cpp. */

#include "wasm.h"
#include "vector.h"

/* Sixteen pixels of a plane: 16-bit numbers hold what is rounded, and narrowing clips it. */
static ALWAYS_INLINE v128_t plane_row (v128_t left, v128_t right) {
  return wasm_u8x16_narrow_i16x8 (wasm_i16x8_shr (left, 5), wasm_i16x8_shr (right, 5));
}

void WelsI16x16LumaPredPlane_wasm (uint8_t* pPred, uint8_t* pRef, const int32_t kiStride) {
  const uint8_t* top = pRef - kiStride, * left = pRef - 1;
  int32_t sum_top = 0, sum_left = 0;
  for (int32_t i = 0; i < 8; i++) {
    sum_top += (i + 1) * (top[8 + i] - top[6 - i]);
    sum_left += (i + 1) * (left[(8 + i) * kiStride] - left[(6 - i) * kiStride]);
  }
  int32_t across = (5 * sum_top + 32) >> 6, down = (5 * sum_left + 32) >> 6;
  int32_t start = ((left[15 * kiStride] + top[15]) << 4) + 16 - 7 * (across + down);
  v128_t slope = wasm_i16x8_splat (across), step = wasm_i16x8_splat (down);
  v128_t low = wasm_i16x8_add (wasm_i16x8_splat (start), wasm_i16x8_mul (slope, wasm_i16x8_const (0, 1, 2, 3, 4, 5, 6, 7)));
  v128_t high = wasm_i16x8_add (low, wasm_i16x8_shl (slope, 3));
  for (int32_t y = 0; y < 16; y++) {
    wasm_v128_store (pPred + 16 * y, plane_row (low, high));
    low = wasm_i16x8_add (low, step);
    high = wasm_i16x8_add (high, step);
  }
}

void WelsIChromaPredPlane_wasm (uint8_t* pPred, uint8_t* pRef, const int32_t kiStride) {
  const uint8_t* top = pRef - kiStride, * left = pRef - 1;
  int32_t sum_top = 0, sum_left = 0;
  for (int32_t i = 0; i < 4; i++) {
    sum_top += (i + 1) * (top[4 + i] - top[2 - i]);
    sum_left += (i + 1) * (left[(4 + i) * kiStride] - left[(2 - i) * kiStride]);
  }
  int32_t across = (17 * sum_top + 16) >> 5, down = (17 * sum_left + 16) >> 5;
  int32_t start = ((left[7 * kiStride] + top[7]) << 4) + 16 - 3 * (across + down);
  v128_t step = wasm_i16x8_splat (down);
  v128_t row = wasm_i16x8_mul (wasm_i16x8_splat (across), wasm_i16x8_const (0, 1, 2, 3, 4, 5, 6, 7));
  row = wasm_i16x8_add (row, wasm_i16x8_splat (start));
  for (int32_t y = 0; y < 8; y += 2) {
    v128_t next = wasm_i16x8_add (row, step);
    wasm_v128_store (pPred + 8 * y, plane_row (row, next));
    row = wasm_i16x8_add (next, step);
  }
}
