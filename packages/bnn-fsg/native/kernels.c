/* The kernels, compiled once for each instruction set with -DNAME(x)=x##_<set>; `program.c` chooses among them.
 *
 * Convolutions go row by row: sums of up to SEGMENT pixels by up to four panels come from a tile of registers into a
 * small buffer, then `finish` makes of them scale * sum + shift and what follows, and the bits of the next layer.
 */
#include "bnn.h"
#include "simd.h"
#if defined(__AVX512F__) && defined(HAS_TILES)
#define TILES 1
#endif

#define SEGMENT 32
#define MOST_PANELS 4
#define MOST_PIXELS 64 /* that are finished at once */
enum { OF_BITS, OF_WHOLE, OF_FLOATS };

typedef struct {
    const float *table;      /* scale, sums, shift, then shift_in, positive, negative, shift_out: 16 numbers each */
    int64_t class_step;      /* numbers from the table of one class to that of the next; 0 if there is one */
    const int32_t *start;    /* sums of bits that all agree */
    int64_t start_step;
    const int32_t *classes;  /* of each pixel, less `row_class` */
    int64_t row_class;
    const void *source;      /* 16 sums of each pixel: counts of differing bits (of tiles), int32 or float32 */
    const float *totals;     /* sum of the inputs of each pixel */
    const float *residual;   /* or NULL */
    float *out;              /* or NULL */
    int64_t width;           /* numbers from a pixel to the next in residual and out */
    int lanes;
    const float *threshold;
    uint8_t *bits;
    int64_t bits_pixel;
    int32_t *ones;           /* or NULL */
    int first;               /* whether this panel's ones are the pixel's first */
} Panel;

/* Bits of `count` pixels go to the next layer's picture, and how many are set. */
INLINE void put_bits(const Panel *p, const uint16_t *bits, int64_t count) {
    const uint32_t inside = (1u << p->lanes) - 1;
    for (int64_t x = 0; x < count; x++) {
        uint16_t half = (uint16_t)(bits[x] & inside);
        memcpy(p->bits + x * p->bits_pixel, &half, 2);
    }
    if (!p->ones) return;
#if defined(__AVX512F__)
    for (int64_t x = 0; x < count; x += LANES) {
        __mmask16 here = count - x < LANES ? (__mmask16)((1u << (count - x)) - 1) : (__mmask16)-1;
        __m512i all = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(here, bits + x));
        all = _mm512_popcnt_epi32(_mm512_and_si512(all, _mm512_set1_epi32((int32_t)inside)));
        if (!p->first) all = _mm512_add_epi32(all, _mm512_maskz_loadu_epi32(here, p->ones + x));
        _mm512_mask_storeu_epi32(p->ones + x, here, all);
    }
#else
    for (int64_t x = 0; x < count; x++) p->ones[x] = (p->first ? 0 : p->ones[x]) + __builtin_popcount(bits[x] & inside);
#endif
}

/* 1 where NaN or infinity is among n numbers. */
static int64_t not_finite(const float *x, int64_t n) {
    VF seen[4] = {{0}, {0}, {0}, {0}};
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL)
        UNROLL for (int v = 0; v < 4; v++) seen[v] = with_zero_of(seen[v], load_f(x + i + v * VL));
    for (; i < n; i++) seen[0][0] += x[i] * 0.0f;
    return any_not_zero((seen[0] + seen[1]) + (seen[2] + seen[3]));
}

/* (rows, columns) as (columns, rows), for rows from begin to end and the first `count` columns: 4 by 4 in registers. */
typedef float V4 __attribute__((vector_size(16)));
#define MIX(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)

#if defined(__AVX512F__)
/* 16 by 16: four lines of four are put together as they are loaded, then turned within each quarter. */
INLINE void turn_block(const float *x, float *to, int64_t rows, int64_t columns) {
    UNROLL for (int j = 0; j < 16; j += 4) {
        __m512 line[4];
        UNROLL for (int k = 0; k < 4; k++) {
            const float *at = x + k * columns + j;
            line[k] = _mm512_castps128_ps512(_mm_loadu_ps(at));
            line[k] = _mm512_insertf32x4(line[k], _mm_loadu_ps(at + 4 * columns), 1);
            line[k] = _mm512_insertf32x4(line[k], _mm_loadu_ps(at + 8 * columns), 2);
            line[k] = _mm512_insertf32x4(line[k], _mm_loadu_ps(at + 12 * columns), 3);
        }
        __m512 ab = _mm512_unpacklo_ps(line[0], line[1]), cd = _mm512_unpacklo_ps(line[2], line[3]);
        __m512 ef = _mm512_unpackhi_ps(line[0], line[1]), gh = _mm512_unpackhi_ps(line[2], line[3]);
        _mm512_storeu_ps(to + j * rows, _mm512_shuffle_ps(ab, cd, 0x44));
        _mm512_storeu_ps(to + (j + 1) * rows, _mm512_shuffle_ps(ab, cd, 0xee));
        _mm512_storeu_ps(to + (j + 2) * rows, _mm512_shuffle_ps(ef, gh, 0x44));
        _mm512_storeu_ps(to + (j + 3) * rows, _mm512_shuffle_ps(ef, gh, 0xee));
    }
}
#endif

static void turn(const float *x, float *to, int64_t rows, int64_t columns, int64_t begin, int64_t end,
                 int64_t count) {
    for (int64_t first = begin; first < end; first += LANES) {
#if defined(__AVX512F__)
        if (count == LANES && end - begin >= LANES) { /* the last block may begin within the one before it */
            if (first > end - LANES) first = end - LANES;
            turn_block(x + first * columns, to + first, rows, columns);
            continue;
        }
#endif
        for (int64_t j = 0; j < count; j += 4)
            for (int64_t i = first; i < end && i < first + LANES; i += 4) {
                if (i + 4 > end || j + 4 > count) {
                    for (int64_t k = i; k < end && k < i + 4; k++)
                        for (int64_t l = j; l < count && l < j + 4; l++) to[l * rows + k] = x[k * columns + l];
                    continue;
                }
                V4 a, b, c, d;
                const float *at = x + i * columns + j;
                memcpy(&a, at, 16), memcpy(&b, at + columns, 16);
                memcpy(&c, at + 2 * columns, 16), memcpy(&d, at + 3 * columns, 16);
                V4 ab = MIX(a, b, 0, 4, 1, 5), cd = MIX(c, d, 0, 4, 1, 5);
                V4 ef = MIX(a, b, 2, 6, 3, 7), gh = MIX(c, d, 2, 6, 3, 7);
                a = MIX(ab, cd, 0, 1, 4, 5), b = MIX(ab, cd, 2, 3, 6, 7);
                c = MIX(ef, gh, 0, 1, 4, 5), d = MIX(ef, gh, 2, 3, 6, 7);
                float *target = to + j * rows + i;
                memcpy(target, &a, 16), memcpy(target + rows, &b, 16);
                memcpy(target + 2 * rows, &c, 16), memcpy(target + 3 * rows, &d, 16);
            }
    }
}

