/*****************************************************************************
 * deblock.c: deblocking for WebAssembly
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
 * FFmpeg's libavcodec/wasm/h264_deblock.c (LGPL-2.1-or-later) and
 * openh264's codec/common/wasm/deblock_wasm.c (BSD-2-Clause);
 * their authors license them under those licences too.
 *****************************************************************************/

/* Deblocking, 8-bit. Names and results are those of common/deblock.c. */

#include "common/common.h"
#include "wasm.h"
#include "vector.h"

/* A filter works on 16 positions along an edge, a register to each distance from it: p3 p2 p1 p0 | q0 q1 q2 q3. */

static ALWAYS_INLINE v128_t below( v128_t a, v128_t b, v128_t limit )
{
    return wasm_u8x16_lt( absolute_difference_u8( a, b ), limit );
}

/* All bits set where the edge is filtered. */
static ALWAYS_INLINE v128_t filtered( v128_t p1, v128_t p0, v128_t q0, v128_t q1, int alpha, int beta )
{
    v128_t betas = wasm_i8x16_splat( beta );
    v128_t mask = wasm_v128_and( below( p0, q0, wasm_i8x16_splat( alpha ) ), below( p1, p0, betas ) );
    return wasm_v128_and( mask, below( q1, q0, betas ) );
}

/* (a + b) >> 1, where the instruction rounds up. */
static ALWAYS_INLINE v128_t average_down( v128_t a, v128_t b )
{
    v128_t odd = wasm_v128_and( wasm_v128_xor( a, b ), wasm_i8x16_const_splat( 1 ) );
    return wasm_i8x16_sub( wasm_u8x16_avgr( a, b ), odd );
}

/* Moves p0 and q0 towards each other by delta = clip( (4*(q0-p0) + (p1-q1) + 4) >> 3, -tc, tc ), all in bytes: averages with
 * complements give differences offset by 128, averaging again halves them, and what is added up is delta + 161. */
static ALWAYS_INLINE void filter_p0_q0( v128_t p1, v128_t *p0, v128_t *q0, v128_t q1, v128_t tc )
{
    const v128_t offset = wasm_u8x16_const_splat( 161 );
    v128_t quarter = wasm_u8x16_avgr( wasm_u8x16_avgr( p1, wasm_v128_not( q1 ) ), wasm_i8x16_const_splat( 3 ) );
    v128_t odd = wasm_v128_and( wasm_v128_xor( *p0, *q0 ), wasm_i8x16_const_splat( 1 ) );
    v128_t half = wasm_u8x16_avgr( *q0, wasm_v128_not( *p0 ) );
    v128_t delta = wasm_u8x16_add_sat( wasm_u8x16_avgr( quarter, odd ), half );
    v128_t down = wasm_u8x16_min( wasm_u8x16_sub_sat( offset, delta ), tc );
    v128_t up = wasm_u8x16_min( wasm_u8x16_sub_sat( delta, offset ), tc );
    *p0 = wasm_u8x16_add_sat( wasm_u8x16_sub_sat( *p0, down ), up );
    *q0 = wasm_u8x16_add_sat( wasm_u8x16_sub_sat( *q0, up ), down );
}

/* p1 moves to (p2 + (p0+q0+1)/2) / 2 by at most tc. */
static ALWAYS_INLINE v128_t filter_p1( v128_t p2, v128_t p1, v128_t average, v128_t tc )
{
    v128_t target = average_down( p2, average );
    return wasm_u8x16_min( wasm_u8x16_max( target, wasm_u8x16_sub_sat( p1, tc ) ), wasm_u8x16_add_sat( p1, tc ) );
}

/* r is p2 p1 p0 q0 q1 q2; tc is below zero where nothing is filtered. */
static ALWAYS_INLINE void filter_luma( v128_t r[6], int alpha, int beta, v128_t tc )
{
    v128_t p2 = r[0], p1 = r[1], p0 = r[2], q0 = r[3], q1 = r[4], q2 = r[5], betas = wasm_i8x16_splat( beta );
    v128_t mask = wasm_v128_andnot( filtered( p1, p0, q0, q1, alpha, beta ), wasm_i8x16_shr( tc, 7 ) );
    v128_t mask_p = wasm_v128_and( mask, below( p2, p0, betas ) ), mask_q = wasm_v128_and( mask, below( q2, q0, betas ) );
    tc = wasm_v128_and( tc, mask );
    v128_t average = wasm_u8x16_avgr( p0, q0 );
    r[1] = filter_p1( p2, p1, average, wasm_v128_and( tc, mask_p ) );
    r[4] = filter_p1( q2, q1, average, wasm_v128_and( tc, mask_q ) );
    /* A mask is -1: subtracting it adds 1 to tc for each side that is smooth. */
    tc = wasm_i8x16_sub( wasm_i8x16_sub( tc, mask_p ), mask_q );
    filter_p0_q0( p1, &r[2], &r[3], q1, tc );
}

