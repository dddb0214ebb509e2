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
 *     Parts of this file are also in
 *     x264's common/wasm/pixel.c (GPL-2.0-or-later);
 *     their authors license them under that licence too.
 *
 */

/* SAD, SATD and the costs of intra modes. Names and results are those of sad_common.cpp and sample.cpp. */

#include "wasm.h"
#include "vector.h"

/****************************************************************************
 * SAD
 ****************************************************************************/

/* The absolute differences of 16 pixels, added up in pairs. 16 rows of them stay below 32768. */
static ALWAYS_INLINE v128_t sad_16 (v128_t a, v128_t b) {
  return wasm_u16x8_extadd_pairwise_u8x16 (absolute_difference_u8 (a, b));
}

static ALWAYS_INLINE v128_t load_16 (const uint8_t* pix, int32_t stride, int32_t width) {
  if (width == 16)
    return wasm_v128_load (pix);
  return width == 8 ? load_2_rows_of_8 (pix, stride) : load_4_rows_of_4 (pix, stride);
}

static ALWAYS_INLINE int32_t sad (const uint8_t* pix1, int32_t stride1, const uint8_t* pix2, int32_t stride2, int32_t width,
                                  int32_t height) {
  int32_t rows = 16 / width;
  v128_t sums = wasm_i16x8_const_splat (0);
#pragma clang loop unroll(full)
  for (int32_t y = 0; y < height; y += rows, pix1 += rows * stride1, pix2 += rows * stride2)
    sums = wasm_i16x8_add (sums, sad_16 (load_16 (pix1, stride1, width), load_16 (pix2, stride2, width)));
  return sum_i16x8 (sums);
}

/* Sums of four registers at once: three additions of transposed pairs take the place of four horizontal sums. */
static ALWAYS_INLINE v128_t sums_of_4 (v128_t a, v128_t b, v128_t c, v128_t d) {
  a = sum_pairs_i16x8 (a);
  b = sum_pairs_i16x8 (b);
  c = sum_pairs_i16x8 (c);
  d = sum_pairs_i16x8 (d);
  v128_t ab = wasm_i32x4_add (unpack_low_i32 (a, b), unpack_high_i32 (a, b));
  v128_t cd = wasm_i32x4_add (unpack_low_i32 (c, d), unpack_high_i32 (c, d));
  return wasm_i32x4_add (low_halves (ab, cd), high_halves (ab, cd));
}

/* The four neighbours at a distance of one, in one pass: above, below, left and right. */
static ALWAYS_INLINE void sad_four (const uint8_t* source, int32_t stride1, const uint8_t* ref, int32_t stride2,
                                    int32_t* sads, int32_t width, int32_t height) {
  int32_t rows = 16 / width;
  v128_t above = wasm_i16x8_const_splat (0), below = above, left = above, right = above;
#pragma clang loop unroll(disable)
  for (int32_t y = 0; y < height; y += rows, source += rows * stride1, ref += rows * stride2) {
    v128_t pixels = load_16 (source, stride1, width);
    above = wasm_i16x8_add (above, sad_16 (pixels, load_16 (ref - stride2, stride2, width)));
    below = wasm_i16x8_add (below, sad_16 (pixels, load_16 (ref + stride2, stride2, width)));
    left = wasm_i16x8_add (left, sad_16 (pixels, load_16 (ref - 1, stride2, width)));
    right = wasm_i16x8_add (right, sad_16 (pixels, load_16 (ref + 1, stride2, width)));
  }
  wasm_v128_store (sads, sums_of_4 (above, below, left, right));
}

#define SAD(w, h) \
int32_t WelsSampleSad##w##x##h##_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2) { \
  return sad (pSample1, iStride1, pSample2, iStride2, w, h); \
} \
void WelsSampleSadFour##w##x##h##_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2, int32_t* pSad) { \
  sad_four (pSample1, iStride1, pSample2, iStride2, pSad, w, h); \
}
SAD (16, 16)
SAD (16, 8)
SAD (8, 16)
SAD (8, 8)
SAD (4, 4)

/****************************************************************************
 * SATD: sums of 4x4 Hadamard transformed differences. All coefficients of a block are even or all are odd, so the sum of 16 of
 * them is even, and halving the sum is the same as halving that of each block, as the C code does.
 ****************************************************************************/

static ALWAYS_INLINE void butterfly (v128_t* a, v128_t* b) {
  v128_t sum = wasm_i16x8_add (*a, *b);
  *b = wasm_i16x8_sub (*a, *b);
  *a = sum;
}

