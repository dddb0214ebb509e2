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

/* Motion compensation. Names and results are those of mc.cpp. */

#include "wasm.h"
#include "vector.h"

/****************************************************************************
 * Half samples
 ****************************************************************************/

/* Widths are 4, 8 and 16, and one more where a search wants both sides of a block. They are covered by strips of 8, or of 4, of which
 * the last one overlaps the one before: nothing is written outside, and what is written twice is the same. */
static ALWAYS_INLINE int32_t next_strip (int32_t x, int32_t strip, int32_t width) {
  return x + 2 * strip <= width ? x + strip : width - strip;
}

/* a - 5b + 20c as a + 5(4c - b). */
static ALWAYS_INLINE v128_t tap_filter (v128_t a, v128_t b, v128_t c) {
  v128_t t = wasm_i16x8_sub (wasm_i16x8_shl (c, 2), b);
  return wasm_i16x8_add (a, wasm_i16x8_add (t, wasm_i16x8_shl (t, 2)));
}

/* The second filter over what the first one left, (a - 5b + 20c + 512) >> 10, in 16 bits: floors nest, so that
 * ((a-b)/4 - b + c)/4 + c is the floor of (a - 5b + 20c)/16. What saturates is clipped afterwards anyway. */
static ALWAYS_INLINE v128_t tap_filter_again (v128_t a, v128_t b, v128_t c) {
  v128_t t = wasm_i16x8_sub (wasm_i16x8_shr (wasm_i16x8_sub (a, b), 2), b);
  t = wasm_i16x8_add (wasm_i16x8_shr (wasm_i16x8_add_sat (t, c), 2), c);
  return wasm_i16x8_shr (wasm_i16x8_add (t, wasm_i16x8_const_splat (32)), 6);
}

static ALWAYS_INLINE v128_t round_5 (v128_t v) {
  return wasm_i16x8_shr (wasm_i16x8_add (v, wasm_i16x8_const_splat (16)), 5);
}

/* Eight pixels filtered horizontally, unrounded. */
static ALWAYS_INLINE v128_t horizontal_taps (const uint8_t* src) {
  return tap_filter (wasm_i16x8_add (wasm_u16x8_load8x8 (src - 2), wasm_u16x8_load8x8 (src + 3)),
                     wasm_i16x8_add (wasm_u16x8_load8x8 (src - 1), wasm_u16x8_load8x8 (src + 2)),
                     wasm_i16x8_add (wasm_u16x8_load8x8 (src), wasm_u16x8_load8x8 (src + 1)));
}

static ALWAYS_INLINE void store_narrowed (uint8_t* dst, v128_t row, int32_t strip) {
  store_row (dst, wasm_u8x16_narrow_i16x8 (row, row), strip);
}

static ALWAYS_INLINE void horizontal_strip (const uint8_t* src, int32_t src_stride, uint8_t* dst, int32_t dst_stride, int32_t height,
                                            int32_t strip) {
  for (int32_t y = 0; y < height; y++, src += src_stride, dst += dst_stride)
    store_narrowed (dst, round_5 (horizontal_taps (src)), strip);
}

/* Six rows move through the registers, so that each is loaded once. In the centre a row is filtered horizontally as it is loaded: both
 * filters are sums that fit into 16 bits, so that it doesn't matter which one comes first. */
static ALWAYS_INLINE v128_t load_taps (const uint8_t* src, int32_t centre) {
  return centre ? horizontal_taps (src) : wasm_u16x8_load8x8 (src);
}

static ALWAYS_INLINE void vertical_strip (const uint8_t* src, int32_t src_stride, uint8_t* dst, int32_t dst_stride, int32_t height,
                                          int32_t strip, int32_t centre) {
  src -= 2 * src_stride;
  v128_t r0 = load_taps (src, centre), r1 = load_taps (src + src_stride, centre), r2 = load_taps (src + 2 * src_stride, centre);
  v128_t r3 = load_taps (src + 3 * src_stride, centre), r4 = load_taps (src + 4 * src_stride, centre);
  src += 5 * src_stride;
  for (int32_t y = 0; y < height; y++, src += src_stride, dst += dst_stride) {
    v128_t r5 = load_taps (src, centre);
    v128_t a = wasm_i16x8_add (r0, r5), b = wasm_i16x8_add (r1, r4), c = wasm_i16x8_add (r2, r3);
    store_narrowed (dst, centre ? tap_filter_again (a, b, c) : round_5 (tap_filter (a, b, c)), strip);
    r0 = r1;
    r1 = r2;
    r2 = r3;
    r3 = r4;
    r4 = r5;
  }
}

