// WebAssembly's 128-bit SIMD: four lanes. How many registers a browser has for them is not known; on x86 it has sixteen, and more than
// eight sums at a time are spilled.
#include <wasm_simd128.h>

#include <cstdint>

namespace {

struct Isa {
    // Types of their own, where `v128_t` is one for all.
    typedef float F __attribute__((vector_size(16)));
    typedef int32_t I __attribute__((vector_size(16)));
    typedef uint32_t U __attribute__((vector_size(16)));  // where sums modulo 2^32 are meant
    static constexpr int lanes = 4, accumulators = 8, accumulators_fast = 8;

    static F load(const float* p) { return F(wasm_v128_load(p)); }
    static I load(const int32_t* p) { return I(wasm_v128_load(p)); }
    static void store(float* p, F v) { wasm_v128_store(p, v128_t(v)); }
    static void store(int32_t* p, I v) { wasm_v128_store(p, v128_t(v)); }
    static F spread(float v) { return F{v, v, v, v}; }
    static I spread(int32_t v) { return I{v, v, v, v}; }

    static F multiply_add(F sum, F a, F b) { return sum + a * b; }
    static F add(F a, F b) { return a + b; }
    static F subtract(F a, F b) { return a - b; }
    static F multiply(F a, F b) { return a * b; }
    static F where_negative(v128_t of, F yes, F no) { return F(wasm_v128_bitselect(v128_t(yes), v128_t(no), wasm_i32x4_shr(of, 31))); }
    static F prelu(F v, F slope) { return where_negative(v128_t(v), v * slope, v); }

    static I multiply_add_pairs(I sum, I a, I b) { return add(sum, I(wasm_i32x4_dot_i16x8(v128_t(a), v128_t(b)))); }
    static I add_pairs(I a, I b) { return I(wasm_i16x8_add(v128_t(a), v128_t(b))); }
    static I subtract_pairs(I a, I b) { return I(wasm_i16x8_sub(v128_t(a), v128_t(b))); }
    static I add(I a, I b) { return I(U(a) + U(b)); }
    static I subtract(I a, I b) { return I(U(a) - U(b)); }
    static I multiply(I a, I b) { return I(U(a) * U(b)); }
    template <int BITS>
    static I shift_left(I a) { return I(U(a) << BITS); }
    template <int BITS>
    static I shift_right(I a) { return a >> BITS; }
    static F to_float(I a) { return __builtin_convertvector(a, F); }
    static F multiply_by_sign(I a, const float* negative, const float* positive) {
        return to_float(a) * where_negative(v128_t(a), spread(*negative), spread(*positive));
    }
    // Rounded, halves to even, and clipped to ±limit: `low` into the lower half of each lane, `high` into the upper.
    static I pair(F low, F high, int limit) {
        const v128_t both = wasm_i16x8_narrow_i32x4(rounded(low), rounded(high)), most = wasm_i16x8_splat(int16_t(limit));
        const v128_t clipped = wasm_i16x8_min(wasm_i16x8_max(both, wasm_i16x8_neg(most)), most);
        return I(wasm_i16x8_shuffle(clipped, clipped, 0, 4, 1, 5, 2, 6, 3, 7));
    }
    static v128_t rounded(F v) { return wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(v128_t(v))); }
};

}  // namespace

#include "strip.h"

extern const fsrcnn::InstructionSet fsrcnn_wasm;
const fsrcnn::InstructionSet fsrcnn_wasm = {"wasm", Isa::accumulators, Isa::accumulators_fast, strip_bytes, run_tile};
