// AVX-512 (F, BW, DQ, VL): sixteen lanes, thirty-two registers. With VNNI, products of 16-bit pairs are summed in one instruction.
#include <immintrin.h>

#include <cstdint>

namespace {

struct Isa {
    using F = __m512;
    // Whole numbers as 32-bit ones throughout: GCC copies registers in a loop where their type changes after it.
    typedef int32_t I __attribute__((vector_size(64)));
    static __m512i raw(I v) { return __m512i(v); }
    static constexpr int lanes = 16, accumulators = 28, accumulators_fast = 28;

    static F load(const float* p) { return _mm512_loadu_ps(p); }
    static I load(const int32_t* p) { return I(_mm512_loadu_si512(p)); }
    static void store(float* p, F v) { _mm512_storeu_ps(p, v); }
    static void store(int32_t* p, I v) { _mm512_storeu_si512(p, raw(v)); }
    static F spread(float v) { return _mm512_set1_ps(v); }
    static I spread(int32_t v) { return I(_mm512_set1_epi32(v)); }

    static F multiply_add(F sum, F a, F b) { return _mm512_fmadd_ps(a, b, sum); }
    static F add(F a, F b) { return _mm512_add_ps(a, b); }
    static F subtract(F a, F b) { return _mm512_sub_ps(a, b); }
    static F multiply(F a, F b) { return _mm512_mul_ps(a, b); }
    static F prelu(F v, F slope) { return _mm512_mask_mul_ps(v, _mm512_movepi32_mask(_mm512_castps_si512(v)), v, slope); }

    static I multiply_add_pairs(I sum, I a, I b) {
#ifdef __AVX512VNNI__
        return I(_mm512_dpwssd_epi32(raw(sum), raw(a), raw(b)));
#else
        return I(_mm512_add_epi32(raw(sum), _mm512_madd_epi16(raw(a), raw(b))));
#endif
    }
    static I add_pairs(I a, I b) { return I(_mm512_add_epi16(raw(a), raw(b))); }
    static I subtract_pairs(I a, I b) { return I(_mm512_sub_epi16(raw(a), raw(b))); }
    static I add(I a, I b) { return I(_mm512_add_epi32(raw(a), raw(b))); }
    static I subtract(I a, I b) { return I(_mm512_sub_epi32(raw(a), raw(b))); }
    static I multiply(I a, I b) { return I(_mm512_mullo_epi32(raw(a), raw(b))); }
    template <int BITS>
    static I shift_left(I a) { return I(_mm512_slli_epi32(raw(a), BITS)); }
    template <int BITS>
    static I shift_right(I a) { return I(_mm512_srai_epi32(raw(a), BITS)); }
    static F to_float(I a) { return _mm512_cvtepi32_ps(raw(a)); }
    static F multiply_by_sign(I a, const float* negative, const float* positive) {
        const F value = to_float(a);
        return _mm512_mask_mul_ps(_mm512_mul_ps(value, spread(*positive)), _mm512_movepi32_mask(raw(a)), value, spread(*negative));
    }
    // Rounded, halves to even, and clipped to ±limit: `low` into the lower half of each lane, `high` into the upper.
    static I pair(F low, F high, int limit) {
        const __m512i interleave = _mm512_broadcast_i32x4(_mm_set_epi8(15, 14, 7, 6, 13, 12, 5, 4, 11, 10, 3, 2, 9, 8, 1, 0));
        const __m512i both = _mm512_packs_epi32(_mm512_cvtps_epi32(low), _mm512_cvtps_epi32(high));
        const __m512i clipped = _mm512_min_epi16(_mm512_max_epi16(both, _mm512_set1_epi16(int16_t(-limit))), _mm512_set1_epi16(int16_t(limit)));
        return I(_mm512_shuffle_epi8(clipped, interleave));
    }
};

}  // namespace
