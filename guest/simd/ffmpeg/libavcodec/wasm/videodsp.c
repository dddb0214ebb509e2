/* Blocks that reach over the edges of an 8-bit picture. Results are those of videodsp_template.c. */

#include <wasm_simd128.h>

#include "libavutil/attributes.h"
#include "libavutil/common.h"
#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libavutil/intreadwrite.h"
#include "libavcodec/videodsp.h"

/* Engines make a call of memcpy() and memset(), which takes longer than a row. Here the last step of a width that is no
 * power of two overlaps the one before it, so that nothing beside the row is touched. */
static av_always_inline void copy(uint8_t *dst, const uint8_t *src, int n)
{
    if (n >= 16) {
#pragma clang loop unroll(disable)
        for (int x = 0; x < n - 16; x += 16)
            wasm_v128_store(dst + x, wasm_v128_load(src + x));
        wasm_v128_store(dst + n - 16, wasm_v128_load(src + n - 16));
    } else if (n >= 8) {
        uint64_t first = AV_RN64(src), last = AV_RN64(src + n - 8);
        AV_WN64(dst, first);
        AV_WN64(dst + n - 8, last);
    } else if (n >= 4) {
        uint32_t first = AV_RN32(src), last = AV_RN32(src + n - 4);
        AV_WN32(dst, first);
        AV_WN32(dst + n - 4, last);
    } else if (n > 0) {
        dst[0]     = src[0];
        dst[n / 2] = src[n / 2];
        dst[n - 1] = src[n - 1];
    }
}

static av_always_inline void fill(uint8_t *dst, uint8_t value, int n)
{
    const uint64_t values = value * 0x0101010101010101;

    if (n >= 8) {
#pragma clang loop unroll(disable) vectorize(disable)
        for (int x = 0; x < n - 8; x += 8)
            AV_WN64(dst + x, values);
        AV_WN64(dst + n - 8, values);
    } else if (n >= 4) {
        AV_WN32(dst, values);
        AV_WN32(dst + n - 4, values);
    } else if (n > 0) {
        dst[0]     = value;
        dst[n / 2] = value;
        dst[n - 1] = value;
    }
}

static void emulated_edge_mc_8_wasm(uint8_t *dst, const uint8_t *src, ptrdiff_t dst_linesize, ptrdiff_t src_linesize,
                                    int block_w, int block_h, int src_x, int src_y, int w, int h)
{
    if (!w || !h)
        return;

    /* However far outside a block is, one row or column of the picture is what it's made of. */
    const int x = av_clip(src_x, 1 - block_w, w - 1), y = av_clip(src_y, 1 - block_h, h - 1);
    const int left = FFMAX(0, -x), right = FFMIN(block_w, w - x);
    const int top = FFMAX(0, -y), bottom = FFMIN(block_h, h - y);

    src += (y + top - src_y) * src_linesize + x + left - src_x;
    for (int i = top; i < bottom; i++, src += src_linesize) {
        uint8_t *row = dst + i * dst_linesize;
        copy(row + left, src, right - left);
        fill(row, src[0], left);
        fill(row + right, src[right - left - 1], block_w - right);
    }
    for (int i = 0; i < block_h - (bottom - top); i++) {
        int to = i < top ? i : i + bottom - top, from = i < top ? top : bottom - 1;
        copy(dst + to * dst_linesize, dst + from * dst_linesize, block_w);
    }
}

av_cold void ff_videodsp_init_wasm(VideoDSPContext *ctx, int bpc)
{
    if (CPUEXT(av_get_cpu_flags(), SIMD128) && bpc <= 8)
        ctx->emulated_edge_mc = emulated_edge_mc_8_wasm;
}
