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

// Transforms.

#include "common.h"
#include "primitives.h"
#include "constants.h"
#include "wasm.h"

#ifdef __wasm_simd128__

#include <wasm_simd128.h>

using namespace X265_NS;

namespace {
// place functions in anonymous namespace (file static)

template<int N>
inline const int16_t* matrix();
template<>
inline const int16_t* matrix<8>() { return &g_t8[0][0]; }
template<>
inline const int16_t* matrix<16>() { return &g_t16[0][0]; }
template<>
inline const int16_t* matrix<32>() { return &g_t32[0][0]; }

inline v128_t reversed(v128_t a)
{
    return wasm_i16x8_shuffle(a, a, 7, 6, 5, 4, 3, 2, 1, 0);
}

// Lanes of 32 bits of four vectors become vectors of four.
inline void transpose32(v128_t& a, v128_t& b, v128_t& c, v128_t& d)
{
    const v128_t ab0 = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab1 = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
    const v128_t cd0 = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd1 = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
    a = wasm_i64x2_shuffle(ab0, cd0, 0, 2);
    b = wasm_i64x2_shuffle(ab0, cd0, 1, 3);
    c = wasm_i64x2_shuffle(ab1, cd1, 0, 2);
    d = wasm_i64x2_shuffle(ab1, cd1, 1, 3);
}

// The products of a matrix's row with four rows of pairs of samples.
template<int count>
inline v128_t product(const v128_t* pairs, const int16_t* coeff)
{
    v128_t sum = wasm_i32x4_dot_i16x8(pairs[0], wasm_v128_load32_splat(coeff));
    for (int i = 1; i < count; i++)
        sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(pairs[i], wasm_v128_load32_splat(coeff + 2 * i)));
    return sum;
}

// Each of a block's rows times the matrix, into a column. Rows whose samples are all small enough for 16 bits to hold the sums
// of two take half of the products, since the matrix's rows are symmetric or antisymmetric.
template<int N>
inline void forwardPass(const int16_t* src, intptr_t srcStride, int16_t* dst, int shift)
{
    const int16_t* g = matrix<N>();
    const v128_t round = wasm_i32x4_splat(1 << (shift - 1));
    for (int j = 0; j < N; j += 4)
    {
        v128_t rows[4][N / 8], pairs[N / 2], odd[N / 4];
        v128_t magnitudes = wasm_i32x4_const_splat(0);
        for (int r = 0; r < 4; r++)
            for (int i = 0; i < N / 8; i++)
            {
                rows[r][i] = wasm_v128_load(src + (j + r) * srcStride + 8 * i);
                magnitudes = wasm_v128_or(magnitudes, wasm_v128_xor(rows[r][i], wasm_i16x8_shr(rows[r][i], 15)));
            }
        const bool isSmall = !wasm_v128_any_true(wasm_v128_and(magnitudes, wasm_i16x8_const_splat(0x4000)));
        if (isSmall && N >= 16)
        {
            for (int i = 0; i < N / 16; i++)
            {
                v128_t even[4], uneven[4];
                for (int r = 0; r < 4; r++)
                {
                    const v128_t mirrored = reversed(rows[r][N / 8 - 1 - i]);
                    even[r] = wasm_i16x8_add(rows[r][i], mirrored);
                    uneven[r] = wasm_i16x8_sub(rows[r][i], mirrored);
                }
                transpose32(even[0], even[1], even[2], even[3]);
                transpose32(uneven[0], uneven[1], uneven[2], uneven[3]);
                for (int r = 0; r < 4; r++)
                {
                    pairs[4 * i + r] = even[r];
                    odd[4 * i + r] = uneven[r];
                }
            }
            for (int k = 0; k < N; k += 2)
            {
                const v128_t a = wasm_i32x4_shr(wasm_i32x4_add(product<N / 4>(pairs, g + k * N), round), shift);
                const v128_t b = wasm_i32x4_shr(wasm_i32x4_add(product<N / 4>(odd, g + (k + 1) * N), round), shift);
                const v128_t both = wasm_i16x8_narrow_i32x4(a, b);
                wasm_v128_store64_lane(dst + k * N + j, both, 0);
                wasm_v128_store64_lane(dst + (k + 1) * N + j, both, 1);
            }
            continue;
        }
        for (int i = 0; i < N / 8; i++)
        {
            transpose32(rows[0][i], rows[1][i], rows[2][i], rows[3][i]);
            for (int r = 0; r < 4; r++)
                pairs[4 * i + r] = rows[r][i];
        }
        for (int k = 0; k < N; k += 2)
        {
            const v128_t a = wasm_i32x4_shr(wasm_i32x4_add(product<N / 2>(pairs, g + k * N), round), shift);
            const v128_t b = wasm_i32x4_shr(wasm_i32x4_add(product<N / 2>(pairs, g + (k + 1) * N), round), shift);
            const v128_t both = wasm_i16x8_narrow_i32x4(a, b);
            wasm_v128_store64_lane(dst + k * N + j, both, 0);
            wasm_v128_store64_lane(dst + (k + 1) * N + j, both, 1);
        }
    }
}