/* The transform of four columns; the order of what comes out doesn't matter to a sum. */
static ALWAYS_INLINE void hadamard_4 (v128_t* r0, v128_t* r1, v128_t* r2, v128_t* r3) {
  butterfly (r0, r1);
  butterfly (r2, r3);
  butterfly (r0, r2);
  butterfly (r1, r3);
}

/* Even and odd numbers meet in a butterfly, so that no transpose is needed: what is wanted of x and y is (x0 y0 x2 y2 ...) and
 * (x1 y1 x3 y3 ...). A shift within pairs and a blend are two instructions, a shuffle of both registers would be three. */
static ALWAYS_INLINE v128_t even_i16 (v128_t x, v128_t y) {
  return wasm_i16x8_shuffle (x, wasm_i32x4_shl (y, 16), 0, 9, 2, 11, 4, 13, 6, 15);
}
static ALWAYS_INLINE v128_t odd_i16 (v128_t x, v128_t y) {
  return wasm_i16x8_shuffle (wasm_u32x4_shr (x, 16), y, 0, 9, 2, 11, 4, 13, 6, 15);
}
/* Pairs: (x0 x2 y0 y2) and (x1 x3 y1 y3), one instruction each. */
static ALWAYS_INLINE v128_t even_i32 (v128_t x, v128_t y) {
  return wasm_i32x4_shuffle (x, y, 0, 2, 4, 6);
}
static ALWAYS_INLINE v128_t odd_i32 (v128_t x, v128_t y) {
  return wasm_i32x4_shuffle (x, y, 1, 3, 5, 7);
}

/* Rows of four pixels, two blocks or two halves side by side. The last butterfly's |e + o| + |e - o| is 2 max(|e|, |o|), which is
 * also the halving that SATD asks for. */
static ALWAYS_INLINE v128_t horizontal_satd (v128_t x, v128_t y) {
  v128_t e = even_i16 (x, y), o = odd_i16 (x, y);
  butterfly (&e, &o);
  return wasm_i16x8_max (wasm_i16x8_abs (even_i32 (e, o)), wasm_i16x8_abs (odd_i32 (e, o)));
}

static ALWAYS_INLINE v128_t satd_of_rows (v128_t r0, v128_t r1, v128_t r2, v128_t r3) {
  hadamard_4 (&r0, &r1, &r2, &r3);
  return wasm_i16x8_add (horizontal_satd (r0, r1), horizontal_satd (r2, r3));
}

static ALWAYS_INLINE v128_t satd_8x4 (const uint8_t* pix1, int32_t stride1, const uint8_t* pix2, int32_t stride2) {
  return satd_of_rows (difference_8 (pix1, pix2), difference_8 (pix1 + stride1, pix2 + stride2),
                       difference_8 (pix1 + 2 * stride1, pix2 + 2 * stride2),
                       difference_8 (pix1 + 3 * stride1, pix2 + 3 * stride2));
}

/* One block in two registers: rows 0 and 1, rows 2 and 3. The vertical butterflies take halves. */
static ALWAYS_INLINE v128_t satd_4x4_of_rows (v128_t rows1, v128_t rows2) {
  v128_t rows01 = wasm_i16x8_sub (wasm_u16x8_extend_low_u8x16 (rows1), wasm_u16x8_extend_low_u8x16 (rows2));
  v128_t rows23 = wasm_i16x8_sub (wasm_u16x8_extend_high_u8x16 (rows1), wasm_u16x8_extend_high_u8x16 (rows2));
  butterfly (&rows01, &rows23);
  v128_t first = low_halves (rows01, rows23), second = high_halves (rows01, rows23);
  butterfly (&first, &second);
  return horizontal_satd (first, second);
}

/* A lane of the sums of an 8x4 block is at most 2 * 16 * 255 / 2: eight of them stay below 32768. Unrolling makes it larger, not
 * faster; so it is with the others below. */
static ALWAYS_INLINE int32_t satd (const uint8_t* pix1, int32_t stride1, const uint8_t* pix2, int32_t stride2, int32_t width,
                                   int32_t height) {
  v128_t sums = wasm_i16x8_const_splat (0);
#pragma clang loop unroll(disable)
  for (int32_t y = 0; y < height; y += 4, pix1 += 4 * stride1, pix2 += 4 * stride2) {
    sums = wasm_i16x8_add (sums, satd_8x4 (pix1, stride1, pix2, stride2));
    if (width == 16)
      sums = wasm_i16x8_add (sums, satd_8x4 (pix1 + 8, stride1, pix2 + 8, stride2));
  }
  return sum_i16x8 (sums);
}

