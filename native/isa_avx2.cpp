// AVX2 and FMA: eight lanes, sixteen registers.
#include <immintrin.h>

#include <cstdint>

namespace {

struct Isa {
    using F = __m256;
    using I = __m256i;
    static constexpr int lanes = 8, accumulators = 12, accumulators_fast = 12;

    static F load(const float* p) { return _mm256_loadu_ps(p); }
    static I load(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    static void store(float* p, F v) { _mm256_storeu_ps(p, v); }
    static void store(int32_t* p, I v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
    static F spread(float v) { return _mm256_set1_ps(v); }
    static I spread(int32_t v) { return _mm256_set1_epi32(v); }

    static F multiply_add(F sum, F a, F b) { return _mm256_fmadd_ps(a, b, sum); }
    static F add(F a, F b) { return _mm256_add_ps(a, b); }
    static F subtract(F a, F b) { return _mm256_sub_ps(a, b); }
    static F multiply(F a, F b) { return _mm256_mul_ps(a, b); }
    static F prelu(F v, F slope) { return _mm256_blendv_ps(v, _mm256_mul_ps(v, slope), v); }
    static F clamp(F v, F lowest, F highest) { return _mm256_min_ps(_mm256_max_ps(v, lowest), highest); }

    static I multiply_add_pairs(I sum, I a, I b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
    static I add_pairs(I a, I b) { return _mm256_add_epi16(a, b); }
    static I subtract_pairs(I a, I b) { return _mm256_sub_epi16(a, b); }
    static I add(I a, I b) { return _mm256_add_epi32(a, b); }
    static I subtract(I a, I b) { return _mm256_sub_epi32(a, b); }
    static I multiply(I a, I b) { return _mm256_mullo_epi32(a, b); }
    template <int BITS>
    static I shift_left(I a) { return _mm256_slli_epi32(a, BITS); }
    template <int BITS>
    static I shift_right(I a) { return _mm256_srai_epi32(a, BITS); }
    static F to_float(I a) { return _mm256_cvtepi32_ps(a); }
    static I round(F a) { return _mm256_cvtps_epi32(a); }
    static F by_sign(I sign, F negative, F positive) { return _mm256_blendv_ps(positive, negative, _mm256_castsi256_ps(sign)); }
    // Numbers of 16 bits: `low` into the lower half of each lane, `high` into the upper.
    static I pair(I low, I high) { return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xAA); }
};

}  // namespace

#include "strip.h"

extern const fsrcnn::InstructionSet fsrcnn_avx2;
const fsrcnn::InstructionSet fsrcnn_avx2 = {"avx2", N, Isa::accumulators, Isa::accumulators_fast, strip_bytes, run_tile};
