/*****************************************************************************
 * dct.c: transforms and zigzag scan for WebAssembly
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
 * FFmpeg's libavcodec/wasm/h264_idct.c (LGPL-2.1-or-later);
 * their authors license them under that licence too.
 *****************************************************************************/

/* Transforms and zigzag, 8-bit. Names and results are those of common/dct.c. */

#include "common/common.h"
#include "wasm.h"
#include "vector.h"

/* Differences of pixels have 9 bits, their transforms at most 16: all of this is in 16-bit lanes. */

/****************************************************************************
 * 4x4, two blocks side by side
 ****************************************************************************/

/* The forward transform's butterflies, from a line of four to a line of four, in each lane. */
static ALWAYS_INLINE void dct4_1d( v128_t *r0, v128_t *r1, v128_t *r2, v128_t *r3 )
{
    v128_t s03 = wasm_i16x8_add( *r0, *r3 ), d03 = wasm_i16x8_sub( *r0, *r3 );
    v128_t s12 = wasm_i16x8_add( *r1, *r2 ), d12 = wasm_i16x8_sub( *r1, *r2 );
    *r0 = wasm_i16x8_add( s03, s12 );
    *r1 = wasm_i16x8_add( wasm_i16x8_add( d03, d03 ), d12 );
    *r2 = wasm_i16x8_sub( s03, s12 );
    *r3 = wasm_i16x8_sub( d03, wasm_i16x8_add( d12, d12 ) );
}

static ALWAYS_INLINE void idct4_1d( v128_t *r0, v128_t *r1, v128_t *r2, v128_t *r3 )
{
    v128_t s02 = wasm_i16x8_add( *r0, *r2 ), d02 = wasm_i16x8_sub( *r0, *r2 );
    v128_t s13 = wasm_i16x8_add( *r1, wasm_i16x8_shr( *r3, 1 ) ), d13 = wasm_i16x8_sub( wasm_i16x8_shr( *r1, 1 ), *r3 );
    *r0 = wasm_i16x8_add( s02, s13 );
    *r1 = wasm_i16x8_add( d02, d13 );
    *r2 = wasm_i16x8_sub( d02, d13 );
    *r3 = wasm_i16x8_sub( s02, s13 );
}

/* Each half of the four registers is a block of its own. */
static ALWAYS_INLINE void transpose_2x_4x4( v128_t r[4] )
{
    v128_t left01  = wasm_i16x8_shuffle( r[0], r[1], 0, 8, 1, 9, 2, 10, 3, 11 );
    v128_t left23  = wasm_i16x8_shuffle( r[2], r[3], 0, 8, 1, 9, 2, 10, 3, 11 );
    v128_t right01 = wasm_i16x8_shuffle( r[0], r[1], 4, 12, 5, 13, 6, 14, 7, 15 );
    v128_t right23 = wasm_i16x8_shuffle( r[2], r[3], 4, 12, 5, 13, 6, 14, 7, 15 );
    v128_t left_a  = wasm_i32x4_shuffle( left01, left23, 0, 4, 1, 5 ), left_b = wasm_i32x4_shuffle( left01, left23, 2, 6, 3, 7 );
    v128_t right_a = wasm_i32x4_shuffle( right01, right23, 0, 4, 1, 5 ), right_b = wasm_i32x4_shuffle( right01, right23, 2, 6, 3, 7 );
    r[0] = wasm_i64x2_shuffle( left_a, right_a, 0, 2 );
    r[1] = wasm_i64x2_shuffle( left_a, right_a, 1, 3 );
    r[2] = wasm_i64x2_shuffle( left_b, right_b, 0, 2 );
    r[3] = wasm_i64x2_shuffle( left_b, right_b, 1, 3 );
}

static ALWAYS_INLINE v128_t difference_8( const pixel *fenc, const pixel *fdec )
{
    return wasm_i16x8_sub( wasm_u16x8_load8x8( fenc ), wasm_u16x8_load8x8( fdec ) );
}