#define SATD(w, h) \
int32_t WelsSampleSatd##w##x##h##_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2) { \
  return satd (pSample1, iStride1, pSample2, iStride2, w, h); \
}
SATD (16, 16)
SATD (16, 8)
SATD (8, 16)
SATD (8, 8)

int32_t WelsSampleSatd4x4_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2) {
  return sum_i16x8 (satd_4x4_of_rows (load_4_rows_of_4 (pSample1, iStride1), load_4_rows_of_4 (pSample2, iStride2)));
}

/****************************************************************************
 * Intra modes: the three predictions are made in registers, and each row of the source is loaded once
 ****************************************************************************/

/* Of modes of equal cost the first one is taken, in the order of the C code. */
static ALWAYS_INLINE int32_t best_of_3 (int32_t cost0, int32_t mode0, int32_t cost1, int32_t mode1, int32_t cost2, int32_t mode2,
                                        int32_t* best_mode) {
  int32_t best = cost0;
  *best_mode = mode0;
  if (cost1 < best) {
    best = cost1;
    *best_mode = mode1;
  }
  if (cost2 < best) {
    best = cost2;
    *best_mode = mode2;
  }
  return best;
}

/* Four rows of eight pixels in 16 bits, against a row of the prediction for each. */
static ALWAYS_INLINE v128_t satd_of_prediction (const v128_t s[4], v128_t p0, v128_t p1, v128_t p2, v128_t p3) {
  return satd_of_rows (wasm_i16x8_sub (s[0], p0), wasm_i16x8_sub (s[1], p1), wasm_i16x8_sub (s[2], p2), wasm_i16x8_sub (s[3], p3));
}

int32_t WelsIntra16x16Combined3Satd_wasm (uint8_t* pDec, int32_t iDecStride, uint8_t* pEnc, int32_t iEncStride,
                                          int32_t* pBestMode, int32_t iLambda, uint8_t* pDst) {
  v128_t top = wasm_v128_load (pDec - iDecStride);
  v128_t tops[2] = {wasm_u16x8_extend_low_u8x16 (top), wasm_u16x8_extend_high_u8x16 (top)};
  int32_t sum = sum_i16x8 (wasm_u16x8_extadd_pairwise_u8x16 (top)) + 16;
  for (int32_t y = 0; y < 16; y++)
    sum += pDec[y * iDecStride - 1];
  v128_t dc = wasm_i16x8_splat (sum >> 5);
  v128_t sums_v = wasm_i16x8_const_splat (0), sums_h = sums_v, sums_dc = sums_v;
#pragma clang loop unroll(disable)
  for (int32_t y = 0; y < 16; y += 4, pEnc += 4 * iEncStride, pDec += 4 * iDecStride) {
    v128_t l[4];
    for (int32_t i = 0; i < 4; i++)
      l[i] = wasm_i16x8_splat (pDec[i * iDecStride - 1]);
    for (int32_t x = 0; x < 2; x++) {
      v128_t s[4];
      for (int32_t i = 0; i < 4; i++)
        s[i] = wasm_u16x8_load8x8 (pEnc + 8 * x + i * iEncStride);
      sums_v = wasm_i16x8_add (sums_v, satd_of_prediction (s, tops[x], tops[x], tops[x], tops[x]));
      sums_h = wasm_i16x8_add (sums_h, satd_of_prediction (s, l[0], l[1], l[2], l[3]));
      sums_dc = wasm_i16x8_add (sums_dc, satd_of_prediction (s, dc, dc, dc, dc));
    }
  }
  v128_t costs = sums_of_4 (sums_v, sums_h, sums_dc, sums_dc);
  (void)pDst;
  return best_of_3 (wasm_i32x4_extract_lane (costs, 0), 0, wasm_i32x4_extract_lane (costs, 1) + iLambda * 2, 1,
                    wasm_i32x4_extract_lane (costs, 2) + iLambda * 2, 2, pBestMode);
}