/* Four strengths become sixteen, four positions to each. */
static ALWAYS_INLINE v128_t load_tc( const int8_t *tc0 )
{
    v128_t tc = wasm_v128_load32_zero( tc0 );
    return wasm_i8x16_shuffle( tc, tc, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3 );
}

static void deblock_v_luma_wasm( pixel *pix, intptr_t stride, int alpha, int beta, int8_t *tc0 )
{
    v128_t r[6];
    for( int i = 0; i < 6; i++ )
        r[i] = wasm_v128_load( pix + (i-3)*stride );
    filter_luma( r, alpha, beta, load_tc( tc0 ) );
    for( int i = 1; i < 5; i++ )
        wasm_v128_store( pix + (i-3)*stride, r[i] );
}

static ALWAYS_INLINE v128_t unpack_low_u8( v128_t a, v128_t b )
{
    return wasm_i8x16_shuffle( a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23 );
}
static ALWAYS_INLINE v128_t unpack_high_u8( v128_t a, v128_t b )
{
    return wasm_i8x16_shuffle( a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31 );
}

/* A round interleaves register i with the one half of their number further on. */
static ALWAYS_INLINE void unpack_round_u8( v128_t r[8] )
{
    v128_t t[8];
    for( int i = 0; i < 4; i++ )
    {
        t[2*i]   = unpack_low_u8( r[i], r[i+4] );
        t[2*i+1] = unpack_high_u8( r[i], r[i+4] );
    }
    for( int i = 0; i < 8; i++ )
        r[i] = t[i];
}

/* 16 rows of 8 become 8 columns of 16: four rounds, of which the first one needs lower halves only. */
static ALWAYS_INLINE void load_columns( const pixel *pix, intptr_t stride, v128_t r[8] )
{
    for( int i = 0; i < 8; i++ )
        r[i] = unpack_low_u8( wasm_v128_load64_zero( pix + i*stride ), wasm_v128_load64_zero( pix + (i+8)*stride ) );
    for( int round = 0; round < 3; round++ )
        unpack_round_u8( r );
}

static ALWAYS_INLINE void store_columns( pixel *pix, intptr_t stride, v128_t r[8] )
{
    for( int round = 0; round < 3; round++ )
        unpack_round_u8( r );
    for( int i = 0; i < 8; i++ )
    {
        wasm_v128_store64_lane( pix + 2*i*stride, r[i], 0 );
        wasm_v128_store64_lane( pix + (2*i+1)*stride, r[i], 1 );
    }
}

static void deblock_h_luma_wasm( pixel *pix, intptr_t stride, int alpha, int beta, int8_t *tc0 )
{
    v128_t r[8];
    load_columns( pix - 4, stride, r );
    filter_luma( r + 1, alpha, beta, load_tc( tc0 ) );
    store_columns( pix - 4, stride, r );
}

/****************************************************************************
 * Chroma: 8 interleaved pairs along an edge
 ****************************************************************************/

static ALWAYS_INLINE void filter_chroma( v128_t r[4], int alpha, int beta, v128_t tc )
{
    v128_t mask = wasm_v128_and( filtered( r[0], r[1], r[2], r[3], alpha, beta ), wasm_i8x16_gt( tc, wasm_i8x16_const_splat( 0 ) ) );
    filter_p0_q0( r[0], &r[1], &r[2], r[3], wasm_v128_and( tc, mask ) );
}

static void deblock_v_chroma_wasm( pixel *pix, intptr_t stride, int alpha, int beta, int8_t *tc0 )
{
    v128_t r[4];
    for( int i = 0; i < 4; i++ )
        r[i] = wasm_v128_load( pix + (i-2)*stride );
    filter_chroma( r, alpha, beta, load_tc( tc0 ) );
    wasm_v128_store( pix - stride, r[1] );
    wasm_v128_store( pix, r[2] );
}