static void sub4x4_dct_wasm( dctcoef dct[16], pixel *fenc, pixel *fdec )
{
    v128_t source = load_4_rows_of_4( fenc, FENC_STRIDE ), prediction = load_4_rows_of_4( fdec, FDEC_STRIDE );
    v128_t r01 = wasm_i16x8_sub( wasm_u16x8_extend_low_u8x16( source ), wasm_u16x8_extend_low_u8x16( prediction ) );
    v128_t r23 = wasm_i16x8_sub( wasm_u16x8_extend_high_u8x16( source ), wasm_u16x8_extend_high_u8x16( prediction ) );
    for( int pass = 0; pass < 2; pass++ )
    {
        v128_t r1 = wasm_i64x2_shuffle( r01, r01, 1, 0 ), r3 = wasm_i64x2_shuffle( r23, r23, 1, 0 );
        dct4_1d( &r01, &r1, &r23, &r3 );
        r01 = wasm_i64x2_shuffle( r01, r1, 0, 2 );
        r23 = wasm_i64x2_shuffle( r23, r3, 0, 2 );
        if( pass == 0 )
            transpose_4x4_i16( &r01, &r23 );
    }
    wasm_v128_store( dct, r01 );
    wasm_v128_store( dct + 8, r23 );
}

/* Two blocks side by side. x264 keeps coefficients transposed: columns first, one transpose, rows. */
static ALWAYS_INLINE void sub8x4_dct( dctcoef dct[2][16], const pixel *fenc, const pixel *fdec )
{
    v128_t r[4];
    for( int y = 0; y < 4; y++ )
        r[y] = difference_8( fenc + y*FENC_STRIDE, fdec + y*FDEC_STRIDE );
    dct4_1d( &r[0], &r[1], &r[2], &r[3] );
    transpose_2x_4x4( r );
    dct4_1d( &r[0], &r[1], &r[2], &r[3] );
    wasm_v128_store( dct[0],     wasm_i64x2_shuffle( r[0], r[1], 0, 2 ) );
    wasm_v128_store( dct[0] + 8, wasm_i64x2_shuffle( r[2], r[3], 0, 2 ) );
    wasm_v128_store( dct[1],     wasm_i64x2_shuffle( r[0], r[1], 1, 3 ) );
    wasm_v128_store( dct[1] + 8, wasm_i64x2_shuffle( r[2], r[3], 1, 3 ) );
}

static ALWAYS_INLINE void sub8x8_dct( dctcoef dct[4][16], const pixel *fenc, const pixel *fdec )
{
    sub8x4_dct( dct, fenc, fdec );
    sub8x4_dct( dct + 2, fenc + 4*FENC_STRIDE, fdec + 4*FDEC_STRIDE );
}

static void sub8x8_dct_wasm( dctcoef dct[4][16], pixel *fenc, pixel *fdec )
{
    sub8x8_dct( dct, fenc, fdec );
}

static void sub16x16_dct_wasm( dctcoef dct[16][16], pixel *fenc, pixel *fdec )
{
    for( int i = 0; i < 4; i++ )
        sub8x8_dct( dct + 4*i, fenc + 8*(i&1) + 8*(i>>1)*FENC_STRIDE, fdec + 8*(i&1) + 8*(i>>1)*FDEC_STRIDE );
}

static ALWAYS_INLINE void add_row_8( pixel *dst, v128_t residual )
{
    v128_t sum = wasm_i16x8_add( wasm_u16x8_load8x8( dst ), residual );
    wasm_v128_store64_lane( dst, wasm_u8x16_narrow_i16x8( sum, sum ), 0 );
}

static ALWAYS_INLINE v128_t round_6( v128_t v )
{
    return wasm_i16x8_shr( wasm_i16x8_add( v, wasm_i16x8_const_splat( 32 ) ), 6 );
}

