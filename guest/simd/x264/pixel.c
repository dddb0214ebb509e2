/*****************************************************************************
 * pixel.c: pixel metrics for WebAssembly
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
 * openh264's codec/common/wasm/sample_wasm.c (BSD-2-Clause);
 * their authors license them under that licence too.
 *****************************************************************************/

/* Pixel metrics, 8-bit. Names and results are those of common/pixel.c. */

#include "common/common.h"
#include "wasm.h"
#include "vector.h"

/****************************************************************************
 * SAD
 ****************************************************************************/

/* The absolute differences of 16 pixels, added up in pairs. 16 rows of them stay below 32768. */
static ALWAYS_INLINE v128_t sad_16( v128_t a, v128_t b )
{
    return wasm_u16x8_extadd_pairwise_u8x16( absolute_difference_u8( a, b ) );
}

static ALWAYS_INLINE v128_t load_16( const pixel *pix, intptr_t stride, int width )
{
    if( width == 16 )
        return wasm_v128_load( pix );
    return width == 8 ? load_2_rows_of_8( pix, stride ) : load_4_rows_of_4( pix, stride );
}

static ALWAYS_INLINE int pixel_sad( pixel *pix1, intptr_t stride1, pixel *pix2, intptr_t stride2, int width, int height )
{
    int rows = 16 / width;
    v128_t sums = wasm_i16x8_const_splat( 0 );
#pragma clang loop unroll(full)
    for( int y = 0; y < height; y += rows, pix1 += rows*stride1, pix2 += rows*stride2 )
        sums = wasm_i16x8_add( sums, sad_16( load_16( pix1, stride1, width ), load_16( pix2, stride2, width ) ) );
    return sum_i16x8( sums );
}

/* Sums of four registers at once: three additions of transposed pairs take the place of four horizontal sums. */
static ALWAYS_INLINE v128_t sums_of_4( v128_t a, v128_t b, v128_t c, v128_t d )
{
    const v128_t ones = wasm_i16x8_const_splat( 1 );
    a = wasm_i32x4_dot_i16x8( a, ones );
    b = wasm_i32x4_dot_i16x8( b, ones );
    c = wasm_i32x4_dot_i16x8( c, ones );
    d = wasm_i32x4_dot_i16x8( d, ones );
    v128_t ab = wasm_i32x4_add( wasm_i32x4_shuffle( a, b, 0, 4, 1, 5 ), wasm_i32x4_shuffle( a, b, 2, 6, 3, 7 ) );
    v128_t cd = wasm_i32x4_add( wasm_i32x4_shuffle( c, d, 0, 4, 1, 5 ), wasm_i32x4_shuffle( c, d, 2, 6, 3, 7 ) );
    return wasm_i32x4_add( wasm_i64x2_shuffle( ab, cd, 0, 2 ), wasm_i64x2_shuffle( ab, cd, 1, 3 ) );
}

/* All candidates in one pass, so that each row of the source is loaded once. */
static ALWAYS_INLINE v128_t pixel_sad_x( pixel *fenc, pixel *pix0, pixel *pix1, pixel *pix2, pixel *pix3, intptr_t stride,
                                         int width, int height, int candidates )
{
    int rows = 16 / width;
    v128_t sums0 = wasm_i16x8_const_splat( 0 ), sums1 = sums0, sums2 = sums0, sums3 = sums0;
    for( int y = 0; y < height; y += rows )
    {
        v128_t source = load_16( fenc, FENC_STRIDE, width );
        sums0 = wasm_i16x8_add( sums0, sad_16( source, load_16( pix0, stride, width ) ) );
        sums1 = wasm_i16x8_add( sums1, sad_16( source, load_16( pix1, stride, width ) ) );
        sums2 = wasm_i16x8_add( sums2, sad_16( source, load_16( pix2, stride, width ) ) );
        if( candidates == 4 )
            sums3 = wasm_i16x8_add( sums3, sad_16( source, load_16( pix3, stride, width ) ) );
        fenc += rows*FENC_STRIDE;
        pix0 += rows*stride;
        pix1 += rows*stride;
        pix2 += rows*stride;
        pix3 += rows*stride;
    }
    return sums_of_4( sums0, sums1, sums2, sums3 );
}

static ALWAYS_INLINE void store_3( int scores[3], v128_t sums )
{
    wasm_v128_store64_lane( scores, sums, 0 );
    wasm_v128_store32_lane( scores + 2, sums, 2 );
}

#define SAD( w, h ) \
static int pixel_sad_##w##x##h##_wasm( pixel *pix1, intptr_t stride1, pixel *pix2, intptr_t stride2 ) \
{ \
    return pixel_sad( pix1, stride1, pix2, stride2, w, h ); \
}
#define SAD_X( w, h ) \
static void pixel_sad_x3_##w##x##h##_wasm( pixel *fenc, pixel *pix0, pixel *pix1, pixel *pix2, intptr_t stride, int scores[3] ) \
{ \
    store_3( scores, pixel_sad_x( fenc, pix0, pix1, pix2, pix2, stride, w, h, 3 ) ); \
} \
static void pixel_sad_x4_##w##x##h##_wasm( pixel *fenc, pixel *pix0, pixel *pix1, pixel *pix2, pixel *pix3, intptr_t stride, \
                                           int scores[4] ) \
{ \
    wasm_v128_store( scores, pixel_sad_x( fenc, pix0, pix1, pix2, pix3, stride, w, h, 4 ) ); \
}
SAD( 16, 16 ) SAD_X( 16, 16 )
SAD( 16, 8 )  SAD_X( 16, 8 )
SAD( 8, 16 )  SAD_X( 8, 16 )
SAD( 8, 8 )   SAD_X( 8, 8 )
SAD( 8, 4 )   SAD_X( 8, 4 )
SAD( 4, 16 )
SAD( 4, 8 )   SAD_X( 4, 8 )
SAD( 4, 4 )   SAD_X( 4, 4 )