/* The last steps of `count` pixels of 16 lanes; what `flags` say is known when this is compiled. */
INLINE void finish_as(const Panel *given, int64_t count, const int kind, const int flags) {
    const Panel p = *given; /* what is stored cannot change it */
    VF scale[NV], by_sum[NV], before[NV], positive[NV], negative[NV], after[NV], threshold[NV], shift[NV];
    VI start[NV];
    UNROLL for (int v = 0; v < NV; v++) {
        scale[v] = load_f(p.table + v * VL);
        by_sum[v] = load_f(p.table + LANES + v * VL);
        before[v] = load_f(p.table + 3 * LANES + v * VL);
        positive[v] = load_f(p.table + 4 * LANES + v * VL);
        negative[v] = load_f(p.table + 5 * LANES + v * VL);
        after[v] = load_f(p.table + 6 * LANES + v * VL);
        if (flags & BITS_OUT) threshold[v] = load_f(p.threshold + v * VL);
    }
    const int32_t *restrict source = (const int32_t *)p.source;
    uint16_t marks[MOST_PIXELS];
    for (int64_t x = 0; x < count; x++) {
        if (kind != OF_BITS || x == 0 || p.classes[x] != p.classes[x - 1]) { /* rows of tiles are long: a branch is less */
            int64_t class = p.row_class + p.classes[x];
            UNROLL for (int v = 0; v < NV; v++) {
                shift[v] = load_f(p.table + 2 * LANES + class * p.class_step + v * VL);
                if (kind == OF_BITS) start[v] = load_i(p.start + class * p.start_step + v * VL);
            }
        }
        uint32_t bits = 0;
        VF y[NV];
        UNROLL for (int v = 0; v < NV; v++) {
            VF s = shift[v], sum;
            if (flags & SUMMED) s = splat_f(p.totals[x]) * by_sum[v] + s;
            if (kind == OF_FLOATS) {
                sum = load_f((const float *)p.source + x * LANES + v * VL);
            } else {
                VI whole = load_i(source + x * LANES + v * VL);
                if (kind == OF_BITS) whole = start[v] - (whole + whole);
                sum = to_float(whole);
            }
            y[v] = sum * scale[v] + s;
            if (flags & RESIDUAL) y[v] = y[v] + load_f(p.residual + x * p.width + v * VL);
            if (flags & RECTIFIED) {
                if (flags & SHIFTED) y[v] = leaky(y[v] + before[v], positive[v], negative[v]) + after[v];
                else y[v] = leaky(y[v], positive[v], negative[v]);
            }
            if (flags & BITS_OUT) bits |= at_least(y[v], threshold[v]) << (v * VL);
        }
        if (p.out) UNROLL for (int v = 0; v < NV; v++) store_f(p.out + x * p.width + v * VL, y[v]);
        if (flags & BITS_OUT) marks[x] = (uint16_t)bits;
    }
    if (flags & BITS_OUT) put_bits(&p, marks, count);
}

#define CASE(kind, flags) case flags: finish_as(p, count, kind, flags); break;
#define CASES(kind, flags) CASE(kind, flags) CASE(kind, flags + RESIDUAL) CASE(kind, flags + BITS_OUT)                 \
    CASE(kind, flags + RESIDUAL + BITS_OUT)
#define FINISH(kind, summed)                                                                                           \
    static void finish_##kind(const Panel *p, int64_t count, int64_t flags) {                                          \
        switch (flags & (SUMMED | RESIDUAL | RECTIFIED | SHIFTED | BITS_OUT)) {                                        \
            CASES(kind, 0) CASES(kind, RECTIFIED) CASES(kind, RECTIFIED + SHIFTED)                                     \
            summed(CASES(kind, SUMMED) CASES(kind, SUMMED + RECTIFIED) CASES(kind, SUMMED + RECTIFIED + SHIFTED))      \
        }                                                                                                              \
    }
#define WITH(x) x
FINISH(OF_WHOLE, WITH)
FINISH(OF_FLOATS, WITH)
#if defined(TILES)
FINISH(OF_BITS, WITH)
#else
#define finish_OF_BITS finish_OF_WHOLE /* never asked for */
#endif

/* A panel of fewer than 16 lanes goes by way of a small buffer, and so does one whose channels go to planes of their own. */
INLINE void finish(const Panel *given, int64_t count, const Step *s, const int kind, int64_t *wrong) {
    Panel p = *given;
    float residual[MOST_PIXELS * LANES], out[MOST_PIXELS * LANES];
    const int planes = (s->flags & PLANES_OUT) != 0, apart = p.lanes < LANES || planes;
    if (apart) {
        if (s->flags & RESIDUAL) {
            memset(residual, 0, sizeof residual);
            for (int64_t x = 0; x < count; x++)
                memcpy(residual + x * LANES, p.residual + x * p.width, (size_t)p.lanes * 4);
            p.residual = residual;
        }
        if (p.out) p.out = out;
        p.width = LANES;
    }
    if (kind == OF_BITS) finish_OF_BITS(&p, count, s->flags);
    else if (kind == OF_FLOATS) finish_OF_FLOATS(&p, count, s->flags);
    else finish_OF_WHOLE(&p, count, s->flags);
    if (planes) {
        *wrong |= not_finite(out, count * LANES);
        turn(out, given->out, s->oh * s->ow, LANES, 0, count, p.lanes);
    } else if (apart && p.out) {
        for (int64_t x = 0; x < count; x++)
            memcpy(given->out + x * given->width, out + x * LANES, (size_t)p.lanes * 4);
    }
}

/* Bits of sum >= bound, turned where flip is -1; as bits, or as +1 and -1. */
INLINE void finish_bound(const Panel *p, const int32_t *bound, int64_t count, const int kind) {
    uint32_t flip = 0;
    UNROLL for (int v = 0; v < NV; v++) flip |= bits_of_mask(load_i(bound + LANES + v * VL)) << (v * VL);
    uint16_t marks[MOST_PIXELS];
    for (int64_t x = 0; x < count; x++) {
        uint32_t bits = 0;
        UNROLL for (int v = 0; v < NV; v++) {
            VI sums = load_i((const int32_t *)p->source + x * LANES + v * VL);
            if (kind == OF_BITS)
                sums = load_i(p->start + (p->row_class + p->classes[x]) * p->start_step + v * VL) - (sums + sums);
            bits |= at_least_i(sums, load_i(bound + v * VL)) << (v * VL);
        }
        bits ^= flip;
        marks[x] = (uint16_t)bits;
        if (p->out)
            for (int i = 0; i < p->lanes; i++) p->out[x * p->width + i] = (bits >> i & 1) ? 1.0f : -1.0f;
    }
    if (p->bits) put_bits(p, marks, count);
}