void McHorVer20_wasm (const uint8_t* pSrc, int32_t iSrcStride, uint8_t* pDst, int32_t iDstStride, int32_t iWidth, int32_t iHeight) {
  if (iWidth < 8) {
    horizontal_strip (pSrc, iSrcStride, pDst, iDstStride, iHeight, 4);
    if (iWidth == 5)
      horizontal_strip (pSrc + 1, iSrcStride, pDst + 1, iDstStride, iHeight, 4);
    return;
  }
  for (int32_t x = 0;; x = next_strip (x, 8, iWidth)) {
    horizontal_strip (pSrc + x, iSrcStride, pDst + x, iDstStride, iHeight, 8);
    if (x + 8 == iWidth)
      break;
  }
}

static ALWAYS_INLINE void vertical (const uint8_t* src, int32_t src_stride, uint8_t* dst, int32_t dst_stride, int32_t width,
                                    int32_t height, int32_t centre) {
  int32_t strip = width < 8 ? 4 : 8;
  for (int32_t x = 0;; x = next_strip (x, strip, width)) {
    if (strip == 8)
      vertical_strip (src + x, src_stride, dst + x, dst_stride, height, 8, centre);
    else
      vertical_strip (src + x, src_stride, dst + x, dst_stride, height, 4, centre);
    if (x + strip == width)
      break;
  }
}

void McHorVer02_wasm (const uint8_t* pSrc, int32_t iSrcStride, uint8_t* pDst, int32_t iDstStride, int32_t iWidth, int32_t iHeight) {
  vertical (pSrc, iSrcStride, pDst, iDstStride, iWidth, iHeight, 0);
}

void McHorVer22_wasm (const uint8_t* pSrc, int32_t iSrcStride, uint8_t* pDst, int32_t iDstStride, int32_t iWidth, int32_t iHeight) {
  vertical (pSrc, iSrcStride, pDst, iDstStride, iWidth, iHeight, 1);
}

/****************************************************************************
 * Averages and copies
 ****************************************************************************/

/* Heights are even. Two rows are loaded before one is stored, so that loads don't wait for what may overlap. */
static ALWAYS_INLINE void average (uint8_t* dst, int32_t dst_stride, const uint8_t* a, int32_t a_stride, const uint8_t* b,
                                   int32_t b_stride, int32_t width, int32_t height) {
  for (int32_t y = 0; y < height; y += 2, dst += 2 * dst_stride, a += 2 * a_stride, b += 2 * b_stride) {
    v128_t row0 = wasm_u8x16_avgr (load_row (a, width), load_row (b, width));
    v128_t row1 = wasm_u8x16_avgr (load_row (a + a_stride, width), load_row (b + b_stride, width));
    store_row (dst, row0, width);
    store_row (dst + dst_stride, row1, width);
  }
}

void PixelAvg_wasm (uint8_t* pDst, int32_t iDstStride, const uint8_t* pSrcA, int32_t iSrcAStride, const uint8_t* pSrcB,
                    int32_t iSrcBStride, int32_t iWidth, int32_t iHeight) {
  if (iWidth == 16)
    average (pDst, iDstStride, pSrcA, iSrcAStride, pSrcB, iSrcBStride, 16, iHeight);
  else if (iWidth == 8)
    average (pDst, iDstStride, pSrcA, iSrcAStride, pSrcB, iSrcBStride, 8, iHeight);
  else
    average (pDst, iDstStride, pSrcA, iSrcAStride, pSrcB, iSrcBStride, 4, iHeight);
}

static ALWAYS_INLINE void copy (uint8_t* dst, int32_t dst_stride, const uint8_t* src, int32_t src_stride, int32_t width,
                                int32_t height) {
  for (int32_t y = 0; y < height; y++, dst += dst_stride, src += src_stride)
    store_row (dst, load_row (src, width), width);
}

/* Chroma has blocks of 2 pixels, too. */
static void copy_any (uint8_t* dst, int32_t dst_stride, const uint8_t* src, int32_t src_stride, int32_t width, int32_t height) {
  if (width == 16)
    copy (dst, dst_stride, src, src_stride, 16, height);
  else if (width == 8)
    copy (dst, dst_stride, src, src_stride, 8, height);
  else if (width == 4)
    copy (dst, dst_stride, src, src_stride, 4, height);
  else
    for (int32_t y = 0; y < height; y++, dst += dst_stride, src += src_stride) {
      dst[0] = src[0];
      dst[1] = src[1];
    }
}

#define COPY(w, h) \
void WelsCopy##w##x##h##_wasm (uint8_t* pDst, int32_t iStrideD, uint8_t* pSrc, int32_t iStrideS) { \
  copy (pDst, iStrideD, pSrc, iStrideS, w, h); \
}
COPY (16, 16)
COPY (16, 8)
COPY (8, 16)
COPY (8, 8)

