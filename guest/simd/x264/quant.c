/*****************************************************************************
 * quant.c: quantisation for WebAssembly
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

/* Quantization and properties of coefficients, 8-bit. Names and results are those of common/quant.c. */

#include "common/common.h"
#include "wasm.h"
#include "vector.h"

/* The high halves of unsigned products: two widening multiplications, and their odd lanes gathered. */
static ALWAYS_INLINE v128_t multiply_high_u16( v128_t a, v128_t b )
{
    v128_t low = wasm_u32x4_extmul_low_u16x8( a, b ), high = wasm_u32x4_extmul_high_u16x8( a, b );
    return wasm_i16x8_shuffle( low, high, 1, 3, 5, 7, 9, 11, 13, 15 );
}

/* Magnitudes are quantized and get their sign back by (x ^ sign) - sign. A biased magnitude is below 65536. */
static ALWAYS_INLINE v128_t quant_8( v128_t coefs, v128_t mf, v128_t bias )
{
    v128_t sign = wasm_i16x8_shr( coefs, 15 );
    v128_t level = multiply_high_u16( wasm_i16x8_add( wasm_i16x8_abs( coefs ), bias ), mf );
    return wasm_i16x8_sub( wasm_v128_xor( level, sign ), sign );
}

static ALWAYS_INLINE int quant_16( dctcoef dct[16], v128_t mf0, v128_t mf1, v128_t bias0, v128_t bias1 )
{
    v128_t level0 = quant_8( wasm_v128_load( dct ), mf0, bias0 ), level1 = quant_8( wasm_v128_load( dct + 8 ), mf1, bias1 );
    wasm_v128_store( dct, level0 );
    wasm_v128_store( dct + 8, level1 );
    return wasm_v128_any_true( wasm_v128_or( level0, level1 ) );
}

static int quant_4x4_wasm( dctcoef dct[16], udctcoef mf[16], udctcoef bias[16] )
{
    return quant_16( dct, wasm_v128_load( mf ), wasm_v128_load( mf + 8 ), wasm_v128_load( bias ), wasm_v128_load( bias + 8 ) );
}

static int quant_4x4x4_wasm( dctcoef dct[4][16], udctcoef mf[16], udctcoef bias[16] )
{
    v128_t mf0 = wasm_v128_load( mf ), mf1 = wasm_v128_load( mf + 8 );
    v128_t bias0 = wasm_v128_load( bias ), bias1 = wasm_v128_load( bias + 8 );
    int nza = 0;
    for( int i = 0; i < 4; i++ )
        nza |= quant_16( dct[i], mf0, mf1, bias0, bias1 ) << i;
    return nza;
}

static int quant_8x8_wasm( dctcoef dct[64], udctcoef mf[64], udctcoef bias[64] )
{
    v128_t any = wasm_i16x8_const_splat( 0 );
    for( int i = 0; i < 64; i += 8 )
    {
        v128_t level = quant_8( wasm_v128_load( dct + i ), wasm_v128_load( mf + i ), wasm_v128_load( bias + i ) );
        wasm_v128_store( dct + i, level );
        any = wasm_v128_or( any, level );
    }
    return wasm_v128_any_true( any );
}

static int quant_4x4_dc_wasm( dctcoef dct[16], int mf, int bias )
{
    v128_t mfs = wasm_i16x8_splat( mf ), biases = wasm_i16x8_splat( bias );
    return quant_16( dct, mfs, mfs, biases, biases );
}

/* Eight coefficients by eight 32-bit factors, which are below 32768, so that 16-bit factors give the same products. The sums
 * with the rounding have 32 bits and are truncated to 16, as in the C code, not saturated. */
static ALWAYS_INLINE void dequant_8_shl( dctcoef *dct, const int *mf, int shift )
{
    v128_t factors = wasm_i16x8_narrow_i32x4( wasm_v128_load( mf ), wasm_v128_load( mf + 4 ) );
    wasm_v128_store( dct, wasm_i16x8_shl( wasm_i16x8_mul( wasm_v128_load( dct ), factors ), shift ) );
}

static ALWAYS_INLINE void dequant_8_shr( dctcoef *dct, const int *mf, v128_t round, int shift )
{
    /* Pairs of (coefficient, 1) by pairs of (factor, round): one pmaddwd multiplies and rounds. */
    const v128_t ones = wasm_i16x8_const_splat( 1 );
    v128_t coefs = wasm_v128_load( dct );
    v128_t factors = wasm_i16x8_narrow_i32x4( wasm_v128_load( mf ), wasm_v128_load( mf + 4 ) );
    v128_t low = wasm_i32x4_dot_i16x8( wasm_i16x8_shuffle( coefs, ones, 0, 8, 1, 9, 2, 10, 3, 11 ),
                                       wasm_i16x8_shuffle( factors, round, 0, 8, 1, 9, 2, 10, 3, 11 ) );
    v128_t high = wasm_i32x4_dot_i16x8( wasm_i16x8_shuffle( coefs, ones, 4, 12, 5, 13, 6, 14, 7, 15 ),
                                        wasm_i16x8_shuffle( factors, round, 4, 12, 5, 13, 6, 14, 7, 15 ) );
    low = wasm_i32x4_shr( low, shift );
    high = wasm_i32x4_shr( high, shift );
    wasm_v128_store( dct, wasm_i16x8_shuffle( low, high, 0, 2, 4, 6, 8, 10, 12, 14 ) );
}