static void add4x4_idct_wasm( pixel *dst, dctcoef dct[16] )
{
    v128_t r01 = wasm_v128_load( dct ), r23 = wasm_v128_load( dct + 8 );
    for( int pass = 0; pass < 2; pass++ )
    {
        v128_t r1 = wasm_i64x2_shuffle( r01, r01, 1, 0 ), r3 = wasm_i64x2_shuffle( r23, r23, 1, 0 );
        idct4_1d( &r01, &r1, &r23, &r3 );
        r01 = wasm_i64x2_shuffle( r01, r1, 0, 2 );
        r23 = wasm_i64x2_shuffle( r23, r3, 0, 2 );
        if( pass == 0 )
            transpose_4x4_i16( &r01, &r23 );
    }
    v128_t old = load_4_rows_of_4( dst, FDEC_STRIDE );
    v128_t low = wasm_i16x8_add( wasm_u16x8_extend_low_u8x16( old ), round_6( r01 ) );
    v128_t high = wasm_i16x8_add( wasm_u16x8_extend_high_u8x16( old ), round_6( r23 ) );
    store_4_rows_of_4( dst, FDEC_STRIDE, wasm_u8x16_narrow_i16x8( low, high ) );
}

static ALWAYS_INLINE void add8x4_idct( pixel *dst, dctcoef dct[2][16] )
{
    v128_t left01 = wasm_v128_load( dct[0] ), left23 = wasm_v128_load( dct[0] + 8 );
    v128_t right01 = wasm_v128_load( dct[1] ), right23 = wasm_v128_load( dct[1] + 8 );
    v128_t r[4] = { wasm_i64x2_shuffle( left01, right01, 0, 2 ), wasm_i64x2_shuffle( left01, right01, 1, 3 ),
                    wasm_i64x2_shuffle( left23, right23, 0, 2 ), wasm_i64x2_shuffle( left23, right23, 1, 3 ) };
    idct4_1d( &r[0], &r[1], &r[2], &r[3] );
    transpose_2x_4x4( r );
    idct4_1d( &r[0], &r[1], &r[2], &r[3] );
    for( int y = 0; y < 4; y++ )
        add_row_8( dst + y*FDEC_STRIDE, round_6( r[y] ) );
}

static ALWAYS_INLINE void add8x8_idct( pixel *dst, dctcoef dct[4][16] )
{
    add8x4_idct( dst, dct );
    add8x4_idct( dst + 4*FDEC_STRIDE, dct + 2 );
}

static void add8x8_idct_wasm( pixel *dst, dctcoef dct[4][16] )
{
    add8x8_idct( dst, dct );
}

static void add16x16_idct_wasm( pixel *dst, dctcoef dct[16][16] )
{
    for( int i = 0; i < 4; i++ )
        add8x8_idct( dst + 8*(i&1) + 8*(i>>1)*FDEC_STRIDE, dct + 4*i );
}

/****************************************************************************
 * DC alone
 ****************************************************************************/

/* Two DCs next to each other in eight lanes. */
static ALWAYS_INLINE void add8x4_idct_dc( pixel *dst, const dctcoef *dct )
{
    v128_t dc = wasm_v128_load32_zero( dct );
    dc = round_6( wasm_i16x8_shuffle( dc, dc, 0, 0, 0, 0, 1, 1, 1, 1 ) );
    for( int y = 0; y < 4; y++ )
        add_row_8( dst + y*FDEC_STRIDE, dc );
}

static void add8x8_idct_dc_wasm( pixel *dst, dctcoef dct[4] )
{
    add8x4_idct_dc( dst, dct );
    add8x4_idct_dc( dst + 4*FDEC_STRIDE, dct + 2 );
}

static void add16x16_idct_dc_wasm( pixel *dst, dctcoef dct[16] )
{
    for( int i = 0; i < 4; i++, dct += 4, dst += 4*FDEC_STRIDE )
    {
        add8x4_idct_dc( dst, dct );
        add8x4_idct_dc( dst + 8, dct + 2 );
    }
}

/* Sums of the differences of two 4x4 blocks side by side, in the lanes 0 and 1 (with 2 and 3) of what comes out. */
static ALWAYS_INLINE v128_t sub8x4_dct_dc( const pixel *fenc, const pixel *fdec )
{
    v128_t sums = difference_8( fenc, fdec );
    for( int y = 1; y < 4; y++ )
        sums = wasm_i16x8_add( sums, difference_8( fenc + y*FENC_STRIDE, fdec + y*FDEC_STRIDE ) );
    sums = wasm_i32x4_dot_i16x8( sums, wasm_i16x8_const_splat( 1 ) );
    return wasm_i32x4_add( sums, wasm_i32x4_shuffle( sums, sums, 1, 0, 3, 2 ) );
}

