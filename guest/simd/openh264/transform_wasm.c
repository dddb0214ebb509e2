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

/* Transforms. Names and results are those of encode_mb_aux.cpp and decode_mb_aux.cpp. */

#include "wasm.h"
#include "vector.h"

/* Differences of pixels have 9 bits, their transforms at most 16: all of this is in 16-bit lanes, two 4x4 blocks side by side. */

static ALWAYS_INLINE void dct4_1d (v128_t r[4]) {
  v128_t s03 = wasm_i16x8_add (r[0], r[3]), d03 = wasm_i16x8_sub (r[0], r[3]);
  v128_t s12 = wasm_i16x8_add (r[1], r[2]), d12 = wasm_i16x8_sub (r[1], r[2]);
  r[0] = wasm_i16x8_add (s03, s12);
  r[1] = wasm_i16x8_add (wasm_i16x8_add (d03, d03), d12);
  r[2] = wasm_i16x8_sub (s03, s12);
  r[3] = wasm_i16x8_sub (d03, wasm_i16x8_add (d12, d12));
}

static ALWAYS_INLINE void idct4_1d (v128_t r[4]) {
  v128_t s02 = wasm_i16x8_add (r[0], r[2]), d02 = wasm_i16x8_sub (r[0], r[2]);
  v128_t s13 = wasm_i16x8_add (r[1], wasm_i16x8_shr (r[3], 1)), d13 = wasm_i16x8_sub (wasm_i16x8_shr (r[1], 1), r[3]);
  r[0] = wasm_i16x8_add (s02, s13);
  r[1] = wasm_i16x8_add (d02, d13);
  r[2] = wasm_i16x8_sub (d02, d13);
  r[3] = wasm_i16x8_sub (s02, s13);
}

/* Rows that are side by side become columns, two to a register: left 0 and 1, left 2 and 3, right 0 and 1, right 2 and 3. */
static ALWAYS_INLINE void columns_of_2_blocks (const v128_t r[4], v128_t columns[4]) {
  v128_t left01 = unpack_low_i16 (r[0], r[1]), left23 = unpack_low_i16 (r[2], r[3]);
  v128_t right01 = unpack_high_i16 (r[0], r[1]), right23 = unpack_high_i16 (r[2], r[3]);
  columns[0] = unpack_low_i32 (left01, left23);
  columns[1] = unpack_high_i32 (left01, left23);
  columns[2] = unpack_low_i32 (right01, right23);
  columns[3] = unpack_high_i32 (right01, right23);
}

static ALWAYS_INLINE void side_by_side (const v128_t blocks[4], v128_t r[4]) {
  r[0] = low_halves (blocks[0], blocks[2]);
  r[1] = high_halves (blocks[0], blocks[2]);
  r[2] = low_halves (blocks[1], blocks[3]);
  r[3] = high_halves (blocks[1], blocks[3]);
}

static ALWAYS_INLINE void transpose_2_blocks (v128_t r[4]) {
  v128_t columns[4];
  columns_of_2_blocks (r, columns);
  side_by_side (columns, r);
}

/* Columns first, then rows: nothing is rounded, so that the order doesn't matter. The second transpose leaves each block as it is
 * stored. */
static ALWAYS_INLINE void dct_8x4 (int16_t* dct, const uint8_t* pix1, int32_t stride1, const uint8_t* pix2, int32_t stride2) {
  v128_t r[4], blocks[4];
  for (int32_t y = 0; y < 4; y++)
    r[y] = difference_8 (pix1 + y * stride1, pix2 + y * stride2);
  dct4_1d (r);
  transpose_2_blocks (r);
  dct4_1d (r);
  columns_of_2_blocks (r, blocks);
  for (int32_t i = 0; i < 4; i++)
    wasm_v128_store (dct + 8 * i, blocks[i]);
}

void WelsDctFourT4_wasm (int16_t* pDct, uint8_t* pPixel1, int32_t iStride1, uint8_t* pPixel2, int32_t iStride2) {
  dct_8x4 (pDct, pPixel1, iStride1, pPixel2, iStride2);
  dct_8x4 (pDct + 32, pPixel1 + 4 * iStride1, iStride1, pPixel2 + 4 * iStride2, iStride2);
}