/****************************************************************************
 * SSD, variance
 ****************************************************************************/

/* An absolute difference has 8 bits, so that it can be squared by a signed multiplication after widening. */
static ALWAYS_INLINE v128_t ssd_16( v128_t a, v128_t b )
{
    v128_t difference = absolute_difference_u8( a, b );
    v128_t low = wasm_u16x8_extend_low_u8x16( difference ), high = wasm_u16x8_extend_high_u8x16( difference );
    return wasm_i32x4_add( wasm_i32x4_dot_i16x8( low, low ), wasm_i32x4_dot_i16x8( high, high ) );
}

static ALWAYS_INLINE int pixel_ssd( pixel *pix1, intptr_t stride1, pixel *pix2, intptr_t stride2, int width, int height )
{
    int rows = 16 / width;
    v128_t sums = wasm_i32x4_const_splat( 0 );
    for( int y = 0; y < height; y += rows, pix1 += rows*stride1, pix2 += rows*stride2 )
        sums = wasm_i32x4_add( sums, ssd_16( load_16( pix1, stride1, width ), load_16( pix2, stride2, width ) ) );
    return sum_i32x4( sums );
}

#define SSD( w, h ) \
static int pixel_ssd_##w##x##h##_wasm( pixel *pix1, intptr_t stride1, pixel *pix2, intptr_t stride2 ) \
{ \
    return pixel_ssd( pix1, stride1, pix2, stride2, w, h ); \
}
SSD( 16, 16 )
SSD( 16, 8 )
SSD( 8, 16 )
SSD( 8, 8 )
SSD( 8, 4 )
SSD( 4, 16 )
SSD( 4, 8 )
SSD( 4, 4 )

static void pixel_ssd_nv12_core_wasm( pixel *pixuv1, intptr_t stride1, pixel *pixuv2, intptr_t stride2,
                                      int width, int height, uint64_t *ssd_u, uint64_t *ssd_v )
{
    const v128_t low_bytes = wasm_i16x8_const_splat( 0xff );
    v128_t sums = wasm_i64x2_const_splat( 0 );
    for( int y = 0; y < height; y++, pixuv1 += stride1, pixuv2 += stride2 )
    {
        v128_t row_u = wasm_i32x4_const_splat( 0 ), row_v = row_u;
        /* The caller gives a multiple of 8 pairs. */
        for( int x = 0; x < 2*width; x += 16 )
        {
            v128_t difference = absolute_difference_u8( wasm_v128_load( pixuv1 + x ), wasm_v128_load( pixuv2 + x ) );
            v128_t u = wasm_v128_and( difference, low_bytes ), v = wasm_u16x8_shr( difference, 8 );
            row_u = wasm_i32x4_add( row_u, wasm_i32x4_dot_i16x8( u, u ) );
            row_v = wasm_i32x4_add( row_v, wasm_i32x4_dot_i16x8( v, v ) );
        }
        /* A row of 2^15 pairs fits into 32 unsigned bits, a plane does not. */
        v128_t low  = wasm_i32x4_shuffle( row_u, row_v, 0, 4, 1, 5 ), high = wasm_i32x4_shuffle( row_u, row_v, 2, 6, 3, 7 );
        low = wasm_i32x4_add( low, high );
        low = wasm_i32x4_add( low, wasm_i32x4_shuffle( low, low, 2, 3, 0, 1 ) );
        sums = wasm_i64x2_add( sums, wasm_u64x2_extend_low_u32x4( low ) );
    }
    *ssd_u = wasm_i64x2_extract_lane( sums, 0 );
    *ssd_v = wasm_i64x2_extract_lane( sums, 1 );
}

static ALWAYS_INLINE uint64_t pixel_var( pixel *pix, intptr_t stride, int width, int height )
{
    int rows = 16 / width;
    v128_t sums = wasm_i16x8_const_splat( 0 ), squares = wasm_i32x4_const_splat( 0 );
    for( int y = 0; y < height; y += rows, pix += rows*stride )
    {
        v128_t row = load_16( pix, stride, width );
        v128_t low = wasm_u16x8_extend_low_u8x16( row ), high = wasm_u16x8_extend_high_u8x16( row );
        sums = wasm_i16x8_add( sums, wasm_i16x8_add( low, high ) );
        squares = wasm_i32x4_add( squares, wasm_i32x4_dot_i16x8( low, low ) );
        squares = wasm_i32x4_add( squares, wasm_i32x4_dot_i16x8( high, high ) );
    }
    return (uint32_t)sum_i16x8( sums ) + ((uint64_t)(uint32_t)sum_i32x4( squares ) << 32);
}

static uint64_t pixel_var_16x16_wasm( pixel *pix, intptr_t stride )
{
    return pixel_var( pix, stride, 16, 16 );
}
static uint64_t pixel_var_8x16_wasm( pixel *pix, intptr_t stride )
{
    return pixel_var( pix, stride, 8, 16 );
}
static uint64_t pixel_var_8x8_wasm( pixel *pix, intptr_t stride )
{
    return pixel_var( pix, stride, 8, 8 );
}

static ALWAYS_INLINE int pixel_var2( pixel *fenc, pixel *fdec, int ssd[2], int height, int shift )
{
    v128_t sums_u = wasm_i16x8_const_splat( 0 ), sums_v = sums_u, squares_u = sums_u, squares_v = sums_u;
    for( int y = 0; y < height; y++, fenc += FENC_STRIDE, fdec += FDEC_STRIDE )
    {
        v128_t u = wasm_i16x8_sub( wasm_u16x8_load8x8( fenc ), wasm_u16x8_load8x8( fdec ) );
        v128_t v = wasm_i16x8_sub( wasm_u16x8_load8x8( fenc + FENC_STRIDE/2 ), wasm_u16x8_load8x8( fdec + FDEC_STRIDE/2 ) );
        sums_u = wasm_i16x8_add( sums_u, u );
        sums_v = wasm_i16x8_add( sums_v, v );
        squares_u = wasm_i32x4_add( squares_u, wasm_i32x4_dot_i16x8( u, u ) );
        squares_v = wasm_i32x4_add( squares_v, wasm_i32x4_dot_i16x8( v, v ) );
    }
    int sum_u = sum_i16x8( sums_u ), sum_v = sum_i16x8( sums_v );
    ssd[0] = sum_i32x4( squares_u );
    ssd[1] = sum_i32x4( squares_v );
    return ssd[0] - ((int64_t)sum_u * sum_u >> shift) + ssd[1] - ((int64_t)sum_v * sum_v >> shift);
}

