/*****************************************************************************
 * Copyright (C) 2026 the afmpeg authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * This program is free software; you can redistribute it and/or modify
 * it under the terms of the GNU General Public License as published by
 * the Free Software Foundation; either version 2 of the License, or
 * (at your option) any later version.
 *
 * This program is distributed in the hope that it will be useful,
 * but WITHOUT ANY WARRANTY; without even the implied warranty of
 * MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
 * GNU General Public License for more details.
 *
 * You should have received a copy of the GNU General Public License
 * along with this program; if not, write to the Free Software
 * Foundation, Inc., 51 Franklin Street, Fifth Floor, Boston, MA  02111, USA.
 *****************************************************************************/

// Differences of blocks, averages and residuals, of 8 bits.

#include "common.h"
#include "primitives.h"
#include "wasm.h"

#ifdef __wasm_simd128__

#include <wasm_simd128.h>

using namespace X265_NS;

#if !HIGH_BIT_DEPTH
namespace {
// place functions in anonymous namespace (file static)

inline v128_t zero()
{
    return wasm_i32x4_const_splat(0);
}

inline int addLanes(v128_t lanes)
{
    lanes = wasm_i32x4_add(lanes, wasm_i32x4_shuffle(lanes, lanes, 2, 3, 0, 1));
    lanes = wasm_i32x4_add(lanes, wasm_i32x4_shuffle(lanes, lanes, 1, 0, 3, 2));
    return wasm_i32x4_extract_lane(lanes, 0);
}

inline v128_t load4x4(const pixel* p, intptr_t stride)
{
    v128_t rows = wasm_v128_load32_zero(p);
    rows = wasm_v128_load32_lane(p + stride, rows, 1);
    rows = wasm_v128_load32_lane(p + 2 * stride, rows, 2);
    return wasm_v128_load32_lane(p + 3 * stride, rows, 3);
}

inline v128_t load8x2(const pixel* p, intptr_t stride)
{
    return wasm_v128_load64_lane(p + stride, wasm_v128_load64_zero(p), 1);
}

// differences of 16 pixels, added in pairs
inline v128_t absDiff(v128_t a, v128_t b)
{
    return wasm_u16x8_extadd_pairwise_u8x16(wasm_v128_or(wasm_u8x16_sub_sat(a, b), wasm_u8x16_sub_sat(b, a)));
}

// A block against n others. Lanes of 16 bits hold the sums of 32 rows of 64 pixels. What is 12 or 24 pixels wide is two blocks.
template<int w, int h, int n>
inline void sadColumns(const pixel* a, intptr_t strideA, const pixel* const b[n], intptr_t strideB, v128_t total[n])
{
    static_assert(w == 4 || w == 8 || w % 16 == 0, "not a width");
    const int rows = w == 4 ? 4 : w == 8 ? 2 : 1;
    for (int y = 0; y < h; )
    {
        v128_t sum[n];
        for (int i = 0; i < n; i++)
            sum[i] = zero();
        const int end = h - y > 32 ? y + 32 : h;
        for (; y < end; y += rows)
        {
            const pixel* row = a + y * strideA;
            if (w < 16)
            {
                const v128_t block = w == 4 ? load4x4(row, strideA) : load8x2(row, strideA);
                for (int i = 0; i < n; i++)
                {
                    const pixel* other = b[i] + y * strideB;
                    sum[i] = wasm_i16x8_add(sum[i], absDiff(block, w == 4 ? load4x4(other, strideB) : load8x2(other, strideB)));
                }
            }
            for (int x = 0; x + 16 <= w; x += 16)
            {
                const v128_t block = wasm_v128_load(row + x);
                for (int i = 0; i < n; i++)
                    sum[i] = wasm_i16x8_add(sum[i], absDiff(block, wasm_v128_load(b[i] + y * strideB + x)));
            }
        }
        for (int i = 0; i < n; i++)
            total[i] = wasm_i32x4_add(total[i], wasm_u32x4_extadd_pairwise_u16x8(sum[i]));
    }
}

template<int w, int h, int n>
inline void sadBlocks(const pixel* a, intptr_t strideA, const pixel* const b[n], intptr_t strideB, v128_t total[n])
{
    const int rest = w % 16, whole = w - rest;
    if (whole)
        sadColumns<whole ? whole : 16, h, n>(a, strideA, b, strideB, total);
    if (rest)
    {
        const pixel* right[n];
        for (int i = 0; i < n; i++)
            right[i] = b[i] + whole;
        if (rest == 12)
        {
            sadColumns<8, h, n>(a + whole, strideA, right, strideB, total);
            for (int i = 0; i < n; i++)
                right[i] += 8;
            sadColumns<4, h, n>(a + whole + 8, strideA, right, strideB, total);
        }
        else
            sadColumns<rest == 4 ? 4 : 8, h, n>(a + whole, strideA, right, strideB, total);
    }
}

template<int w, int h>
int sad(const pixel* pix1, intptr_t stride1, const pixel* pix2, intptr_t stride2)
{
    v128_t total[1] = { zero() };
    sadBlocks<w, h, 1>(pix1, stride1, &pix2, stride2, total);
    return addLanes(total[0]);
}

template<int w, int h>
void sad_x3(const pixel* fenc, const pixel* fref0, const pixel* fref1, const pixel* fref2, intptr_t frefstride, int32_t* res)
{
    const pixel* const refs[3] = { fref0, fref1, fref2 };
    v128_t total[3] = { zero(), zero(), zero() };
    sadBlocks<w, h, 3>(fenc, FENC_STRIDE, refs, frefstride, total);
    for (int i = 0; i < 3; i++)
        res[i] = addLanes(total[i]);
}

template<int w, int h>
void sad_x4(const pixel* fenc, const pixel* fref0, const pixel* fref1, const pixel* fref2, const pixel* fref3, intptr_t frefstride, int32_t* res)
{
    const pixel* const refs[4] = { fref0, fref1, fref2, fref3 };
    v128_t total[4] = { zero(), zero(), zero(), zero() };
    sadBlocks<w, h, 4>(fenc, FENC_STRIDE, refs, frefstride, total);
    for (int i = 0; i < 4; i++)
        res[i] = addLanes(total[i]);
}

inline v128_t difference8(const pixel* a, const pixel* b)
{
    return wasm_i16x8_sub(wasm_u16x8_load8x8(a), wasm_u16x8_load8x8(b));
}

// four pixels of a row, and four of the one that is `below` further down
inline v128_t difference4x2(const pixel* a, intptr_t belowA, const pixel* b, intptr_t belowB)
{
    const v128_t rowsA = wasm_v128_load32_lane(a + belowA, wasm_v128_load32_zero(a), 1);
    const v128_t rowsB = wasm_v128_load32_lane(b + belowB, wasm_v128_load32_zero(b), 1);
    return wasm_i16x8_sub(wasm_u16x8_extend_low_u8x16(rowsA), wasm_u16x8_extend_low_u8x16(rowsB));
}

// sums and differences
#define BUTTERFLY(a, b) { const v128_t sum = wasm_i16x8_add(a, b); b = wasm_i16x8_sub(a, b); a = sum; }

// Sums and differences of neighbours, in two vectors at once: those of the first come to the even lanes.
inline void neighbours(v128_t& a, v128_t& b)
{
    const v128_t even = wasm_i16x8_shuffle(a, wasm_i32x4_shl(b, 16), 0, 9, 2, 11, 4, 13, 6, 15);
    const v128_t odd = wasm_i16x8_shuffle(wasm_u32x4_shr(a, 16), b, 0, 9, 2, 11, 4, 13, 6, 15);
    a = wasm_i16x8_add(even, odd);
    b = wasm_i16x8_sub(even, odd);
}

inline v128_t larger(v128_t a, v128_t b)
{
    return wasm_i16x8_max(wasm_i16x8_abs(a), wasm_i16x8_abs(b));
}

// Half the sum of the absolute values of two 4x4 transforms side by side, in four lanes: |a + b| + |a - b| = 2 max(|a|, |b|).
inline v128_t satd8x4(v128_t d0, v128_t d1, v128_t d2, v128_t d3)
{
    BUTTERFLY(d0, d1);
    BUTTERFLY(d2, d3);
    BUTTERFLY(d0, d2);
    BUTTERFLY(d1, d3);
    neighbours(d0, d1);
    neighbours(d2, d3);
    const v128_t first = larger(wasm_i32x4_shuffle(d0, d1, 0, 2, 4, 6), wasm_i32x4_shuffle(d0, d1, 1, 3, 5, 7));
    const v128_t second = larger(wasm_i32x4_shuffle(d2, d3, 0, 2, 4, 6), wasm_i32x4_shuffle(d2, d3, 1, 3, 5, 7));
    return wasm_i32x4_extadd_pairwise_i16x8(wasm_i16x8_add(first, second));
}

template<int w, int h>
inline v128_t satdColumns(const pixel* a, intptr_t strideA, const pixel* b, intptr_t strideB)
{
    v128_t total = zero();
    if (w == 4)
    {
        // two blocks below each other stand side by side; one stands beside itself
        const int below = h == 4 ? 0 : 4;
        for (int y = 0; y < h; y += 8, a += 8 * strideA, b += 8 * strideB)
        {
            const v128_t sum = satd8x4(difference4x2(a, below * strideA, b, below * strideB),
                                       difference4x2(a + strideA, below * strideA, b + strideB, below * strideB),
                                       difference4x2(a + 2 * strideA, below * strideA, b + 2 * strideB, below * strideB),
                                       difference4x2(a + 3 * strideA, below * strideA, b + 3 * strideB, below * strideB));
            total = wasm_i32x4_add(total, sum);
        }
        return total;
    }
    for (int y = 0; y < h; y += 4, a += 4 * strideA, b += 4 * strideB)
        for (int x = 0; x < w; x += 8)
            total = wasm_i32x4_add(total, satd8x4(difference8(a + x, b + x), difference8(a + strideA + x, b + strideB + x),
                                                  difference8(a + 2 * strideA + x, b + 2 * strideB + x),
                                                  difference8(a + 3 * strideA + x, b + 3 * strideB + x)));
    return total;
}

template<int w, int h>
int satd(const pixel* pix1, intptr_t stride1, const pixel* pix2, intptr_t stride2)
{
    if (w == 4 && h == 4)
        return addLanes(satdColumns<4, 4>(pix1, stride1, pix2, stride2)) >> 1;
    v128_t total = zero();
    if (w >= 8)
        total = satdColumns<(w >= 8 ? w & ~7 : 8), h>(pix1, stride1, pix2, stride2);
    if (w % 8)
        total = wasm_i32x4_add(total, satdColumns<4, h>(pix1 + (w & ~7), stride1, pix2 + (w & ~7), stride2));
    return addLanes(total);
}

// half the sum of the absolute values of an 8x8 transform
inline int sa8dBlock(const pixel* a, intptr_t strideA, const pixel* b, intptr_t strideB)
{
    v128_t d0 = difference8(a, b), d1 = difference8(a + strideA, b + strideB);
    v128_t d2 = difference8(a + 2 * strideA, b + 2 * strideB), d3 = difference8(a + 3 * strideA, b + 3 * strideB);
    a += 4 * strideA;
    b += 4 * strideB;
    v128_t d4 = difference8(a, b), d5 = difference8(a + strideA, b + strideB);
    v128_t d6 = difference8(a + 2 * strideA, b + 2 * strideB), d7 = difference8(a + 3 * strideA, b + 3 * strideB);
    BUTTERFLY(d0, d4);
    BUTTERFLY(d1, d5);
    BUTTERFLY(d2, d6);
    BUTTERFLY(d3, d7);
    BUTTERFLY(d0, d2);
    BUTTERFLY(d1, d3);
    BUTTERFLY(d4, d6);
    BUTTERFLY(d5, d7);
    BUTTERFLY(d0, d1);
    BUTTERFLY(d2, d3);
    BUTTERFLY(d4, d5);
    BUTTERFLY(d6, d7);
    neighbours(d0, d1);
    neighbours(d2, d3);
    neighbours(d4, d5);
    neighbours(d6, d7);
#define PAIRS(x, y) { \
        const v128_t even = wasm_i32x4_shuffle(x, y, 0, 2, 4, 6), odd = wasm_i32x4_shuffle(x, y, 1, 3, 5, 7); \
        x = wasm_i16x8_add(even, odd); \
        y = wasm_i16x8_sub(even, odd); \
}
    PAIRS(d0, d1);
    PAIRS(d2, d3);
    PAIRS(d4, d5);
    PAIRS(d6, d7);
#undef PAIRS
    // what is left to be combined lies in neighbouring lanes of 32 bits
#define LAST(x, y) larger(wasm_i32x4_shuffle(x, y, 0, 2, 4, 6), wasm_i32x4_shuffle(x, y, 1, 3, 5, 7))
    const v128_t sum01 = wasm_i32x4_extadd_pairwise_i16x8(LAST(d0, d1)), sum23 = wasm_i32x4_extadd_pairwise_i16x8(LAST(d2, d3));
    const v128_t sum45 = wasm_i32x4_extadd_pairwise_i16x8(LAST(d4, d5)), sum67 = wasm_i32x4_extadd_pairwise_i16x8(LAST(d6, d7));
#undef LAST
    return addLanes(wasm_i32x4_add(wasm_i32x4_add(sum01, sum23), wasm_i32x4_add(sum45, sum67)));
}