/****************************************************************************
 * Quarter samples of luma: averages of two of the whole and half samples around them
 ****************************************************************************/

void McLuma_wasm (const uint8_t* pSrc, int32_t iSrcStride, uint8_t* pDst, int32_t iDstStride, int16_t iMvX, int16_t iMvY,
                  int32_t iWidth, int32_t iHeight) {
  int32_t x = iMvX & 3, y = iMvY & 3;
  if (x == 0 && y == 0) {
    copy_any (pDst, iDstStride, pSrc, iSrcStride, iWidth, iHeight);
    return;
  }
  uint8_t half[16 * 16], other[16 * 16];
  const uint8_t* second = other;
  int32_t second_stride = 16;
  uint8_t* first = (x | y) & 1 ? half : pDst;
  int32_t first_stride = (x | y) & 1 ? 16 : iDstStride;
  /* What is nearest to the right or below counts from there. */
  const uint8_t* right = pSrc + (x == 3), * below = pSrc + (y == 3) * iSrcStride;
  if (x == 0 || y == 0) {
    if (x == 0)
      McHorVer02_wasm (pSrc, iSrcStride, first, first_stride, iWidth, iHeight);
    else
      McHorVer20_wasm (pSrc, iSrcStride, first, first_stride, iWidth, iHeight);
    second = x == 0 ? below : right;
    second_stride = iSrcStride;
  } else if (x == 2) {
    McHorVer22_wasm (pSrc, iSrcStride, first, first_stride, iWidth, iHeight);
    if (y != 2)
      McHorVer20_wasm (below, iSrcStride, other, 16, iWidth, iHeight);
  } else {
    McHorVer02_wasm (right, iSrcStride, first, first_stride, iWidth, iHeight);
    if (y == 2)
      McHorVer22_wasm (pSrc, iSrcStride, other, 16, iWidth, iHeight);
    else
      McHorVer20_wasm (below, iSrcStride, other, 16, iWidth, iHeight);
  }
  if (first == half)
    PixelAvg_wasm (pDst, iDstStride, half, 16, second, second_stride, iWidth, iHeight);
}

/****************************************************************************
 * Chroma: bilinear, an eighth of a pixel
 ****************************************************************************/

/* (8-d)*a + d*b with one multiplication. */
static ALWAYS_INLINE v128_t blend_8 (v128_t a, v128_t b, v128_t d) {
  return wasm_i16x8_add (wasm_i16x8_shl (a, 3), wasm_i16x8_mul (wasm_i16x8_sub (b, a), d));
}

/* The horizontal blend of a row serves the rows above and below it. */
static ALWAYS_INLINE void chroma (const uint8_t* src, int32_t src_stride, uint8_t* dst, int32_t dst_stride, v128_t dx, v128_t dy,
                                  int32_t width, int32_t height) {
  v128_t above = blend_8 (wasm_u16x8_load8x8 (src), wasm_u16x8_load8x8 (src + 1), dx);
  for (int32_t y = 0; y < height; y++, dst += dst_stride) {
    src += src_stride;
    v128_t below = blend_8 (wasm_u16x8_load8x8 (src), wasm_u16x8_load8x8 (src + 1), dx);
    v128_t row = wasm_u16x8_shr (wasm_i16x8_add (blend_8 (above, below, dy), wasm_i16x8_const_splat (32)), 6);
    v128_t pixels = wasm_u8x16_narrow_i16x8 (row, row);
    if (width == 2)
      wasm_v128_store16_lane (dst, pixels, 0);
    else
      store_row (dst, pixels, width);
    above = below;
  }
}

void McChroma_wasm (const uint8_t* pSrc, int32_t iSrcStride, uint8_t* pDst, int32_t iDstStride, int16_t iMvX, int16_t iMvY,
                    int32_t iWidth, int32_t iHeight) {
  int32_t x = iMvX & 7, y = iMvY & 7;
  if (x == 0 && y == 0) {
    copy_any (pDst, iDstStride, pSrc, iSrcStride, iWidth, iHeight);
    return;
  }
  v128_t dx = wasm_i16x8_splat (x), dy = wasm_i16x8_splat (y);
  if (iWidth == 8)
    chroma (pSrc, iSrcStride, pDst, iDstStride, dx, dy, 8, iHeight);
  else if (iWidth == 4)
    chroma (pSrc, iSrcStride, pDst, iDstStride, dx, dy, 4, iHeight);
  else
    chroma (pSrc, iSrcStride, pDst, iDstStride, dx, dy, 2, iHeight);
}