/* The DC prediction of chroma: each 4x4 quarter has its own. */
static ALWAYS_INLINE void chroma_dc (const uint8_t* dec, int32_t stride, v128_t dc[2]) {
  const uint8_t* top = dec - stride;
  int32_t top_left = top[0] + top[1] + top[2] + top[3], top_right = top[4] + top[5] + top[6] + top[7];
  int32_t left_upper = 0, left_lower = 0;
  for (int32_t y = 0; y < 4; y++) {
    left_upper += dec[y * stride - 1];
    left_lower += dec[(y + 4) * stride - 1];
  }
  dc[0] = low_halves (wasm_i16x8_splat ((top_left + left_upper + 4) >> 3), wasm_i16x8_splat ((top_right + 2) >> 2));
  dc[1] = low_halves (wasm_i16x8_splat ((left_lower + 2) >> 2), wasm_i16x8_splat ((top_right + left_lower + 4) >> 3));
}

static ALWAYS_INLINE void satd_chroma (const uint8_t* dec, int32_t dec_stride, const uint8_t* enc, int32_t enc_stride, v128_t sums[3]) {
  v128_t dc[2], top = wasm_u16x8_load8x8 (dec - dec_stride);
  chroma_dc (dec, dec_stride, dc);
#pragma clang loop unroll(disable)
  for (int32_t half = 0; half < 2; half++, enc += 4 * enc_stride, dec += 4 * dec_stride) {
    v128_t s[4], l[4];
    for (int32_t i = 0; i < 4; i++) {
      s[i] = wasm_u16x8_load8x8 (enc + i * enc_stride);
      l[i] = wasm_i16x8_splat (dec[i * dec_stride - 1]);
    }
    sums[0] = wasm_i16x8_add (sums[0], satd_of_prediction (s, top, top, top, top));
    sums[1] = wasm_i16x8_add (sums[1], satd_of_prediction (s, l[0], l[1], l[2], l[3]));
    sums[2] = wasm_i16x8_add (sums[2], satd_of_prediction (s, dc[half], dc[half], dc[half], dc[half]));
  }
}

int32_t WelsIntra8x8Combined3Satd_wasm (uint8_t* pDecCb, int32_t iDecStride, uint8_t* pEncCb, int32_t iEncStride,
                                        int32_t* pBestMode, int32_t iLambda, uint8_t* pDstChroma, uint8_t* pDecCr,
                                        uint8_t* pEncCr) {
  v128_t sums[3] = {wasm_i16x8_const_splat (0), wasm_i16x8_const_splat (0), wasm_i16x8_const_splat (0)};
  satd_chroma (pDecCb, iDecStride, pEncCb, iEncStride, sums);
  satd_chroma (pDecCr, iDecStride, pEncCr, iEncStride, sums);
  v128_t costs = sums_of_4 (sums[0], sums[1], sums[2], sums[2]);
  (void)pDstChroma;
  return best_of_3 (wasm_i32x4_extract_lane (costs, 0) + iLambda * 2, 2, wasm_i32x4_extract_lane (costs, 1) + iLambda * 2, 1,
                    wasm_i32x4_extract_lane (costs, 2), 0, pBestMode);
}

/* Leaves the best prediction in pDst, a block to a register. */
int32_t WelsIntra4x4Combined3Satd_wasm (uint8_t* pDec, int32_t iDecStride, uint8_t* pEnc, int32_t iEncStride, uint8_t* pDst,
                                        int32_t* pBestMode, int32_t iLambda2, int32_t iLambda1, int32_t iLambda0) {
  const uint8_t* top = pDec - iDecStride;
  int32_t l0 = pDec[-1], l1 = pDec[iDecStride - 1], l2 = pDec[2 * iDecStride - 1], l3 = pDec[3 * iDecStride - 1];
  v128_t left = wasm_i32x4_make (l0, l1, l2, l3);
  v128_t predictions[3] = {wasm_v128_load32_splat (top),
                           wasm_i8x16_shuffle (left, left, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
                           wasm_i8x16_splat ((l0 + l1 + l2 + l3 + top[0] + top[1] + top[2] + top[3] + 4) >> 3)};
  v128_t source = load_4_rows_of_4 (pEnc, iEncStride);
  v128_t costs = sums_of_4 (satd_4x4_of_rows (source, predictions[2]), satd_4x4_of_rows (source, predictions[1]),
                            satd_4x4_of_rows (source, predictions[0]), source);
  int32_t best = best_of_3 (wasm_i32x4_extract_lane (costs, 0) + iLambda2, 2, wasm_i32x4_extract_lane (costs, 1) + iLambda1, 1,
                            wasm_i32x4_extract_lane (costs, 2) + iLambda0, 0, pBestMode);
  wasm_v128_store (pDst, predictions[*pBestMode]);
  return best;
}