static ALWAYS_INLINE v128_t unpack_low_u16( v128_t a, v128_t b )
{
    return wasm_i16x8_shuffle( a, b, 0, 8, 1, 9, 2, 10, 3, 11 );
}
static ALWAYS_INLINE v128_t unpack_high_u16( v128_t a, v128_t b )
{
    return wasm_i16x8_shuffle( a, b, 4, 12, 5, 13, 6, 14, 7, 15 );
}

static ALWAYS_INLINE void unpack_round_u16( v128_t r[4] )
{
    v128_t t0 = unpack_low_u16( r[0], r[2] ), t1 = unpack_high_u16( r[0], r[2] );
    v128_t t2 = unpack_low_u16( r[1], r[3] ), t3 = unpack_high_u16( r[1], r[3] );
    r[0] = t0;
    r[1] = t1;
    r[2] = t2;
    r[3] = t3;
}

/* 8 rows of 4 pairs become 4 columns of 8 pairs. */
static ALWAYS_INLINE void load_pair_columns( const pixel *pix, intptr_t stride, v128_t r[4] )
{
    for( int i = 0; i < 4; i++ )
        r[i] = unpack_low_u16( wasm_v128_load64_zero( pix + i*stride ), wasm_v128_load64_zero( pix + (i+4)*stride ) );
    unpack_round_u16( r );
    unpack_round_u16( r );
}

static ALWAYS_INLINE void store_pair_columns( pixel *pix, intptr_t stride, v128_t r[4] )
{
    unpack_round_u16( r );
    unpack_round_u16( r );
    for( int i = 0; i < 4; i++ )
    {
        wasm_v128_store64_lane( pix + 2*i*stride, r[i], 0 );
        wasm_v128_store64_lane( pix + (2*i+1)*stride, r[i], 1 );
    }
}

static ALWAYS_INLINE void deblock_h_chroma( pixel *pix, intptr_t stride, int alpha, int beta, v128_t tc )
{
    v128_t r[4];
    load_pair_columns( pix - 4, stride, r );
    filter_chroma( r, alpha, beta, tc );
    store_pair_columns( pix - 4, stride, r );
}

static void deblock_h_chroma_wasm( pixel *pix, intptr_t stride, int alpha, int beta, int8_t *tc0 )
{
    deblock_h_chroma( pix, stride, alpha, beta, load_tc( tc0 ) );
}

/* Twice as high, so each strength has twice as many positions. */
static void deblock_h_chroma_422_wasm( pixel *pix, intptr_t stride, int alpha, int beta, int8_t *tc0 )
{
    v128_t tc = wasm_v128_load32_zero( tc0 );
    deblock_h_chroma( pix, stride, alpha, beta,
                      wasm_i8x16_shuffle( tc, tc, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1 ) );
    deblock_h_chroma( pix + 8*stride, stride, alpha, beta,
                      wasm_i8x16_shuffle( tc, tc, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3 ) );
}

/****************************************************************************
 * Intra
 ****************************************************************************/

/* (2a + b + c + 2) >> 2: floors nest. */
static ALWAYS_INLINE v128_t weak( v128_t a, v128_t b, v128_t c )
{
    return wasm_u8x16_avgr( a, average_down( b, c ) );
}

static ALWAYS_INLINE void filter_chroma_intra( v128_t r[4], int alpha, int beta )
{
    v128_t mask = filtered( r[0], r[1], r[2], r[3], alpha, beta );
    v128_t p0 = weak( r[0], r[1], r[3] ), q0 = weak( r[3], r[2], r[0] );
    r[1] = wasm_v128_bitselect( p0, r[1], mask );
    r[2] = wasm_v128_bitselect( q0, r[2], mask );
}

static void deblock_v_chroma_intra_wasm( pixel *pix, intptr_t stride, int alpha, int beta )
{
    v128_t r[4];
    for( int i = 0; i < 4; i++ )
        r[i] = wasm_v128_load( pix + (i-2)*stride );
    filter_chroma_intra( r, alpha, beta );
    wasm_v128_store( pix - stride, r[1] );
    wasm_v128_store( pix, r[2] );
}

static void deblock_h_chroma_intra_wasm( pixel *pix, intptr_t stride, int alpha, int beta )
{
    v128_t r[4];
    load_pair_columns( pix - 4, stride, r );
    filter_chroma_intra( r, alpha, beta );
    store_pair_columns( pix - 4, stride, r );
}

static void deblock_h_chroma_422_intra_wasm( pixel *pix, intptr_t stride, int alpha, int beta )
{
    deblock_h_chroma_intra_wasm( pix, stride, alpha, beta );
    deblock_h_chroma_intra_wasm( pix + 8*stride, stride, alpha, beta );
}