static int pixel_var2_8x16_wasm( pixel *fenc, pixel *fdec, int ssd[2] )
{
    return pixel_var2( fenc, fdec, ssd, 16, 7 );
}
static int pixel_var2_8x8_wasm( pixel *fenc, pixel *fdec, int ssd[2] )
{
    return pixel_var2( fenc, fdec, ssd, 8, 6 );
}

/****************************************************************************
 * SATD: sums of 4x4 Hadamard transformed differences
 ****************************************************************************/

static ALWAYS_INLINE void butterfly( v128_t *a, v128_t *b )
{
    v128_t sum = wasm_i16x8_add( *a, *b );
    *b = wasm_i16x8_sub( *a, *b );
    *a = sum;
}

/* The transform of four columns; the order of what comes out doesn't matter to a sum. */
static ALWAYS_INLINE void hadamard_4( v128_t *r0, v128_t *r1, v128_t *r2, v128_t *r3 )
{
    butterfly( r0, r1 );
    butterfly( r2, r3 );
    butterfly( r0, r2 );
    butterfly( r1, r3 );
}

/* Even and odd numbers meet in a butterfly, so that no transpose is needed: what is wanted of x and y is (x0 y0 x2 y2 ...)
 * and (x1 y1 x3 y3 ...). A shift within pairs and a blend are two instructions, a shuffle of both registers would be three. */
static ALWAYS_INLINE v128_t even_i16( v128_t x, v128_t y )
{
    return wasm_i16x8_shuffle( x, wasm_i32x4_shl( y, 16 ), 0, 9, 2, 11, 4, 13, 6, 15 );
}
static ALWAYS_INLINE v128_t odd_i16( v128_t x, v128_t y )
{
    return wasm_i16x8_shuffle( wasm_u32x4_shr( x, 16 ), y, 0, 9, 2, 11, 4, 13, 6, 15 );
}
/* Pairs: (x0 x2 y0 y2) and (x1 x3 y1 y3), one instruction each. */
static ALWAYS_INLINE v128_t even_i32( v128_t x, v128_t y )
{
    return wasm_i32x4_shuffle( x, y, 0, 2, 4, 6 );
}
static ALWAYS_INLINE v128_t odd_i32( v128_t x, v128_t y )
{
    return wasm_i32x4_shuffle( x, y, 1, 3, 5, 7 );
}

/* The last butterfly's |e + o| + |e - o| is 2 max(|e|, |o|), which is also the halving that SATD asks for. */
static ALWAYS_INLINE v128_t half_of_last_butterfly( v128_t e, v128_t o )
{
    return wasm_i16x8_max( wasm_i16x8_abs( e ), wasm_i16x8_abs( o ) );
}

/* Rows of four pixels, two blocks or two halves side by side. */
static ALWAYS_INLINE v128_t horizontal_satd( v128_t x, v128_t y )
{
    v128_t e = even_i16( x, y ), o = odd_i16( x, y );
    butterfly( &e, &o );
    return half_of_last_butterfly( even_i32( e, o ), odd_i32( e, o ) );
}

static ALWAYS_INLINE v128_t satd_of_rows( v128_t r0, v128_t r1, v128_t r2, v128_t r3 )
{
    hadamard_4( &r0, &r1, &r2, &r3 );
    return wasm_i16x8_add( horizontal_satd( r0, r1 ), horizontal_satd( r2, r3 ) );
}

static ALWAYS_INLINE v128_t difference_8( const pixel *pix1, const pixel *pix2 )
{
    return wasm_i16x8_sub( wasm_u16x8_load8x8( pix1 ), wasm_u16x8_load8x8( pix2 ) );
}

static ALWAYS_INLINE v128_t satd_8x4( const pixel *pix1, intptr_t stride1, const pixel *pix2, intptr_t stride2 )
{
    return satd_of_rows( difference_8( pix1, pix2 ), difference_8( pix1 + stride1, pix2 + stride2 ),
                         difference_8( pix1 + 2*stride1, pix2 + 2*stride2 ),
                         difference_8( pix1 + 3*stride1, pix2 + 3*stride2 ) );
}

/* Two rows of 4 that lie four apart share a register. */
static ALWAYS_INLINE v128_t difference_4_twice( const pixel *pix1, intptr_t stride1, const pixel *pix2, intptr_t stride2 )
{
    v128_t rows1 = wasm_v128_load32_lane( pix1 + 4*stride1, wasm_v128_load32_zero( pix1 ), 1 );
    v128_t rows2 = wasm_v128_load32_lane( pix2 + 4*stride2, wasm_v128_load32_zero( pix2 ), 1 );
    return wasm_i16x8_sub( wasm_u16x8_extend_low_u8x16( rows1 ), wasm_u16x8_extend_low_u8x16( rows2 ) );
}

static ALWAYS_INLINE v128_t satd_4x8( const pixel *pix1, intptr_t stride1, const pixel *pix2, intptr_t stride2 )
{
    return satd_of_rows( difference_4_twice( pix1, stride1, pix2, stride2 ),
                         difference_4_twice( pix1 + stride1, stride1, pix2 + stride2, stride2 ),
                         difference_4_twice( pix1 + 2*stride1, stride1, pix2 + 2*stride2, stride2 ),
                         difference_4_twice( pix1 + 3*stride1, stride1, pix2 + 3*stride2, stride2 ) );
}

