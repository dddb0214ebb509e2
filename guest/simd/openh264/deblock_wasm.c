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
 *     FFmpeg's libavcodec/wasm/h264_deblock.c (LGPL-2.1-or-later) and
 *     x264's common/wasm/deblock.c (GPL-2.0-or-later);
 *     their authors license them under those licences too.
 *
 */

/* Deblocking. Names and results are those of deblocking_common.cpp. As there, "V" filters edges between rows, "H" those between
 * columns. */

#include "wasm.h"
#include "vector.h"

/* A filter works on 16 positions along an edge, a register to each distance from it: p3 p2 p1 p0 | q0 q1 q2 q3. */

static ALWAYS_INLINE v128_t below (v128_t a, v128_t b, v128_t limit) {
  return wasm_u8x16_lt (absolute_difference_u8 (a, b), limit);
}

/* All bits set where the edge is filtered. */
static ALWAYS_INLINE v128_t filtered (v128_t p1, v128_t p0, v128_t q0, v128_t q1, int32_t alpha, int32_t beta) {
  v128_t betas = wasm_i8x16_splat (beta);
  v128_t mask = wasm_v128_and (below (p0, q0, wasm_i8x16_splat (alpha)), below (p1, p0, betas));
  return wasm_v128_and (mask, below (q1, q0, betas));
}

/* (a + b) >> 1, where the instruction rounds up. */
static ALWAYS_INLINE v128_t average_down (v128_t a, v128_t b) {
  v128_t odd = wasm_v128_and (wasm_v128_xor (a, b), wasm_i8x16_const_splat (1));
  return wasm_i8x16_sub (wasm_u8x16_avgr (a, b), odd);
}

/* Moves p0 and q0 towards each other by delta = clip ((4*(q0-p0) + (p1-q1) + 4) >> 3, -tc, tc), all in bytes: averages with
 * complements give differences offset by 128, averaging again halves them, and what is added up is delta + 161. */
static ALWAYS_INLINE void filter_p0_q0 (v128_t p1, v128_t* p0, v128_t* q0, v128_t q1, v128_t tc) {
  const v128_t offset = wasm_u8x16_const_splat (161);
  v128_t quarter = wasm_u8x16_avgr (wasm_u8x16_avgr (p1, wasm_v128_not (q1)), wasm_i8x16_const_splat (3));
  v128_t odd = wasm_v128_and (wasm_v128_xor (*p0, *q0), wasm_i8x16_const_splat (1));
  v128_t half = wasm_u8x16_avgr (*q0, wasm_v128_not (*p0));
  v128_t delta = wasm_u8x16_add_sat (wasm_u8x16_avgr (quarter, odd), half);
  v128_t down = wasm_u8x16_min (wasm_u8x16_sub_sat (offset, delta), tc);
  v128_t up = wasm_u8x16_min (wasm_u8x16_sub_sat (delta, offset), tc);
  *p0 = wasm_u8x16_add_sat (wasm_u8x16_sub_sat (*p0, down), up);
  *q0 = wasm_u8x16_add_sat (wasm_u8x16_sub_sat (*q0, up), down);
}

/* (2a + b + c + 2) >> 2: floors nest. */
static ALWAYS_INLINE v128_t weak (v128_t a, v128_t b, v128_t c) {
  return wasm_u8x16_avgr (a, average_down (b, c));
}

/****************************************************************************
 * Luma, strengths below 4
 ****************************************************************************/

/* p1 moves to (p2 + (p0+q0+1)/2) / 2 by at most tc. */
static ALWAYS_INLINE v128_t filter_p1 (v128_t p2, v128_t p1, v128_t average, v128_t tc) {
  v128_t target = average_down (p2, average);
  return wasm_u8x16_min (wasm_u8x16_max (target, wasm_u8x16_sub_sat (p1, tc)), wasm_u8x16_add_sat (p1, tc));
}

/* r is p3 p2 p1 p0 q0 q1 q2 q3, of which the outer ones are not needed; tc is below zero where nothing is filtered. */
static ALWAYS_INLINE void filter_luma_lt4 (v128_t r[8], int32_t alpha, int32_t beta, v128_t tc) {
  v128_t p2 = r[1], p1 = r[2], p0 = r[3], q0 = r[4], q1 = r[5], q2 = r[6], betas = wasm_i8x16_splat (beta);
  v128_t mask = wasm_v128_andnot (filtered (p1, p0, q0, q1, alpha, beta), wasm_i8x16_shr (tc, 7));
  v128_t mask_p = wasm_v128_and (mask, below (p2, p0, betas)), mask_q = wasm_v128_and (mask, below (q2, q0, betas));
  tc = wasm_v128_and (tc, mask);
  v128_t average = wasm_u8x16_avgr (p0, q0);
  r[2] = filter_p1 (p2, p1, average, wasm_v128_and (tc, mask_p));
  r[5] = filter_p1 (q2, q1, average, wasm_v128_and (tc, mask_q));
  /* A mask is -1: subtracting it adds 1 to tc for each side that is smooth. */
  tc = wasm_i8x16_sub (wasm_i8x16_sub (tc, mask_p), mask_q);
  filter_p0_q0 (p1, &r[3], &r[4], q1, tc);
}