/* Where the panel `index` of a group stands for pixels from (y, x0) on. */
INLINE Panel panel_at(const Step *s, uint8_t *arena, float *planes, int64_t y, int64_t x0, int64_t group, int64_t index) {
    int64_t channel = group * s->each + index * LANES, number = group * s->panels + index;
    int64_t left = s->each - index * LANES, pixel = (y * s->ow + x0) * s->oc + channel, all = s->groups * s->panels;
    Panel p;
    memset(&p, 0, sizeof p);
    p.lanes = left < LANES ? (int)left : LANES;
    p.table = (const float *)s->table + number * 7 * LANES;
    p.class_step = (s->flags & CLASSED) ? all * 7 * LANES : 0;
    p.start = (const int32_t *)s->start + number * LANES;
    p.start_step = all * LANES;
    p.residual = (s->flags & RESIDUAL) ? (const float *)(arena + s->in2) + pixel : NULL;
    p.out = (s->flags & FLOATS_OUT) ? (float *)(arena + s->out) + pixel : NULL;
    if (s->flags & PLANES_OUT) p.out = planes + channel * s->oh * s->ow + y * s->ow + x0;
    p.width = s->oc;
    p.classes = (const int32_t *)s->across + 2 * s->ow + x0;
    p.row_class = ((const int32_t *)s->down)[3 * y + 2] * s->classes;
    if (s->flags & (BITS_OUT | SIGNS_OUT)) {
        p.threshold = (const float *)s->threshold + number * LANES;
        p.bits = arena + s->bits + y * s->bits_row + x0 * s->bits_pixel + channel / 8;
        p.bits_pixel = s->bits_pixel;
        p.ones = s->ones >= 0 ? (int32_t *)(arena + s->ones) + y * s->ones_row + x0 : NULL;
        p.first = number == 0;
    }
    return p;
}

/* ---- bits by bits ---- */

/* Where the sums of pixels begin that all agree: of a panel, from a class to the next, the pixels' classes. */
typedef struct { const int32_t *all; int64_t step; const int32_t *classes; } Start;

/* Sums of `P` pixels by `Q` panels: start - 2 differing bits. With `half` a word is two pixels of 16 inputs, counted apart;
 * `few` of the pixels are there. */
INLINE void bit_tile(const uint8_t *x, int64_t apart, const int32_t *offsets, int64_t steps, const uint32_t *weight,
                     const Start *start, int64_t at, int64_t few, int32_t *counts, const int half, const int both,
                     const int P, const int Q) {
#if defined(__AVX512F__)
    __m512i sums[8][4];
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int q = 0; q < Q; q++) sums[p][q] = _mm512_setzero_si512();
    for (int64_t i = 0; i < steps; i++) {
        __m512i w[4];
        UNROLL for (int q = 0; q < Q; q++) w[q] = _mm512_loadu_si512(weight + (q * steps + i) * LANES);
        UNROLL for (int p = 0; p < P; p++) {
            __m512i word = _mm512_set1_epi32((int32_t)load_32(x + p * apart + offsets[i]));
            UNROLL for (int q = 0; q < Q; q++) {
                __m512i differ = _mm512_xor_si512(word, w[q]);
                sums[p][q] = half ? _mm512_add_epi16(sums[p][q], _mm512_popcnt_epi16(differ))
                                  : _mm512_add_epi32(sums[p][q], _mm512_popcnt_epi32(differ));
            }
        }
    }
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int each = 0; each < 1 + both; each++) {
        int64_t pixel = (1 + both) * p + each;
        const int32_t *from = start->all + start->classes[at + (pixel < few ? pixel : 0)] * start->step;
        UNROLL for (int q = 0; q < Q; q++) {
            __m512i all = _mm512_loadu_si512(from + q * LANES);
            if (half) all = _mm512_dpwssd_epi32(all, sums[p][q], _mm512_set1_epi32(each ? -0x20000 : 0xfffe));
            else all = _mm512_sub_epi32(all, _mm512_add_epi32(sums[p][q], sums[p][q]));
            _mm512_storeu_si512(counts + (q * (SEGMENT + 2) + at + pixel) * LANES, all);
        }
    }
#else
    VU sums[8][NV];
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int v = 0; v < NV; v++) sums[p][v] = (VU){0};
    for (int64_t first = 0; first < steps; first += 31) { /* 31 times 8 ones fit an octet */
        int64_t last = first + 31 < steps ? first + 31 : steps;
        VO few[8][NV];
        UNROLL for (int p = 0; p < P; p++) UNROLL for (int v = 0; v < NV; v++) few[p][v] = (VO){0};
        for (int64_t i = first; i < last; i++) UNROLL for (int p = 0; p < P; p++) {
            VU word = splat_u(load_32(x + p * apart + offsets[i]));
            UNROLL for (int v = 0; v < NV; v++)
                few[p][v] += ones_of_octets(word ^ load_u(weight + i * LANES + v * VL));
        }
        UNROLL for (int p = 0; p < P; p++) UNROLL for (int v = 0; v < NV; v++) {
            VU pairs = pairs_of_octets(few[p][v]); /* half: the two pixels' counts never carry into each other */
            sums[p][v] += half ? pairs : sums_of_halves(pairs);
        }
    }
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int v = 0; v < NV; v++) {
        UNROLL for (int each = 0; each < 1 + both; each++) {
            int64_t pixel = (1 + both) * p + each;
            const int32_t *from = start->all + start->classes[at + (pixel < few ? pixel : 0)] * start->step;
            VI differ = (VI)(each ? sums[p][v] >> 16 : half ? sums[p][v] & 0xffffu : sums[p][v]);
            store_i(counts + (at + pixel) * LANES + v * VL, load_i(from + v * VL) - (differ + differ));
        }
    }
    (void)Q;
#endif
}

/* Sums of a segment's pixels by `Q` panels, into counts[panel][pixel][16]. */
INLINE void bit_row(const uint8_t *x, int64_t apart, const int32_t *offsets, int64_t steps, const uint32_t *weight,
                    const Start *start, int32_t *counts, int64_t count, const int half, const int both, const int P,
                    const int Q) {
    int64_t each = both ? 2 : 1, at = 0, tile = P * each;
    if (both) apart *= 2;
    for (; at + tile <= count; at += tile, x += P * apart)
        bit_tile(x, apart, offsets, steps, weight, start, at, tile, counts, half, both, P, Q);
    for (; at < count; at += each, x += apart)
        bit_tile(x, apart, offsets, steps, weight, start, at, count - at, counts, half, both, 1, Q);
}