/* One block in two registers: rows 0 and 1, rows 2 and 3. The vertical butterflies take halves. */
static ALWAYS_INLINE v128_t satd_4x4_of_rows( v128_t rows01, v128_t rows23 )
{
    butterfly( &rows01, &rows23 );
    v128_t first = wasm_i64x2_shuffle( rows01, rows23, 0, 2 ), second = wasm_i64x2_shuffle( rows01, rows23, 1, 3 );
    butterfly( &first, &second );
    return horizontal_satd( first, second );
}

static ALWAYS_INLINE v128_t satd_4x4( const pixel *pix1, intptr_t stride1, const pixel *pix2, intptr_t stride2 )
{
    v128_t rows1 = load_4_rows_of_4( pix1, stride1 ), rows2 = load_4_rows_of_4( pix2, stride2 );
    return satd_4x4_of_rows( wasm_i16x8_sub( wasm_u16x8_extend_low_u8x16( rows1 ), wasm_u16x8_extend_low_u8x16( rows2 ) ),
                             wasm_i16x8_sub( wasm_u16x8_extend_high_u8x16( rows1 ), wasm_u16x8_extend_high_u8x16( rows2 ) ) );
}

/* A lane of the sums of an 8x4 block is at most 2 * 16 * 255 / 2: eight of them stay below 32768. */
static ALWAYS_INLINE v128_t satd_sums( pixel *pix1, intptr_t stride1, pixel *pix2, intptr_t stride2, int width, int height )
{
    if( width == 4 && height == 4 )
        return satd_4x4( pix1, stride1, pix2, stride2 );
    v128_t sums = wasm_i16x8_const_splat( 0 );
    if( width == 4 )
    {
        for( int y = 0; y < height; y += 8, pix1 += 8*stride1, pix2 += 8*stride2 )
            sums = wasm_i16x8_add( sums, satd_4x8( pix1, stride1, pix2, stride2 ) );
        return sums;
    }
    for( int y = 0; y < height; y += 4, pix1 += 4*stride1, pix2 += 4*stride2 )
    {
        sums = wasm_i16x8_add( sums, satd_8x4( pix1, stride1, pix2, stride2 ) );
        if( width == 16 )
            sums = wasm_i16x8_add( sums, satd_8x4( pix1 + 8, stride1, pix2 + 8, stride2 ) );
    }
    return sums;
}

#define SATD( w, h ) \
static int pixel_satd_##w##x##h##_wasm( pixel *pix1, intptr_t stride1, pixel *pix2, intptr_t stride2 ) \
{ \
    return sum_i16x8( satd_sums( pix1, stride1, pix2, stride2, w, h ) ); \
}
#define SATD_X( w, h ) \
static void pixel_satd_x3_##w##x##h##_wasm( pixel *fenc, pixel *pix0, pixel *pix1, pixel *pix2, intptr_t stride, int scores[3] ) \
{ \
    scores[0] = pixel_satd_##w##x##h##_wasm( fenc, FENC_STRIDE, pix0, stride ); \
    scores[1] = pixel_satd_##w##x##h##_wasm( fenc, FENC_STRIDE, pix1, stride ); \
    scores[2] = pixel_satd_##w##x##h##_wasm( fenc, FENC_STRIDE, pix2, stride ); \
} \
static void pixel_satd_x4_##w##x##h##_wasm( pixel *fenc, pixel *pix0, pixel *pix1, pixel *pix2, pixel *pix3, intptr_t stride, \
                                            int scores[4] ) \
{ \
    scores[0] = pixel_satd_##w##x##h##_wasm( fenc, FENC_STRIDE, pix0, stride ); \
    scores[1] = pixel_satd_##w##x##h##_wasm( fenc, FENC_STRIDE, pix1, stride ); \
    scores[2] = pixel_satd_##w##x##h##_wasm( fenc, FENC_STRIDE, pix2, stride ); \
    scores[3] = pixel_satd_##w##x##h##_wasm( fenc, FENC_STRIDE, pix3, stride ); \
}
SATD( 16, 16 ) SATD_X( 16, 16 )
SATD( 16, 8 )  SATD_X( 16, 8 )
SATD( 8, 16 )  SATD_X( 8, 16 )
SATD( 8, 8 )   SATD_X( 8, 8 )
SATD( 8, 4 )   SATD_X( 8, 4 )
SATD( 4, 16 )
SATD( 4, 8 )   SATD_X( 4, 8 )
SATD( 4, 4 )   SATD_X( 4, 4 )

/****************************************************************************
 * SA8D: sums of 8x8 Hadamard transformed differences
 ****************************************************************************/

/* The horizontal transform of rows of eight: even and odd numbers, pairs of them, then fours. */
static ALWAYS_INLINE v128_t horizontal_sa8d( v128_t x, v128_t y )
{
    v128_t e = even_i16( x, y ), o = odd_i16( x, y );
    butterfly( &e, &o );
    v128_t e2 = even_i32( e, o ), o2 = odd_i32( e, o );
    butterfly( &e2, &o2 );
    return half_of_last_butterfly( even_i32( e2, o2 ), odd_i32( e2, o2 ) );
}

/* Half of the sum, which is even. A lane can have 4 * 64 * 255 and is unsigned. */
static ALWAYS_INLINE v128_t sa8d_of_rows( v128_t r[8] )
{
    hadamard_4( &r[0], &r[1], &r[2], &r[3] );
    hadamard_4( &r[4], &r[5], &r[6], &r[7] );
    v128_t sums = wasm_i16x8_const_splat( 0 );
    for( int y = 0; y < 4; y++ )
    {
        butterfly( &r[y], &r[y+4] );
        sums = wasm_i16x8_add( sums, horizontal_sa8d( r[y], r[y+4] ) );
    }
    return wasm_u32x4_extadd_pairwise_u16x8( sums );
}