/* The strong filter of one side, on eight positions in 16 bits: what becomes of p0, p1 and p2. */
static ALWAYS_INLINE void strong_8( v128_t p3, v128_t p2, v128_t p1, v128_t p0, v128_t q0, v128_t q1, v128_t out[3] )
{
    const v128_t two = wasm_i16x8_const_splat( 2 ), four = wasm_i16x8_const_splat( 4 );
    v128_t inner = wasm_i16x8_add( wasm_i16x8_add( p1, p0 ), q0 ), sum = wasm_i16x8_add( inner, p2 );
    out[0] = wasm_i16x8_shr( wasm_i16x8_add( wasm_i16x8_add( wasm_i16x8_add( sum, inner ), q1 ), four ), 3 );
    out[1] = wasm_i16x8_shr( wasm_i16x8_add( sum, two ), 2 );
    v128_t outer = wasm_i16x8_shl( wasm_i16x8_add( p3, p2 ), 1 );
    out[2] = wasm_i16x8_shr( wasm_i16x8_add( wasm_i16x8_add( outer, sum ), four ), 3 );
}

static ALWAYS_INLINE void filter_side_intra( const v128_t p[4], v128_t q0, v128_t q1, v128_t mask, v128_t mask_strong, v128_t out[3] )
{
    v128_t low[3], high[3];
    strong_8( wasm_u16x8_extend_low_u8x16( p[3] ), wasm_u16x8_extend_low_u8x16( p[2] ), wasm_u16x8_extend_low_u8x16( p[1] ),
              wasm_u16x8_extend_low_u8x16( p[0] ), wasm_u16x8_extend_low_u8x16( q0 ), wasm_u16x8_extend_low_u8x16( q1 ), low );
    strong_8( wasm_u16x8_extend_high_u8x16( p[3] ), wasm_u16x8_extend_high_u8x16( p[2] ), wasm_u16x8_extend_high_u8x16( p[1] ),
              wasm_u16x8_extend_high_u8x16( p[0] ), wasm_u16x8_extend_high_u8x16( q0 ), wasm_u16x8_extend_high_u8x16( q1 ), high );
    out[0] = wasm_v128_bitselect( weak( p[1], p[0], q1 ), p[0], mask );
    out[0] = wasm_v128_bitselect( wasm_u8x16_narrow_i16x8( low[0], high[0] ), out[0], mask_strong );
    out[1] = wasm_v128_bitselect( wasm_u8x16_narrow_i16x8( low[1], high[1] ), p[1], mask_strong );
    out[2] = wasm_v128_bitselect( wasm_u8x16_narrow_i16x8( low[2], high[2] ), p[2], mask_strong );
}

/* r is p3 p2 p1 p0 q0 q1 q2 q3. */
static ALWAYS_INLINE void filter_luma_intra( v128_t r[8], int alpha, int beta )
{
    v128_t p[4] = { r[3], r[2], r[1], r[0] }, q[4] = { r[4], r[5], r[6], r[7] }, betas = wasm_i8x16_splat( beta );
    v128_t mask = filtered( p[1], p[0], q[0], q[1], alpha, beta );
    v128_t near = wasm_v128_and( mask, below( p[0], q[0], wasm_i8x16_splat( (alpha >> 2) + 2 ) ) );
    v128_t out[3];
    filter_side_intra( p, q[0], q[1], mask, wasm_v128_and( near, below( p[2], p[0], betas ) ), out );
    r[3] = out[0];
    r[2] = out[1];
    r[1] = out[2];
    filter_side_intra( q, p[0], p[1], mask, wasm_v128_and( near, below( q[2], q[0], betas ) ), out );
    r[4] = out[0];
    r[5] = out[1];
    r[6] = out[2];
}

static void deblock_v_luma_intra_wasm( pixel *pix, intptr_t stride, int alpha, int beta )
{
    v128_t r[8];
    for( int i = 0; i < 8; i++ )
        r[i] = wasm_v128_load( pix + (i-4)*stride );
    filter_luma_intra( r, alpha, beta );
    for( int i = 1; i < 7; i++ )
        wasm_v128_store( pix + (i-4)*stride, r[i] );
}

static void deblock_h_luma_intra_wasm( pixel *pix, intptr_t stride, int alpha, int beta )
{
    v128_t r[8];
    load_columns( pix - 4, stride, r );
    filter_luma_intra( r, alpha, beta );
    store_columns( pix - 4, stride, r );
}