#if defined(__AVX512F__)
#define WIDE_TILES 1
#else
#define WIDE_TILES 0
#endif
#define BIT_ROW(half, both)                                                                                            \
    if (panels == 4 && WIDE_TILES) bit_row(x, apart, offsets, s->steps, w, start, counts, count, half, both, 4, 4);    \
    else if (panels == 2 && WIDE_TILES) bit_row(x, apart, offsets, s->steps, w, start, counts, count, half, both, 4, 2); \
    else bit_row(x, apart, offsets, s->steps, w, start, counts, count, half, both, WIDE_TILES ? 8 : 2, 1);

static void bit_panels(const Step *s, const uint8_t *x, const uint32_t *w, const Start *start, int32_t *counts,
                       int64_t count, int64_t panels) {
    const int32_t *offsets = (const int32_t *)s->offsets;
    int64_t apart = s->sw * s->pixel;
    if (!(s->flags & HALF)) {
        BIT_ROW(0, 0)
    } else if (s->sw == 1) {
        BIT_ROW(1, 1)
    } else {
        BIT_ROW(1, 0)
    }
}

/* Sums of the inputs of each pixel, from the ones of each input pixel. */
static void totals_of(const Step *s, const uint8_t *arena, int64_t y, int64_t x0, int64_t count, int64_t group,
                      float *totals) {
    const int32_t *down = (const int32_t *)s->down + 3 * y, *across = (const int32_t *)s->across + x0;
    const int32_t *ones = (const int32_t *)(arena + s->counts) + y * s->sh * s->counts_row + x0 * s->sw * s->groups + group;
    int32_t high = down[1] - down[0], channels = (int32_t)(s->c / s->groups);
    int64_t apart = s->sw * s->groups;
    VU of_column = splat_u((uint32_t)(high * channels));
    for (int64_t x = 0; x < count; x += VL) { /* whole vectors: behind the last stand any numbers, which may wrap around */
        VU sums = (VU){0};
        const int32_t *from = ones + x * apart;
        if (apart == 1 && s->kh == 3 && s->kw == 3)
            UNROLL for (int i = 0; i < 9; i++)
                sums += (VU)load_i(from + i / 3 * s->dh * s->counts_row + i % 3 * s->dw * s->groups);
        else for (int64_t i = 0; i < s->kh; i++)
            for (int64_t j = 0; j < s->kw; j++) {
                const int32_t *at = from + i * s->dh * s->counts_row + j * s->dw * s->groups;
                if (apart == 1) sums += (VU)load_i(at);
#if defined(__AVX512F__)
                else if (apart == 2 && (count - x >= VL || count - x == VL / 2)) { /* low halves of eight numbers each */
                    __m512i all = _mm512_zextsi256_si512(_mm512_cvtepi64_epi32(_mm512_loadu_si512(at)));
                    if (count - x >= VL)
                        all = _mm512_inserti64x4(all, _mm512_cvtepi64_epi32(_mm512_loadu_si512(at + VL)), 1);
                    sums += (VU)all;
                }
#endif
                else for (int64_t v = 0; v < VL && x + v < count; v++) sums[v] += (uint32_t)at[v * apart];
            }
        sums = (sums + sums) - of_column * ((VU)load_i(across + s->ow + x) - (VU)load_i(across + x));
        store_f(totals + x, to_float((VI)sums));
    }
}

static int64_t fewer_panels(int64_t left, int most) {
    return left >= 4 && most >= 4 ? 4 : left >= 2 && most >= 2 ? 2 : 1;
}

INLINE void finish_bits(const Step *s, const Panel *p, int64_t number, int64_t count, int64_t *wrong, const int kind) {
    if (s->flags & BOUND) finish_bound(p, (const int32_t *)s->bound + number * 2 * LANES, count, kind);
    else finish(p, count, s, kind, wrong);
}

/* The rows and panels that units of work begin to end are. */
typedef struct { int64_t top, bottom, first, last; } Part;
static Part part_of(const Step *s, int64_t begin, int64_t end) {
    if (s->flags & BY_PANELS) return (Part){0, s->oh, begin, end};
    return (Part){begin, end, 0, s->panels};
}

static int64_t conv_bits(const Step *s, uint8_t *arena, float *planes, int64_t begin, int64_t end) {
    int64_t wrong = 0;
    int32_t counts[MOST_PANELS * (SEGMENT + 2) * LANES];
    float totals[SEGMENT];
    Part part = part_of(s, begin, end);
    for (int64_t y = part.top; y < part.bottom; y++)
        for (int64_t x0 = 0; x0 < s->ow; x0 += SEGMENT) {
            int64_t count = s->ow - x0 < SEGMENT ? s->ow - x0 : SEGMENT;
            for (int64_t group = 0; group < s->groups; group++) {
                const uint8_t *x = arena + s->in + y * s->sh * s->row + x0 * s->sw * s->pixel + group * s->words * 4;
                if (s->flags & SUMMED) totals_of(s, arena, y, x0, count, group, totals);
                for (int64_t index = part.first, few; index < part.last; index += few) {
                    few = fewer_panels(part.last - index, WIDE_TILES ? 4 : 1);
                    const uint32_t *w = (const uint32_t *)s->weight + (group * s->panels + index) * s->steps * LANES;
                    Panel here = panel_at(s, arena, planes, y, x0, group, index);
                    Start start = {here.start + here.row_class * here.start_step, here.start_step, here.classes};
                    bit_panels(s, x, w, &start, counts, count, few);
                    for (int64_t q = 0; q < few; q++) {
                        Panel p = q ? panel_at(s, arena, planes, y, x0, group, index + q) : here;
                        p.totals = totals, p.source = counts + q * (SEGMENT + 2) * LANES;
                        finish_bits(s, &p, group * s->panels + index + q, count, &wrong, OF_WHOLE);
                    }
                }
            }
        }
    return wrong;
}

#if defined(TILES)
#include "tiles.h"
#endif

/* ---- numbers ---- */

/* Rows of the input, padded, kept in a ring: row i of the picture stands in slot i % ring. */
typedef struct { uint8_t *base; int64_t size, filled; } Ring;

#define RING_OF(number) ((s->w + 2 * s->pw) * (number))

INLINE void fill_signs(const Step *s, const float *x, float *to);
INLINE void fill_row(const Step *s, const void *x, int64_t y, uint8_t *to) {
    int64_t n = s->w * s->c;
    if (s->op == OP_CONV_U8) {
        const uint8_t *from = (const uint8_t *)x + y * n;
        int16_t *at = (int16_t *)to + s->pw * s->c;
        for (int64_t i = 0; i < n; i++) at[i] = from[i];
    } else if (s->op == OP_CONV_SIGNS) {
        fill_signs(s, (const float *)x + y * n, (float *)to);
    } else {
        memcpy((float *)to + s->pw * s->c, (const float *)x + y * n, (size_t)n * 4);
    }
}