int sa8d_8x8(const pixel* a, intptr_t strideA, const pixel* b, intptr_t strideB)
{
    return (2 * sa8dBlock(a, strideA, b, strideB) + 2) >> 2;
}

int sa8d_8x16(const pixel* a, intptr_t strideA, const pixel* b, intptr_t strideB)
{
    return sa8d_8x8(a, strideA, b, strideB) + sa8d_8x8(a + 8 * strideA, strideA, b + 8 * strideB, strideB);
}

template<int w, int h>
int sa8d16(const pixel* a, intptr_t strideA, const pixel* b, intptr_t strideB)
{
    int cost = 0;
    for (int y = 0; y < h; y += 16)
        for (int x = 0; x < w; x += 16)
        {
            const pixel* cornerA = a + y * strideA + x;
            const pixel* cornerB = b + y * strideB + x;
            const int sum = sa8dBlock(cornerA, strideA, cornerB, strideB) + sa8dBlock(cornerA + 8, strideA, cornerB + 8, strideB) +
                sa8dBlock(cornerA + 8 * strideA, strideA, cornerB + 8 * strideB, strideB) +
                sa8dBlock(cornerA + 8 * strideA + 8, strideA, cornerB + 8 * strideB + 8, strideB);
            cost += (2 * sum + 2) >> 2;
        }
    return cost;
}

