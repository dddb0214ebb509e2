/*****************************************************************************
 * mc.c: motion compensation for WebAssembly
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
 *****************************************************************************/

/* Motion compensation, 8-bit. Names and results are those of common/mc.c. */

#include "common/common.h"
#include "wasm.h"
#include "vector.h"

/* Blocks are small and there are many calls, so each width has a loop of its own, inlined where it is used. */

/****************************************************************************
 * Copies, averages, weights
 ****************************************************************************/

static ALWAYS_INLINE v128_t load_row( const pixel *src, int width )
{
    if( width == 16 )
        return wasm_v128_load( src );
    return width == 8 ? wasm_v128_load64_zero( src ) : wasm_v128_load32_zero( src );
}

static ALWAYS_INLINE void store_row( pixel *dst, v128_t row, int width )
{
    if( width == 16 )
        wasm_v128_store( dst, row );
    else if( width == 8 )
        wasm_v128_store64_lane( dst, row, 0 );
    else if( width == 4 )
        wasm_v128_store32_lane( dst, row, 0 );
    else
        wasm_v128_store16_lane( dst, row, 0 );
}

static ALWAYS_INLINE void copy( pixel *dst, intptr_t i_dst, const pixel *src, intptr_t i_src, int width, int height )
{
    for( int y = 0; y < height; y++, dst += i_dst, src += i_src )
        store_row( dst, load_row( src, width ), width );
}

static void mc_copy_w16_wasm( pixel *dst, intptr_t i_dst, pixel *src, intptr_t i_src, int height )
{
    copy( dst, i_dst, src, i_src, 16, height );
}
static void mc_copy_w8_wasm( pixel *dst, intptr_t i_dst, pixel *src, intptr_t i_src, int height )
{
    copy( dst, i_dst, src, i_src, 8, height );
}
static void mc_copy_w4_wasm( pixel *dst, intptr_t i_dst, pixel *src, intptr_t i_src, int height )
{
    copy( dst, i_dst, src, i_src, 4, height );
}

static ALWAYS_INLINE void average( pixel *dst, intptr_t i_dst, const pixel *src1, intptr_t i_src1, const pixel *src2, intptr_t i_src2,
                                   int width, int height )
{
    /* All heights are even. Two rows are loaded before one is stored, so that loads don't wait for what may overlap. */
    for( int y = 0; y < height; y += 2, dst += 2*i_dst, src1 += 2*i_src1, src2 += 2*i_src2 )
    {
        v128_t row0 = wasm_u8x16_avgr( load_row( src1, width ), load_row( src2, width ) );
        v128_t row1 = wasm_u8x16_avgr( load_row( src1 + i_src1, width ), load_row( src2 + i_src2, width ) );
        store_row( dst, row0, width );
        store_row( dst + i_dst, row1, width );
    }
}

/* Weights are -64 to 128 and add up to 64, so no sum leaves 16 bits. Products and partial sums may wrap around. */
static ALWAYS_INLINE v128_t weigh_2( v128_t a, v128_t b, v128_t weight1, v128_t weight2 )
{
    v128_t sum = wasm_i16x8_add( wasm_i16x8_mul( a, weight1 ), wasm_i16x8_mul( b, weight2 ) );
    return wasm_i16x8_shr( wasm_i16x8_add( sum, wasm_i16x8_const_splat( 32 ) ), 6 );
}

static ALWAYS_INLINE void average_weighted( pixel *dst, intptr_t i_dst, const pixel *src1, intptr_t i_src1, const pixel *src2,
                                            intptr_t i_src2, int width, int height, int weight )
{
    v128_t weight1 = wasm_i16x8_splat( weight ), weight2 = wasm_i16x8_splat( 64 - weight );
    for( int y = 0; y < height; y++, dst += i_dst, src1 += i_src1, src2 += i_src2 )
    {
        v128_t a = load_row( src1, width ), b = load_row( src2, width );
        v128_t low = weigh_2( wasm_u16x8_extend_low_u8x16( a ), wasm_u16x8_extend_low_u8x16( b ), weight1, weight2 ), high = low;
        if( width == 16 )
            high = weigh_2( wasm_u16x8_extend_high_u8x16( a ), wasm_u16x8_extend_high_u8x16( b ), weight1, weight2 );
        store_row( dst, wasm_u8x16_narrow_i16x8( low, high ), width );
    }
}

