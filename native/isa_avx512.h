// AVX-512 (F, BW, DQ, VL): sixteen lanes, thirty-two registers. With VNNI, products of 16-bit pairs are summed in one instruction.
#include <immintrin.h>

#include <cstdint>

namespace {

struct Isa {
    using F = __m512;
    using I = __m512i;
    static constexpr int lanes = 16, accumulators = 28, accumulators_fast = 28;

    static F load(const float* p) { return _mm512_loadu_ps(p); }
    static I load(const int32_t* p) { return _mm512_loadu_si512(p); }
    static void store(float* p, F v) { _mm512_storeu_ps(p, v); }
    static void store(int32_t* p, I v) { _mm512_storeu_si512(p, v); }
    static F spread(float v) { return _mm512_set1_ps(v); }
    static I spread(int32_t v) { return _mm512_set1_epi32(v); }

    static F multiply_add(F sum, F a, F b) { return _mm512_fmadd_ps(a, b, sum); }
    static F add(F a, F b) { return _mm512_add_ps(a, b); }
    static F subtract(F a, F b) { return _mm512_sub_ps(a, b); }
    static F multiply(F a, F b) { return _mm512_mul_ps(a, b); }
    static F prelu(F v, F slope) { return _mm512_mask_mul_ps(v, _mm512_movepi32_mask(_mm512_castps_si512(v)), v, slope); }
    static F clamp(F v, F lowest, F highest) { return _mm512_min_ps(_mm512_max_ps(v, lowest), highest); }

    static I multiply_add_pairs(I sum, I a, I b) {
#ifdef __AVX512VNNI__
        return _mm512_dpwssd_epi32(sum, a, b);
#else
        return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
    }
    static I add_pairs(I a, I b) { return _mm512_add_epi16(a, b); }
    static I subtract_pairs(I a, I b) { return _mm512_sub_epi16(a, b); }
    static I add(I a, I b) { return _mm512_add_epi32(a, b); }
    static I subtract(I a, I b) { return _mm512_sub_epi32(a, b); }
    static I multiply(I a, I b) { return _mm512_mullo_epi32(a, b); }
    template <int BITS>
    static I shift_left(I a) { return _mm512_slli_epi32(a, BITS); }
    template <int BITS>
    static I shift_right(I a) { return _mm512_srai_epi32(a, BITS); }
    static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
    static I round(F a) { return _mm512_cvtps_epi32(a); }
    static F by_sign(I sign, F negative, F positive) { return _mm512_mask_blend_ps(_mm512_movepi32_mask(sign), positive, negative); }
    // Numbers of 16 bits: `low` into the lower half of each lane, `high` into the upper.
    static I pair(I low, I high) { return _mm512_mask_blend_epi16(0xAAAAAAAA, low, _mm512_slli_epi32(high, 16)); }
};

}  // namespace