static void sub8x8_dct_dc_wasm( dctcoef dct[4], pixel *fenc, pixel *fdec )
{
    v128_t upper = sub8x4_dct_dc( fenc, fdec ), lower = sub8x4_dct_dc( fenc + 4*FENC_STRIDE, fdec + 4*FDEC_STRIDE );
    int a0 = wasm_i32x4_extract_lane( upper, 0 ), a1 = wasm_i32x4_extract_lane( upper, 2 );
    int a2 = wasm_i32x4_extract_lane( lower, 0 ), a3 = wasm_i32x4_extract_lane( lower, 2 );
    int d0 = a0 + a1, d1 = a2 + a3, d2 = a0 - a1, d3 = a2 - a3;
    dct[0] = d0 + d1;
    dct[1] = d0 - d1;
    dct[2] = d2 + d3;
    dct[3] = d2 - d3;
}

/****************************************************************************
 * 8x8
 ****************************************************************************/

static ALWAYS_INLINE void dct8_1d( v128_t r[8] )
{
    v128_t s07 = wasm_i16x8_add( r[0], r[7] ), d07 = wasm_i16x8_sub( r[0], r[7] );
    v128_t s16 = wasm_i16x8_add( r[1], r[6] ), d16 = wasm_i16x8_sub( r[1], r[6] );
    v128_t s25 = wasm_i16x8_add( r[2], r[5] ), d25 = wasm_i16x8_sub( r[2], r[5] );
    v128_t s34 = wasm_i16x8_add( r[3], r[4] ), d34 = wasm_i16x8_sub( r[3], r[4] );
    v128_t a0 = wasm_i16x8_add( s07, s34 ), a2 = wasm_i16x8_sub( s07, s34 );
    v128_t a1 = wasm_i16x8_add( s16, s25 ), a3 = wasm_i16x8_sub( s16, s25 );
    v128_t d07_3 = wasm_i16x8_add( d07, wasm_i16x8_shr( d07, 1 ) ), d16_3 = wasm_i16x8_add( d16, wasm_i16x8_shr( d16, 1 ) );
    v128_t d25_3 = wasm_i16x8_add( d25, wasm_i16x8_shr( d25, 1 ) ), d34_3 = wasm_i16x8_add( d34, wasm_i16x8_shr( d34, 1 ) );
    v128_t a4 = wasm_i16x8_add( wasm_i16x8_add( d16, d25 ), d07_3 );
    v128_t a5 = wasm_i16x8_sub( wasm_i16x8_sub( d07, d34 ), d25_3 );
    v128_t a6 = wasm_i16x8_sub( wasm_i16x8_add( d07, d34 ), d16_3 );
    v128_t a7 = wasm_i16x8_add( wasm_i16x8_sub( d16, d25 ), d34_3 );
    r[0] = wasm_i16x8_add( a0, a1 );
    r[1] = wasm_i16x8_add( a4, wasm_i16x8_shr( a7, 2 ) );
    r[2] = wasm_i16x8_add( a2, wasm_i16x8_shr( a3, 1 ) );
    r[3] = wasm_i16x8_add( a5, wasm_i16x8_shr( a6, 2 ) );
    r[4] = wasm_i16x8_sub( a0, a1 );
    r[5] = wasm_i16x8_sub( a6, wasm_i16x8_shr( a5, 2 ) );
    r[6] = wasm_i16x8_sub( wasm_i16x8_shr( a2, 1 ), a3 );
    r[7] = wasm_i16x8_sub( wasm_i16x8_shr( a4, 2 ), a7 );
}

static ALWAYS_INLINE void sub8x8_dct8( dctcoef dct[64], const pixel *fenc, const pixel *fdec )
{
    v128_t r[8];
    for( int y = 0; y < 8; y++ )
        r[y] = difference_8( fenc + y*FENC_STRIDE, fdec + y*FDEC_STRIDE );
    dct8_1d( r );
    transpose_8x8_i16( r );
    dct8_1d( r );
    for( int i = 0; i < 8; i++ )
        wasm_v128_store( dct + 8*i, r[i] );
}