/* One block in two registers. */
static ALWAYS_INLINE void transpose_4x4 (v128_t* rows01, v128_t* rows23) {
  v128_t rows02 = unpack_low_i16 (*rows01, *rows23), rows13 = unpack_high_i16 (*rows01, *rows23);
  *rows01 = unpack_low_i16 (rows02, rows13);
  *rows23 = unpack_high_i16 (rows02, rows13);
}

/* Rows of two blocks as they are stored become columns side by side. */
static ALWAYS_INLINE void load_columns (const int16_t* left, const int16_t* right, v128_t r[4]) {
  const int16_t* blocks[2] = {left, right};
  v128_t columns[4];
  for (int32_t i = 0; i < 2; i++) {
    columns[2 * i] = wasm_v128_load (blocks[i]);
    columns[2 * i + 1] = wasm_v128_load (blocks[i] + 8);
    transpose_4x4 (&columns[2 * i], &columns[2 * i + 1]);
  }
  side_by_side (columns, r);
}

static ALWAYS_INLINE v128_t add_residual (v128_t prediction, v128_t residual) {
  v128_t rounded = wasm_i16x8_shr (wasm_i16x8_add_sat (residual, wasm_i16x8_const_splat (32)), 6);
  return wasm_i16x8_add (prediction, rounded);
}

/* Here rows come first, as in the standard: halves are rounded. The C code has sums of 32 bits, these are of 16, which differs only
 * for coefficients that no encoder makes. */
static ALWAYS_INLINE void idct_8x4 (uint8_t* rec, int32_t rec_stride, const uint8_t* pred, int32_t pred_stride, const int16_t* dct) {
  v128_t r[4];
  load_columns (dct, dct + 16, r);
  idct4_1d (r);
  transpose_2_blocks (r);
  idct4_1d (r);
  for (int32_t y = 0; y < 4; y++) {
    v128_t sum = add_residual (wasm_u16x8_load8x8 (pred + y * pred_stride), r[y]);
    wasm_v128_store64_lane (rec + y * rec_stride, wasm_u8x16_narrow_i16x8 (sum, sum), 0);
  }
}

void WelsIDctFourT4Rec_wasm (uint8_t* pRec, int32_t iStride, uint8_t* pPred, int32_t iPredStride, int16_t* pRes) {
  idct_8x4 (pRec, iStride, pPred, iPredStride, pRes);
  idct_8x4 (pRec + 4 * iStride, iStride, pPred + 4 * iPredStride, iPredStride, pRes + 32);
}

void WelsIDctT4Rec_wasm (uint8_t* pRec, int32_t iStride, uint8_t* pPred, int32_t iPredStride, int16_t* pRes) {
  v128_t r01 = wasm_v128_load (pRes), r23 = wasm_v128_load (pRes + 8);
  /* A pass works on lower halves: rows 0 and 2 are there, rows 1 and 3 are brought there. */
  for (int32_t pass = 0; pass < 2; pass++) {
    transpose_4x4 (&r01, &r23);
    v128_t r[4] = {r01, swap_halves (r01), r23, swap_halves (r23)};
    idct4_1d (r);
    r01 = low_halves (r[0], r[1]);
    r23 = low_halves (r[2], r[3]);
  }
  v128_t pred = load_4_rows_of_4 (pPred, iPredStride);
  v128_t rows01 = add_residual (wasm_u16x8_extend_low_u8x16 (pred), r01);
  v128_t rows23 = add_residual (wasm_u16x8_extend_high_u8x16 (pred), r23);
  store_4_rows_of_4 (pRec, iStride, wasm_u8x16_narrow_i16x8 (rows01, rows23));
}

/* A DC for each 4x4 block, in the order of rows. */
void WelsIDctRecI16x16Dc_wasm (uint8_t* pRec, int32_t iStride, uint8_t* pPred, int32_t iPredStride, int16_t* pDctDc) {
  for (int32_t y = 0; y < 16; y += 4, pDctDc += 4) {
    v128_t dc = wasm_v128_load64_zero (pDctDc);
    dc = unpack_low_i16 (dc, dc);
    v128_t left = unpack_low_i32 (dc, dc), right = unpack_high_i32 (dc, dc);
    for (int32_t i = 0; i < 4; i++, pRec += iStride, pPred += iPredStride) {
      v128_t pred = wasm_v128_load (pPred);
      wasm_v128_store (pRec, wasm_u8x16_narrow_i16x8 (add_residual (wasm_u16x8_extend_low_u8x16 (pred), left),
                                                      add_residual (wasm_u16x8_extend_high_u8x16 (pred), right)));
    }
  }
}