#define PIXEL_AVG( w, h ) \
static void pixel_avg_##w##x##h##_wasm( pixel *dst, intptr_t i_dst, pixel *src1, intptr_t i_src1, pixel *src2, intptr_t i_src2, \
                                        int weight ) \
{ \
    if( weight == 32 ) \
        average( dst, i_dst, src1, i_src1, src2, i_src2, w, h ); \
    else \
        average_weighted( dst, i_dst, src1, i_src1, src2, i_src2, w, h, weight ); \
}
PIXEL_AVG( 16, 16 )
PIXEL_AVG( 16, 8 )
PIXEL_AVG( 8, 16 )
PIXEL_AVG( 8, 8 )
PIXEL_AVG( 8, 4 )
PIXEL_AVG( 4, 16 )
PIXEL_AVG( 4, 8 )
PIXEL_AVG( 4, 4 )
PIXEL_AVG( 4, 2 )

/* A scale is below 128 and an offset is a signed byte: nothing leaves 16 bits before it is clipped. */
static ALWAYS_INLINE v128_t weigh( v128_t pixels, v128_t scale, v128_t round, int denom, v128_t offset )
{
    v128_t scaled = wasm_i16x8_shr( wasm_i16x8_add( wasm_i16x8_mul( pixels, scale ), round ), denom );
    return wasm_i16x8_add( scaled, offset );
}

static ALWAYS_INLINE void weigh_rows( pixel *dst, intptr_t i_dst, const pixel *src, intptr_t i_src, const x264_weight_t *weight,
                                      int width, int height )
{
    int denom = weight->i_denom;
    v128_t scale = wasm_i16x8_splat( weight->i_scale ), offset = wasm_i16x8_splat( weight->i_offset );
    v128_t round = wasm_i16x8_splat( denom ? 1 << (denom-1) : 0 );
    for( int y = 0; y < height; y++, dst += i_dst, src += i_src )
    {
        v128_t row = load_row( src, width );
        v128_t low = weigh( wasm_u16x8_extend_low_u8x16( row ), scale, round, denom, offset ), high = low;
        if( width == 16 )
            high = weigh( wasm_u16x8_extend_high_u8x16( row ), scale, round, denom, offset );
        store_row( dst, wasm_u8x16_narrow_i16x8( low, high ), width );
    }
}

static void mc_weight_w4_wasm( pixel *dst, intptr_t i_dst, pixel *src, intptr_t i_src, const x264_weight_t *weight, int height )
{
    weigh_rows( dst, i_dst, src, i_src, weight, 4, height );
}
static void mc_weight_w8_wasm( pixel *dst, intptr_t i_dst, pixel *src, intptr_t i_src, const x264_weight_t *weight, int height )
{
    weigh_rows( dst, i_dst, src, i_src, weight, 8, height );
}
static void mc_weight_w12_wasm( pixel *dst, intptr_t i_dst, pixel *src, intptr_t i_src, const x264_weight_t *weight, int height )
{
    weigh_rows( dst, i_dst, src, i_src, weight, 8, height );
    weigh_rows( dst + 8, i_dst, src + 8, i_src, weight, 4, height );
}
static void mc_weight_w16_wasm( pixel *dst, intptr_t i_dst, pixel *src, intptr_t i_src, const x264_weight_t *weight, int height )
{
    weigh_rows( dst, i_dst, src, i_src, weight, 16, height );
}
static void mc_weight_w20_wasm( pixel *dst, intptr_t i_dst, pixel *src, intptr_t i_src, const x264_weight_t *weight, int height )
{
    weigh_rows( dst, i_dst, src, i_src, weight, 16, height );
    weigh_rows( dst + 16, i_dst, src + 16, i_src, weight, 4, height );
}
/* The narrowest blocks are chroma's, of 2x2 to 2x8 pixels. A row is loaded as bytes, to read no more than it has. */
static void mc_weight_w2_wasm( pixel *dst, intptr_t i_dst, pixel *src, intptr_t i_src, const x264_weight_t *weight, int height )
{
    int denom = weight->i_denom, round = denom ? 1 << (denom-1) : 0;
    for( int y = 0; y < height; y++, dst += i_dst, src += i_src )
    {
        dst[0] = x264_clip_pixel( ((src[0] * weight->i_scale + round) >> denom) + weight->i_offset );
        dst[1] = x264_clip_pixel( ((src[1] * weight->i_scale + round) >> denom) + weight->i_offset );
    }
}