static ALWAYS_INLINE v128_t sa8d_8x8( const pixel *pix1, intptr_t stride1, const pixel *pix2, intptr_t stride2 )
{
    v128_t r[8];
    for( int y = 0; y < 8; y++ )
        r[y] = difference_8( pix1 + y*stride1, pix2 + y*stride2 );
    return sa8d_of_rows( r );
}

static ALWAYS_INLINE int sa8d_rounded( v128_t halves )
{
    return (sum_i32x4( halves ) + 1) >> 1;
}

static int pixel_sa8d_8x8_wasm( pixel *pix1, intptr_t stride1, pixel *pix2, intptr_t stride2 )
{
    return sa8d_rounded( sa8d_8x8( pix1, stride1, pix2, stride2 ) );
}

static int pixel_sa8d_16x16_wasm( pixel *pix1, intptr_t stride1, pixel *pix2, intptr_t stride2 )
{
    v128_t sums = wasm_i32x4_add( sa8d_8x8( pix1, stride1, pix2, stride2 ), sa8d_8x8( pix1 + 8, stride1, pix2 + 8, stride2 ) );
    pix1 += 8*stride1;
    pix2 += 8*stride2;
    sums = wasm_i32x4_add( sums, sa8d_8x8( pix1, stride1, pix2, stride2 ) );
    sums = wasm_i32x4_add( sums, sa8d_8x8( pix1 + 8, stride1, pix2 + 8, stride2 ) );
    return sa8d_rounded( sums );
}

/****************************************************************************
 * hadamard_ac: the energy of a block without its DC, by 4x4 and 8x8 transforms
 ****************************************************************************/

/* Adds to sum4 what the four 4x4 transforms of an 8x8 block have in magnitudes without DC, and to sum8 the same of its 8x8
 * transform. Upper and lower rows are kept in even and odd lanes. */
static ALWAYS_INLINE void hadamard_ac_8x8( const pixel *pix, intptr_t stride, v128_t *sum4, v128_t *sum8 )
{
    v128_t r[8];
    for( int y = 0; y < 8; y++ )
        r[y] = wasm_u16x8_load8x8( pix + y*stride );
    hadamard_4( &r[0], &r[1], &r[2], &r[3] );
    hadamard_4( &r[4], &r[5], &r[6], &r[7] );
    v128_t magnitudes4 = wasm_i16x8_const_splat( 0 ), magnitudes8 = magnitudes4, dc = magnitudes4;
    for( int y = 0; y < 4; y++ )
    {
        v128_t e = even_i16( r[y], r[y+4] ), o = odd_i16( r[y], r[y+4] );
        butterfly( &e, &o );
        v128_t first = even_i32( e, o ), second = odd_i32( e, o );
        butterfly( &first, &second );
        v128_t magnitudes = wasm_i16x8_abs( first );
        if( y == 0 )
            /* The lanes of the four DCs: upper left, lower left, upper right, lower right. */
            magnitudes = wasm_v128_and( magnitudes, wasm_i16x8_const( 0, 0, 0, 0, -1, -1, -1, -1 ) );
        magnitudes4 = wasm_i16x8_add( magnitudes4, wasm_i16x8_add( magnitudes, wasm_i16x8_abs( second ) ) );

        v128_t left = even_i32( first, second ), right = odd_i32( first, second );
        butterfly( &left, &right );
        if( y == 0 )
            dc = wasm_v128_and( left, wasm_i16x8_const( -1, -1, 0, 0, 0, 0, 0, 0 ) );
        magnitudes8 = wasm_i16x8_add( magnitudes8,
                                      half_of_last_butterfly( even_i16( left, right ), odd_i16( left, right ) ) );
    }
    *sum4 = wasm_i32x4_add( *sum4, wasm_u32x4_extadd_pairwise_u16x8( magnitudes4 ) );
    v128_t eight = wasm_i32x4_shl( wasm_u32x4_extadd_pairwise_u16x8( magnitudes8 ), 1 );
    *sum8 = wasm_i32x4_add( *sum8, wasm_i32x4_sub( eight, wasm_i32x4_extadd_pairwise_i16x8( dc ) ) );
}

static ALWAYS_INLINE uint64_t pixel_hadamard_ac( pixel *pix, intptr_t stride, int width, int height )
{
    v128_t sum4 = wasm_i32x4_const_splat( 0 ), sum8 = sum4;
    for( int y = 0; y < height; y += 8 )
        for( int x = 0; x < width; x += 8 )
            hadamard_ac_8x8( pix + y*stride + x, stride, &sum4, &sum8 );
    return ((uint64_t)((uint32_t)sum_i32x4( sum8 ) >> 2) << 32) + ((uint32_t)sum_i32x4( sum4 ) >> 1);
}

#define HADAMARD_AC( w, h ) \
static uint64_t pixel_hadamard_ac_##w##x##h##_wasm( pixel *pix, intptr_t stride ) \
{ \
    return pixel_hadamard_ac( pix, stride, w, h ); \
}
HADAMARD_AC( 16, 16 )
HADAMARD_AC( 16, 8 )
HADAMARD_AC( 8, 16 )
HADAMARD_AC( 8, 8 )

/****************************************************************************
 * Intra metrics: three predictions against one block, none of them written to memory
 ****************************************************************************/

static ALWAYS_INLINE int sum_u8x16( v128_t pixels )
{
    return sum_i16x8( wasm_u16x8_extadd_pairwise_u8x16( pixels ) );
}

static void intra_sad_x3_16x16_wasm( pixel *fenc, pixel *fdec, int res[3] )
{
    v128_t top = wasm_v128_load( fdec - FDEC_STRIDE );
    int left = 0;
    for( int y = 0; y < 16; y++ )
        left += fdec[y*FDEC_STRIDE-1];
    v128_t dc = wasm_i8x16_splat( (sum_u8x16( top ) + left + 16) >> 5 );
    v128_t sums_v = wasm_i16x8_const_splat( 0 ), sums_h = sums_v, sums_dc = sums_v;
    for( int y = 0; y < 16; y++, fenc += FENC_STRIDE, fdec += FDEC_STRIDE )
    {
        v128_t source = wasm_v128_load( fenc );
        sums_v  = wasm_i16x8_add( sums_v, sad_16( source, top ) );
        sums_h  = wasm_i16x8_add( sums_h, sad_16( source, wasm_v128_load8_splat( fdec - 1 ) ) );
        sums_dc = wasm_i16x8_add( sums_dc, sad_16( source, dc ) );
    }
    store_3( res, sums_of_4( sums_v, sums_h, sums_dc, sums_dc ) );
}

