// AArch64 NEON: four lanes, thirty-two registers.
#include <arm_neon.h>

#include <cstdint>

namespace {

struct Isa {
    using F = float32x4_t;
    using I = int32x4_t;
    static constexpr int lanes = 4, accumulators = 28, accumulators_fast = 24;

    static F load(const float* p) { return vld1q_f32(p); }
    static I load(const int32_t* p) { return vld1q_s32(p); }
    static void store(float* p, F v) { vst1q_f32(p, v); }
    static void store(int32_t* p, I v) { vst1q_s32(p, v); }
    static F spread(float v) { return vdupq_n_f32(v); }
    static I spread(int32_t v) { return vdupq_n_s32(v); }

    static F multiply_add(F sum, F a, F b) { return vfmaq_f32(sum, a, b); }
    static F add(F a, F b) { return vaddq_f32(a, b); }
    static F subtract(F a, F b) { return vsubq_f32(a, b); }
    static F multiply(F a, F b) { return vmulq_f32(a, b); }
    static F prelu(F v, F slope) { return vbslq_f32(vcltzq_s32(vreinterpretq_s32_f32(v)), vmulq_f32(v, slope), v); }

    static int16x8_t halves(I a) { return vreinterpretq_s16_s32(a); }
    // The sums of the two products in each lane.
    static I multiply_add_pairs(I sum, I a, I b) {
        const I low = vmull_s16(vget_low_s16(halves(a)), vget_low_s16(halves(b)));
        const I high = vmull_high_s16(halves(a), halves(b));
        return vaddq_s32(sum, vpaddq_s32(low, high));
    }
    static I add_pairs(I a, I b) { return vreinterpretq_s32_s16(vaddq_s16(halves(a), halves(b))); }
    static I subtract_pairs(I a, I b) { return vreinterpretq_s32_s16(vsubq_s16(halves(a), halves(b))); }
    static I add(I a, I b) { return vaddq_s32(a, b); }
    static I subtract(I a, I b) { return vsubq_s32(a, b); }
    static I multiply(I a, I b) { return vmulq_s32(a, b); }
    template <int BITS>
    static I shift_left(I a) { return vshlq_n_s32(a, BITS); }
    template <int BITS>
    static I shift_right(I a) { return vshrq_n_s32(a, BITS); }
    static F to_float(I a) { return vcvtq_f32_s32(a); }
    static F multiply_by_sign(I a, const float* negative, const float* positive) {
        return vmulq_f32(to_float(a), vbslq_f32(vcltzq_s32(a), spread(*negative), spread(*positive)));
    }
    // Rounded, halves to even, and clipped to ±limit: `low` into the lower half of each lane, `high` into the upper.
    static I pair(F low, F high, int limit) {
        const int16x8_t most = vdupq_n_s16(int16_t(limit));
        const int16x8_t both = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(low)), vqmovn_s32(vcvtnq_s32_f32(high)));
        const int16x8_t clipped = vminq_s16(vmaxq_s16(both, vnegq_s16(most)), most);
        return vreinterpretq_s32_s16(vzip1q_s16(clipped, vextq_s16(clipped, clipped, 4)));
    }
};

}  // namespace

#include "strip.h"

extern const fsrcnn::InstructionSet fsrcnn_neon;
const fsrcnn::InstructionSet fsrcnn_neon = {"neon", Isa::accumulators, Isa::accumulators_fast, strip_bytes, run_tile};
