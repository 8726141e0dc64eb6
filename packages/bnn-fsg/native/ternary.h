/* Weights -1, 0 and 1, two bits each, by int8: included by `kernels.c`, so once for each set of kernels.
 *
 * A panel is 16 outputs. A word holds w + 1 of 16 inputs of one output: bits 8 b + 2 j of it are input 4 j + b, so that a
 * shift by 2 j and a mask give the four octets that meet inputs 4 j to 4 j + 3. */
#if defined(__AVX512F__)
#define STREAMS 4 /* panels at once: as many streams of weights, and sums that do not wait for each other */
INLINE void ternary_panels(const uint32_t *weight, const int8_t *x, int64_t blocks, int32_t *out, const int count) {
    __m512i sums[STREAMS], three = _mm512_set1_epi8(3);
    UNROLL for (int q = 0; q < count; q++) sums[q] = _mm512_setzero_si512();
    for (int64_t block = 0; block < blocks; block++) {
        __m512i words[STREAMS];
        UNROLL for (int q = 0; q < count; q++) words[q] = _mm512_loadu_si512(weight + (q * blocks + block) * LANES);
        UNROLL for (int j = 0; j < 4; j++) {
            __m512i four = _mm512_set1_epi32((int32_t)load_32((const uint8_t *)x + 16 * block + 4 * j));
            UNROLL for (int q = 0; q < count; q++) {
                __m512i codes = _mm512_and_si512(_mm512_srli_epi32(words[q], 2 * j), three);
                sums[q] = _mm512_dpbusd_epi32(sums[q], codes, four);
            }
        }
    }
    UNROLL for (int q = 0; q < count; q++) _mm512_storeu_si512(out + q * LANES, sums[q]);
}
#endif

/* out[panel - begin][16] = the sums of (w + 1) x */
static void ternary(const uint32_t *weight, const int8_t *x, int64_t blocks, int64_t begin, int64_t end, int32_t *out) {
#if defined(__AVX512F__)
    int64_t panel = begin;
    for (; panel + STREAMS <= end; panel += STREAMS, out += STREAMS * LANES)
        ternary_panels(weight + panel * blocks * LANES, x, blocks, out, STREAMS);
    for (; panel < end; panel++, out += LANES) ternary_panels(weight + panel * blocks * LANES, x, blocks, out, 1);
#else
    for (int64_t panel = begin; panel < end; panel++, out += LANES) {
        const uint32_t *w = weight + panel * blocks * LANES;
        VI sums[NV];
        UNROLL for (int v = 0; v < NV; v++) sums[v] = (VI){0};
        for (int64_t block = 0; block < blocks; block++) {
#if defined(__AVX2__)
            UNROLL for (int v = 0; v < NV; v++) {
                __m256i word = (__m256i)load_u(w + block * LANES + v * VL), three = _mm256_set1_epi8(3);
                __m256i pairs = _mm256_setzero_si256(); /* of at most 2 * 2 * 128 each, four times */
                UNROLL for (int j = 0; j < 4; j++) {
                    __m256i codes = _mm256_and_si256(_mm256_srli_epi32(word, 2 * j), three);
                    __m256i four = _mm256_set1_epi32((int32_t)load_32((const uint8_t *)x + 16 * block + 4 * j));
                    pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(codes, four));
                }
                sums[v] += (VI)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            }
#else
            UNROLL for (int v = 0; v < NV; v++) {
                VU word = load_u(w + block * LANES + v * VL);
                for (int i = 0; i < 16; i++)
                    sums[v] += (VI)((word >> (8 * (i & 3) + 2 * (i >> 2))) & 3u) * (int32_t)x[16 * block + i];
            }
#endif
        }
        UNROLL for (int v = 0; v < NV; v++) store_i(out + v * VL, sums[v]);
    }
#endif
}

/* A token as int8, and what undoes that: its largest magnitude becomes 127. Rounded to the nearest, ties to even. */
static void to_octets(const float *x, int64_t inputs, int64_t padded, int8_t *to, float *by, int32_t *sum) {
    int32_t largest = 0, total = 0;
    for (int64_t i = 0; i < inputs; i++) {
        int32_t bits;
        memcpy(&bits, x + i, 4);
        bits &= 0x7fffffff; /* magnitudes are ordered as their bits are */
        largest = largest > bits ? largest : bits;
    }
    float most, least = 1e-5f;
    memcpy(&most, &largest, 4);
    *by = 127.0f / (most > least ? most : least);
    const float factor = *by, whole = 12582912.0f; /* 1.5 * 2^23: what is added to it is rounded */
    for (int64_t i = 0; i < inputs; i++) {
        int32_t value = (int32_t)((x[i] * factor + whole) - whole);
        to[i] = (int8_t)value;
        total += value;
    }
    memset(to + inputs, 0, (size_t)(padded - inputs));
    *sum = total;
}

/* out (tokens, panels 16) float32 = scale W x of panels begin to end; tokens are first made int8 in `scratch` if `fresh`:
 * of each its octets, then of each what undoes them and their sum. A part of the panels meets all tokens in turn. */
void NAME(bnn_ternary)(const uint32_t *weight, const float *x, int64_t tokens, int64_t inputs, int64_t panels,
                       int64_t begin, int64_t end, float scale, int64_t fresh, int8_t *scratch, float *out) {
    int64_t blocks = (inputs + 15) / 16;
    float *by = (float *)(scratch + tokens * blocks * 16);
    int32_t *totals = (int32_t *)(by + tokens), sums[64 * LANES];
    for (int64_t token = 0; token < tokens; token++) {
        int8_t *octets = scratch + token * blocks * 16;
        if (fresh) to_octets(x + token * inputs, inputs, blocks * 16, octets, by + token, totals + token);
        float factor = scale / by[token];
        for (int64_t first = begin, last; first < end; first = last) {
            last = first + 64 < end ? first + 64 : end;
            ternary(weight, octets, blocks, first, last, sums);
            float *to = out + (token * panels + first) * LANES;
            for (int64_t i = 0; i < (last - first) * LANES; i++) to[i] = (float)(sums[i] - totals[token]) * factor;
        }
    }
}