template<int N>
struct Log2;
template<>
struct Log2<8> { enum { value = 3 }; };
template<>
struct Log2<16> { enum { value = 4 }; };
template<>
struct Log2<32> { enum { value = 5 }; };

template<int N>
void dct(const int16_t* src, int16_t* dst, intptr_t srcStride)
{
    ALIGN_VAR_32(int16_t, coef[N * N]);
    forwardPass<N>(src, srcStride, coef, Log2<N>::value - 1 + X265_DEPTH - 8);
    forwardPass<N>(coef, N, dst, Log2<N>::value + 6);
}

inline void transpose16(v128_t m[8])
{
    v128_t a[8], b[8];
    for (int i = 0; i < 4; i++)
    {
        a[2 * i] = wasm_i16x8_shuffle(m[2 * i], m[2 * i + 1], 0, 8, 1, 9, 2, 10, 3, 11);
        a[2 * i + 1] = wasm_i16x8_shuffle(m[2 * i], m[2 * i + 1], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int i = 0; i < 2; i++)
    {
        b[4 * i] = wasm_i32x4_shuffle(a[4 * i], a[4 * i + 2], 0, 4, 1, 5);
        b[4 * i + 1] = wasm_i32x4_shuffle(a[4 * i], a[4 * i + 2], 2, 6, 3, 7);
        b[4 * i + 2] = wasm_i32x4_shuffle(a[4 * i + 1], a[4 * i + 3], 0, 4, 1, 5);
        b[4 * i + 3] = wasm_i32x4_shuffle(a[4 * i + 1], a[4 * i + 3], 2, 6, 3, 7);
    }
    for (int i = 0; i < 4; i++)
    {
        m[2 * i] = wasm_i64x2_shuffle(b[i], b[i + 4], 0, 2);
        m[2 * i + 1] = wasm_i64x2_shuffle(b[i], b[i + 4], 1, 3);
    }
}

inline v128_t interleave(const int16_t* a, const int16_t* b)
{
    return wasm_i16x8_shuffle(wasm_v128_load64_zero(a), wasm_v128_load64_zero(b), 0, 8, 1, 9, 2, 10, 3, 11);
}

// Coefficients of a column of the matrix, in pairs of rows that are `step` apart.
template<int N, int first, int step>
inline v128_t inverseProduct(const v128_t* pairs, int k)
{
    const int16_t* g = matrix<N>();
    v128_t sum = wasm_i32x4_const_splat(0);
    for (int i = 0; i < N / (2 * step); i++)
    {
        const int16_t* a = g + (first + 2 * i * step) * N + k;
        const int32_t pair = (uint16_t)a[0] | (uint32_t)(uint16_t)a[step * N] << 16;
        const v128_t part = wasm_i32x4_dot_i16x8(pairs[i], wasm_i32x4_splat(pair));
        sum = i ? wasm_i32x4_add(sum, part) : part;
    }
    return sum;
}

// Each of a block's columns times the transposed matrix, into a row.
template<int N>
inline void inversePass(const int16_t* src, int16_t* dst, intptr_t dstStride, int shift)
{
    const v128_t round = wasm_i32x4_splat(1 << (shift - 1));
    for (int j = 0; j < N; j += 8)
    {
        v128_t out[N];
        v128_t low[N];
        for (int half = 0; half < 2; half++)
        {
            // pairs of odd rows, of rows that are odd when halved, and of the rest
            v128_t odd[N / 4], middle[N / 8], rest[N / 8];
            for (int i = 0; i < N / 4; i++)
                odd[i] = interleave(src + (4 * i + 1) * N + j + 4 * half, src + (4 * i + 3) * N + j + 4 * half);
            for (int i = 0; i < N / 8; i++)
            {
                middle[i] = interleave(src + (8 * i + 2) * N + j + 4 * half, src + (8 * i + 6) * N + j + 4 * half);
                rest[i] = interleave(src + 8 * i * N + j + 4 * half, src + (8 * i + 4) * N + j + 4 * half);
            }
            v128_t even[N / 2];
            for (int k = 0; k < N / 4; k++)
            {
                const v128_t a = wasm_i32x4_add(inverseProduct<N, 0, 4>(rest, k), round), b = inverseProduct<N, 2, 4>(middle, k);
                even[k] = wasm_i32x4_add(a, b);
                even[N / 2 - 1 - k] = wasm_i32x4_sub(a, b);
            }
            for (int k = 0; k < N / 2; k++)
            {
                const v128_t o = inverseProduct<N, 1, 2>(odd, k);
                const v128_t x = wasm_i32x4_shr(wasm_i32x4_add(even[k], o), shift), y = wasm_i32x4_shr(wasm_i32x4_sub(even[k], o), shift);
                if (half)
                {
                    out[k] = wasm_i16x8_narrow_i32x4(low[k], x);
                    out[N - 1 - k] = wasm_i16x8_narrow_i32x4(low[N - 1 - k], y);
                }
                else
                {
                    low[k] = x;
                    low[N - 1 - k] = y;
                }
            }
        }
        for (int i = 0; i < N; i += 8)
        {
            transpose16(out + i);
            for (int r = 0; r < 8; r++)
                wasm_v128_store(dst + (j + r) * dstStride + i, out[i + r]);
        }
    }
}

template<int N>
void idct(const int16_t* src, int16_t* dst, intptr_t dstStride)
{
    ALIGN_VAR_32(int16_t, rows[N * N]);
    inversePass<N>(src, rows, N, 7);
    inversePass<N>(rows, dst, dstStride, 12 - (X265_DEPTH - 8));
}

// Quantised levels, and what rounding left of each.
uint32_t quant(const int16_t* coef, const int32_t* quantCoeff, int32_t* deltaU, int16_t* qCoef, int qBits, int add, int numCoeff)
{
    const int qBits8 = qBits - 8;
    const v128_t rounding = wasm_i32x4_splat(add);
    v128_t zeros = wasm_i32x4_const_splat(0);
    for (int i = 0; i < numCoeff; i += 8)
    {
        const v128_t c = wasm_v128_load(coef + i);
        v128_t levels[2];
        for (int half = 0; half < 2; half++)
        {
            const v128_t values = half ? wasm_i32x4_extend_high_i16x8(c) : wasm_i32x4_extend_low_i16x8(c);
            const v128_t scaled = wasm_i32x4_mul(wasm_i32x4_abs(values), wasm_v128_load(quantCoeff + i + 4 * half));
            const v128_t level = wasm_i32x4_shr(wasm_i32x4_add(scaled, rounding), qBits);
            wasm_v128_store(deltaU + i + 4 * half, wasm_i32x4_shr(wasm_i32x4_sub(scaled, wasm_i32x4_shl(level, qBits)), qBits8));
            zeros = wasm_i32x4_sub(zeros, wasm_i32x4_ne(level, wasm_i32x4_const_splat(0)));
            const v128_t sign = wasm_i32x4_shr(values, 31);
            levels[half] = wasm_i32x4_sub(wasm_v128_xor(level, sign), sign);
        }
        wasm_v128_store(qCoef + i, wasm_i16x8_narrow_i32x4(levels[0], levels[1]));
    }
    return wasm_i32x4_extract_lane(zeros, 0) + wasm_i32x4_extract_lane(zeros, 1) + wasm_i32x4_extract_lane(zeros, 2) +
           wasm_i32x4_extract_lane(zeros, 3);
}
}

namespace X265_NS {
// private x265 namespace

void setupDCTPrimitives_wasm(EncoderPrimitives &p)
{
    p.cu[BLOCK_8x8].dct = dct<8>;
    p.cu[BLOCK_16x16].dct = dct<16>;
    p.cu[BLOCK_32x32].dct = dct<32>;
    p.cu[BLOCK_8x8].idct = idct<8>;
    p.cu[BLOCK_16x16].idct = idct<16>;
    p.cu[BLOCK_32x32].idct = idct<32>;
    p.quant = quant;
}
}

#endif // ifdef __wasm_simd128__