static weight_fn_t mc_weight_wtab_wasm[6] =
{
    mc_weight_w2_wasm,
    mc_weight_w4_wasm,
    mc_weight_w8_wasm,
    mc_weight_w12_wasm,
    mc_weight_w16_wasm,
    mc_weight_w20_wasm,
};

/****************************************************************************
 * Luma: quarter-pel positions are averages of two of the four half-pel planes
 ****************************************************************************/

/* The pixels that a vector points to, and those to average them with unless the position is whole or half. */
static ALWAYS_INLINE const pixel *reference( pixel *src[4], intptr_t i_src, int mvx, int mvy, const pixel **second )
{
    int qpel_idx = ((mvy&3)<<2) + (mvx&3);
    intptr_t offset = (mvy>>2)*i_src + (mvx>>2);
    *second = qpel_idx & 5 ? src[x264_hpel_ref1[qpel_idx]] + offset + ((mvx&3) == 3) : NULL;
    return src[x264_hpel_ref0[qpel_idx]] + offset + ((mvy&3) == 3) * i_src;
}

/* Most blocks are 8 or 16 wide. The rest stays out of line: the fewer loops a function has, the fewer registers it saves. */
static NOINLINE void average_rest( pixel *dst, intptr_t i_dst, const pixel *src1, const pixel *src2, intptr_t i_src, int width,
                                   int height )
{
    int x = 0;
    for( ; x + 8 <= width; x += 8 )
        average( dst + x, i_dst, src1 + x, i_src, src2 + x, i_src, 8, height );
    for( ; x < width; x += 4 )
        average( dst + x, i_dst, src1 + x, i_src, src2 + x, i_src, 4, height );
}

static ALWAYS_INLINE void average_any( pixel *dst, intptr_t i_dst, const pixel *src1, const pixel *src2, intptr_t i_src, int width,
                                       int height )
{
    if( width == 8 )
        average( dst, i_dst, src1, i_src, src2, i_src, 8, height );
    else if( width == 16 )
        average( dst, i_dst, src1, i_src, src2, i_src, 16, height );
    else
        average_rest( dst, i_dst, src1, src2, i_src, width, height );
}

static NOINLINE void mc_luma_weighted( pixel *dst, intptr_t i_dst, pixel *src[4], intptr_t i_src, int mvx, int mvy, int width,
                                       int height, const x264_weight_t *weight )
{
    const pixel *second, *first = reference( src, i_src, mvx, mvy, &second );
    if( second )
    {
        average_any( dst, i_dst, first, second, i_src, width, height );
        first = dst;
        i_src = i_dst;
    }
    mc_weight_wtab_wasm[width>>2]( dst, i_dst, (pixel*)first, i_src, weight, height );
}

static void mc_luma_wasm( pixel *dst, intptr_t i_dst, pixel *src[4], intptr_t i_src, int mvx, int mvy, int width, int height,
                          const x264_weight_t *weight )
{
    if( weight->weightfn )
    {
        mc_luma_weighted( dst, i_dst, src, i_src, mvx, mvy, width, height, weight );
        return;
    }
    const pixel *second, *first = reference( src, i_src, mvx, mvy, &second );
    if( second )
        average_any( dst, i_dst, first, second, i_src, width, height );
    else if( width == 16 )
        copy( dst, i_dst, first, i_src, 16, height );
    else if( width == 8 )
        copy( dst, i_dst, first, i_src, 8, height );
    else
        for( int x = 0; x < width; x += 4 )
            copy( dst + x, i_dst, first + x, i_src, 4, height );
}

/* Returns the reference itself if nothing has to be averaged or weighted. */
static pixel *get_ref_wasm( pixel *dst, intptr_t *i_dst, pixel *src[4], intptr_t i_src, int mvx, int mvy, int width, int height,
                            const x264_weight_t *weight )
{
    if( weight->weightfn )
    {
        mc_luma_weighted( dst, *i_dst, src, i_src, mvx, mvy, width, height, weight );
        return dst;
    }
    const pixel *second, *first = reference( src, i_src, mvx, mvy, &second );
    if( second )
    {
        average_any( dst, *i_dst, first, second, i_src, width, height );
        return dst;
    }
    *i_dst = i_src;
    return (pixel*)first;
}

/****************************************************************************
 * Chroma: interleaved, bilinear, an eighth of a pixel
 ****************************************************************************/

