/* Motion compensation, 8-bit, but for bilinear filters and references of another size. Results are those of
 * vp9dsp_template.c. */

#include "libavutil/mem_internal.h"
#include "vector.h"
#include "vp9dsp.h"

/* Eight products add up to -13770 to 46410. Less 16384, which is 128 in pixels, that fits into 16 bits: sums may wrap around on
 * their way, and what saturation makes of the result is the clipped pixel less 128. */
#define ROUND_LESS_16384 wasm_i16x8_const_splat(64 - 16384)

static av_always_inline v128_t add_product(v128_t sum, v128_t pixels, v128_t tap)
{
    return wasm_i16x8_add(sum, wasm_i16x8_mul(pixels, tap));
}

static av_always_inline v128_t narrow(v128_t sum)
{
    v128_t pixels = wasm_i16x8_shr(sum, 7);
    return wasm_v128_xor(wasm_i8x16_narrow_i16x8(pixels, pixels), wasm_i8x16_const_splat(-128));
}

static av_always_inline void load_taps(v128_t tap[8], const int16_t *filter)
{
    for (int i = 0; i < 8; i++)
        tap[i] = wasm_v128_load16_splat(filter + i);
}

static av_always_inline void store(uint8_t *dst, v128_t pixels, int width, int average)
{
    store_pixels(dst, average ? wasm_u8x16_avgr(pixels, load_pixels(dst, width)) : pixels, width);
}

/* Along rows, 8 or 4 wide. Here and below, up to four bytes more are read than are needed: frames are padded by more. */
static av_always_inline void h_8(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int width, int h,
                                 const int16_t *filter, int average)
{
    v128_t tap[8];
    load_taps(tap, filter);
    for (int y = 0; y < h; y++, dst += dst_stride, src += stride) {
        v128_t sum = ROUND_LESS_16384;
        for (int i = 0; i < 8; i++)
            sum = add_product(sum, wasm_u16x8_load8x8(src + i - 3), tap[i]);
        store(dst, narrow(sum), width, average);
    }
}

/* Along rows, 16 at a time, apart for even and odd pixels. The upper byte of a 16-bit number is to an even pixel's next tap
 * what it is to the odd pixel's tap: nine registers serve sixteen pixels. */
static av_always_inline void h_16(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int width, int h,
                                  const int16_t *filter, int average)
{
    const v128_t lower_byte = wasm_i16x8_const_splat(255);
    v128_t tap[8];
    load_taps(tap, filter);
    for (int y = 0; y < h; y++, dst += dst_stride, src += stride)
#pragma clang loop unroll(disable)
        for (int x = 0; x < width; x += 16) {
            v128_t even = ROUND_LESS_16384, odd = even, pixels = wasm_v128_load(src + x - 3);
            v128_t lower = wasm_v128_and(pixels, lower_byte);
            for (int i = 0; i < 8; i += 2) {
                v128_t upper = wasm_u16x8_shr(pixels, 8);
                even = add_product(add_product(even, lower, tap[i]), upper, tap[i + 1]);
                pixels = wasm_v128_load(src + x + i - 1);
                lower = wasm_v128_and(pixels, lower_byte);
                odd = add_product(add_product(odd, upper, tap[i]), lower, tap[i + 1]);
            }
            store(dst + x, unpack_low_u8(narrow(even), narrow(odd)), 16, average);
        }
}

/* Along columns, in strips 8 or 4 wide. The eight rows that make one are at hand. */
static av_always_inline void v(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int width, int h,
                               const int16_t *filter, int strip, int average)
{
    v128_t tap[8];
    load_taps(tap, filter);
#pragma clang loop unroll(disable)
    for (int x = 0; x < width; x += strip) {
        const uint8_t *next = src + x - 3 * stride;
        /* Not an array: clang would move that in memory. */
        v128_t r0 = wasm_u16x8_load8x8(next), r1 = wasm_u16x8_load8x8(next + stride);
        v128_t r2 = wasm_u16x8_load8x8(next + 2 * stride), r3 = wasm_u16x8_load8x8(next + 3 * stride);
        v128_t r4 = wasm_u16x8_load8x8(next + 4 * stride), r5 = wasm_u16x8_load8x8(next + 5 * stride);
        v128_t r6 = wasm_u16x8_load8x8(next + 6 * stride);
        next += 7 * stride;
#pragma clang loop unroll(disable)
        for (int y = 0; y < h; y++, next += stride) {
            v128_t r7 = wasm_u16x8_load8x8(next);
            v128_t sum = add_product(add_product(ROUND_LESS_16384, r0, tap[0]), r1, tap[1]);
            sum = add_product(add_product(sum, r2, tap[2]), r3, tap[3]);
            sum = add_product(add_product(sum, r4, tap[4]), r5, tap[5]);
            sum = add_product(add_product(sum, r6, tap[6]), r7, tap[7]);
            store(dst + y * dst_stride + x, narrow(sum), strip, average);
            r0 = r1, r1 = r2, r2 = r3, r3 = r4, r4 = r5, r5 = r6, r6 = r7;
        }
    }
}

