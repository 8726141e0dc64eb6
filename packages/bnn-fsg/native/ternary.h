/* Weights -1, 0 and 1, two bits each, by int8: included by `kernels.c`, so once for each set of kernels.
 *
 * A panel is 16 outputs. A word holds w + 1 of 16 inputs of one output: bits 8 b + 2 j of it are input 4 j + b, so that a
 * shift by 2 j and a mask give the four octets that meet inputs 4 j to 4 j + 3. */
static void ternary(const uint32_t *weight, const int8_t *x, int64_t blocks, int64_t begin, int64_t end, int32_t *out) {
    for (int64_t panel = begin; panel < end; panel++) {
        const uint32_t *w = weight + panel * blocks * LANES;
        VI sums[NV];
        UNROLL for (int v = 0; v < NV; v++) sums[v] = (VI){0};
#if defined(__AVX512F__)
        __m512i parts[4], three = _mm512_set1_epi8(3); /* four, so that none waits for the sum before it */
        UNROLL for (int j = 0; j < 4; j++) parts[j] = _mm512_setzero_si512();
        for (int64_t block = 0; block < blocks; block++) {
            __m512i word = _mm512_loadu_si512(w + block * LANES);
            UNROLL for (int j = 0; j < 4; j++) {
                __m512i codes = _mm512_and_si512(_mm512_srli_epi32(word, 2 * j), three);
                __m512i four = _mm512_set1_epi32((int32_t)load_32((const uint8_t *)x + 16 * block + 4 * j));
                parts[j] = _mm512_dpbusd_epi32(parts[j], codes, four);
            }
        }
        sums[0] = (VI)_mm512_add_epi32(_mm512_add_epi32(parts[0], parts[1]), _mm512_add_epi32(parts[2], parts[3]));
#else
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
#endif
        UNROLL for (int v = 0; v < NV; v++) store_i(out + panel * LANES + v * VL, sums[v]);
    }
}

/* out (tokens, panels 16) int32: for each token the sums of (w + 1) x. A part of the panels meets all tokens in turn. */
void NAME(bnn_ternary)(const uint32_t *weight, const int8_t *x, int64_t tokens, int64_t blocks, int64_t panels,
                       int64_t begin, int64_t end, int32_t *out) {
    for (int64_t token = 0; token < tokens; token++)
        ternary(weight, x + token * blocks * 16, blocks, begin, end, out + token * panels * LANES);
}