/* (8-d)*a + d*b with one multiplication. */
static ALWAYS_INLINE v128_t blend_8( v128_t a, v128_t b, v128_t d )
{
    return wasm_i16x8_add( wasm_i16x8_shl( a, 3 ), wasm_i16x8_mul( wasm_i16x8_sub( b, a ), d ) );
}

/* Four pairs of a row, or the first two of them, blended with the pairs to their right. */
static ALWAYS_INLINE v128_t chroma_row( const pixel *src, v128_t dx, int width )
{
    if( width == 2 )
        return blend_8( wasm_u16x8_extend_low_u8x16( wasm_v128_load32_zero( src ) ),
                        wasm_u16x8_extend_low_u8x16( wasm_v128_load32_zero( src + 2 ) ), dx );
    return blend_8( wasm_u16x8_load8x8( src ), wasm_u16x8_load8x8( src + 2 ), dx );
}

static ALWAYS_INLINE v128_t chroma_rounded( v128_t above, v128_t below, v128_t dy )
{
    return wasm_u16x8_shr( wasm_i16x8_add( blend_8( above, below, dy ), wasm_i16x8_const_splat( 32 ) ), 6 );
}

/* The horizontal blend of a row serves the rows above and below it. */
static ALWAYS_INLINE void mc_chroma( pixel *dstu, pixel *dstv, intptr_t i_dst, const pixel *src, intptr_t i_src, v128_t dx, v128_t dy,
                                     int width, int height )
{
    v128_t above0 = chroma_row( src, dx, width ), above1 = above0;
    if( width == 8 )
        above1 = chroma_row( src + 8, dx, width );
    for( int y = 0; y < height; y++, dstu += i_dst, dstv += i_dst )
    {
        src += i_src;
        v128_t below0 = chroma_row( src, dx, width ), below1 = below0;
        v128_t row0 = chroma_rounded( above0, below0, dy ), row1 = row0;
        if( width == 8 )
        {
            below1 = chroma_row( src + 8, dx, width );
            row1 = chroma_rounded( above1, below1, dy );
        }
        v128_t pairs = wasm_u8x16_narrow_i16x8( row0, row1 );
        v128_t split = wasm_i8x16_shuffle( pairs, pairs, 0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15 );
        store_row( dstu, split, width );
        store_row( dstv, wasm_i64x2_shuffle( split, split, 1, 0 ), width );
        above0 = below0;
        above1 = below1;
    }
}

static void mc_chroma_wasm( pixel *dstu, pixel *dstv, intptr_t i_dst, pixel *src, intptr_t i_src, int mvx, int mvy, int width,
                            int height )
{
    v128_t dx = wasm_i16x8_splat( mvx & 7 ), dy = wasm_i16x8_splat( mvy & 7 );
    src += (mvy >> 3) * i_src + (mvx >> 3)*2;
    if( width == 8 )
        mc_chroma( dstu, dstv, i_dst, src, i_src, dx, dy, 8, height );
    else if( width == 4 )
        mc_chroma( dstu, dstv, i_dst, src, i_src, dx, dy, 4, height );
    else
        mc_chroma( dstu, dstv, i_dst, src, i_src, dx, dy, 2, height );
}

/* Eight bytes of each plane become sixteen, and the other way. */
static ALWAYS_INLINE v128_t interleave( v128_t u, v128_t v )
{
    return wasm_i8x16_shuffle( u, v, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23 );
}

static ALWAYS_INLINE v128_t deinterleave( v128_t pairs )
{
    return wasm_i8x16_shuffle( pairs, pairs, 0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15 );
}

static void store_interleave_chroma_wasm( pixel *dst, intptr_t i_dst, pixel *srcu, pixel *srcv, int height )
{
    for( int y = 0; y < height; y++, dst += i_dst, srcu += FDEC_STRIDE, srcv += FDEC_STRIDE )
        wasm_v128_store( dst, interleave( wasm_v128_load64_zero( srcu ), wasm_v128_load64_zero( srcv ) ) );
}

static ALWAYS_INLINE void load_deinterleave_chroma( pixel *dst, intptr_t i_dst, const pixel *src, intptr_t i_src, int height )
{
    for( int y = 0; y < height; y++, dst += i_dst, src += i_src )
    {
        v128_t split = deinterleave( wasm_v128_load( src ) );
        wasm_v128_store64_lane( dst, split, 0 );
        wasm_v128_store64_lane( dst + i_dst/2, split, 1 );
    }
}