/* Makes the rows that the output row y needs; rows[i] is that of the kernel's row i, for those inside. */
INLINE void rows_of(const Step *s, Ring *ring, const void *x, int64_t y, const uint8_t **rows, int64_t direct) {
    const int32_t *down = (const int32_t *)s->down + 3 * y;
    int64_t top = y * s->sh - s->ph;
    if (direct) {
        for (int64_t i = down[0]; i < down[1]; i++) rows[i] = (const uint8_t *)x + (top + i * s->dh) * ring->size;
        return;
    }
    if (down[0] < down[1]) {
        int64_t last = top + (down[1] - 1) * s->dh;
        if (ring->filled < top) ring->filled = top; /* with a dilation a later row of the output may want the first */
        for (; ring->filled <= last; ring->filled++)
            fill_row(s, x, ring->filled, ring->base + ring->filled % s->ring * ring->size);
    }
    for (int64_t i = down[0]; i < down[1]; i++) rows[i] = ring->base + (top + i * s->dh) % s->ring * ring->size;
}

/* Sums of `P` pixels by `Q` panels: over the kernel's rows from first to last, its runs, and a run's numbers. */
#define TILE_ARGUMENTS                                                                                                 \
    const Step *s, const uint8_t *const *rows, int64_t at, int64_t apart, int64_t run_apart, int64_t first,            \
        int64_t last, const void *weight, void *sums
#define EACH_RUN                                                                                                       \
    for (int64_t k = first; k < last; k++)                                                                             \
        for (int64_t r = 0; r < s->runs; r++)
#define FILL(type, value)                                                                                              \
    type sum[16][4][NV];                                                                                               \
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int q = 0; q < Q; q++) UNROLL for (int v = 0; v < NV; v++)          \
        sum[p][q][v] = (type){0};
#define KEEP                                                                                                           \
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int q = 0; q < Q; q++) UNROLL for (int v = 0; v < NV; v++)          \
        memcpy((float *)sums + (q * (SEGMENT + 2) + p) * LANES + v * VL, &sum[p][q][v], VB);

INLINE void float_tile(TILE_ARGUMENTS, const int P, const int Q) {
    FILL(VF, 0)
    int64_t panel = s->kh * s->runs * s->run * LANES;
    EACH_RUN {
        const float *x = (const float *)rows[k] + at + r * run_apart;
        const float *w = (const float *)weight + (k * s->runs + r) * s->run * LANES;
        for (int64_t i = 0; i < s->run; i++) {
            VF few[4][NV];
            UNROLL for (int q = 0; q < Q; q++) UNROLL for (int v = 0; v < NV; v++)
                few[q][v] = load_f(w + q * panel + i * LANES + v * VL);
            UNROLL for (int p = 0; p < P; p++) {
                VF number = splat_f(x[p * apart + i]);
                UNROLL for (int q = 0; q < Q; q++) UNROLL for (int v = 0; v < NV; v++)
                    sum[p][q][v] = sum[p][q][v] + number * few[q][v];
            }
        }
    }
    KEEP
}

INLINE void whole_tile(TILE_ARGUMENTS, const int P, const int Q) { /* octets, as pairs of int16 */
    FILL(VI, 0)
    int64_t pairs = (s->run + 1) / 2, panel = s->kh * pairs * LANES;
    (void)run_apart;
    for (int64_t k = first; k < last; k++) {
        const uint8_t *x = rows[k] + 2 * at;
        const int32_t *w = (const int32_t *)weight + k * pairs * LANES;
        for (int64_t i = 0; i < pairs; i++) {
            VI few[4][NV];
            UNROLL for (int q = 0; q < Q; q++) UNROLL for (int v = 0; v < NV; v++)
                few[q][v] = load_i(w + q * panel + i * LANES + v * VL);
            UNROLL for (int p = 0; p < P; p++) {
                uint32_t pair = load_32(x + 2 * p * apart + 4 * i);
                UNROLL for (int q = 0; q < Q; q++) UNROLL for (int v = 0; v < NV; v++)
                    sum[p][q][v] = add_products(sum[p][q][v], few[q][v], pair);
            }
        }
    }
    KEEP
}

/* Numbers by signs: a ring's row holds for each four inputs a b c d the sums +-a +-b +-c +-d; a filter picks one of them
 * by four bits. Eight fours' picks of 16 filters are 16 words. AVX2 keeps the eight sums with +d; the others are their
 * opposites, and a pick is then three bits and a sign. */
#if VB == 32
#define ENTRIES 8
#else
#define ENTRIES 16
#endif

INLINE VF picked(const float *sums, VU picks) {
#if VB == 64
    return (VF)_mm512_permutexvar_ps((__m512i)picks, _mm512_loadu_ps(sums));
#elif VB == 32
    VU found = (VU)_mm256_permutevar8x32_ps(_mm256_loadu_ps(sums), (__m256i)picks);
    return (VF)(found ^ ((picks << 28) & 0x80000000u));
#else
    return (VF){sums[picks[0] & 15], sums[picks[1] & 15], sums[picks[2] & 15], sums[picks[3] & 15]};
#endif
}

INLINE void sign_tile(TILE_ARGUMENTS, const int P, const int Q) {
    FILL(VF, 0)
    int64_t words = (s->run + 7) / 8, panel = s->kh * s->runs * words * LANES;
    EACH_RUN {
        const float *x = (const float *)rows[k] + (at + r * run_apart) * ENTRIES;
        const uint32_t *w = (const uint32_t *)weight + (k * s->runs + r) * words * LANES;
        for (int64_t i = 0; i < s->run; i += 8, w += LANES) {
            int64_t few = s->run - i < 8 ? s->run - i : 8;
            VU picks[4][NV];
            UNROLL for (int q = 0; q < Q; q++) UNROLL for (int v = 0; v < NV; v++)
                picks[q][v] = load_u(w + q * panel + v * VL);
            for (int64_t j = 0; j < few; j++) {
                UNROLL for (int p = 0; p < P; p++) {
                    const float *four = x + (p * apart + i + j) * ENTRIES;
                    UNROLL for (int q = 0; q < Q; q++) UNROLL for (int v = 0; v < NV; v++)
                        sum[p][q][v] = sum[p][q][v] + picked(four, picks[q][v]);
                }
                UNROLL for (int q = 0; q < Q; q++) UNROLL for (int v = 0; v < NV; v++) picks[q][v] = picks[q][v] >> 4;
            }
        }
    }
    KEEP
}

