/* Vectors of the machine that a file is compiled for: GCC's and clang's vector types, and intrinsics where those lack a
 * word for it. VB bytes a vector, NV vectors for the 16 lanes of a panel. */
#ifndef SIMD_H
#define SIMD_H
#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define VB 64
#elif defined(__AVX2__)
#define VB 32
#else
#define VB 16
#endif
#define NV (64 / VB)   /* vectors of 16 numbers */
#define VL (VB / 4)    /* numbers of a vector */

#define INLINE static inline __attribute__((always_inline))
#if defined(SMALL)
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float VF __attribute__((vector_size(VB)));
typedef int32_t VI __attribute__((vector_size(VB)));
typedef uint32_t VU __attribute__((vector_size(VB)));
typedef uint16_t VH __attribute__((vector_size(VB)));
typedef uint8_t VO __attribute__((vector_size(VB)));

INLINE VF load_f(const float *at) { VF v; memcpy(&v, at, VB); return v; }
INLINE VI load_i(const int32_t *at) { VI v; memcpy(&v, at, VB); return v; }
INLINE VU load_u(const uint32_t *at) { VU v; memcpy(&v, at, VB); return v; }
INLINE void store_f(float *at, VF v) { memcpy(at, &v, VB); }
INLINE void store_i(int32_t *at, VI v) { memcpy(at, &v, VB); }
#if defined(__AVX512F__) /* 0 + x would be an addition */
INLINE VF splat_f(float x) { return (VF)_mm512_set1_ps(x); }
#elif defined(__AVX2__)
INLINE VF splat_f(float x) { return (VF)_mm256_set1_ps(x); }
#else
INLINE VF splat_f(float x) { return (VF){x, x, x, x}; }
#endif
INLINE VI splat_i(int32_t x) { return (VI){0} + x; }
INLINE VU splat_u(uint32_t x) { return (VU){0} + x; }
INLINE uint32_t load_32(const uint8_t *at) { uint32_t v; memcpy(&v, at, 4); return v; }
INLINE VF to_float(VI v) { return __builtin_convertvector(v, VF); }

/* x * (x > 0 ? positive : negative) */
INLINE VF leaky(VF x, VF positive, VF negative) {
#if defined(__AVX512F__)
    return x * (VF)_mm512_mask_blend_ps(_mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_GT_OQ), (__m512)negative,
                                        (__m512)positive);
#elif defined(__AVX2__)
    return x * (VF)_mm256_blendv_ps((__m256)negative, (__m256)positive,
                                    _mm256_cmp_ps((__m256)x, _mm256_setzero_ps(), _CMP_GT_OQ));
#else
    VI greater = (VI)(x > (VF){0});
    return x * (VF)((greater & (VI)positive) | (~greater & (VI)negative));
#endif
}

/* bit i is set where lane i of `mask` (all ones or zeros) is */
INLINE uint32_t bits_of_mask(VI mask) {
#if defined(__AVX512F__)
    return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
    return (uint32_t)_mm256_movemask_ps((__m256)mask);
#else
    return (mask[0] & 1) | (mask[1] & 2) | (mask[2] & 4) | (mask[3] & 8);
#endif
}

INLINE uint32_t at_least(VF x, VF bound) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)x, (__m512)bound, _CMP_GE_OQ);
#else
    return bits_of_mask((VI)(x >= bound));
#endif
}

/* x with `bit` set in the lanes where y >= bound */
INLINE VU set_where_at_least(VU x, VF y, VF bound, uint32_t bit) {
#if defined(__AVX512F__)
    return (VU)_mm512_mask_or_epi32((__m512i)x, _mm512_cmp_ps_mask((__m512)y, (__m512)bound, _CMP_GE_OQ), (__m512i)x,
                                    _mm512_set1_epi32((int32_t)bit));
#else
    return x | ((VU)(y >= bound) & bit);
#endif
}

/* seen + 0 x: 0 as long as every x is finite */
INLINE VF with_zero_of(VF seen, VF x) {
#if defined(__AVX512F__)
    return (VF)_mm512_fmadd_ps((__m512)x, _mm512_setzero_ps(), (__m512)seen);
#else
    return seen + x * 0.0f;
#endif
}

INLINE int64_t any_not_zero(VF x) {
    int64_t found = 0;
    for (int v = 0; v < VL; v++) found |= !(x[v] == 0);
    return found;
}

INLINE uint32_t at_least_i(VI x, VI bound) {
#if defined(__AVX512F__)
    return _mm512_cmp_epi32_mask((__m512i)x, (__m512i)bound, _MM_CMPINT_NLT);
#else
    return bits_of_mask((VI)(x >= bound));
#endif
}

/* ones of each octet (each half word or word with AVX-512) */
#if !defined(__AVX512F__)
INLINE VO ones_of_octets(VU v) {
#if defined(__AVX2__)
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3,
                                           2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i x = (__m256i)v;
    __m256i first = _mm256_shuffle_epi8(table, _mm256_and_si256(x, low));
    return (VO)_mm256_add_epi8(first, _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
#elif defined(__ARM_NEON)
    return (VO)vcntq_u8((uint8x16_t)v);
#else
    v = v - ((v >> 1) & 0x55555555u);
    v = (v & 0x33333333u) + ((v >> 2) & 0x33333333u);
    return (VO)((v + (v >> 4)) & 0x0f0f0f0fu);
#endif
}
INLINE VU pairs_of_octets(VO v) { VH x = (VH)v; return (VU)((x & 255) + (x >> 8)); }
INLINE VU sums_of_halves(VU v) { return (v & 0xffffu) + (v >> 16); }
#endif

/* sums + first * weight's first of each pair + second * weight's second, where `pair` holds two int16 */
INLINE VI add_products(VI sums, VI weight, uint32_t pair) {
#if defined(__AVX512F__)
    return (VI)_mm512_dpwssd_epi32((__m512i)sums, (__m512i)weight, _mm512_set1_epi32((int32_t)pair));
#elif defined(__AVX2__)
    return sums + (VI)_mm256_madd_epi16((__m256i)weight, _mm256_set1_epi32((int32_t)pair));
#elif defined(__ARM_NEON)
    int16x8_t x = vreinterpretq_s16_u32(vdupq_n_u32(pair)), w = (int16x8_t)weight;
    int32x4_t low = vmull_s16(vget_low_s16(w), vget_low_s16(x));
    return sums + (VI)vpaddq_s32(low, vmull_s16(vget_high_s16(w), vget_high_s16(x)));
#else
    VI first = (weight << 16) >> 16, second = weight >> 16;
    return sums + first * (int32_t)(int16_t)(pair & 0xffff) + second * (int32_t)(int16_t)(pair >> 16);
#endif
}
#endif
