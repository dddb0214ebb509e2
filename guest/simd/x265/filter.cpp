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

// Interpolation.

#include "common.h"
#include "primitives.h"
#include "wasm.h"

#ifdef __wasm_simd128__

#include <wasm_simd128.h>

using namespace X265_NS;

namespace {
// place functions in anonymous namespace (file static)

template<int N>
inline const int16_t* filterOf(int coeffIdx)
{
    return N == 8 ? g_lumaFilter[coeffIdx] : g_chromaFilter[coeffIdx];
}

// (a0 * c0 + a1 * c1) + ... of 16-bit samples, for four columns: rows stand in pairs
struct PairSums
{
    v128_t low, high;
};

template<int N>
inline PairSums sumOfPairs(const v128_t* rows, const v128_t* pairs)
{
    PairSums sums = { wasm_i32x4_const_splat(0), wasm_i32x4_const_splat(0) };
    for (int i = 0; i < N / 2; i++)
    {
        const v128_t a = rows[2 * i], b = rows[2 * i + 1];
        const v128_t low = wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11), high = wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
        sums.low = i ? wasm_i32x4_add(sums.low, wasm_i32x4_dot_i16x8(low, pairs[i])) : wasm_i32x4_dot_i16x8(low, pairs[i]);
        sums.high = i ? wasm_i32x4_add(sums.high, wasm_i32x4_dot_i16x8(high, pairs[i])) : wasm_i32x4_dot_i16x8(high, pairs[i]);
    }
    return sums;
}

template<int N>
inline void loadPairs(v128_t* pairs, const int16_t* coeff)
{
    for (int i = 0; i < N / 2; i++)
        pairs[i] = wasm_v128_load32_splat(coeff + 2 * i);
}

// The last of a row's columns are four where its width is no multiple of eight.
template<bool half>
inline v128_t loadShorts(const int16_t* p)
{
    return half ? wasm_v128_load64_zero(p) : wasm_v128_load(p);
}

template<bool half>
inline void storeShorts(int16_t* p, v128_t values)
{
    if (half)
        wasm_v128_store64_lane(p, values, 0);
    else
        wasm_v128_store(p, values);
}

#if HIGH_BIT_DEPTH
template<bool half>
inline void storePixels(pixel* p, v128_t values)
{
    const v128_t maxVal = wasm_i16x8_splat((1 << X265_DEPTH) - 1);
    storeShorts<half>((int16_t*)p, wasm_i16x8_min(wasm_i16x8_max(values, wasm_i16x8_const_splat(0)), maxVal));
}
#else
template<bool half>
inline void storePixels(pixel* p, v128_t values)
{
    const v128_t pixels = wasm_u8x16_narrow_i16x8(values, values);
    if (half)
        wasm_v128_store32_lane(p, pixels, 0);
    else
        wasm_v128_store64_lane(p, pixels, 0);
}
#endif // if HIGH_BIT_DEPTH

template<int N, bool half>
inline void vertColumns_sp(const int16_t* src, intptr_t srcStride, pixel* dst, intptr_t dstStride, int height, const v128_t* pairs)
{
    const int shift = IF_FILTER_PREC + IF_INTERNAL_PREC - X265_DEPTH;
    const v128_t offset = wasm_i32x4_splat((1 << (shift - 1)) + (IF_INTERNAL_OFFS << IF_FILTER_PREC));
    v128_t rows[N];
    for (int i = 0; i < N - 1; i++)
        rows[i] = loadShorts<half>(src + i * srcStride);
    src += (N - 1) * srcStride;
    for (int y = 0; y < height; y++, src += srcStride, dst += dstStride)
    {
        rows[N - 1] = loadShorts<half>(src);
        const PairSums sums = sumOfPairs<N>(rows, pairs);
        storePixels<half>(dst, wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(wasm_i32x4_add(sums.low, offset), shift),
                                                       wasm_i32x4_shr(wasm_i32x4_add(sums.high, offset), shift)));
        for (int i = 0; i < N - 1; i++)
            rows[i] = rows[i + 1];
    }
}

template<int N, bool half>
inline void vertColumns_ss(const int16_t* src, intptr_t srcStride, int16_t* dst, intptr_t dstStride, int height, const v128_t* pairs)
{
    v128_t rows[N];
    for (int i = 0; i < N - 1; i++)
        rows[i] = loadShorts<half>(src + i * srcStride);
    src += (N - 1) * srcStride;
    for (int y = 0; y < height; y++, src += srcStride, dst += dstStride)
    {
        rows[N - 1] = loadShorts<half>(src);
        const PairSums sums = sumOfPairs<N>(rows, pairs);
        // the low 16 bits of each, as a cast has them
        const int high = 16 - IF_FILTER_PREC;
        storeShorts<half>(dst, wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(wasm_i32x4_shl(sums.low, high), 16),
                                                       wasm_i32x4_shr(wasm_i32x4_shl(sums.high, high), 16)));
        for (int i = 0; i < N - 1; i++)
            rows[i] = rows[i + 1];
    }
}