INLINE void fill_signs(const Step *s, const float *x, float *to) {
    static const float signs[4][16] = {
        {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1}, {-1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1},
        {-1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1}, {-1, -1, -1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 1, 1}};
    int64_t channels = s->c / s->groups, fours = (channels + 3) / 4;
    to += s->pw * s->groups * fours * ENTRIES;
    for (int64_t part = 0; part < s->w * s->groups; part++, x += channels)
        for (int64_t j = 0; j < fours; j++, to += ENTRIES) {
            float few[4] = {0, 0, 0, 0};
            int64_t left = channels - 4 * j;
            memcpy(few, x + 4 * j, (left < 4 ? (size_t)left : 4) * 4);
            for (int v = 0; v < ENTRIES; v += VL) {
                int at = 16 - ENTRIES + v;
                VF low = splat_f(few[0]) * load_f(signs[0] + at) + splat_f(few[1]) * load_f(signs[1] + at);
                VF high = splat_f(few[2]) * load_f(signs[2] + at) + splat_f(few[3]) * load_f(signs[3] + at);
                store_f(to + v, low + high);
            }
        }
}

#if VB == 64
#define TALL 4
#define BROAD 4
#define SINGLE 8
#define MANY 16 /* of whole numbers */
#elif VB == 32
#define TALL 2
#define BROAD 2
#define SINGLE 4
#define MANY SINGLE
#else
#define TALL 2
#define BROAD 1
#define SINGLE 2
#define MANY SINGLE
#endif

#define ROW(name, tile, single)                                                                                        \
    INLINE void name##_by(TILE_ARGUMENTS, int64_t count, const int P, const int Q) {                                   \
        int64_t x = 0;                                                                                                 \
        for (; x + P <= count; x += P, at += P * apart)                                                                \
            tile(s, rows, at, apart, run_apart, first, last, weight, (float *)sums + x * LANES, P, Q);                 \
        for (; x < count; x++, at += apart)                                                                            \
            tile(s, rows, at, apart, run_apart, first, last, weight, (float *)sums + x * LANES, 1, Q);                 \
    }                                                                                                                  \
    static void name(TILE_ARGUMENTS, int64_t count, int64_t panels) {                                                  \
        if (panels == 4 && BROAD >= 4)                                                                                 \
            name##_by(s, rows, at, apart, run_apart, first, last, weight, sums, count, TALL, BROAD >= 4 ? 4 : 1);      \
        else if (panels == 2 && BROAD >= 2)                                                                            \
            name##_by(s, rows, at, apart, run_apart, first, last, weight, sums, count, TALL, BROAD >= 2 ? 2 : 1);      \
        else                                                                                                           \
            name##_by(s, rows, at, apart, run_apart, first, last, weight, sums, count, single, 1);                     \
    }
ROW(float_row, float_tile, SINGLE)
ROW(whole_row, whole_tile, MANY)
ROW(sign_row, sign_tile, SINGLE)

static int64_t conv_numbers(const Step *s, uint8_t *arena, const void *x, float *planes, uint8_t *scratch, int64_t begin,
                            int64_t end) {
    int64_t wrong = 0;
    float sums[MOST_PANELS * (SEGMENT + 2) * LANES], totals[SEGMENT];
    int64_t channels = s->c / s->groups, fours = (channels + 3) / 4, signs = s->op == OP_CONV_SIGNS;
    int64_t of_pixel = signs ? s->groups * fours : s->c, of_group = signs ? fours : channels;
    int64_t bytes = signs ? 4 * ENTRIES : s->op == OP_CONV_U8 ? 2 : 4, direct = s->op == OP_CONV && !s->pw;
    int64_t panel = s->op == OP_CONV_U8 ? s->kh * ((s->run + 1) / 2)
                    : signs ? s->kh * s->runs * ((s->run + 7) / 8) : s->kh * s->runs * s->run;
    const uint8_t **rows = (const uint8_t **)scratch;
    Ring ring = {scratch + (s->kh * 8 + 63) / 64 * 64, direct ? s->w * s->c * 4 : RING_OF(of_pixel) * bytes, 0};
    if (!direct) memset(ring.base, 0, (size_t)(ring.size * s->ring + 64));
    Part part = part_of(s, begin, end);
    for (int64_t y = part.top; y < part.bottom; y++) {
        const int32_t *down = (const int32_t *)s->down + 3 * y;
        rows_of(s, &ring, x, y, rows, direct);
        for (int64_t x0 = 0; x0 < s->ow; x0 += SEGMENT) {
            int64_t count = s->ow - x0 < SEGMENT ? s->ow - x0 : SEGMENT;
            for (int64_t group = 0; group < s->groups; group++) {
                int64_t at = x0 * s->sw * of_pixel + group * of_group, apart = s->sw * of_pixel, run_apart = s->dw * of_pixel;
                if (s->flags & SUMMED) /* of numbers by signs: the entry of four times + */
                    for (int64_t p = 0; p < count; p++) {
                        float total = 0;
                        for (int64_t k = down[0]; k < down[1]; k++)
                            for (int64_t r = 0; r < s->runs; r++)
                                for (int64_t i = 0; i < s->run; i++)
                                    total += ((const float *)rows[k])[(at + p * apart + r * run_apart + i) * ENTRIES + ENTRIES - 1];
                        totals[p] = total;
                    }
                for (int64_t index = part.first, few; index < part.last; index += few) {
                    few = fewer_panels(part.last - index, BROAD);
                    const uint8_t *w = (const uint8_t *)s->weight + (group * s->panels + index) * panel * LANES * 4;
                    if (signs) sign_row(s, rows, at, apart, run_apart, down[0], down[1], w, sums, count, few);
                    else if (s->op == OP_CONV_U8) whole_row(s, rows, at, apart, run_apart, down[0], down[1], w, sums, count, few);
                    else float_row(s, rows, at, apart, run_apart, down[0], down[1], w, sums, count, few);
                    for (int64_t q = 0; q < few; q++) {
                        Panel p = panel_at(s, arena, planes, y, x0, group, index + q);
                        p.totals = totals, p.source = sums + q * (SEGMENT + 2) * LANES;
                        if (s->op == OP_CONV_U8) finish(&p, count, s, OF_WHOLE, &wrong);
                        else finish(&p, count, s, OF_FLOATS, &wrong);
                    }
                }
            }
        }
    }
    return wrong;
}

/* ---- signs into bits ---- */

static int64_t is_wrong(float x) { return x != 1.0f && x != -1.0f; }