/****************************************************************************
 * Strengths
 ****************************************************************************/

/* Four rows of four, of a cache whose rows are eight apart. */
static ALWAYS_INLINE v128_t load_cache( const void *cache )
{
    return load_4_rows_of_4( cache, 8 );
}

/* Four lanes of a row: -1 where the vectors differ by as much as limits say, in either direction. */
static ALWAYS_INLINE v128_t vectors_differ( int16_t (*mv)[2], int distance, v128_t limits )
{
    v128_t difference = wasm_i16x8_sub_sat( wasm_v128_load( mv ), wasm_v128_load( mv - distance ) );
    return wasm_u16x8_ge( wasm_i16x8_abs( difference ), limits );
}

static ALWAYS_INLINE v128_t motion_differs( int8_t *ref, int16_t (*mv)[2], int distance, v128_t limits )
{
    v128_t low  = wasm_i16x8_narrow_i32x4( vectors_differ( mv, distance, limits ), vectors_differ( mv + 8, distance, limits ) );
    v128_t high = wasm_i16x8_narrow_i32x4( vectors_differ( mv + 16, distance, limits ), vectors_differ( mv + 24, distance, limits ) );
    /* The marks of the two components of a vector are taken together as a 32-bit number, which is not zero if either is set;
 * narrowing it with saturation leaves it so. */
    v128_t differ = wasm_i8x16_narrow_i16x8( low, high );
    return wasm_v128_or( differ, wasm_v128_xor( load_cache( ref ), load_cache( ref - distance ) ) );
}

static ALWAYS_INLINE v128_t strengths( uint8_t *nnz, int8_t ref[2][X264_SCAN8_LUMA_SIZE], int16_t mv[2][X264_SCAN8_LUMA_SIZE][2],
                                       int distance, v128_t limits, int bframe )
{
    const v128_t one = wasm_i8x16_const_splat( 1 );
    v128_t moved = motion_differs( ref[0] + X264_SCAN8_0, mv[0] + X264_SCAN8_0, distance, limits );
    if( bframe )
        moved = wasm_v128_or( moved, motion_differs( ref[1] + X264_SCAN8_0, mv[1] + X264_SCAN8_0, distance, limits ) );
    v128_t coded = wasm_v128_or( load_cache( nnz + X264_SCAN8_0 ), load_cache( nnz + X264_SCAN8_0 - distance ) );
    /* 1 where motion differs, 2 where there are coefficients. */
    moved = wasm_u8x16_min( moved, one );
    coded = wasm_u8x16_min( coded, one );
    return wasm_u8x16_max( moved, wasm_i8x16_add( coded, coded ) );
}

static void deblock_strength_wasm( uint8_t nnz[X264_SCAN8_SIZE], int8_t ref[2][X264_SCAN8_LUMA_SIZE],
                                   int16_t mv[2][X264_SCAN8_LUMA_SIZE][2], uint8_t bs[2][8][4], int mvy_limit, int bframe )
{
    v128_t limits = wasm_i32x4_splat( 4 | mvy_limit << 16 );
    v128_t vertical = strengths( nnz, ref, mv, 1, limits, bframe );
    /* Transposes, as the result has edges one by one. */
    wasm_v128_store( bs[0], wasm_i8x16_shuffle( vertical, vertical, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15 ) );
    wasm_v128_store( bs[1], strengths( nnz, ref, mv, 8, limits, bframe ) );
}

void x264_deblock_init_wasm( x264_deblock_function_t *pf )
{
    pf->deblock_luma[1]            = deblock_v_luma_wasm;
    pf->deblock_luma[0]            = deblock_h_luma_wasm;
    pf->deblock_chroma[1]          = deblock_v_chroma_wasm;
    pf->deblock_h_chroma_420       = deblock_h_chroma_wasm;
    pf->deblock_h_chroma_422       = deblock_h_chroma_422_wasm;
    pf->deblock_luma_intra[1]      = deblock_v_luma_intra_wasm;
    pf->deblock_luma_intra[0]      = deblock_h_luma_intra_wasm;
    pf->deblock_chroma_intra[1]    = deblock_v_chroma_intra_wasm;
    pf->deblock_h_chroma_420_intra = deblock_h_chroma_intra_wasm;
    pf->deblock_h_chroma_422_intra = deblock_h_chroma_422_intra_wasm;
    pf->deblock_strength           = deblock_strength_wasm;
}
