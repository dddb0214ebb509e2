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

/* Quantisation, scans and properties of coefficients. Names and results are those of encode_mb_aux.cpp, decode_mb_aux.cpp and
 * set_mb_syn_cavlc.cpp. */

#include "wasm.h"
#include "vector.h"

/****************************************************************************
 * Quantisation
 ****************************************************************************/

/* Magnitudes plus rounding are below 65536 and unsigned. There is no multiplication that gives high halves: two widening ones are
 * shifted, and narrowed by an instruction that saturates what is signed, which a level never reaches. */
static ALWAYS_INLINE v128_t quant_magnitude (v128_t coefs, v128_t ff, v128_t mf) {
  v128_t magnitude = wasm_i16x8_add (wasm_i16x8_abs (coefs), ff);
  return wasm_i16x8_narrow_i32x4 (wasm_u32x4_shr (wasm_u32x4_extmul_low_u16x8 (magnitude, mf), 16),
                                  wasm_u32x4_shr (wasm_u32x4_extmul_high_u16x8 (magnitude, mf), 16));
}

static ALWAYS_INLINE v128_t with_sign_of (v128_t level, v128_t coefs) {
  v128_t sign = wasm_i16x8_shr (coefs, 15);
  return wasm_i16x8_sub (wasm_v128_xor (level, sign), sign);
}

static ALWAYS_INLINE void quant (int16_t* dct, v128_t ff, v128_t mf, int32_t count) {
  for (int32_t i = 0; i < count; i += 8) {
    v128_t coefs = wasm_v128_load (dct + i);
    wasm_v128_store (dct + i, with_sign_of (quant_magnitude (coefs, ff, mf), coefs));
  }
}

/* The factors of rows 0 and 1 are those of rows 2 and 3. */
void WelsQuant4x4_wasm (int16_t* pDct, const int16_t* pFF, const int16_t* pMF) {
  quant (pDct, wasm_v128_load (pFF), wasm_v128_load (pMF), 16);
}

void WelsQuant4x4Dc_wasm (int16_t* pDct, int16_t iFF, int16_t iMF) {
  quant (pDct, wasm_i16x8_splat (iFF), wasm_i16x8_splat (iMF), 16);
}

void WelsQuantFour4x4_wasm (int16_t* pDct, const int16_t* pFF, const int16_t* pMF) {
  quant (pDct, wasm_v128_load (pFF), wasm_v128_load (pMF), 64);
}

/* The four maxima take two rounds of interleaving and one swap, not four reductions. */
void WelsQuantFour4x4Max_wasm (int16_t* pDct, const int16_t* pFF, const int16_t* pMF, int16_t* pMax) {
  v128_t ff = wasm_v128_load (pFF), mf = wasm_v128_load (pMF), max[4];
  for (int32_t k = 0; k < 4; k++, pDct += 16) {
    v128_t coefs0 = wasm_v128_load (pDct), coefs1 = wasm_v128_load (pDct + 8);
    v128_t level0 = quant_magnitude (coefs0, ff, mf), level1 = quant_magnitude (coefs1, ff, mf);
    wasm_v128_store (pDct, with_sign_of (level0, coefs0));
    wasm_v128_store (pDct + 8, with_sign_of (level1, coefs1));
    max[k] = wasm_i16x8_max (level0, level1);
  }
  v128_t max01 = wasm_i16x8_max (unpack_low_i16 (max[0], max[1]), unpack_high_i16 (max[0], max[1]));
  v128_t max23 = wasm_i16x8_max (unpack_low_i16 (max[2], max[3]), unpack_high_i16 (max[2], max[3]));
  v128_t all = wasm_i16x8_max (unpack_low_i32 (max01, max23), unpack_high_i32 (max01, max23));
  wasm_v128_store64_lane (pMax, wasm_i16x8_max (all, swap_halves (all)), 0);
}

/* The transform of the four DCs of an 8x8 block of chroma, which lie 16 coefficients apart. */
static ALWAYS_INLINE v128_t hadamard_2x2 (const int16_t* res) {
  v128_t dc = wasm_i32x4_const (0, 0, 0, 0);
  dc = wasm_v128_load16_lane (res, dc, 0);
  dc = wasm_v128_load16_lane (res + 16, dc, 1);
  dc = wasm_v128_load16_lane (res + 32, dc, 2);
  dc = wasm_v128_load16_lane (res + 48, dc, 3);
  v128_t first = wasm_i32x4_shuffle (dc, dc, 0, 0, 2, 2), second = wasm_i32x4_shuffle (dc, dc, 1, 1, 3, 3);
  const v128_t negative = wasm_i16x8_const (0, 0, -1, -1, 0, 0, 0, 0);
  /* (0 + 2, 1 + 3, 0 - 2, 1 - 3) */
  v128_t sums = wasm_i16x8_add (first, wasm_i16x8_sub (wasm_v128_xor (second, negative), negative));
  v128_t left = wasm_i16x8_shuffle (sums, sums, 0, 0, 2, 2, 4, 4, 6, 6);
  v128_t right = wasm_i16x8_shuffle (sums, sums, 1, 1, 3, 3, 5, 5, 7, 7);
  const v128_t odd = wasm_i32x4_const_splat ((int32_t) 0xffff0000);
  return wasm_i16x8_add (left, wasm_i16x8_sub (wasm_v128_xor (right, odd), odd));
}