static ALWAYS_INLINE v128_t load_pixel_splat_i16( const pixel *pix )
{
    return wasm_u16x8_extend_low_u8x16( wasm_v128_load8_splat( pix ) );
}

/* SATD of four rows of eight against a prediction. */
static ALWAYS_INLINE v128_t satd_of_prediction( const v128_t s[4], v128_t p0, v128_t p1, v128_t p2, v128_t p3 )
{
    return satd_of_rows( wasm_i16x8_sub( s[0], p0 ), wasm_i16x8_sub( s[1], p1 ), wasm_i16x8_sub( s[2], p2 ),
                         wasm_i16x8_sub( s[3], p3 ) );
}

static void intra_satd_x3_16x16_wasm( pixel *fenc, pixel *fdec, int res[3] )
{
    v128_t top = wasm_v128_load( fdec - FDEC_STRIDE );
    v128_t tops[2] = { wasm_u16x8_extend_low_u8x16( top ), wasm_u16x8_extend_high_u8x16( top ) };
    int left = 0;
    for( int y = 0; y < 16; y++ )
        left += fdec[y*FDEC_STRIDE-1];
    v128_t dc = wasm_i16x8_splat( (sum_u8x16( top ) + left + 16) >> 5 );
    v128_t sums_v = wasm_i16x8_const_splat( 0 ), sums_h = sums_v, sums_dc = sums_v;
    for( int y = 0; y < 16; y += 4, fenc += 4*FENC_STRIDE, fdec += 4*FDEC_STRIDE )
    {
        v128_t l0 = load_pixel_splat_i16( fdec - 1 ), l1 = load_pixel_splat_i16( fdec + FDEC_STRIDE - 1 );
        v128_t l2 = load_pixel_splat_i16( fdec + 2*FDEC_STRIDE - 1 ), l3 = load_pixel_splat_i16( fdec + 3*FDEC_STRIDE - 1 );
        for( int x = 0; x < 2; x++ )
        {
            v128_t s[4];
            for( int i = 0; i < 4; i++ )
                s[i] = wasm_u16x8_load8x8( fenc + 8*x + i*FENC_STRIDE );
            sums_v  = wasm_i16x8_add( sums_v, satd_of_prediction( s, tops[x], tops[x], tops[x], tops[x] ) );
            sums_h  = wasm_i16x8_add( sums_h, satd_of_prediction( s, l0, l1, l2, l3 ) );
            sums_dc = wasm_i16x8_add( sums_dc, satd_of_prediction( s, dc, dc, dc, dc ) );
        }
    }
    store_3( res, sums_of_4( sums_v, sums_h, sums_dc, sums_dc ) );
}

/* The DC prediction of chroma: each 4x4 quarter has its own. */
static ALWAYS_INLINE void chroma_dc_8x8( const pixel *fdec, v128_t *upper, v128_t *lower )
{
    const pixel *top = fdec - FDEC_STRIDE;
    int top_left = top[0] + top[1] + top[2] + top[3], top_right = top[4] + top[5] + top[6] + top[7];
    int left_upper = 0, left_lower = 0;
    for( int y = 0; y < 4; y++ )
    {
        left_upper += fdec[y*FDEC_STRIDE-1];
        left_lower += fdec[(y+4)*FDEC_STRIDE-1];
    }
    *upper = wasm_i64x2_shuffle( wasm_i16x8_splat( (top_left + left_upper + 4) >> 3 ),
                                 wasm_i16x8_splat( (top_right + 2) >> 2 ), 0, 2 );
    *lower = wasm_i64x2_shuffle( wasm_i16x8_splat( (left_lower + 2) >> 2 ),
                                 wasm_i16x8_splat( (top_right + left_lower + 4) >> 3 ), 0, 2 );
}

static void intra_satd_x3_8x8c_wasm( pixel *fenc, pixel *fdec, int res[3] )
{
    v128_t dc[2], top = wasm_u16x8_load8x8( fdec - FDEC_STRIDE );
    chroma_dc_8x8( fdec, &dc[0], &dc[1] );
    v128_t sums_dc = wasm_i16x8_const_splat( 0 ), sums_h = sums_dc, sums_v = sums_dc;
    for( int half = 0; half < 2; half++, fenc += 4*FENC_STRIDE, fdec += 4*FDEC_STRIDE )
    {
        v128_t s[4], l[4];
        for( int i = 0; i < 4; i++ )
        {
            s[i] = wasm_u16x8_load8x8( fenc + i*FENC_STRIDE );
            l[i] = load_pixel_splat_i16( fdec + i*FDEC_STRIDE - 1 );
        }
        sums_dc = wasm_i16x8_add( sums_dc, satd_of_prediction( s, dc[half], dc[half], dc[half], dc[half] ) );
        sums_h  = wasm_i16x8_add( sums_h, satd_of_prediction( s, l[0], l[1], l[2], l[3] ) );
        sums_v  = wasm_i16x8_add( sums_v, satd_of_prediction( s, top, top, top, top ) );
    }
    store_3( res, sums_of_4( sums_dc, sums_h, sums_v, sums_v ) );
}