template<int w, int h>
void pixelavg_pp(pixel* dst, intptr_t dstride, const pixel* src0, intptr_t sstride0, const pixel* src1, intptr_t sstride1, int)
{
    for (int y = 0; y < h; y++, dst += dstride, src0 += sstride0, src1 += sstride1)
    {
        int x = 0;
        for (; x + 16 <= w; x += 16)
            wasm_v128_store(dst + x, wasm_u8x16_avgr(wasm_v128_load(src0 + x), wasm_v128_load(src1 + x)));
        if (w & 8)
        {
            wasm_v128_store64_lane(dst + x, wasm_u8x16_avgr(wasm_v128_load64_zero(src0 + x), wasm_v128_load64_zero(src1 + x)), 0);
            x += 8;
        }
        if (w & 4)
            wasm_v128_store32_lane(dst + x, wasm_u8x16_avgr(wasm_v128_load32_zero(src0 + x), wasm_v128_load32_zero(src1 + x)), 0);
    }
}

template<int w, int h>
void copy_pp(pixel* dst, intptr_t dstStride, const pixel* src, intptr_t srcStride)
{
    for (int y = 0; y < h; y++, dst += dstStride, src += srcStride)
    {
        int x = 0;
        for (; x + 16 <= w; x += 16)
            wasm_v128_store(dst + x, wasm_v128_load(src + x));
        if (w & 8)
        {
            wasm_v128_store64_lane(dst + x, wasm_v128_load64_zero(src + x), 0);
            x += 8;
        }
        if (w & 4)
            wasm_v128_store32_lane(dst + x, wasm_v128_load32_zero(src + x), 0);
    }
}