static ALWAYS_INLINE void dequant( dctcoef *dct, const int *mf, int qbits, int count )
{
    if( qbits >= 0 )
    {
        for( int i = 0; i < count; i += 8 )
            dequant_8_shl( dct + i, mf + i, qbits );
    }
    else
    {
        v128_t round = wasm_i16x8_splat( 1 << (-qbits-1) );
        for( int i = 0; i < count; i += 8 )
            dequant_8_shr( dct + i, mf + i, round, -qbits );
    }
}

static void dequant_4x4_wasm( dctcoef dct[16], int dequant_mf[6][16], int i_qp )
{
    dequant( dct, dequant_mf[i_qp%6], i_qp/6 - 4, 16 );
}

static void dequant_8x8_wasm( dctcoef dct[64], int dequant_mf[6][64], int i_qp )
{
    dequant( dct, dequant_mf[i_qp%6], i_qp/6 - 6, 64 );
}

static void dequant_4x4_dc_wasm( dctcoef dct[16], int dequant_mf[6][16], int i_qp )
{
    int mf = dequant_mf[i_qp%6][0], qbits = i_qp/6 - 6;
    const int mfs[16] = { mf, mf, mf, mf, mf, mf, mf, mf, mf, mf, mf, mf, mf, mf, mf, mf };
    dequant( dct, mfs, qbits, 16 );
}

static void denoise_dct_wasm( dctcoef *dct, uint32_t *sum, udctcoef *offset, int size )
{
    for( int i = 0; i < size; i += 8 )
    {
        v128_t coefs = wasm_v128_load( dct + i ), sign = wasm_i16x8_shr( coefs, 15 );
        v128_t level = wasm_i16x8_abs( coefs );
        wasm_v128_store( sum + i, wasm_i32x4_add( wasm_v128_load( sum + i ), wasm_u32x4_extend_low_u16x8( level ) ) );
        wasm_v128_store( sum + i + 4, wasm_i32x4_add( wasm_v128_load( sum + i + 4 ), wasm_u32x4_extend_high_u16x8( level ) ) );
        level = wasm_u16x8_sub_sat( level, wasm_v128_load( offset + i ) );
        wasm_v128_store( dct + i, wasm_i16x8_sub( wasm_v128_xor( level, sign ), sign ) );
    }
}

/****************************************************************************
 * Properties of 4 to 64 coefficients, from a mask with a bit for each that is not zero
 ****************************************************************************/

/* Saturated to bytes, a coefficient that is not zero stays so. */
static ALWAYS_INLINE uint32_t nonzero_mask_16( v128_t low, v128_t high )
{
    v128_t zero = wasm_i8x16_eq( wasm_i8x16_narrow_i16x8( low, high ), wasm_i8x16_const_splat( 0 ) );
    return wasm_i8x16_bitmask( zero ) ^ 0xffff;
}

static ALWAYS_INLINE uint32_t nonzero_mask_8( v128_t coefs )
{
    return wasm_i16x8_bitmask( wasm_i16x8_eq( coefs, wasm_i16x8_const_splat( 0 ) ) ) ^ 0xff;
}

/* 15 coefficients in two registers that share one, so that nothing is read beyond the last. */
static ALWAYS_INLINE uint32_t nonzero_mask_15( const dctcoef *l )
{
    v128_t low = wasm_v128_load( l ), high = wasm_v128_load( l + 7 );
    return nonzero_mask_8( low ) | nonzero_mask_8( high ) << 7;
}

static ALWAYS_INLINE uint64_t nonzero_mask_64( const dctcoef *l )
{
    uint64_t mask = 0;
    for( int i = 0; i < 4; i++ )
        mask |= (uint64_t)nonzero_mask_16( wasm_v128_load( l + 16*i ), wasm_v128_load( l + 16*i + 8 ) ) << (16*i);
    return mask;
}

static ALWAYS_INLINE int last_of_mask( uint32_t mask )
{
    return mask ? 31 - __builtin_clz( mask ) : -1;
}

static int coeff_last4_wasm( dctcoef *l )
{
    return last_of_mask( nonzero_mask_8( wasm_v128_load64_zero( l ) ) );
}
static int coeff_last8_wasm( dctcoef *l )
{
    return last_of_mask( nonzero_mask_8( wasm_v128_load( l ) ) );
}
static int coeff_last15_wasm( dctcoef *l )
{
    return last_of_mask( nonzero_mask_15( l ) );
}
static int coeff_last16_wasm( dctcoef *l )
{
    return last_of_mask( nonzero_mask_16( wasm_v128_load( l ), wasm_v128_load( l + 8 ) ) );
}
static int coeff_last64_wasm( dctcoef *l )
{
    uint64_t mask = nonzero_mask_64( l );
    return mask ? 63 - __builtin_clzll( mask ) : -1;
}

