/*****************************************************************************
 * vector.h: helpers of the kernels for WebAssembly
 *****************************************************************************
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
 *
 * Parts of this file are also in
 * FFmpeg's libavcodec/wasm/vector.h (LGPL-2.1-or-later) and
 * openh264's codec/common/wasm/vector.h (BSD-2-Clause);
 * their authors license them under those licences too.
 *****************************************************************************/

/* Loads, stores and steps that the kernels share. The intrinsics here are those that an engine on x86-64 compiles to one
 * instruction each; where one takes several, a comment says so. */

#ifndef X264_WASM_VECTOR_H
#define X264_WASM_VECTOR_H

#include <wasm_simd128.h>

static ALWAYS_INLINE v128_t load_2_rows_of_8( const pixel *row, intptr_t stride )
{
    return wasm_v128_load64_lane( row + stride, wasm_v128_load64_zero( row ), 1 );
}

static ALWAYS_INLINE v128_t load_4_rows_of_4( const pixel *row, intptr_t stride )
{
    v128_t rows = wasm_v128_load32_zero( row );
    rows = wasm_v128_load32_lane( row + stride, rows, 1 );
    rows = wasm_v128_load32_lane( row + 2*stride, rows, 2 );
    return wasm_v128_load32_lane( row + 3*stride, rows, 3 );
}

static ALWAYS_INLINE void store_4_rows_of_4( pixel *row, intptr_t stride, v128_t rows )
{
    wasm_v128_store32_lane( row, rows, 0 );
    wasm_v128_store32_lane( row + stride, rows, 1 );
    wasm_v128_store32_lane( row + 2*stride, rows, 2 );
    wasm_v128_store32_lane( row + 3*stride, rows, 3 );
}

static ALWAYS_INLINE v128_t absolute_difference_u8( v128_t a, v128_t b )
{
    return wasm_v128_or( wasm_u8x16_sub_sat( a, b ), wasm_u8x16_sub_sat( b, a ) );
}

static ALWAYS_INLINE int sum_i32x4( v128_t sums )
{
    sums = wasm_i32x4_add( sums, wasm_i32x4_shuffle( sums, sums, 2, 3, 0, 1 ) );
    return wasm_i32x4_extract_lane( sums, 0 ) + wasm_i32x4_extract_lane( sums, 1 );
}

/* pmaddwd with ones: one instruction where an unsigned extadd_pairwise takes several. Each lane is below 32768. */
static ALWAYS_INLINE int sum_i16x8( v128_t sums )
{
    return sum_i32x4( wasm_i32x4_dot_i16x8( sums, wasm_i16x8_const_splat( 1 ) ) );
}

/* Four rows of four 16-bit numbers in two registers become columns. */
static ALWAYS_INLINE void transpose_4x4_i16( v128_t *rows01, v128_t *rows23 )
{
    v128_t low  = wasm_i16x8_shuffle( *rows01, *rows23, 0, 8, 1, 9, 2, 10, 3, 11 );
    v128_t high = wasm_i16x8_shuffle( *rows01, *rows23, 4, 12, 5, 13, 6, 14, 7, 15 );
    *rows01 = wasm_i16x8_shuffle( low, high, 0, 8, 1, 9, 2, 10, 3, 11 );
    *rows23 = wasm_i16x8_shuffle( low, high, 4, 12, 5, 13, 6, 14, 7, 15 );
}

/* Three rounds of interleaving rows that lie four apart, all of them single unpack instructions. */
static ALWAYS_INLINE void transpose_8x8_i16( v128_t r[8] )
{
    for( int round = 0; round < 3; round++ )
    {
        v128_t t[8];
        for( int i = 0; i < 4; i++ )
        {
            t[2*i]   = wasm_i16x8_shuffle( r[i], r[i+4], 0, 8, 1, 9, 2, 10, 3, 11 );
            t[2*i+1] = wasm_i16x8_shuffle( r[i], r[i+4], 4, 12, 5, 13, 6, 14, 7, 15 );
        }
        for( int i = 0; i < 8; i++ )
            r[i] = t[i];
    }
}

#endif