/* Four strengths become sixteen, four positions to each. */
static ALWAYS_INLINE v128_t load_tc (const int8_t* tc) {
  v128_t four = wasm_v128_load32_zero (tc);
  return wasm_i8x16_shuffle (four, four, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
}

/* A round interleaves register i with the one half of their number further on. */
static ALWAYS_INLINE void unpack_round_i8 (v128_t r[8]) {
  v128_t t[8];
  for (int32_t i = 0; i < 4; i++) {
    t[2 * i] = unpack_low_i8 (r[i], r[i + 4]);
    t[2 * i + 1] = unpack_high_i8 (r[i], r[i + 4]);
  }
  for (int32_t i = 0; i < 8; i++)
    r[i] = t[i];
}

/* 16 rows of 8 become 8 columns of 16: four rounds, of which the first one needs lower halves only. */
static ALWAYS_INLINE void load_columns (const uint8_t* pix, int32_t stride, v128_t r[8]) {
  for (int32_t i = 0; i < 8; i++)
    r[i] = unpack_low_i8 (wasm_v128_load64_zero (pix + i * stride), wasm_v128_load64_zero (pix + (i + 8) * stride));
  for (int32_t round = 0; round < 3; round++)
    unpack_round_i8 (r);
}

static ALWAYS_INLINE void store_columns (uint8_t* pix, int32_t stride, v128_t r[8]) {
  for (int32_t round = 0; round < 3; round++)
    unpack_round_i8 (r);
  for (int32_t i = 0; i < 8; i++) {
    wasm_v128_store64_lane (pix + 2 * i * stride, r[i], 0);
    wasm_v128_store64_lane (pix + (2 * i + 1) * stride, r[i], 1);
  }
}

void DeblockLumaLt4V_wasm (uint8_t* pPixY, int32_t iStride, int32_t iAlpha, int32_t iBeta, int8_t* pTc) {
  v128_t r[8];
  for (int32_t i = 1; i < 7; i++)
    r[i] = wasm_v128_load (pPixY + (i - 4) * iStride);
  filter_luma_lt4 (r, iAlpha, iBeta, load_tc (pTc));
  for (int32_t i = 2; i < 6; i++)
    wasm_v128_store (pPixY + (i - 4) * iStride, r[i]);
}

void DeblockLumaLt4H_wasm (uint8_t* pPixY, int32_t iStride, int32_t iAlpha, int32_t iBeta, int8_t* pTc) {
  v128_t r[8];
  load_columns (pPixY - 4, iStride, r);
  filter_luma_lt4 (r, iAlpha, iBeta, load_tc (pTc));
  store_columns (pPixY - 4, iStride, r);
}

/****************************************************************************
 * Luma, strength 4
 ****************************************************************************/

/* The strong filter of one side, on eight positions in 16 bits: what becomes of p0, p1 and p2. */
static ALWAYS_INLINE void strong_8 (v128_t p3, v128_t p2, v128_t p1, v128_t p0, v128_t q0, v128_t q1, v128_t out[3]) {
  const v128_t two = wasm_i16x8_const_splat (2), four = wasm_i16x8_const_splat (4);
  v128_t inner = wasm_i16x8_add (wasm_i16x8_add (p1, p0), q0), sum = wasm_i16x8_add (inner, p2);
  out[0] = wasm_i16x8_shr (wasm_i16x8_add (wasm_i16x8_add (wasm_i16x8_add (sum, inner), q1), four), 3);
  out[1] = wasm_i16x8_shr (wasm_i16x8_add (sum, two), 2);
  v128_t outer = wasm_i16x8_shl (wasm_i16x8_add (p3, p2), 1);
  out[2] = wasm_i16x8_shr (wasm_i16x8_add (wasm_i16x8_add (outer, sum), four), 3);
}

static ALWAYS_INLINE void filter_side_eq4 (const v128_t p[4], v128_t q0, v128_t q1, v128_t mask, v128_t mask_strong, v128_t out[3]) {
  v128_t low[3], high[3];
  strong_8 (wasm_u16x8_extend_low_u8x16 (p[3]), wasm_u16x8_extend_low_u8x16 (p[2]), wasm_u16x8_extend_low_u8x16 (p[1]),
            wasm_u16x8_extend_low_u8x16 (p[0]), wasm_u16x8_extend_low_u8x16 (q0), wasm_u16x8_extend_low_u8x16 (q1), low);
  strong_8 (wasm_u16x8_extend_high_u8x16 (p[3]), wasm_u16x8_extend_high_u8x16 (p[2]), wasm_u16x8_extend_high_u8x16 (p[1]),
            wasm_u16x8_extend_high_u8x16 (p[0]), wasm_u16x8_extend_high_u8x16 (q0), wasm_u16x8_extend_high_u8x16 (q1), high);
  out[0] = wasm_v128_bitselect (weak (p[1], p[0], q1), p[0], mask);
  out[0] = wasm_v128_bitselect (wasm_u8x16_narrow_i16x8 (low[0], high[0]), out[0], mask_strong);
  out[1] = wasm_v128_bitselect (wasm_u8x16_narrow_i16x8 (low[1], high[1]), p[1], mask_strong);
  out[2] = wasm_v128_bitselect (wasm_u8x16_narrow_i16x8 (low[2], high[2]), p[2], mask_strong);
}

/* One function for both directions, as it is long and seldom called. */
static __attribute__ ((noinline)) void filter_luma_eq4 (v128_t r[8], int32_t alpha, int32_t beta) {
  v128_t p[4] = {r[3], r[2], r[1], r[0]}, q[4] = {r[4], r[5], r[6], r[7]}, betas = wasm_i8x16_splat (beta);
  v128_t mask = filtered (p[1], p[0], q[0], q[1], alpha, beta);
  v128_t near = wasm_v128_and (mask, below (p[0], q[0], wasm_i8x16_splat ((alpha >> 2) + 2)));
  v128_t out[3];
  filter_side_eq4 (p, q[0], q[1], mask, wasm_v128_and (near, below (p[2], p[0], betas)), out);
  r[3] = out[0];
  r[2] = out[1];
  r[1] = out[2];
  filter_side_eq4 (q, p[0], p[1], mask, wasm_v128_and (near, below (q[2], q[0], betas)), out);
  r[4] = out[0];
  r[5] = out[1];
  r[6] = out[2];
}

void DeblockLumaEq4V_wasm (uint8_t* pPixY, int32_t iStride, int32_t iAlpha, int32_t iBeta) {
  v128_t r[8];
  for (int32_t i = 0; i < 8; i++)
    r[i] = wasm_v128_load (pPixY + (i - 4) * iStride);
  filter_luma_eq4 (r, iAlpha, iBeta);
  for (int32_t i = 1; i < 7; i++)
    wasm_v128_store (pPixY + (i - 4) * iStride, r[i]);
}

void DeblockLumaEq4H_wasm (uint8_t* pPixY, int32_t iStride, int32_t iAlpha, int32_t iBeta) {
  v128_t r[8];
  load_columns (pPixY - 4, iStride, r);
  filter_luma_eq4 (r, iAlpha, iBeta);
  store_columns (pPixY - 4, iStride, r);
}

/****************************************************************************
 * Chroma: 8 positions of Cb and 8 of Cr share a register
 ****************************************************************************/

static ALWAYS_INLINE void load_chroma_rows (const uint8_t* cb, const uint8_t* cr, int32_t stride, v128_t r[4]) {
  for (int32_t i = 0; i < 4; i++)
    r[i] = wasm_v128_load64_lane (cr + (i - 2) * stride, wasm_v128_load64_zero (cb + (i - 2) * stride), 1);
}

static ALWAYS_INLINE void store_chroma_rows (uint8_t* cb, uint8_t* cr, int32_t stride, const v128_t r[4]) {
  for (int32_t i = 1; i < 3; i++) {
    wasm_v128_store64_lane (cb + (i - 2) * stride, r[i], 0);
    wasm_v128_store64_lane (cr + (i - 2) * stride, r[i], 1);
  }
}

/* 16 rows of 4 become 4 columns of 16. A register of four rows is first made to hold columns, then 4x4 fours are transposed. */
static ALWAYS_INLINE v128_t columns_of_4x4 (v128_t rows) {
  return wasm_i8x16_shuffle (rows, rows, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}

static ALWAYS_INLINE void transpose_4x4_i32 (v128_t r[4]) {
  v128_t low01 = unpack_low_i32 (r[0], r[1]), low23 = unpack_low_i32 (r[2], r[3]);
  v128_t high01 = unpack_high_i32 (r[0], r[1]), high23 = unpack_high_i32 (r[2], r[3]);
  r[0] = low_halves (low01, low23);
  r[1] = high_halves (low01, low23);
  r[2] = low_halves (high01, high23);
  r[3] = high_halves (high01, high23);
}

static ALWAYS_INLINE void load_chroma_columns (const uint8_t* cb, const uint8_t* cr, int32_t stride, v128_t r[4]) {
  r[0] = columns_of_4x4 (load_4_rows_of_4 (cb - 2, stride));
  r[1] = columns_of_4x4 (load_4_rows_of_4 (cb - 2 + 4 * stride, stride));
  r[2] = columns_of_4x4 (load_4_rows_of_4 (cr - 2, stride));
  r[3] = columns_of_4x4 (load_4_rows_of_4 (cr - 2 + 4 * stride, stride));
  transpose_4x4_i32 (r);
}

static ALWAYS_INLINE void store_chroma_columns (uint8_t* cb, uint8_t* cr, int32_t stride, v128_t r[4]) {
  transpose_4x4_i32 (r);
  store_4_rows_of_4 (cb - 2, stride, columns_of_4x4 (r[0]));
  store_4_rows_of_4 (cb - 2 + 4 * stride, stride, columns_of_4x4 (r[1]));
  store_4_rows_of_4 (cr - 2, stride, columns_of_4x4 (r[2]));
  store_4_rows_of_4 (cr - 2 + 4 * stride, stride, columns_of_4x4 (r[3]));
}

/* Four strengths, two positions to each, for both planes. */
static ALWAYS_INLINE v128_t load_chroma_tc (const int8_t* tc) {
  v128_t four = wasm_v128_load32_zero (tc);
  return wasm_i8x16_shuffle (four, four, 0, 0, 1, 1, 2, 2, 3, 3, 0, 0, 1, 1, 2, 2, 3, 3);
}

static ALWAYS_INLINE void filter_chroma_lt4 (v128_t r[4], int32_t alpha, int32_t beta, v128_t tc) {
  v128_t mask = wasm_v128_and (filtered (r[0], r[1], r[2], r[3], alpha, beta), wasm_i8x16_gt (tc, wasm_i8x16_const_splat (0)));
  filter_p0_q0 (r[0], &r[1], &r[2], r[3], wasm_v128_and (tc, mask));
}

static ALWAYS_INLINE void filter_chroma_eq4 (v128_t r[4], int32_t alpha, int32_t beta) {
  v128_t mask = filtered (r[0], r[1], r[2], r[3], alpha, beta);
  v128_t p0 = weak (r[0], r[1], r[3]), q0 = weak (r[3], r[2], r[0]);
  r[1] = wasm_v128_bitselect (p0, r[1], mask);
  r[2] = wasm_v128_bitselect (q0, r[2], mask);
}

void DeblockChromaLt4V_wasm (uint8_t* pPixCb, uint8_t* pPixCr, int32_t iStride, int32_t iAlpha, int32_t iBeta, int8_t* pTc) {
  v128_t r[4];
  load_chroma_rows (pPixCb, pPixCr, iStride, r);
  filter_chroma_lt4 (r, iAlpha, iBeta, load_chroma_tc (pTc));
  store_chroma_rows (pPixCb, pPixCr, iStride, r);
}

void DeblockChromaEq4V_wasm (uint8_t* pPixCb, uint8_t* pPixCr, int32_t iStride, int32_t iAlpha, int32_t iBeta) {
  v128_t r[4];
  load_chroma_rows (pPixCb, pPixCr, iStride, r);
  filter_chroma_eq4 (r, iAlpha, iBeta);
  store_chroma_rows (pPixCb, pPixCr, iStride, r);
}

void DeblockChromaLt4H_wasm (uint8_t* pPixCb, uint8_t* pPixCr, int32_t iStride, int32_t iAlpha, int32_t iBeta, int8_t* pTc) {
  v128_t r[4];
  load_chroma_columns (pPixCb, pPixCr, iStride, r);
  filter_chroma_lt4 (r, iAlpha, iBeta, load_chroma_tc (pTc));
  store_chroma_columns (pPixCb, pPixCr, iStride, r);
}

void DeblockChromaEq4H_wasm (uint8_t* pPixCb, uint8_t* pPixCr, int32_t iStride, int32_t iAlpha, int32_t iBeta) {
  v128_t r[4];
  load_chroma_columns (pPixCb, pPixCr, iStride, r);
  filter_chroma_eq4 (r, iAlpha, iBeta);
  store_chroma_columns (pPixCb, pPixCr, iStride, r);
}

/* 24 counts become 0 or 1. */
void WelsNonZeroCount_wasm (int8_t* pNonZeroCount) {
  const v128_t one = wasm_i8x16_const_splat (1);
  wasm_v128_store (pNonZeroCount, wasm_u8x16_min (wasm_v128_load (pNonZeroCount), one));
  wasm_v128_store64_lane (pNonZeroCount + 16, wasm_u8x16_min (wasm_v128_load64_zero (pNonZeroCount + 16), one), 0);
}