static void intra_sad_x3_8x8c_wasm( pixel *fenc, pixel *fdec, int res[3] )
{
    v128_t upper, lower, top = wasm_v128_load64_splat( fdec - FDEC_STRIDE );
    chroma_dc_8x8( fdec, &upper, &lower );
    /* Narrowed, a register holds two rows of a half. */
    v128_t dc[2] = { wasm_u8x16_narrow_i16x8( upper, upper ), wasm_u8x16_narrow_i16x8( lower, lower ) };
    v128_t sums_dc = wasm_i16x8_const_splat( 0 ), sums_h = sums_dc, sums_v = sums_dc;
    for( int y = 0; y < 8; y += 2, fenc += 2*FENC_STRIDE, fdec += 2*FDEC_STRIDE )
    {
        v128_t source = load_2_rows_of_8( fenc, FENC_STRIDE );
        v128_t left = wasm_i64x2_shuffle( wasm_v128_load8_splat( fdec - 1 ), wasm_v128_load8_splat( fdec + FDEC_STRIDE - 1 ), 0, 2 );
        sums_dc = wasm_i16x8_add( sums_dc, sad_16( source, dc[y>>2] ) );
        sums_h  = wasm_i16x8_add( sums_h, sad_16( source, left ) );
        sums_v  = wasm_i16x8_add( sums_v, sad_16( source, top ) );
    }
    store_3( res, sums_of_4( sums_dc, sums_h, sums_v, sums_v ) );
}

/* The three predictions of a 4x4 block, a block to a register. */
static ALWAYS_INLINE void predict_x3_4x4( const pixel *fdec, v128_t *v, v128_t *h, v128_t *dc )
{
    int l0 = fdec[-1], l1 = fdec[FDEC_STRIDE-1], l2 = fdec[2*FDEC_STRIDE-1], l3 = fdec[3*FDEC_STRIDE-1];
    const pixel *top = fdec - FDEC_STRIDE;
    *v = wasm_v128_load32_splat( top );
    v128_t left = wasm_i32x4_make( l0, l1, l2, l3 );
    *h = wasm_i8x16_shuffle( left, left, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12 );
    *dc = wasm_i8x16_splat( (l0 + l1 + l2 + l3 + top[0] + top[1] + top[2] + top[3] + 4) >> 3 );
}

static void intra_sad_x3_4x4_wasm( pixel *fenc, pixel *fdec, int res[3] )
{
    v128_t v, h, dc, source = load_4_rows_of_4( fenc, FENC_STRIDE );
    predict_x3_4x4( fdec, &v, &h, &dc );
    dc = sad_16( source, dc );
    store_3( res, sums_of_4( sad_16( source, v ), sad_16( source, h ), dc, dc ) );
}

static ALWAYS_INLINE v128_t satd_of_prediction_4x4( v128_t source, v128_t prediction )
{
    return satd_4x4_of_rows( wasm_i16x8_sub( wasm_u16x8_extend_low_u8x16( source ), wasm_u16x8_extend_low_u8x16( prediction ) ),
                             wasm_i16x8_sub( wasm_u16x8_extend_high_u8x16( source ), wasm_u16x8_extend_high_u8x16( prediction ) ) );
}

static void intra_satd_x3_4x4_wasm( pixel *fenc, pixel *fdec, int res[3] )
{
    v128_t v, h, dc, source = load_4_rows_of_4( fenc, FENC_STRIDE );
    predict_x3_4x4( fdec, &v, &h, &dc );
    dc = satd_of_prediction_4x4( source, dc );
    store_3( res, sums_of_4( satd_of_prediction_4x4( source, v ), satd_of_prediction_4x4( source, h ), dc, dc ) );
}

/* The filtered edge of an 8x8 block: left from bottom to top in 7 to 14, the corner in 15, top from 16 on. */
static ALWAYS_INLINE int edge_dc( const pixel edge[36] )
{
    int sum = 8;
    for( int i = 0; i < 8; i++ )
        sum += edge[7+i] + edge[16+i];
    return sum >> 4;
}

static void intra_sad_x3_8x8_wasm( pixel *fenc, pixel edge[36], int res[3] )
{
    v128_t top = wasm_v128_load64_splat( edge + 16 ), dc = wasm_i8x16_splat( edge_dc( edge ) );
    v128_t sums_v = wasm_i16x8_const_splat( 0 ), sums_h = sums_v, sums_dc = sums_v;
    for( int y = 0; y < 8; y += 2, fenc += 2*FENC_STRIDE )
    {
        v128_t source = load_2_rows_of_8( fenc, FENC_STRIDE );
        v128_t left = wasm_i64x2_shuffle( wasm_v128_load8_splat( edge + 14-y ), wasm_v128_load8_splat( edge + 13-y ), 0, 2 );
        sums_v  = wasm_i16x8_add( sums_v, sad_16( source, top ) );
        sums_h  = wasm_i16x8_add( sums_h, sad_16( source, left ) );
        sums_dc = wasm_i16x8_add( sums_dc, sad_16( source, dc ) );
    }
    store_3( res, sums_of_4( sums_v, sums_h, sums_dc, sums_dc ) );
}

static void intra_sa8d_x3_8x8_wasm( pixel *fenc, pixel edge[36], int res[3] )
{
    v128_t top = wasm_u16x8_load8x8( edge + 16 ), dc = wasm_i16x8_splat( edge_dc( edge ) );
    v128_t r[8];
    for( int y = 0; y < 8; y++ )
        r[y] = wasm_i16x8_sub( wasm_u16x8_load8x8( fenc + y*FENC_STRIDE ), top );
    res[0] = sa8d_rounded( sa8d_of_rows( r ) );
    for( int y = 0; y < 8; y++ )
        r[y] = wasm_i16x8_sub( wasm_u16x8_load8x8( fenc + y*FENC_STRIDE ), load_pixel_splat_i16( edge + 14-y ) );
    res[1] = sa8d_rounded( sa8d_of_rows( r ) );
    for( int y = 0; y < 8; y++ )
        r[y] = wasm_i16x8_sub( wasm_u16x8_load8x8( fenc + y*FENC_STRIDE ), dc );
    res[2] = sa8d_rounded( sa8d_of_rows( r ) );
}

/****************************************************************************
 * SSIM, sums for interlacing and for weights
 ****************************************************************************/