/* There is at least one coefficient. */
static ALWAYS_INLINE int coeff_level_run( const dctcoef *dct, x264_run_level_t *runlevel, uint32_t mask )
{
    int total = 0;
    runlevel->last = last_of_mask( mask );
    runlevel->mask = mask;
    while( mask )
    {
        int i = last_of_mask( mask );
        runlevel->level[total++] = dct[i];
        mask ^= 1u << i;
    }
    return total;
}

static int coeff_level_run4_wasm( dctcoef *dct, x264_run_level_t *runlevel )
{
    return coeff_level_run( dct, runlevel, nonzero_mask_8( wasm_v128_load64_zero( dct ) ) );
}
static int coeff_level_run8_wasm( dctcoef *dct, x264_run_level_t *runlevel )
{
    return coeff_level_run( dct, runlevel, nonzero_mask_8( wasm_v128_load( dct ) ) );
}
static int coeff_level_run15_wasm( dctcoef *dct, x264_run_level_t *runlevel )
{
    return coeff_level_run( dct, runlevel, nonzero_mask_15( dct ) );
}
static int coeff_level_run16_wasm( dctcoef *dct, x264_run_level_t *runlevel )
{
    return coeff_level_run( dct, runlevel, nonzero_mask_16( wasm_v128_load( dct ), wasm_v128_load( dct + 8 ) ) );
}

/* Any magnitude above 1 makes the score 9; otherwise it depends on the runs of zeros between ones, and the run before the
 * first one counts too. */
static ALWAYS_INLINE int above_one( v128_t coefs )
{
    return wasm_v128_any_true( wasm_u16x8_gt( wasm_i16x8_abs( coefs ), wasm_i16x8_const_splat( 1 ) ) );
}

static ALWAYS_INLINE int decimate_score_of_mask( uint64_t mask, const uint8_t *table )
{
    int score = 0;
    while( mask )
    {
        int last = 63 - __builtin_clzll( mask );
        mask ^= 1ull << last;
        int next = mask ? 63 - __builtin_clzll( mask ) : -1;
        score += table[last - next - 1];
    }
    return score;
}

static int decimate_score15_wasm( dctcoef *dct )
{
    if( above_one( wasm_v128_or( wasm_i16x8_abs( wasm_v128_load( dct + 1 ) ), wasm_i16x8_abs( wasm_v128_load( dct + 8 ) ) ) ) )
        return 9;
    return decimate_score_of_mask( nonzero_mask_15( dct + 1 ), x264_decimate_table4 );
}

static int decimate_score16_wasm( dctcoef *dct )
{
    v128_t low = wasm_v128_load( dct ), high = wasm_v128_load( dct + 8 );
    if( above_one( wasm_v128_or( wasm_i16x8_abs( low ), wasm_i16x8_abs( high ) ) ) )
        return 9;
    return decimate_score_of_mask( nonzero_mask_16( low, high ), x264_decimate_table4 );
}

static int decimate_score64_wasm( dctcoef *dct )
{
    v128_t magnitudes = wasm_i16x8_const_splat( 0 );
    for( int i = 0; i < 64; i += 8 )
        magnitudes = wasm_v128_or( magnitudes, wasm_i16x8_abs( wasm_v128_load( dct + i ) ) );
    if( above_one( magnitudes ) )
        return 9;
    return decimate_score_of_mask( nonzero_mask_64( dct ), x264_decimate_table8 );
}

void x264_quant_init_wasm( x264_quant_function_t *pf )
{
    pf->quant_8x8      = quant_8x8_wasm;
    pf->quant_4x4      = quant_4x4_wasm;
    pf->quant_4x4x4    = quant_4x4x4_wasm;
    pf->quant_4x4_dc   = quant_4x4_dc_wasm;
    pf->dequant_4x4    = dequant_4x4_wasm;
    pf->dequant_8x8    = dequant_8x8_wasm;
    pf->dequant_4x4_dc = dequant_4x4_dc_wasm;
    pf->denoise_dct    = denoise_dct_wasm;

    pf->decimate_score15 = decimate_score15_wasm;
    pf->decimate_score16 = decimate_score16_wasm;
    pf->decimate_score64 = decimate_score64_wasm;
    pf->coeff_last4 = coeff_last4_wasm;
    pf->coeff_last8 = coeff_last8_wasm;
    pf->coeff_last[ DCT_LUMA_AC] = coeff_last15_wasm;
    pf->coeff_last[DCT_LUMA_4x4] = coeff_last16_wasm;
    pf->coeff_last[DCT_LUMA_8x8] = coeff_last64_wasm;
    pf->coeff_level_run4 = coeff_level_run4_wasm;
    pf->coeff_level_run8 = coeff_level_run8_wasm;
    pf->coeff_level_run[ DCT_LUMA_AC] = coeff_level_run15_wasm;
    pf->coeff_level_run[DCT_LUMA_4x4] = coeff_level_run16_wasm;
}