static void load_deinterleave_chroma_fenc_wasm( pixel *dst, pixel *src, intptr_t i_src, int height )
{
    load_deinterleave_chroma( dst, FENC_STRIDE, src, i_src, height );
}
static void load_deinterleave_chroma_fdec_wasm( pixel *dst, pixel *src, intptr_t i_src, int height )
{
    load_deinterleave_chroma( dst, FDEC_STRIDE, src, i_src, height );
}

/****************************************************************************
 * Half-pel planes and the lookahead's small planes
 ****************************************************************************/

/* a - 5b + 20c as a + 5(4c - b). */
static ALWAYS_INLINE v128_t tap_filter( v128_t a, v128_t b, v128_t c )
{
    v128_t t = wasm_i16x8_sub( wasm_i16x8_shl( c, 2 ), b );
    return wasm_i16x8_add( a, wasm_i16x8_add( t, wasm_i16x8_shl( t, 2 ) ) );
}

/* Eight pixels, unrounded; d is the distance of the taps. */
static ALWAYS_INLINE v128_t tap_filter_pixels( const pixel *src, intptr_t d )
{
    v128_t a = wasm_i16x8_add( wasm_u16x8_load8x8( src - 2*d ), wasm_u16x8_load8x8( src + 3*d ) );
    v128_t b = wasm_i16x8_add( wasm_u16x8_load8x8( src - d ), wasm_u16x8_load8x8( src + 2*d ) );
    v128_t c = wasm_i16x8_add( wasm_u16x8_load8x8( src ), wasm_u16x8_load8x8( src + d ) );
    return tap_filter( a, b, c );
}

static ALWAYS_INLINE v128_t round_5( v128_t v )
{
    return wasm_i16x8_shr( wasm_i16x8_add( v, wasm_i16x8_const_splat( 16 ) ), 5 );
}

/* The second filter over what the first one left, (a - 5b + 20c + 512) >> 10, in 16 bits: floors nest, so that
 * ((a-b)/4 - b + c)/4 + c is the floor of (a - 5b + 20c)/16. What saturates is clipped afterwards anyway. */
static ALWAYS_INLINE v128_t tap_filter_again( const int16_t *v )
{
    v128_t a = wasm_i16x8_add( wasm_v128_load( v - 2 ), wasm_v128_load( v + 3 ) );
    v128_t b = wasm_i16x8_add( wasm_v128_load( v - 1 ), wasm_v128_load( v + 2 ) );
    v128_t c = wasm_i16x8_add( wasm_v128_load( v ), wasm_v128_load( v + 1 ) );
    v128_t t = wasm_i16x8_sub( wasm_i16x8_shr( wasm_i16x8_sub( a, b ), 2 ), b );
    t = wasm_i16x8_add( wasm_i16x8_shr( wasm_i16x8_add_sat( t, c ), 2 ), c );
    return wasm_i16x8_shr( wasm_i16x8_add( t, wasm_i16x8_const_splat( 32 ) ), 6 );
}

/* Widths are multiples of 16, and planes and buffer have room for 8 more on either side. */
static void hpel_filter_wasm( pixel *dsth, pixel *dstv, pixel *dstc, pixel *src, intptr_t stride, int width, int height, int16_t *buf )
{
    buf += 8;
    for( int y = 0; y < height; y++ )
    {
        wasm_v128_store( buf - 8, tap_filter_pixels( src - 8, stride ) );
        wasm_v128_store( buf + width, tap_filter_pixels( src + width, stride ) );
        for( int x = 0; x < width; x += 16 )
        {
            v128_t v0 = tap_filter_pixels( src + x, stride ), v1 = tap_filter_pixels( src + x + 8, stride );
            wasm_v128_store( buf + x, v0 );
            wasm_v128_store( buf + x + 8, v1 );
            wasm_v128_store( dstv + x, wasm_u8x16_narrow_i16x8( round_5( v0 ), round_5( v1 ) ) );
            v128_t h0 = round_5( tap_filter_pixels( src + x, 1 ) ), h1 = round_5( tap_filter_pixels( src + x + 8, 1 ) );
            wasm_v128_store( dsth + x, wasm_u8x16_narrow_i16x8( h0, h1 ) );
        }
        for( int x = 0; x < width; x += 16 )
            wasm_v128_store( dstc + x, wasm_u8x16_narrow_i16x8( tap_filter_again( buf + x ), tap_filter_again( buf + x + 8 ) ) );
        dsth += stride;
        dstv += stride;
        dstc += stride;
        src += stride;
    }
}