int32_t WelsHadamardQuant2x2_wasm (int16_t* pRes, const int16_t iFF, int16_t iMF, int16_t* pDct, int16_t* pBlock) {
  v128_t coefs = hadamard_2x2 (pRes);
  pRes[0] = pRes[16] = pRes[32] = pRes[48] = 0;
  v128_t level = with_sign_of (quant_magnitude (coefs, wasm_i16x8_splat (iFF), wasm_i16x8_splat (iMF)), coefs);
  wasm_v128_store64_lane (pDct, level, 0);
  wasm_v128_store64_lane (pBlock, level, 0);
  uint32_t zeros = wasm_i16x8_bitmask (wasm_i16x8_eq (level, wasm_i16x8_const_splat (0)));
  return 4 - __builtin_popcount (zeros & 15);
}

int32_t WelsHadamardQuant2x2Skip_wasm (int16_t* pRes, int16_t iFF, int16_t iMF) {
  int16_t threshold = ((1 << 16) - 1) / iMF - iFF;
  v128_t above = wasm_i16x8_gt (wasm_i16x8_abs (hadamard_2x2 (pRes)), wasm_i16x8_splat (threshold));
  return wasm_i64x2_extract_lane (above, 0) != 0;
}

/****************************************************************************
 * Dequantisation
 ****************************************************************************/

static ALWAYS_INLINE void dequant (int16_t* res, const uint16_t* mf, int32_t count) {
  v128_t factors = wasm_v128_load (mf);
  for (int32_t i = 0; i < count; i += 8)
    wasm_v128_store (res + i, wasm_i16x8_mul (wasm_v128_load (res + i), factors));
}

void WelsDequant4x4_wasm (int16_t* pRes, const uint16_t* kpMF) {
  dequant (pRes, kpMF, 16);
}

void WelsDequantFour4x4_wasm (int16_t* pRes, const uint16_t* kpMF) {
  dequant (pRes, kpMF, 64);
}

/****************************************************************************
 * Scans
 ****************************************************************************/

void WelsScan4x4DcAc_wasm (int16_t* pLevel, int16_t* pDct) {
  v128_t low = wasm_v128_load (pDct), high = wasm_v128_load (pDct + 8);
  wasm_v128_store (pLevel, wasm_i16x8_shuffle (low, high, 0, 1, 4, 8, 5, 2, 3, 6));
  wasm_v128_store (pLevel + 8, wasm_i16x8_shuffle (low, high, 9, 12, 13, 10, 7, 11, 14, 15));
}

/* The same without the DC; a zero takes the last place. */
void WelsScan4x4Ac_wasm (int16_t* pLevel, int16_t* pDct) {
  v128_t low = wasm_v128_load (pDct), high = wasm_v128_load (pDct + 8);
  v128_t last = wasm_i16x8_shuffle (low, high, 12, 13, 10, 7, 11, 14, 15, 0);
  wasm_v128_store (pLevel, wasm_i16x8_shuffle (low, high, 1, 4, 8, 5, 2, 3, 6, 9));
  wasm_v128_store (pLevel + 8, wasm_i16x8_replace_lane (last, 7, 0));
}

/****************************************************************************
 * Runs, from a mask of what is not zero
 ****************************************************************************/

/* Each coefficient counts by the zeros before it, of which six and more make it worthless. */
int32_t WelsCalculateSingleCtr4x4_wasm (int16_t* pDct) {
  static const uint8_t worth[16] = {3, 2, 2, 1, 1, 1};
  uint32_t mask = nonzero_mask (pDct);
  int32_t sum = 0;
  while (mask) {
    int32_t last = 31 - __builtin_clz (mask);
    mask ^= 1u << last;
    sum += worth[mask ? last - 32 + __builtin_clz (mask) : last];
  }
  return sum;
}

/* Levels from the last one to the first, and the zeros before each. */
int32_t CavlcParamCal_wasm (int16_t* pCoffLevel, uint8_t* pRun, int16_t* pLevel, int32_t* pTotalCoeffs, int32_t iEndIdx) {
  uint32_t mask = nonzero_mask (pCoffLevel) & ((2u << iEndIdx) - 1);
  int32_t count = 0, zeros = 0, last = mask ? 31 - __builtin_clz (mask) : -1;
  while (mask) {
    mask ^= 1u << last;
    int32_t next = mask ? 31 - __builtin_clz (mask) : -1;
    pLevel[count] = pCoffLevel[last];
    pRun[count++] = last - next - 1;
    zeros += last - next - 1;
    last = next;
  }
  *pTotalCoeffs = count;
  return zeros;
}
