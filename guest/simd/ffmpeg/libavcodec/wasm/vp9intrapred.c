/* Intra prediction from 8x8 on, 8-bit. Results are those of vp9dsp_template.c. */

#include "libavutil/mem_internal.h"
#include "vector.h"
#include "vp9dsp.h"

#define ARGUMENTS uint8_t *dst, ptrdiff_t stride, const uint8_t *left, const uint8_t *top

/* Most modes are rows of a line of pixels that is made of the block's border, each row beginning elsewhere in the line. A line
 * has room for what is read and written in whole registers. */
#define LINE (3 * 32 + 16)

static av_always_inline void copy(uint8_t *dst, const uint8_t *src, int size)
{
    for (int i = 0; i < size; i += 8)
        wasm_v128_store64_lane(dst + i, wasm_v128_load64_zero(src + i), 0);
}

/* The border from the lower left corner to the upper right one. */
static av_always_inline void load_border(uint8_t *border, const uint8_t *left, const uint8_t *top, int size)
{
    copy(border, left, size);
    border[size] = top[-1];
    copy(border + size + 1, top, size);
}

/* One side of it, whose last pixel goes on. */
static av_always_inline void load_side(uint8_t *border, const uint8_t *side, int size)
{
    v128_t last = wasm_v128_load8_splat(side + size - 1);
    copy(border, side, size);
    for (int i = 0; i < size + 16; i += 8)
        wasm_v128_store64_lane(border + size + i, last, 0);
}

/* Averages of a pixel with the next one, and of one, twice the next and the one after it. */
static av_always_inline v128_t average_2(const uint8_t *border)
{
    return wasm_u8x16_avgr(wasm_v128_load(border), wasm_v128_load(border + 1));
}

static av_always_inline v128_t average_3(const uint8_t *border)
{
    return wasm_u8x16_avgr(wasm_v128_load(border + 1), average_down(wasm_v128_load(border), wasm_v128_load(border + 2)));
}

/* Each row begins step pixels after the one before it in the line. */
static av_always_inline void store_rows(uint8_t *dst, ptrdiff_t stride, const uint8_t *line, ptrdiff_t step, int size, int rows)
{
    const int width = FFMIN(size, 16);
#pragma clang loop unroll(disable)
    for (; rows > 0; rows--, dst += stride, line += step)
        for (int x = 0; x < size; x += width)
            store_pixels(dst + x, load_pixels(line + x, width), width);
}

static av_always_inline void diag_downleft(ARGUMENTS, int size)
{
    LOCAL_ALIGNED_16(uint8_t, border, [LINE]);
    LOCAL_ALIGNED_16(uint8_t, line, [LINE]);
    load_side(border, top, size);
    for (int i = 0; i < 2 * size; i += 16)
        wasm_v128_store(line + i, average_3(border + i));
    store_rows(dst, stride, line, 1, size, size);
}

static av_always_inline void diag_downright(ARGUMENTS, int size)
{
    LOCAL_ALIGNED_16(uint8_t, border, [LINE]);
    LOCAL_ALIGNED_16(uint8_t, line, [LINE]);
    load_border(border, left, top, size);
    for (int i = 0; i < 2 * size; i += 16)
        wasm_v128_store(line + i, average_3(border + i));
    store_rows(dst, stride, line + size - 1, -1, size, size);
}

static av_always_inline void vert_left(ARGUMENTS, int size)
{
    LOCAL_ALIGNED_16(uint8_t, border, [LINE]);
    LOCAL_ALIGNED_16(uint8_t, even, [LINE]);
    LOCAL_ALIGNED_16(uint8_t, odd, [LINE]);
    load_side(border, top, size);
    for (int i = 0; i < size + size / 2; i += 16) {
        wasm_v128_store(even + i, average_2(border + i));
        wasm_v128_store(odd + i, average_3(border + i));
    }
    store_rows(dst, 2 * stride, even, 1, size, size / 2);
    store_rows(dst + stride, 2 * stride, odd, 1, size, size / 2);
}