template<int w, int h>
sse_t sse_pp(const pixel* a, intptr_t strideA, const pixel* b, intptr_t strideB)
{
    v128_t total = zero();
    if (w == 4)
        for (int y = 0; y < h; y += 2, a += 2 * strideA, b += 2 * strideB)
        {
            const v128_t d = difference4x2(a, strideA, b, strideB);
            total = wasm_i32x4_add(total, wasm_i32x4_dot_i16x8(d, d));
        }
    else
        for (int y = 0; y < h; y++, a += strideA, b += strideB)
            for (int x = 0; x < w; x += 8)
            {
                const v128_t d = difference8(a + x, b + x);
                total = wasm_i32x4_add(total, wasm_i32x4_dot_i16x8(d, d));
            }
    return addLanes(total);
}

template<int w, int h>
void sub_ps(int16_t* dst, intptr_t dstride, const pixel* src0, const pixel* src1, intptr_t sstride0, intptr_t sstride1)
{
    for (int y = 0; y < h; y++, dst += dstride, src0 += sstride0, src1 += sstride1)
    {
        if (w == 4)
            wasm_v128_store64_lane(dst, wasm_i16x8_sub(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(src0)),
                                                       wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(src1))), 0);
        else
            for (int x = 0; x < w; x += 8)
                wasm_v128_store(dst + x, difference8(src0 + x, src1 + x));
    }
}