/* Once for all widths. */
#define FILTERS(op, average)                                                                                           \
static av_noinline void op##_h(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int width,    \
                               int h, const int16_t *filter)                                                           \
{                                                                                                                      \
    if (width > 8)                                                                                                     \
        h_16(dst, dst_stride, src, stride, width, h, filter, average);                                                 \
    else if (width == 8)                                                                                               \
        h_8(dst, dst_stride, src, stride, 8, h, filter, average);                                                      \
    else                                                                                                               \
        h_8(dst, dst_stride, src, stride, 4, h, filter, average);                                                      \
}                                                                                                                      \
static av_noinline void op##_v(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int width,    \
                               int h, const int16_t *filter)                                                           \
{                                                                                                                      \
    if (width > 4)                                                                                                     \
        v(dst, dst_stride, src, stride, width, h, filter, 8, average);                                                 \
    else                                                                                                               \
        v(dst, dst_stride, src, stride, 4, h, filter, 4, average);                                                     \
}                                                                                                                      \
static av_noinline void op##_hv(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int width,   \
                                int h, const int16_t *filter_x, const int16_t *filter_y)                               \
{                                                                                                                      \
    LOCAL_ALIGNED_16(uint8_t, rows, [64 * (64 + 7)]);                                                                  \
    put_h(rows, 64, src - 3 * stride, stride, width, h + 7, filter_x);                                                 \
    op##_v(dst, dst_stride, rows + 3 * 64, 64, width, h, filter_y);                                                    \
}
FILTERS(put, 0)
FILTERS(avg, 1)

static av_always_inline void whole(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int width,
                                   int h, int average)
{
#pragma clang loop unroll(disable)
    for (int y = 0; y < h; y++, dst += dst_stride, src += stride)
        for (int x = 0; x < width; x += 16)
            store(dst + x, load_pixels(src + x, FFMIN(width, 16)), FFMIN(width, 16), average);
}

#define ARGUMENTS uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t stride, int h, int mx, int my
#define FILTER(op, width, name, type)                                                                                  \
static void op##_8tap_##name##_##width##h(ARGUMENTS)                                                                   \
{                                                                                                                      \
    op##_h(dst, dst_stride, src, stride, width, h, ff_vp9_subpel_filters[type][mx]);                                   \
}                                                                                                                      \
static void op##_8tap_##name##_##width##v(ARGUMENTS)                                                                   \
{                                                                                                                      \
    op##_v(dst, dst_stride, src, stride, width, h, ff_vp9_subpel_filters[type][my]);                                   \
}                                                                                                                      \
static void op##_8tap_##name##_##width##hv(ARGUMENTS)                                                                  \
{                                                                                                                      \
    op##_hv(dst, dst_stride, src, stride, width, h, ff_vp9_subpel_filters[type][mx], ff_vp9_subpel_filters[type][my]); \
}
#define WIDTH(op, average, width)                                                                                      \
static void op##_##width(ARGUMENTS)                                                                                    \
{                                                                                                                      \
    whole(dst, dst_stride, src, stride, width, h, average);                                                            \
}                                                                                                                      \
FILTER(op, width, smooth, FILTER_8TAP_SMOOTH)                                                                          \
FILTER(op, width, regular, FILTER_8TAP_REGULAR)                                                                        \
FILTER(op, width, sharp, FILTER_8TAP_SHARP)
#define WIDTHS(op, average)                                                                                            \
WIDTH(op, average, 64) WIDTH(op, average, 32) WIDTH(op, average, 16) WIDTH(op, average, 8) WIDTH(op, average, 4)
WIDTHS(put, 0)
WIDTHS(avg, 1)

av_cold void ff_vp9dsp_mc_init_wasm(VP9DSPContext *dsp)
{
#define INIT_FILTER(i, op, average, width, name, type)                                                                 \
    dsp->mc[i][type][average][1][0] = op##_8tap_##name##_##width##h;                                                   \
    dsp->mc[i][type][average][0][1] = op##_8tap_##name##_##width##v;                                                   \
    dsp->mc[i][type][average][1][1] = op##_8tap_##name##_##width##hv;
#define INIT(i, op, average, width)                                                                                    \
    for (int type = 0; type < N_FILTERS; type++)                                                                       \
        dsp->mc[i][type][average][0][0] = op##_##width;                                                                \
    INIT_FILTER(i, op, average, width, smooth, FILTER_8TAP_SMOOTH)                                                     \
    INIT_FILTER(i, op, average, width, regular, FILTER_8TAP_REGULAR)                                                   \
    INIT_FILTER(i, op, average, width, sharp, FILTER_8TAP_SHARP)
#define INIT_WIDTHS(op, average)                                                                                       \
    INIT(0, op, average, 64) INIT(1, op, average, 32) INIT(2, op, average, 16) INIT(3, op, average, 8)                 \
    INIT(4, op, average, 4)
    INIT_WIDTHS(put, 0)
    INIT_WIDTHS(avg, 1)
}