/* Pixels left of the block's own columns come from every second of the left border. */
static av_always_inline void vert_right(ARGUMENTS, int size)
{
    LOCAL_ALIGNED_16(uint8_t, border, [LINE]);
    LOCAL_ALIGNED_16(uint8_t, even, [LINE]);
    LOCAL_ALIGNED_16(uint8_t, odd, [LINE]);
    load_border(border, left, top, size);
    /* Of 16 averages the lower bytes of pairs go to odd rows, and the upper ones to even rows. */
    for (int i = 0; i < size; i += 16) {
        v128_t pairs = average_3(border + i + 1);
        v128_t lower = wasm_v128_and(pairs, wasm_i16x8_const_splat(255)), upper = wasm_u16x8_shr(pairs, 8);
        wasm_v128_store64_lane(odd + i / 2, wasm_u8x16_narrow_i16x8(lower, lower), 0);
        wasm_v128_store64_lane(even + i / 2, wasm_u8x16_narrow_i16x8(upper, upper), 0);
    }
    for (int i = 0; i < size; i += 16) {
        wasm_v128_store(even + size / 2 - 1 + i, average_2(border + size + i));
        wasm_v128_store(odd + size / 2 - 1 + i, average_3(border + size - 1 + i));
    }
    store_rows(dst, 2 * stride, even + size / 2 - 1, -1, size, size / 2);
    store_rows(dst + stride, 2 * stride, odd + size / 2 - 1, -1, size, size / 2);
}

static av_always_inline void interleave_averages(uint8_t *line, const uint8_t *border, int size)
{
    for (int i = 0; i < size; i += 16) {
        v128_t two = average_2(border + i), three = average_3(border + i);
        wasm_v128_store(line + 2 * i, unpack_low_u8(two, three));
        wasm_v128_store(line + 2 * i + 16, unpack_high_u8(two, three));
    }
}

static av_always_inline void hor_down(ARGUMENTS, int size)
{
    LOCAL_ALIGNED_16(uint8_t, border, [LINE]);
    LOCAL_ALIGNED_16(uint8_t, line, [LINE]);
    load_border(border, left, top, size);
    interleave_averages(line, border, size);
    for (int i = 0; i < size; i += 16)
        wasm_v128_store(line + 2 * size + i, average_3(border + size + i));
    store_rows(dst, stride, line + 2 * size - 2, -2, size, size);
}

static av_always_inline void hor_up(ARGUMENTS, int size)
{
    LOCAL_ALIGNED_16(uint8_t, border, [LINE]);
    LOCAL_ALIGNED_16(uint8_t, line, [LINE]);
    load_side(border, left, size);
    interleave_averages(line, border, size);
    copy(line + 2 * size, border + size, size);
    store_rows(dst, stride, line, 2, size, size);
}

/* Above, plus how far the left neighbour is from the corner: as bytes that are added and subtracted, one of them zero. */
static av_always_inline void tm(ARGUMENTS, int size)
{
    const int width = FFMIN(size, 16);
    v128_t corner = wasm_v128_load8_splat(top - 1);
#pragma clang loop unroll(disable)
    for (int y = size - 1; y >= 0; y--, dst += stride) {
        v128_t neighbour = wasm_v128_load8_splat(left + y);
        v128_t up = wasm_u8x16_sub_sat(neighbour, corner), down = wasm_u8x16_sub_sat(corner, neighbour);
        for (int x = 0; x < size; x += width)
            store_pixels(dst + x, wasm_u8x16_sub_sat(wasm_u8x16_add_sat(load_pixels(top + x, width), up), down), width);
    }
}

#define MODE(name)                                                                                                     \
static void name##_8x8(ARGUMENTS)                                                                                      \
{                                                                                                                      \
    name(dst, stride, left, top, 8);                                                                                   \
}                                                                                                                      \
static void name##_16x16(ARGUMENTS)                                                                                    \
{                                                                                                                      \
    name(dst, stride, left, top, 16);                                                                                  \
}                                                                                                                      \
static void name##_32x32(ARGUMENTS)                                                                                    \
{                                                                                                                      \
    name(dst, stride, left, top, 32);                                                                                  \
}
MODE(diag_downleft)
MODE(diag_downright)
MODE(vert_left)
MODE(vert_right)
MODE(hor_down)
MODE(hor_up)
MODE(tm)

av_cold void ff_vp9dsp_intrapred_init_wasm(VP9DSPContext *dsp)
{
#define INIT(mode, name)                                                                                               \
    dsp->intra_pred[TX_8X8][mode] = name##_8x8;                                                                        \
    dsp->intra_pred[TX_16X16][mode] = name##_16x16;                                                                    \
    dsp->intra_pred[TX_32X32][mode] = name##_32x32;
    INIT(DIAG_DOWN_LEFT_PRED, diag_downleft)
    INIT(DIAG_DOWN_RIGHT_PRED, diag_downright)
    INIT(VERT_LEFT_PRED, vert_left)
    INIT(VERT_RIGHT_PRED, vert_right)
    INIT(HOR_DOWN_PRED, hor_down)
    INIT(HOR_UP_PRED, hor_up)
    INIT(TM_VP8_PRED, tm)
}