template<int size>
void calcresidual(const pixel* fenc, const pixel* pred, int16_t* residual, intptr_t stride)
{
    sub_ps<size, size>(residual, stride, fenc, pred, stride, stride);
}

template<int w, int h>
void add_ps(pixel* a, intptr_t dstride, const pixel* b0, const int16_t* b1, intptr_t sstride0, intptr_t sstride1)
{
    for (int y = 0; y < h; y++, a += dstride, b0 += sstride0, b1 += sstride1)
    {
        if (w == 4)
        {
            const v128_t sum = wasm_i16x8_add_sat(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(b0)), wasm_v128_load64_zero(b1));
            wasm_v128_store32_lane(a, wasm_u8x16_narrow_i16x8(sum, sum), 0);
        }
        else
            for (int x = 0; x < w; x += 8)
            {
                const v128_t sum = wasm_i16x8_add_sat(wasm_u16x8_load8x8(b0 + x), wasm_v128_load(b1 + x));
                wasm_v128_store64_lane(a + x, wasm_u8x16_narrow_i16x8(sum, sum), 0);
            }
    }
}
}
#endif // if !HIGH_BIT_DEPTH

namespace X265_NS {
// private x265 namespace

void setupPixelPrimitives_wasm(EncoderPrimitives &p)
{
#if HIGH_BIT_DEPTH
    (void)p;
#else
#define LUMA_PU(W, H) \
    p.pu[LUMA_ ## W ## x ## H].copy_pp = copy_pp<W, H>; \
    p.pu[LUMA_ ## W ## x ## H].sad = sad<W, H>; \
    p.pu[LUMA_ ## W ## x ## H].sad_x3 = sad_x3<W, H>; \
    p.pu[LUMA_ ## W ## x ## H].sad_x4 = sad_x4<W, H>; \
    p.pu[LUMA_ ## W ## x ## H].satd = satd<W, H>; \
    p.pu[LUMA_ ## W ## x ## H].pixelavg_pp[NONALIGNED] = pixelavg_pp<W, H>; \
    p.pu[LUMA_ ## W ## x ## H].pixelavg_pp[ALIGNED] = pixelavg_pp<W, H>;

    LUMA_PU(4, 4);
    LUMA_PU(8, 8);
    LUMA_PU(16, 16);
    LUMA_PU(32, 32);
    LUMA_PU(64, 64);
    LUMA_PU(4, 8);
    LUMA_PU(8, 4);
    LUMA_PU(16,  8);
    LUMA_PU(8, 16);
    LUMA_PU(16, 12);
    LUMA_PU(12, 16);
    LUMA_PU(16,  4);
    LUMA_PU(4, 16);
    LUMA_PU(32, 16);
    LUMA_PU(16, 32);
    LUMA_PU(32, 24);
    LUMA_PU(24, 32);
    LUMA_PU(32,  8);
    LUMA_PU(8, 32);
    LUMA_PU(64, 32);
    LUMA_PU(32, 64);
    LUMA_PU(64, 48);
    LUMA_PU(48, 64);
    LUMA_PU(64, 16);
    LUMA_PU(16, 64);

#define LUMA_CU(W) \
    p.cu[BLOCK_ ## W ## x ## W].sse_pp = sse_pp<W, W>; \
    p.cu[BLOCK_ ## W ## x ## W].sub_ps = sub_ps<W, W>; \
    p.cu[BLOCK_ ## W ## x ## W].calcresidual[NONALIGNED] = calcresidual<W>; \
    p.cu[BLOCK_ ## W ## x ## W].calcresidual[ALIGNED] = calcresidual<W>; \
    p.cu[BLOCK_ ## W ## x ## W].add_ps[NONALIGNED] = add_ps<W, W>; \
    p.cu[BLOCK_ ## W ## x ## W].add_ps[ALIGNED] = add_ps<W, W>;

    LUMA_CU(4);
    LUMA_CU(8);
    LUMA_CU(16);
    LUMA_CU(32);
    LUMA_CU(64);

    p.cu[BLOCK_8x8].sa8d = sa8d_8x8;
    p.cu[BLOCK_16x16].sa8d = sa8d16<16, 16>;
    p.cu[BLOCK_32x32].sa8d = sa8d16<32, 32>;
    p.cu[BLOCK_64x64].sa8d = sa8d16<64, 64>;
    p.chroma[X265_CSP_I422].cu[BLOCK_8x8].sa8d = satd<4, 8>;
    p.chroma[X265_CSP_I422].cu[BLOCK_16x16].sa8d = sa8d_8x16;
    p.chroma[X265_CSP_I422].cu[BLOCK_32x32].sa8d = sa8d16<16, 32>;
    p.chroma[X265_CSP_I422].cu[BLOCK_64x64].sa8d = sa8d16<32, 64>;

#define CHROMA_PU(CSP, W, H) \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].copy_pp = copy_pp<W, H>;
    CHROMA_PU(420, 4, 4);
    CHROMA_PU(420, 8, 8);
    CHROMA_PU(420, 16, 16);
    CHROMA_PU(420, 32, 32);
    CHROMA_PU(420, 8, 4);
    CHROMA_PU(420, 4, 8);
    CHROMA_PU(420, 16, 8);
    CHROMA_PU(420, 8, 16);
    CHROMA_PU(420, 32, 16);
    CHROMA_PU(420, 16, 32);

#define CHROMA_CU(W) \
    p.chroma[X265_CSP_I420].cu[BLOCK_420_ ## W ## x ## W].sub_ps = sub_ps<W, W>; \
    p.chroma[X265_CSP_I420].cu[BLOCK_420_ ## W ## x ## W].add_ps[NONALIGNED] = add_ps<W, W>; \
    p.chroma[X265_CSP_I420].cu[BLOCK_420_ ## W ## x ## W].add_ps[ALIGNED] = add_ps<W, W>;
    CHROMA_CU(4);
    CHROMA_CU(8);
    CHROMA_CU(16);
    CHROMA_CU(32);
#endif // if HIGH_BIT_DEPTH
}
}

#endif // ifdef __wasm_simd128__
