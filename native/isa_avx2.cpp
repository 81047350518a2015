// AVX2 and FMA: eight lanes, sixteen registers.
#include <immintrin.h>

#include <cstdint>

namespace {

struct Isa {
    using F = __m256;
    // Whole numbers as 32-bit ones throughout: GCC copies registers in a loop where their type changes after it.
    typedef int32_t I __attribute__((vector_size(32)));
    static __m256i raw(I v) { return __m256i(v); }
    static constexpr int lanes = 8, accumulators = 12, accumulators_fast = 12;

    static F load(const float* p) { return _mm256_loadu_ps(p); }
    static I load(const int32_t* p) { return I(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
    static void store(float* p, F v) { _mm256_storeu_ps(p, v); }
    static void store(int32_t* p, I v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), raw(v)); }
    static F spread(float v) { return _mm256_set1_ps(v); }
    static I spread(int32_t v) { return I(_mm256_set1_epi32(v)); }

    static F multiply_add(F sum, F a, F b) { return _mm256_fmadd_ps(a, b, sum); }
    static F add(F a, F b) { return _mm256_add_ps(a, b); }
    static F subtract(F a, F b) { return _mm256_sub_ps(a, b); }
    static F multiply(F a, F b) { return _mm256_mul_ps(a, b); }
    static F prelu(F v, F slope) { return _mm256_blendv_ps(v, _mm256_mul_ps(v, slope), v); }

    static I multiply_add_pairs(I sum, I a, I b) { return I(_mm256_add_epi32(raw(sum), _mm256_madd_epi16(raw(a), raw(b)))); }
    static I add_pairs(I a, I b) { return I(_mm256_add_epi16(raw(a), raw(b))); }
    static I subtract_pairs(I a, I b) { return I(_mm256_sub_epi16(raw(a), raw(b))); }
    static I add(I a, I b) { return I(_mm256_add_epi32(raw(a), raw(b))); }
    static I subtract(I a, I b) { return I(_mm256_sub_epi32(raw(a), raw(b))); }
    static I multiply(I a, I b) { return I(_mm256_mullo_epi32(raw(a), raw(b))); }
    template <int BITS>
    static I shift_left(I a) { return I(_mm256_slli_epi32(raw(a), BITS)); }
    template <int BITS>
    static I shift_right(I a) { return I(_mm256_srai_epi32(raw(a), BITS)); }
    static F to_float(I a) { return _mm256_cvtepi32_ps(raw(a)); }
    static F multiply_by_sign(I a, const float* negative, const float* positive) {
        return _mm256_mul_ps(to_float(a), _mm256_blendv_ps(spread(*positive), spread(*negative), _mm256_castsi256_ps(raw(a))));
    }
    // Rounded, halves to even, and clipped to ±limit: `low` into the lower half of each lane, `high` into the upper.
    static I pair(F low, F high, int limit) {
        const __m256i interleave = _mm256_broadcastsi128_si256(_mm_set_epi8(15, 14, 7, 6, 13, 12, 5, 4, 11, 10, 3, 2, 9, 8, 1, 0));
        const __m256i both = _mm256_packs_epi32(_mm256_cvtps_epi32(low), _mm256_cvtps_epi32(high));
        const __m256i clipped = _mm256_min_epi16(_mm256_max_epi16(both, _mm256_set1_epi16(int16_t(-limit))), _mm256_set1_epi16(int16_t(limit)));
        return I(_mm256_shuffle_epi8(clipped, interleave));
    }
};

}  // namespace

#include "strip.h"

extern const fsrcnn::InstructionSet fsrcnn_avx2;
const fsrcnn::InstructionSet fsrcnn_avx2 = {"avx2", Isa::accumulators, Isa::accumulators_fast, strip_bytes, run_tile};