template<int N, int width, int height>
void interp_vert_sp(const int16_t* src, intptr_t srcStride, pixel* dst, intptr_t dstStride, int coeffIdx)
{
    v128_t pairs[N / 2];
    loadPairs<N>(pairs, filterOf<N>(coeffIdx));
    src -= (N / 2 - 1) * srcStride;
    for (int x = 0; x + 8 <= width; x += 8)
        vertColumns_sp<N, false>(src + x, srcStride, dst + x, dstStride, height, pairs);
    if (width % 8)
        vertColumns_sp<N, true>(src + width - 4, srcStride, dst + width - 4, dstStride, height, pairs);
}

template<int N, int width, int height>
void interp_vert_ss(const int16_t* src, intptr_t srcStride, int16_t* dst, intptr_t dstStride, int coeffIdx)
{
    v128_t pairs[N / 2];
    loadPairs<N>(pairs, filterOf<N>(coeffIdx));
    src -= (N / 2 - 1) * srcStride;
    for (int x = 0; x + 8 <= width; x += 8)
        vertColumns_ss<N, false>(src + x, srcStride, dst + x, dstStride, height, pairs);
    if (width % 8)
        vertColumns_ss<N, true>(src + width - 4, srcStride, dst + width - 4, dstStride, height, pairs);
}

#if !HIGH_BIT_DEPTH
template<bool half>
inline v128_t loadPixels(const pixel* p)
{
    return half ? wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(p)) : wasm_u16x8_load8x8(p);
}

// Sums of 8-bit samples fit 16 bits: the positive taps of a filter add up to 88, the negative ones to -24.
template<int N>
inline v128_t sum16(const v128_t* samples, const v128_t* taps)
{
    v128_t sum = wasm_i16x8_mul(samples[0], taps[0]);
    for (int i = 1; i < N; i++)
        sum = wasm_i16x8_add(sum, wasm_i16x8_mul(samples[i], taps[i]));
    return sum;
}

template<int N>
inline void loadTaps(v128_t* taps, const int16_t* coeff)
{
    for (int i = 0; i < N; i++)
        taps[i] = wasm_i16x8_splat(coeff[i]);
}

// Where pixels come out the sum is rounded, and where 16 bits do it is moved to the middle of their range.
inline v128_t toPixels(v128_t sum)
{
    return wasm_i16x8_shr(wasm_i16x8_add(sum, wasm_i16x8_const_splat(1 << (IF_FILTER_PREC - 1))), IF_FILTER_PREC);
}

inline v128_t toShorts(v128_t sum)
{
    return wasm_i16x8_sub(sum, wasm_i16x8_const_splat(IF_INTERNAL_OFFS));
}

template<int N, bool half>
inline v128_t sumAlong(const pixel* src, const v128_t* taps)
{
    v128_t samples[N];
    for (int i = 0; i < N; i++)
        samples[i] = loadPixels<half>(src + i);
    return sum16<N>(samples, taps);
}

template<int N, int width, int height>
void interp_horiz_pp(const pixel* src, intptr_t srcStride, pixel* dst, intptr_t dstStride, int coeffIdx)
{
    v128_t taps[N];
    loadTaps<N>(taps, filterOf<N>(coeffIdx));
    src -= N / 2 - 1;
    for (int y = 0; y < height; y++, src += srcStride, dst += dstStride)
    {
        for (int x = 0; x + 8 <= width; x += 8)
            storePixels<false>(dst + x, toPixels(sumAlong<N, false>(src + x, taps)));
        if (width % 8)
            storePixels<true>(dst + width - 4, toPixels(sumAlong<N, true>(src + width - 4, taps)));
    }
}

template<int N, int width>
inline void horizRows_ps(const pixel* src, intptr_t srcStride, int16_t* dst, intptr_t dstStride, int height, const int16_t* coeff)
{
    v128_t taps[N];
    loadTaps<N>(taps, coeff);
    for (int y = 0; y < height; y++, src += srcStride, dst += dstStride)
    {
        for (int x = 0; x + 8 <= width; x += 8)
            storeShorts<false>(dst + x, toShorts(sumAlong<N, false>(src + x, taps)));
        if (width % 8)
            storeShorts<true>(dst + width - 4, toShorts(sumAlong<N, true>(src + width - 4, taps)));
    }
}

template<int N, int width, int height>
void interp_horiz_ps(const pixel* src, intptr_t srcStride, int16_t* dst, intptr_t dstStride, int coeffIdx, int isRowExt)
{
    src -= N / 2 - 1;
    if (isRowExt)
        src -= (N / 2 - 1) * srcStride;
    horizRows_ps<N, width>(src, srcStride, dst, dstStride, height + (isRowExt ? N - 1 : 0), filterOf<N>(coeffIdx));
}