static void pack(const Step *s, uint8_t *arena, int64_t begin, int64_t end, Report *report, int64_t index) {
    const float *bound = (const float *)s->threshold;
    int64_t channels = s->c / s->groups, octets = (s->flags & HALF) ? 2 : s->words * 4;
    for (int64_t y = begin; y < end; y++) {
        const float *x = (const float *)(arena + s->in) + y * s->w * s->c;
        uint8_t *to = arena + s->bits + y * s->bits_row;
        int32_t *ones = s->ones >= 0 ? (int32_t *)(arena + s->ones) + y * s->ones_row : NULL;
        for (int64_t part = 0; part < s->w * s->groups; part++, x += channels, to += octets) {
            const float *least = bound + part % s->groups * channels;
            int32_t found = 0;
            for (int64_t at = 0; at < channels; at += LANES) {
                uint32_t bits = 0;
                if (channels - at >= LANES)
                    UNROLL for (int v = 0; v < NV; v++)
                        bits |= at_least(load_f(x + at + v * VL), load_f(least + at + v * VL)) << (v * VL);
                else
                    for (int64_t i = 0; i < channels - at; i++) bits |= (uint32_t)(x[at + i] >= least[at + i]) << i;
                uint16_t half = (uint16_t)bits;
                memcpy(to + at / 8, &half, 2);
                found += __builtin_popcount(bits);
            }
            if (ones) ones[part] = found;
            if (s->flags & CHECKED)
                for (int64_t i = 0; i < channels; i++)
                    if (is_wrong(x[i]) && !report->status) report->value = x[i], report->status = index + 1;
        }
    }
}

/* Of the caller's pictures, whose channels come first: one group, or groups of whole words. A word is made for AHEAD
 * pixels at once, which stay in registers while the planes of 32 channels are read in runs. */
#define AHEAD (8 * VL)
static void pack_planes(const Step *s, uint8_t *arena, const float *x, int64_t begin, int64_t end, Report *report,
                        int64_t index) {
    const float *bound = (const float *)s->threshold;
    int64_t plane = s->h * s->w, each = s->c / s->groups;
    VF seen[4] = {{0}, {0}, {0}, {0}}; /* four, so that none waits for the sum before it */
    for (int64_t at = begin * s->w; at < end * s->w; at += AHEAD) {
        if (end * s->w - at < AHEAD && (end - begin) * s->w >= AHEAD) at = end * s->w - AHEAD; /* some are made twice */
        int64_t count = end * s->w - at < AHEAD ? end * s->w - at : AHEAD;
        for (int64_t first = 0; first < s->c; first += 32) {
            int64_t many = s->c - first < 32 ? s->c - first : 32, group = first / each;
            uint32_t words[AHEAD];
            const float *from = x + first * plane + at;
            if (count == AHEAD) {
                VU bits[8];
                UNROLL for (int v = 0; v < 8; v++) bits[v] = (VU){0};
                for (int64_t i = 0; i < many; i++, from += plane) {
                    VF least = splat_f(bound[first + i]);
                    UNROLL for (int v = 0; v < 8; v++) {
                        VF numbers = load_f(from + v * VL);
                        seen[v % 4] = with_zero_of(seen[v % 4], numbers);
                        bits[v] = set_where_at_least(bits[v], numbers, least, 1u << i);
                    }
                }
                memcpy(words, bits, sizeof bits);
            } else {
                memset(words, 0, sizeof words);
                for (int64_t i = 0; i < many; i++, from += plane)
                    for (int64_t p = 0; p < count; p++) {
                        seen[0][0] += from[p] * 0.0f;
                        words[p] |= (uint32_t)(from[p] >= bound[first + i]) << i;
                    }
            }
            for (int64_t p = 0, run; p < count; p += run) { /* to the end of a row */
                int64_t y = (at + p) / s->w, column = (at + p) % s->w, apart = s->bits_pixel, groups = s->groups;
                uint8_t *to = arena + s->bits + y * s->bits_row + column * apart + first / 8;
                run = count - p < s->w - column ? count - p : s->w - column;
                if (s->flags & HALF)
                    for (int64_t i = 0; i < run; i++, to += apart) memcpy(to, words + p + i, 2);
                else
                    for (int64_t i = 0; i < run; i++, to += apart) memcpy(to, words + p + i, 4);
                if (s->ones < 0) continue;
                int32_t *ones = (int32_t *)(arena + s->ones) + y * s->ones_row + column * groups + group;
                for (int64_t i = 0; i < run; i++, ones += groups)
                    *ones = (first == group * each ? 0 : *ones) + __builtin_popcount(words[p + i]);
            }
        }
    }
    if (any_not_zero((seen[0] + seen[1]) + (seen[2] + seen[3]))) report->status = index + 1;
}

/* ---- operations on numbers ---- */

static void normalised(const Step *s, const float *x, float *out, int64_t n) { /* affine and rectify: n pixels */
    const float *a = (const float *)s->a, *b = (const float *)s->b;
    int64_t c = s->c;
    for (int64_t i = 0; i < n; i++, x += c, out += c) {
        if (s->op == OP_AFFINE)
            for (int64_t j = 0; j < c; j++) out[j] = x[j] * a[j] + b[j];
        else
            for (int64_t j = 0; j < c; j++) {
                float y = x[j] + a[j];
                out[j] = y * (y > 0 ? a[c + j] : a[2 * c + j]) + a[3 * c + j];
            }
    }
}

/* Two values, whose sides of 1 are spread: in2's sides stand in kh, kw and run. */
static void joined(const Step *s, const float *x, const float *other, float *out, int64_t begin, int64_t end) {
    int64_t times = s->op == OP_MULTIPLY, deep = s->oc, step = s->c > 1, step2 = s->run > 1;
    for (int64_t y = begin; y < end; y++)
        for (int64_t i = 0; i < s->ow; i++) {
            const float *a = x + ((s->h > 1 ? y : 0) * s->w + (s->w > 1 ? i : 0)) * s->c;
            const float *b = other + ((s->kh > 1 ? y : 0) * s->kw + (s->kw > 1 ? i : 0)) * s->run;
            float *to = out + (y * s->ow + i) * deep;
            if (step == 1 && step2 == 1) {
                if (times) for (int64_t j = 0; j < deep; j++) to[j] = a[j] * b[j];
                else for (int64_t j = 0; j < deep; j++) to[j] = a[j] + b[j];
            } else
                for (int64_t j = 0; j < deep; j++)
                    to[j] = times ? a[j * step] * b[j * step2] : a[j * step] + b[j * step2];
        }
}

/* A pixel's window of `n` channels: sums go down each column first, then across. Counts: what a sum is divided by. */
INLINE void pool_window(const Step *s, const float *x, float *to, int64_t top, int64_t left, const float *count,
                        const int64_t n, const int most) {
    float row[64], all[64];
    for (int64_t j = 0; j < n; j++) all[j] = most ? -__builtin_inff() : 0;
    for (int64_t b = left < 0 ? 0 : left; b < left + s->kw && b < s->w; b++) {
        for (int64_t j = 0; j < n; j++) row[j] = most ? -__builtin_inff() : 0;
        for (int64_t a = top < 0 ? 0 : top; a < top + s->kh && a < s->h; a++) {
            const float *at = x + (a * s->w + b) * s->c;
            if (most) for (int64_t j = 0; j < n; j++) row[j] = row[j] > at[j] ? row[j] : at[j];
            else for (int64_t j = 0; j < n; j++) row[j] += at[j];
        }
        if (most) for (int64_t j = 0; j < n; j++) all[j] = all[j] > row[j] ? all[j] : row[j];
        else for (int64_t j = 0; j < n; j++) all[j] += row[j];
    }
    for (int64_t j = 0; j < n; j++) to[j] = most ? all[j] : all[j] / *count;
}

