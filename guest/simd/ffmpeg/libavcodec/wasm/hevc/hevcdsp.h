/* What dsp_init.c calls, and what the kernels for HEVC share. */

#ifndef AVCODEC_WASM_HEVC_HEVCDSP_H
#define AVCODEC_WASM_HEVC_HEVCDSP_H

#include "libavcodec/hevc/dsp.h"
#include "libavcodec/wasm/vector.h"

void ff_hevc_inter_init_simd128(HEVCDSPContext *c, int bit_depth);
void ff_hevc_deblock_init_simd128(HEVCDSPContext *c, int bit_depth);
void ff_hevc_transform_init_simd128(HEVCDSPContext *c, int bit_depth);
void ff_hevc_sao_init_10_simd128(HEVCDSPContext *c);

/* Eight pixels in 16 bits. */
static av_always_inline v128_t load_8_pixels(const uint8_t *src, int bits)
{
    return bits > 8 ? wasm_v128_load(src) : wasm_u16x8_load8x8(src);
}

static av_always_inline v128_t clip_pixels(v128_t pixels, int bits)
{
    return wasm_i16x8_min(wasm_i16x8_max(pixels, wasm_i16x8_const_splat(0)), wasm_i16x8_splat((1 << bits) - 1));
}

#endif