static void sub8x8_dct8_wasm( dctcoef dct[64], pixel *fenc, pixel *fdec )
{
    sub8x8_dct8( dct, fenc, fdec );
}

static void sub16x16_dct8_wasm( dctcoef dct[4][64], pixel *fenc, pixel *fdec )
{
    for( int i = 0; i < 4; i++ )
        sub8x8_dct8( dct[i], fenc + 8*(i&1) + 8*(i>>1)*FENC_STRIDE, fdec + 8*(i&1) + 8*(i>>1)*FDEC_STRIDE );
}

static ALWAYS_INLINE void idct8_1d( v128_t r[8] )
{
    v128_t a0 = wasm_i16x8_add( r[0], r[4] ), a2 = wasm_i16x8_sub( r[0], r[4] );
    v128_t a4 = wasm_i16x8_sub( wasm_i16x8_shr( r[2], 1 ), r[6] ), a6 = wasm_i16x8_add( wasm_i16x8_shr( r[6], 1 ), r[2] );
    v128_t b0 = wasm_i16x8_add( a0, a6 ), b6 = wasm_i16x8_sub( a0, a6 );
    v128_t b2 = wasm_i16x8_add( a2, a4 ), b4 = wasm_i16x8_sub( a2, a4 );
    v128_t r1_3 = wasm_i16x8_add( r[1], wasm_i16x8_shr( r[1], 1 ) ), r3_3 = wasm_i16x8_add( r[3], wasm_i16x8_shr( r[3], 1 ) );
    v128_t r5_3 = wasm_i16x8_add( r[5], wasm_i16x8_shr( r[5], 1 ) ), r7_3 = wasm_i16x8_add( r[7], wasm_i16x8_shr( r[7], 1 ) );
    v128_t a1 = wasm_i16x8_sub( wasm_i16x8_sub( r[5], r[3] ), r7_3 );
    v128_t a3 = wasm_i16x8_sub( wasm_i16x8_add( r[1], r[7] ), r3_3 );
    v128_t a5 = wasm_i16x8_add( wasm_i16x8_sub( r[7], r[1] ), r5_3 );
    v128_t a7 = wasm_i16x8_add( wasm_i16x8_add( r[3], r[5] ), r1_3 );
    v128_t b1 = wasm_i16x8_add( wasm_i16x8_shr( a7, 2 ), a1 );
    v128_t b3 = wasm_i16x8_add( a3, wasm_i16x8_shr( a5, 2 ) );
    v128_t b5 = wasm_i16x8_sub( wasm_i16x8_shr( a3, 2 ), a5 );
    v128_t b7 = wasm_i16x8_sub( a7, wasm_i16x8_shr( a1, 2 ) );
    r[0] = wasm_i16x8_add( b0, b7 );
    r[1] = wasm_i16x8_add( b2, b5 );
    r[2] = wasm_i16x8_add( b4, b3 );
    r[3] = wasm_i16x8_add( b6, b1 );
    r[4] = wasm_i16x8_sub( b6, b1 );
    r[5] = wasm_i16x8_sub( b4, b3 );
    r[6] = wasm_i16x8_sub( b2, b5 );
    r[7] = wasm_i16x8_sub( b0, b7 );
}

static ALWAYS_INLINE void add8x8_idct8( pixel *dst, dctcoef dct[64] )
{
    v128_t r[8];
    for( int i = 0; i < 8; i++ )
        r[i] = wasm_v128_load( dct + 8*i );
    idct8_1d( r );
    transpose_8x8_i16( r );
    idct8_1d( r );
    for( int y = 0; y < 8; y++ )
        add_row_8( dst + y*FDEC_STRIDE, round_6( r[y] ) );
}

static void add8x8_idct8_wasm( pixel *dst, dctcoef dct[64] )
{
    add8x8_idct8( dst, dct );
}

static void add16x16_idct8_wasm( pixel *dst, dctcoef dct[4][64] )
{
    for( int i = 0; i < 4; i++ )
        add8x8_idct8( dst + 8*(i&1) + 8*(i>>1)*FDEC_STRIDE, dct[i] );
}