template<int N, bool half, bool toPixel, class T>
inline void vertColumns_p(const pixel* src, intptr_t srcStride, T* dst, intptr_t dstStride, int height, const v128_t* taps)
{
    v128_t rows[N];
    for (int i = 0; i < N - 1; i++)
        rows[i] = loadPixels<half>(src + i * srcStride);
    src += (N - 1) * srcStride;
    for (int y = 0; y < height; y++, src += srcStride, dst += dstStride)
    {
        rows[N - 1] = loadPixels<half>(src);
        const v128_t sum = sum16<N>(rows, taps);
        if (toPixel)
            storePixels<half>((pixel*)dst, toPixels(sum));
        else
            storeShorts<half>((int16_t*)dst, toShorts(sum));
        for (int i = 0; i < N - 1; i++)
            rows[i] = rows[i + 1];
    }
}

template<int N, int width, int height, bool toPixel, class T>
inline void vert_p(const pixel* src, intptr_t srcStride, T* dst, intptr_t dstStride, int coeffIdx)
{
    v128_t taps[N];
    loadTaps<N>(taps, filterOf<N>(coeffIdx));
    src -= (N / 2 - 1) * srcStride;
    for (int x = 0; x + 8 <= width; x += 8)
        vertColumns_p<N, false, toPixel>(src + x, srcStride, dst + x, dstStride, height, taps);
    if (width % 8)
        vertColumns_p<N, true, toPixel>(src + width - 4, srcStride, dst + width - 4, dstStride, height, taps);
}

template<int N, int width, int height>
void interp_vert_pp(const pixel* src, intptr_t srcStride, pixel* dst, intptr_t dstStride, int coeffIdx)
{
    vert_p<N, width, height, true>(src, srcStride, dst, dstStride, coeffIdx);
}

template<int N, int width, int height>
void interp_vert_ps(const pixel* src, intptr_t srcStride, int16_t* dst, intptr_t dstStride, int coeffIdx)
{
    vert_p<N, width, height, false>(src, srcStride, dst, dstStride, coeffIdx);
}

template<int N, int width, int height>
void interp_hv_pp(const pixel* src, intptr_t srcStride, pixel* dst, intptr_t dstStride, int idxX, int idxY)
{
    ALIGN_VAR_32(int16_t, immed[width * (height + N - 1)]);
    interp_horiz_ps<N, width, height>(src, srcStride, immed, width, idxX, 1);
    interp_vert_sp<N, width, height>(immed + (N / 2 - 1) * width, width, dst, dstStride, idxY);
}

template<int width, int height>
void convert_p2s(const pixel* src, intptr_t srcStride, int16_t* dst, intptr_t dstStride)
{
    const v128_t offset = wasm_i16x8_const_splat(IF_INTERNAL_OFFS);
    for (int y = 0; y < height; y++, src += srcStride, dst += dstStride)
    {
        for (int x = 0; x + 8 <= width; x += 8)
            storeShorts<false>(dst + x, wasm_i16x8_sub(wasm_i16x8_shl(loadPixels<false>(src + x), IF_INTERNAL_PREC - X265_DEPTH), offset));
        if (width % 8)
            storeShorts<true>(dst + width - 4, wasm_i16x8_sub(wasm_i16x8_shl(loadPixels<true>(src + width - 4), IF_INTERNAL_PREC - X265_DEPTH), offset));
    }
}

template<int width, int height>
void addAvg(const int16_t* src0, const int16_t* src1, pixel* dst, intptr_t src0Stride, intptr_t src1Stride, intptr_t dstStride)
{
    const int shift = IF_INTERNAL_PREC + 1 - X265_DEPTH;
    const v128_t offset = wasm_i32x4_splat((1 << (shift - 1)) + 2 * IF_INTERNAL_OFFS);
    for (int y = 0; y < height; y++, src0 += src0Stride, src1 += src1Stride, dst += dstStride)
        for (int x = 0; x < width; x += 8)
        {
            const bool half = width - x < 8;
            const v128_t a = half ? wasm_v128_load64_zero(src0 + x) : wasm_v128_load(src0 + x);
            const v128_t b = half ? wasm_v128_load64_zero(src1 + x) : wasm_v128_load(src1 + x);
            const v128_t low = wasm_i32x4_add(wasm_i32x4_add(wasm_i32x4_extend_low_i16x8(a), wasm_i32x4_extend_low_i16x8(b)), offset);
            const v128_t high = wasm_i32x4_add(wasm_i32x4_add(wasm_i32x4_extend_high_i16x8(a), wasm_i32x4_extend_high_i16x8(b)), offset);
            const v128_t values = wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(low, shift), wasm_i32x4_shr(high, shift));
            if (half)
                storePixels<true>(dst + x, values);
            else
                storePixels<false>(dst + x, values);
        }
}
#endif // if !HIGH_BIT_DEPTH
}