static void ssim_4x4x2_core_wasm( const pixel *pix1, intptr_t stride1, const pixel *pix2, intptr_t stride2, int sums[2][4] )
{
    const v128_t ones = wasm_i16x8_const_splat( 1 );
    v128_t s1 = wasm_i16x8_const_splat( 0 ), s2 = s1, ss = s1, s12 = s1;
    for( int y = 0; y < 4; y++, pix1 += stride1, pix2 += stride2 )
    {
        v128_t a = wasm_u16x8_load8x8( pix1 ), b = wasm_u16x8_load8x8( pix2 );
        s1 = wasm_i16x8_add( s1, a );
        s2 = wasm_i16x8_add( s2, b );
        ss = wasm_i32x4_add( ss, wasm_i32x4_add( wasm_i32x4_dot_i16x8( a, a ), wasm_i32x4_dot_i16x8( b, b ) ) );
        s12 = wasm_i32x4_add( s12, wasm_i32x4_dot_i16x8( a, b ) );
    }
    s1 = wasm_i32x4_dot_i16x8( s1, ones );
    s2 = wasm_i32x4_dot_i16x8( s2, ones );
    /* The left block is in the lanes 0 and 1, the right one in 2 and 3. */
    v128_t sums_12  = wasm_i32x4_add( wasm_i32x4_shuffle( s1, s2, 0, 4, 2, 6 ), wasm_i32x4_shuffle( s1, s2, 1, 5, 3, 7 ) );
    v128_t sums_ss  = wasm_i32x4_add( wasm_i32x4_shuffle( ss, s12, 0, 4, 2, 6 ), wasm_i32x4_shuffle( ss, s12, 1, 5, 3, 7 ) );
    wasm_v128_store( sums[0], wasm_i64x2_shuffle( sums_12, sums_ss, 0, 2 ) );
    wasm_v128_store( sums[1], wasm_i64x2_shuffle( sums_12, sums_ss, 1, 3 ) );
}

static int pixel_vsad_wasm( pixel *src, intptr_t stride, int height )
{
    v128_t sums = wasm_i32x4_const_splat( 0 ), above = wasm_v128_load( src );
    for( int y = 1; y < height; y++ )
    {
        v128_t row = wasm_v128_load( src + y*stride );
        sums = wasm_i32x4_add( sums, wasm_u32x4_extadd_pairwise_u16x8( sad_16( above, row ) ) );
        above = row;
    }
    return sum_i32x4( sums );
}

static int pixel_asd8_wasm( pixel *pix1, intptr_t stride1, pixel *pix2, intptr_t stride2, int height )
{
    v128_t sums = wasm_i32x4_const_splat( 0 );
    for( int y = 0; y < height; y++, pix1 += stride1, pix2 += stride2 )
        sums = wasm_i32x4_add( sums, wasm_i32x4_extadd_pairwise_i16x8( difference_8( pix1, pix2 ) ) );
    return abs( sum_i32x4( sums ) );
}

void x264_pixel_init_wasm( x264_pixel_function_t *pixf )
{
#define INIT4( name ) \
    pixf->name[PIXEL_16x16] = pixel_##name##_16x16_wasm; \
    pixf->name[PIXEL_16x8]  = pixel_##name##_16x8_wasm; \
    pixf->name[PIXEL_8x16]  = pixel_##name##_8x16_wasm; \
    pixf->name[PIXEL_8x8]   = pixel_##name##_8x8_wasm;
#define INIT7( name ) \
    INIT4( name ) \
    pixf->name[PIXEL_8x4]   = pixel_##name##_8x4_wasm; \
    pixf->name[PIXEL_4x8]   = pixel_##name##_4x8_wasm; \
    pixf->name[PIXEL_4x4]   = pixel_##name##_4x4_wasm;
#define INIT8( name ) \
    INIT7( name ) \
    pixf->name[PIXEL_4x16]  = pixel_##name##_4x16_wasm;

    INIT8( sad )
    memcpy( pixf->sad_aligned, pixf->sad, sizeof(pixf->sad) );
    INIT7( sad_x3 )
    INIT7( sad_x4 )
    INIT8( ssd )
    INIT8( satd )
    INIT7( satd_x3 )
    INIT7( satd_x4 )
    INIT4( hadamard_ac )
    pixf->sa8d[PIXEL_16x16] = pixel_sa8d_16x16_wasm;
    pixf->sa8d[PIXEL_8x8]   = pixel_sa8d_8x8_wasm;
    pixf->var[PIXEL_16x16]  = pixel_var_16x16_wasm;
    pixf->var[PIXEL_8x16]   = pixel_var_8x16_wasm;
    pixf->var[PIXEL_8x8]    = pixel_var_8x8_wasm;
    pixf->var2[PIXEL_8x16]  = pixel_var2_8x16_wasm;
    pixf->var2[PIXEL_8x8]   = pixel_var2_8x8_wasm;
    pixf->ssd_nv12_core     = pixel_ssd_nv12_core_wasm;
    pixf->ssim_4x4x2_core   = ssim_4x4x2_core_wasm;
    pixf->vsad              = pixel_vsad_wasm;
    pixf->asd8              = pixel_asd8_wasm;

    pixf->intra_sad_x3_4x4    = intra_sad_x3_4x4_wasm;
    pixf->intra_satd_x3_4x4   = intra_satd_x3_4x4_wasm;
    pixf->intra_sad_x3_8x8    = intra_sad_x3_8x8_wasm;
    pixf->intra_sa8d_x3_8x8   = intra_sa8d_x3_8x8_wasm;
    pixf->intra_sad_x3_8x8c   = intra_sad_x3_8x8c_wasm;
    pixf->intra_satd_x3_8x8c  = intra_satd_x3_8x8c_wasm;
    pixf->intra_sad_x3_16x16  = intra_sad_x3_16x16_wasm;
    pixf->intra_satd_x3_16x16 = intra_satd_x3_16x16_wasm;
}