void x264_dct_init_wasm( x264_dct_function_t *dctf )
{
    dctf->sub4x4_dct       = sub4x4_dct_wasm;
    dctf->sub8x8_dct       = sub8x8_dct_wasm;
    dctf->sub16x16_dct     = sub16x16_dct_wasm;
    dctf->add4x4_idct      = add4x4_idct_wasm;
    dctf->add8x8_idct      = add8x8_idct_wasm;
    dctf->add16x16_idct    = add16x16_idct_wasm;
    dctf->add8x8_idct_dc   = add8x8_idct_dc_wasm;
    dctf->add16x16_idct_dc = add16x16_idct_dc_wasm;
    dctf->sub8x8_dct_dc    = sub8x8_dct_dc_wasm;
    dctf->sub8x8_dct8      = sub8x8_dct8_wasm;
    dctf->sub16x16_dct8    = sub16x16_dct8_wasm;
    dctf->add8x8_idct8     = add8x8_idct8_wasm;
    dctf->add16x16_idct8   = add16x16_idct8_wasm;
}

/****************************************************************************
 * Zigzag
 ****************************************************************************/

static void zigzag_scan_4x4_frame_wasm( dctcoef level[16], dctcoef dct[16] )
{
    v128_t low = wasm_v128_load( dct ), high = wasm_v128_load( dct + 8 );
    wasm_v128_store( level,     wasm_i16x8_shuffle( low, high, 0, 4, 1, 2, 5, 8, 12, 9 ) );
    wasm_v128_store( level + 8, wasm_i16x8_shuffle( low, high, 6, 3, 7, 10, 13, 14, 11, 15 ) );
}

static void zigzag_scan_4x4_field_wasm( dctcoef level[16], dctcoef dct[16] )
{
    v128_t low = wasm_v128_load( dct ), high = wasm_v128_load( dct + 8 );
    wasm_v128_store( level,     wasm_i16x8_shuffle( low, low, 0, 1, 4, 2, 3, 5, 6, 7 ) );
    wasm_v128_store( level + 8, high );
}

/* The even lanes of two registers next to each other, and the odd ones. */
static ALWAYS_INLINE v128_t evens( v128_t a, v128_t b )
{
    return wasm_i16x8_shuffle( a, b, 0, 2, 4, 6, 8, 10, 12, 14 );
}
static ALWAYS_INLINE v128_t odds( v128_t a, v128_t b )
{
    return wasm_i16x8_shuffle( a, b, 1, 3, 5, 7, 9, 11, 13, 15 );
}

/* Every fourth of 64 levels goes to each of four blocks: even and odd ones, twice. */
static void zigzag_interleave_8x8_cavlc_wasm( dctcoef *dst, dctcoef *src, uint8_t *nnz )
{
    v128_t even[4], odd[4];
    for( int i = 0; i < 4; i++ )
    {
        v128_t a = wasm_v128_load( src + 16*i ), b = wasm_v128_load( src + 16*i + 8 );
        even[i] = evens( a, b );
        odd[i] = odds( a, b );
    }
    v128_t blocks[4][2];
    for( int half = 0; half < 2; half++ )
    {
        blocks[0][half] = evens( even[2*half], even[2*half+1] );
        blocks[1][half] = evens( odd[2*half], odd[2*half+1] );
        blocks[2][half] = odds( even[2*half], even[2*half+1] );
        blocks[3][half] = odds( odd[2*half], odd[2*half+1] );
    }
    for( int i = 0; i < 4; i++ )
    {
        wasm_v128_store( dst + 16*i, blocks[i][0] );
        wasm_v128_store( dst + 16*i + 8, blocks[i][1] );
        nnz[(i&1) + (i>>1)*8] = wasm_v128_any_true( wasm_v128_or( blocks[i][0], blocks[i][1] ) );
    }
}

void x264_zigzag_init_wasm( x264_zigzag_function_t *pf_progressive, x264_zigzag_function_t *pf_interlaced )
{
    pf_progressive->scan_4x4 = zigzag_scan_4x4_frame_wasm;
    pf_interlaced->scan_4x4  = zigzag_scan_4x4_field_wasm;
    pf_progressive->interleave_8x8_cavlc =
    pf_interlaced->interleave_8x8_cavlc  = zigzag_interleave_8x8_cavlc_wasm;
}
