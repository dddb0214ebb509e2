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
 *     FFmpeg's libavcodec/wasm/vector.h (LGPL-2.1-or-later) and
 *     x264's common/wasm/vector.h (GPL-2.0-or-later);
 *     their authors license them under those licences too.
 *
 */

/* Loads, stores and steps that the kernels share. The intrinsics here are those that an engine on x86-64 compiles to one
 * instruction each; where one takes several, a comment says so. */

#ifndef WELS_WASM_VECTOR_H
#define WELS_WASM_VECTOR_H

#include <stdint.h>
#include <wasm_simd128.h>

#define ALWAYS_INLINE inline __attribute__ ((always_inline))

static ALWAYS_INLINE v128_t load_2_rows_of_8 (const uint8_t* row, int32_t stride) {
  return wasm_v128_load64_lane (row + stride, wasm_v128_load64_zero (row), 1);
}

static ALWAYS_INLINE v128_t load_4_rows_of_4 (const uint8_t* row, int32_t stride) {
  v128_t rows = wasm_v128_load32_zero (row);
  rows = wasm_v128_load32_lane (row + stride, rows, 1);
  rows = wasm_v128_load32_lane (row + 2 * stride, rows, 2);
  return wasm_v128_load32_lane (row + 3 * stride, rows, 3);
}

static ALWAYS_INLINE void store_4_rows_of_4 (uint8_t* row, int32_t stride, v128_t rows) {
  wasm_v128_store32_lane (row, rows, 0);
  wasm_v128_store32_lane (row + stride, rows, 1);
  wasm_v128_store32_lane (row + 2 * stride, rows, 2);
  wasm_v128_store32_lane (row + 3 * stride, rows, 3);
}

static ALWAYS_INLINE v128_t load_row (const uint8_t* row, int32_t width) {
  if (width == 16)
    return wasm_v128_load (row);
  return width == 8 ? wasm_v128_load64_zero (row) : wasm_v128_load32_zero (row);
}

static ALWAYS_INLINE void store_row (uint8_t* row, v128_t pixels, int32_t width) {
  if (width == 16)
    wasm_v128_store (row, pixels);
  else if (width == 8)
    wasm_v128_store64_lane (row, pixels, 0);
  else
    wasm_v128_store32_lane (row, pixels, 0);
}

static ALWAYS_INLINE v128_t absolute_difference_u8 (v128_t a, v128_t b) {
  return wasm_v128_or (wasm_u8x16_sub_sat (a, b), wasm_u8x16_sub_sat (b, a));
}

/* Differences of eight pixels, of 9 bits. */
static ALWAYS_INLINE v128_t difference_8 (const uint8_t* a, const uint8_t* b) {
  return wasm_i16x8_sub (wasm_u16x8_load8x8 (a), wasm_u16x8_load8x8 (b));
}

static ALWAYS_INLINE int32_t sum_i32x4 (v128_t sums) {
  sums = wasm_i32x4_add (sums, wasm_i32x4_shuffle (sums, sums, 2, 3, 0, 1));
  return wasm_i32x4_extract_lane (sums, 0) + wasm_i32x4_extract_lane (sums, 1);
}

/* pmaddwd with ones: one instruction where an unsigned extadd_pairwise takes several. Each lane is below 32768. */
static ALWAYS_INLINE v128_t sum_pairs_i16x8 (v128_t sums) {
  return wasm_i32x4_dot_i16x8 (sums, wasm_i16x8_const_splat (1));
}

static ALWAYS_INLINE int32_t sum_i16x8 (v128_t sums) {
  return sum_i32x4 (sum_pairs_i16x8 (sums));
}

/* Halves of two registers, and the first lanes of both interleaved: single unpack instructions. */
static ALWAYS_INLINE v128_t low_halves (v128_t a, v128_t b) {
  return wasm_i64x2_shuffle (a, b, 0, 2);
}
static ALWAYS_INLINE v128_t high_halves (v128_t a, v128_t b) {
  return wasm_i64x2_shuffle (a, b, 1, 3);
}
static ALWAYS_INLINE v128_t swap_halves (v128_t a) {
  return wasm_i64x2_shuffle (a, a, 1, 0);
}
static ALWAYS_INLINE v128_t unpack_low_i32 (v128_t a, v128_t b) {
  return wasm_i32x4_shuffle (a, b, 0, 4, 1, 5);
}
static ALWAYS_INLINE v128_t unpack_high_i32 (v128_t a, v128_t b) {
  return wasm_i32x4_shuffle (a, b, 2, 6, 3, 7);
}
static ALWAYS_INLINE v128_t unpack_low_i16 (v128_t a, v128_t b) {
  return wasm_i16x8_shuffle (a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
static ALWAYS_INLINE v128_t unpack_high_i16 (v128_t a, v128_t b) {
  return wasm_i16x8_shuffle (a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
static ALWAYS_INLINE v128_t unpack_low_i8 (v128_t a, v128_t b) {
  return wasm_i8x16_shuffle (a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
static ALWAYS_INLINE v128_t unpack_high_i8 (v128_t a, v128_t b) {
  return wasm_i8x16_shuffle (a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* A bit for each of sixteen coefficients that is not zero. */
static ALWAYS_INLINE uint32_t nonzero_mask (const int16_t* level) {
  v128_t bytes = wasm_i8x16_narrow_i16x8 (wasm_v128_load (level), wasm_v128_load (level + 8));
  return ~wasm_i8x16_bitmask (wasm_i8x16_eq (bytes, wasm_i8x16_const_splat (0))) & 0xffff;
}

#endif
