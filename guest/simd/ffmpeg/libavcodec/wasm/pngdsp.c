/* Undoing PNG's row filters. */

#include <wasm_simd128.h>

#include "libavutil/attributes.h"
#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libavcodec/pngdsp.h"

static av_always_inline v128_t load_pixel(const uint8_t *src, int bpp)
{
    /* Of 6 bytes the last two are loaded as such, to read no more than there are. */
    if (bpp == 6)
        return wasm_u16x8_extend_low_u8x16(wasm_v128_load16_lane(src + 4, wasm_v128_load32_zero(src), 2));
    if (bpp == 8)
        return wasm_u16x8_load8x8(src);
    if (bpp == 3)
        return wasm_u16x8_extend_low_u8x16(wasm_v128_load8_lane(src + 2, wasm_v128_load16_lane(src, wasm_i32x4_const_splat(0), 0), 2));
    return wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(src));
}

/* dst may be top, so nothing behind the pixel is written. */
static av_always_inline void store_pixel(uint8_t *dst, v128_t pixel, int bpp)
{
    pixel = wasm_u8x16_narrow_i16x8(pixel, pixel);
    if (bpp == 8) {
        wasm_v128_store64_lane(dst, pixel, 0);
    } else if (bpp == 3) {
        wasm_v128_store16_lane(dst, pixel, 0);
        wasm_v128_store8_lane(dst + 2, pixel, 2);
    } else {
        wasm_v128_store32_lane(dst, pixel, 0);
        if (bpp == 6)
            wasm_v128_store16_lane(dst + 4, pixel, 2);
    }
}

/* A pixel needs the one to its left, so that its channels are all that can be done at once. */
static av_always_inline void add_paeth_prediction(uint8_t *dst, const uint8_t *src, const uint8_t *top, int w, int bpp)
{
    v128_t left = load_pixel(dst - bpp, bpp), top_left = load_pixel(top - bpp, bpp);
    int i = 0;

    for (; i + bpp <= w; i += bpp) {
        v128_t above = load_pixel(top + i, bpp);
        v128_t from_left = wasm_i16x8_sub(above, top_left), from_above = wasm_i16x8_sub(left, top_left);
        v128_t pa = wasm_i16x8_abs(from_left), pb = wasm_i16x8_abs(from_above);
        v128_t pc = wasm_i16x8_abs(wasm_i16x8_add(from_left, from_above));
        v128_t least = wasm_i16x8_min(wasm_i16x8_min(pa, pb), pc);
        v128_t prediction = wasm_v128_bitselect(above, top_left, wasm_i16x8_eq(pb, least));

        prediction = wasm_v128_bitselect(left, prediction, wasm_i16x8_eq(pa, least));
        left = wasm_v128_and(wasm_i16x8_add(prediction, load_pixel(src + i, bpp)), wasm_i16x8_const_splat(0xFF));
        top_left = above;
        store_pixel(dst + i, left, bpp);
    }
    if (i < w)
        ff_png_add_paeth_prediction(dst + i, src + i, top + i, w - i, bpp);
}

static void add_paeth_prediction_simd128(uint8_t *dst, const uint8_t *src, const uint8_t *top, int w, int bpp)
{
    if (bpp == 3)
        add_paeth_prediction(dst, src, top, w, 3);
    else if (bpp == 4)
        add_paeth_prediction(dst, src, top, w, 4);
    else if (bpp == 6)
        add_paeth_prediction(dst, src, top, w, 6);
    else if (bpp == 8)
        add_paeth_prediction(dst, src, top, w, 8);
    else
        ff_png_add_paeth_prediction(dst, src, top, w, bpp);
}

av_cold void ff_pngdsp_init_wasm(PNGDSPContext *dsp)
{
    int cpu_flags = av_get_cpu_flags();

    if (CPUEXT(cpu_flags, SIMD128))
        dsp->add_paeth_prediction = add_paeth_prediction_simd128;
}