/* Averages of neighbours, in the low byte of each pair: even and odd pixels, or odd pixels and the even ones to their right. */
static ALWAYS_INLINE void store_lowres( pixel *dst, pixel *dsth, v128_t column, v128_t column_right )
{
    const v128_t low_bytes = wasm_i16x8_const_splat( 0xff );
    v128_t odd = wasm_u16x8_shr( column, 8 );
    v128_t full = wasm_v128_and( wasm_u8x16_avgr( column, odd ), low_bytes );
    v128_t half = wasm_v128_and( wasm_u8x16_avgr( odd, column_right ), low_bytes );
    v128_t both = wasm_u8x16_narrow_i16x8( full, half );
    wasm_v128_store64_lane( dst, both, 0 );
    wasm_v128_store64_lane( dsth, both, 1 );
}

/* Widths are multiples of 8. Vertical averages come first, as in the C code; both averages round up. */
static void frame_init_lowres_core_wasm( pixel *src0, pixel *dst0, pixel *dsth, pixel *dstv, pixel *dstc, intptr_t src_stride,
                                         intptr_t dst_stride, int width, int height )
{
    for( int y = 0; y < height; y++ )
    {
        const pixel *src1 = src0 + src_stride, *src2 = src1 + src_stride;
        for( int x = 0; x < width; x += 8 )
        {
            v128_t row = wasm_v128_load( src1 + 2*x ), right = wasm_v128_load( src1 + 2*x + 2 );
            store_lowres( dst0 + x, dsth + x, wasm_u8x16_avgr( wasm_v128_load( src0 + 2*x ), row ),
                          wasm_u8x16_avgr( wasm_v128_load( src0 + 2*x + 2 ), right ) );
            store_lowres( dstv + x, dstc + x, wasm_u8x16_avgr( row, wasm_v128_load( src2 + 2*x ) ),
                          wasm_u8x16_avgr( right, wasm_v128_load( src2 + 2*x + 2 ) ) );
        }
        src0 += src_stride*2;
        dst0 += dst_stride;
        dsth += dst_stride;
        dstv += dst_stride;
        dstc += dst_stride;
    }
}

void x264_mc_init_wasm( x264_mc_functions_t *pf )
{
    pf->mc_luma   = mc_luma_wasm;
    pf->get_ref   = get_ref_wasm;
    pf->mc_chroma = mc_chroma_wasm;

    pf->avg[PIXEL_16x16] = pixel_avg_16x16_wasm;
    pf->avg[PIXEL_16x8]  = pixel_avg_16x8_wasm;
    pf->avg[PIXEL_8x16]  = pixel_avg_8x16_wasm;
    pf->avg[PIXEL_8x8]   = pixel_avg_8x8_wasm;
    pf->avg[PIXEL_8x4]   = pixel_avg_8x4_wasm;
    pf->avg[PIXEL_4x16]  = pixel_avg_4x16_wasm;
    pf->avg[PIXEL_4x8]   = pixel_avg_4x8_wasm;
    pf->avg[PIXEL_4x4]   = pixel_avg_4x4_wasm;
    pf->avg[PIXEL_4x2]   = pixel_avg_4x2_wasm;

    pf->weight    = mc_weight_wtab_wasm;
    pf->offsetadd = mc_weight_wtab_wasm;
    pf->offsetsub = mc_weight_wtab_wasm;

    pf->copy_16x16_unaligned = mc_copy_w16_wasm;
    pf->copy[PIXEL_16x16] = mc_copy_w16_wasm;
    pf->copy[PIXEL_8x8]   = mc_copy_w8_wasm;
    pf->copy[PIXEL_4x4]   = mc_copy_w4_wasm;

    pf->store_interleave_chroma       = store_interleave_chroma_wasm;
    pf->load_deinterleave_chroma_fenc = load_deinterleave_chroma_fenc_wasm;
    pf->load_deinterleave_chroma_fdec = load_deinterleave_chroma_fdec_wasm;

    pf->hpel_filter            = hpel_filter_wasm;
    pf->frame_init_lowres_core = frame_init_lowres_core_wasm;
}
