// Any processor: plain C++ on vectors of four, which compilers turn into whatever is there (SSE2, NEON, scalar code). The other
// instruction sets are checked against this one.
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

#if defined(__GNUC__) || defined(__clang__)  // clang-cl does not say that it is GCC, too
typedef float F4 __attribute__((vector_size(16)));
typedef int32_t I4 __attribute__((vector_size(16)));
typedef uint32_t U4 __attribute__((vector_size(16)));
typedef int16_t H8 __attribute__((vector_size(16)));
typedef uint16_t UH8 __attribute__((vector_size(16)));
#else
#error "the generic kernel is written with GCC's and Clang's vectors; on Windows use clang-cl"
#endif

struct Isa {
    using F = F4;
    using I = I4;
    static constexpr int lanes = 4, accumulators = 12, accumulators_fast = 12;

    template <class T, class P>
    static T loaded(const P* p) {
        T v;
        std::memcpy(&v, p, sizeof(T));
        return v;
    }
    static F load(const float* p) { return loaded<F>(p); }
    static I load(const int32_t* p) { return loaded<I>(p); }
    static void store(float* p, F v) { std::memcpy(p, &v, sizeof(F)); }
    static void store(int32_t* p, I v) { std::memcpy(p, &v, sizeof(I)); }
    static F spread(float v) { return F{v, v, v, v}; }
    static I spread(int32_t v) { return I{v, v, v, v}; }

    static F multiply_add(F sum, F a, F b) { return sum + a * b; }
    static F add(F a, F b) { return a + b; }
    static F subtract(F a, F b) { return a - b; }
    static F multiply(F a, F b) { return a * b; }
    static F chosen(I mask, F yes, F no) { return F((mask & I(yes)) | (~mask & I(no))); }
    static F prelu(F v, F slope) { return chosen(I(v) < 0, v * slope, v); }
    // Unsigned, because sums modulo 2^32 are meant.
    static I add(I a, I b) { return I(U4(a) + U4(b)); }
    static I subtract(I a, I b) { return I(U4(a) - U4(b)); }
    static I multiply(I a, I b) { return I(U4(a) * U4(b)); }
    template <int BITS>
    static I shift_left(I a) { return I(U4(a) << BITS); }
    template <int BITS>
    static I shift_right(I a) { return a >> BITS; }
    static I multiply_add_pairs(I sum, I a, I b) {
#if defined(__SSE2__)
        return add(sum, I(__builtin_ia32_pmaddwd128(H8(a), H8(b))));
#else
        const I low = (shift_right<16>(shift_left<16>(a))) * (shift_right<16>(shift_left<16>(b)));
        return add(sum, add(low, shift_right<16>(a) * shift_right<16>(b)));
#endif
    }
    static I add_pairs(I a, I b) { return I(UH8(a) + UH8(b)); }
    static I subtract_pairs(I a, I b) { return I(UH8(a) - UH8(b)); }
    static F to_float(I a) { return __builtin_convertvector(a, F); }
    static F multiply_by_sign(I a, const float* negative, const float* positive) {
        return to_float(a) * chosen(a < 0, spread(*negative), spread(*positive));
    }
    // Clipped to ±limit and rounded, halves to even: adding 1.5 · 2^23 = 12582912 leaves no room for a fraction.
    // 2.5 becomes 12582914, whose bits are 0x4B400002.
    static I rounded(F v, F limit) {
        v = chosen(v > -limit, v, -limit);
        v = chosen(v < limit, v, limit);
        return I(v + spread(12582912.0f)) - spread(int32_t(0x4B400000));
    }
    // `low` into the lower half of each lane, `high` into the upper.
    static I pair(F low, F high, int limit) {
        const F most = spread(float(limit));
        return (rounded(low, most) & spread(int32_t(0xFFFF))) | shift_left<16>(rounded(high, most));
    }
};

}  // namespace

#include "strip.h"

extern const fsrcnn::InstructionSet fsrcnn_generic;
const fsrcnn::InstructionSet fsrcnn_generic = {"generic", Isa::accumulators, Isa::accumulators_fast, strip_bytes, run_tile};