static void pooled(const Step *s, const float *x, float *out, int64_t begin, int64_t end) {
    const float *counts = (const float *)s->a;
    int64_t c = s->c, most = s->op == OP_MAX_POOL;
    for (int64_t y = begin; y < end; y++)
        for (int64_t i = 0; i < s->ow; i++) {
            float *to = out + (y * s->ow + i) * c;
            const float *count = most ? NULL : counts + y * s->ow + i;
            int64_t top = y * s->sh - s->ph, left = i * s->sw - s->pw;
            for (int64_t first = 0; first < c; first += 64) {
                int64_t n = c - first < 64 ? c - first : 64;
                if (most && n == 64) pool_window(s, x + first, to + first, top, left, count, 64, 1);
                else if (most) pool_window(s, x + first, to + first, top, left, count, n, 1);
                else pool_window(s, x + first, to + first, top, left, count, n, 0);
            }
        }
}

static void mean(const Step *s, const float *x, float *out) {
    int64_t c = s->c, pixels = s->h * s->w;
    for (int64_t j = 0; j < c; j++) out[j] = 0;
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t j = 0; j < c; j++) out[j] += x[i * c + j];
    for (int64_t j = 0; j < c; j++) out[j] /= (float)pixels;
}

/* A filter for each channel: channels are the lanes. weight (taps, channels); table (7, channels). */
static void depthwise(const Step *s, uint8_t *arena, const float *x, int64_t begin, int64_t end) {
    const float *weight = (const float *)s->weight, *shift = (const float *)s->a;
    int64_t c = s->c;
    for (int64_t y = begin; y < end; y++)
        for (int64_t i = 0; i < s->ow; i++) {
            float *to = (float *)(arena + s->out) + (y * s->ow + i) * c;
            for (int64_t first = 0; first < c; first += 64) {
                float sums[64] = {0};
                int64_t n = c - first < 64 ? c - first : 64;
                for (int64_t k = 0; k < s->kh; k++)
                    for (int64_t l = 0; l < s->kw; l++) {
                        int64_t a = y * s->sh - s->ph + k * s->dh, b = i * s->sw - s->pw + l * s->dw;
                        if (a < 0 || a >= s->h || b < 0 || b >= s->w) continue;
                        const float *at = x + (a * s->w + b) * c + first, *w = weight + (k * s->kw + l) * c + first;
                        for (int64_t j = 0; j < n; j++) sums[j] = sums[j] + at[j] * w[j];
                    }
                for (int64_t j = 0; j < n; j++) to[first + j] = sums[j] + shift[first + j];
            }
        }
}

void NAME(bnn_step)(const Step *s, uint8_t *arena, const void *in, void *out, uint8_t *scratch, int64_t begin, int64_t end,
                    Report *report, int64_t index) {
    const float *x = s->in == -1 ? (const float *)in : (const float *)(arena + s->in);
    float *to = s->out == -2 ? (float *)out : (float *)(arena + (s->out < 0 ? 0 : s->out));
    int64_t size = s->ow * s->oc;
    switch (s->op) {
        case OP_TURN_IN: /* units: rows of the picture */
            if (begin == 0 && not_finite(x, s->c * s->h * s->w)) report->status = index + 1;
            for (int64_t y = begin; y < end; y++) {
                if (s->c >= 4) turn(x + y * s->w, to + y * s->w * s->c, s->c, s->h * s->w, 0, s->c, s->w);
                else
                    for (int64_t j = 0; j < s->c; j++)
                        for (int64_t i = y * s->w; i < (y + 1) * s->w; i++) to[i * s->c + j] = x[j * s->h * s->w + i];
            }
            break;
        case OP_TURN_OUT:
            if (not_finite(x + begin * s->w * s->c, (end - begin) * s->w * s->c)) report->status = index + 1;
            turn(x, to, s->h * s->w, s->c, begin * s->w, end * s->w, s->c);
            break;
        case OP_FLATTEN: turn(x, to, s->h * s->w, s->c, begin * s->w, end * s->w, s->c); break;
        case OP_PACK: pack(s, arena, begin, end, report, index); break;
        case OP_PACK_PLANES: pack_planes(s, arena, x, begin, end, report, index); break;
        case OP_CONV_BITS:
#if defined(TILES)
            if (s->flags & TILED) {
                if (conv_tiles(s, arena, (float *)out, scratch, begin, end)) report->status = index + 1;
                break;
            }
#endif
            if (conv_bits(s, arena, (float *)out, begin, end)) report->status = index + 1;
            break;
        case OP_CONV_SIGNS:
        case OP_CONV:
        case OP_CONV_U8:
            if (conv_numbers(s, arena, x, (float *)out, scratch, begin, end)) report->status = index + 1;
            break;
        case OP_DEPTHWISE: depthwise(s, arena, x, begin, end); break;
        case OP_AFFINE:
        case OP_RECTIFY: normalised(s, x + begin * size, to + begin * size, (end - begin) * s->ow); break;
        case OP_CLIP: {
            const float *range = (const float *)s->a;
            for (int64_t i = begin * size; i < end * size; i++) {
                float y = x[i] > range[0] ? x[i] : range[0];
                to[i] = y < range[1] ? y : range[1];
            }
            break;
        }
        case OP_ADD:
        case OP_MULTIPLY: joined(s, x, (const float *)(arena + s->in2), to, begin, end); break;
        case OP_MAX_POOL:
        case OP_AVERAGE_POOL: pooled(s, x, to, begin, end); break;
        case OP_MEAN: mean(s, x, to); break;
        case OP_PICK: /* zero channels around: front stands in a */
            if (s->oc > s->c) memset(to + begin * size, 0, (size_t)((end - begin) * size) * 4);
            for (int64_t y = begin; y < end; y++)
                for (int64_t i = 0; i < s->ow; i++) {
                    float *at = to + (y * s->ow + i) * s->oc + s->a;
                    const float *from = x + (y * s->sh * s->w + i * s->sw) * s->c;
                    if (s->c % LANES) memcpy(at, from, (size_t)s->c * 4);
                    else for (int64_t j = 0; j < s->c; j += LANES) memcpy(at + j, from + j, LANES * 4);
                }
            break;
        case OP_COPY: /* channels of one part of a concatenation, to channel a */
            for (int64_t i = begin * s->ow; i < end * s->ow; i++) memcpy(to + i * s->oc + s->a, x + i * s->c, (size_t)s->c * 4);
            break;
    }
}

#include "ternary.h"