namespace X265_NS {
// private x265 namespace

void setupFilterPrimitives_wasm(EncoderPrimitives &p)
{
#if HIGH_BIT_DEPTH
#define LUMA(W, H) \
    p.pu[LUMA_ ## W ## x ## H].luma_vsp = interp_vert_sp<8, W, H>; \
    p.pu[LUMA_ ## W ## x ## H].luma_vss = interp_vert_ss<8, W, H>;
#define CHROMA(CSP, W, H) \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].filter_vsp = interp_vert_sp<4, W, H>; \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].filter_vss = interp_vert_ss<4, W, H>;
#else
#define LUMA(W, H) \
    p.pu[LUMA_ ## W ## x ## H].luma_hpp = interp_horiz_pp<8, W, H>; \
    p.pu[LUMA_ ## W ## x ## H].luma_hps = interp_horiz_ps<8, W, H>; \
    p.pu[LUMA_ ## W ## x ## H].luma_vpp = interp_vert_pp<8, W, H>; \
    p.pu[LUMA_ ## W ## x ## H].luma_vps = interp_vert_ps<8, W, H>; \
    p.pu[LUMA_ ## W ## x ## H].luma_vsp = interp_vert_sp<8, W, H>; \
    p.pu[LUMA_ ## W ## x ## H].luma_vss = interp_vert_ss<8, W, H>; \
    p.pu[LUMA_ ## W ## x ## H].luma_hvpp = interp_hv_pp<8, W, H>; \
    p.pu[LUMA_ ## W ## x ## H].convert_p2s[NONALIGNED] = convert_p2s<W, H>; \
    p.pu[LUMA_ ## W ## x ## H].convert_p2s[ALIGNED] = convert_p2s<W, H>; \
    p.pu[LUMA_ ## W ## x ## H].addAvg[NONALIGNED] = addAvg<W, H>; \
    p.pu[LUMA_ ## W ## x ## H].addAvg[ALIGNED] = addAvg<W, H>;
#define CHROMA(CSP, W, H) \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].filter_hpp = interp_horiz_pp<4, W, H>; \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].filter_hps = interp_horiz_ps<4, W, H>; \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].filter_vpp = interp_vert_pp<4, W, H>; \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].filter_vps = interp_vert_ps<4, W, H>; \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].filter_vsp = interp_vert_sp<4, W, H>; \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].filter_vss = interp_vert_ss<4, W, H>; \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].p2s[NONALIGNED] = convert_p2s<W, H>; \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].p2s[ALIGNED] = convert_p2s<W, H>; \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].addAvg[NONALIGNED] = addAvg<W, H>; \
    p.chroma[X265_CSP_I ## CSP].pu[CHROMA_ ## CSP ## _ ## W ## x ## H].addAvg[ALIGNED] = addAvg<W, H>;
#endif // if HIGH_BIT_DEPTH

    LUMA(4, 4);
    LUMA(8, 8);
    LUMA(8, 4);
    LUMA(4, 8);
    LUMA(16, 16);
    LUMA(16, 8);
    LUMA(8, 16);
    LUMA(16, 12);
    LUMA(12, 16);
    LUMA(16, 4);
    LUMA(4, 16);
    LUMA(32, 32);
    LUMA(32, 16);
    LUMA(16, 32);
    LUMA(32, 24);
    LUMA(24, 32);
    LUMA(32, 8);
    LUMA(8, 32);
    LUMA(64, 64);
    LUMA(64, 32);
    LUMA(32, 64);
    LUMA(64, 48);
    LUMA(48, 64);
    LUMA(64, 16);
    LUMA(16, 64);

    // those of two or six columns stay as they are
    CHROMA(420, 4, 4);
    CHROMA(420, 4, 2);
    CHROMA(420, 8, 8);
    CHROMA(420, 8, 4);
    CHROMA(420, 4, 8);
    CHROMA(420, 8, 6);
    CHROMA(420, 8, 2);
    CHROMA(420, 16, 16);
    CHROMA(420, 16, 8);
    CHROMA(420, 8, 16);
    CHROMA(420, 16, 12);
    CHROMA(420, 12, 16);
    CHROMA(420, 16, 4);
    CHROMA(420, 4, 16);
    CHROMA(420, 32, 32);
    CHROMA(420, 32, 16);
    CHROMA(420, 16, 32);
    CHROMA(420, 32, 24);
    CHROMA(420, 24, 32);
    CHROMA(420, 32, 8);
    CHROMA(420, 8, 32);
}
}

#endif // ifdef __wasm_simd128__
