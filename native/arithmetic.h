// Two kinds of arithmetic under one set of names, on an instruction set's vectors. Included by strip.h.

// float32, one channel a plane.
struct Exact {
    using Vec = Isa::F;
    static constexpr int PACK = 1, ACCUMULATORS = Isa::accumulators;
    static INLINE Vec load(const Lane* p) { return Isa::load(&p->real); }
    static INLINE void store(Lane* p, Vec v) { Isa::store(&p->real, v); }
    static INLINE Vec zero() { return Isa::spread(0.0f); }
    static INLINE Vec spread(const Lane* p) { return Isa::spread(p->real); }
    static INLINE Vec multiply_add(Vec sum, Vec x, Vec w) { return Isa::multiply_add(sum, x, w); }
    static INLINE Vec feature_add(Vec a, Vec b) { return Isa::add(a, b); }
    static INLINE Vec feature_subtract(Vec a, Vec b) { return Isa::subtract(a, b); }
    static INLINE Vec add(Vec a, Vec b) { return Isa::add(a, b); }
    static INLINE Vec subtract(Vec a, Vec b) { return Isa::subtract(a, b); }
    template <int BITS>
    static INLINE Vec times(Vec a) { return Isa::multiply(a, Isa::spread(float(1 << BITS))); }
    template <int BITS>
    static INLINE Vec over(Vec a) { return Isa::multiply(a, Isa::spread(1.0f / float(1 << BITS))); }
    static INLINE Vec third(Vec a) { return Isa::multiply(a, Isa::spread(1.0f / 3.0f)); }
    static INLINE Isa::F value(Vec a, Isa::F) { return a; }
    template <int CHANNELS>
    static INLINE void store_prelu(Lane* out, int64_t stride, const Vec (&sum)[CHANNELS], const Stage& stage, int first, int) {
        UNROLL for (int i = 0; i < CHANNELS; i++)
            store(out + i * stride, Isa::prelu(sum[i], Isa::spread(stage.negative[first + i])));
    }
};

// Whole numbers of 16 bits, two channels a plane, summed in 32 bits that never overflow; see fixed_point.py.
struct Fast {
    using Vec = Isa::I;
    static constexpr int PACK = 2, ACCUMULATORS = Isa::accumulators_fast;
    static INLINE Vec load(const Lane* p) { return Isa::load(&p->whole); }
    static INLINE void store(Lane* p, Vec v) { Isa::store(&p->whole, v); }
    static INLINE Vec zero() { return Isa::spread(int32_t(0)); }
    static INLINE Vec spread(const Lane* p) { return Isa::spread(p->whole); }
    static INLINE Vec multiply_add(Vec sum, Vec x, Vec w) { return Isa::multiply_add_pairs(sum, x, w); }
    static INLINE Vec feature_add(Vec a, Vec b) { return Isa::add_pairs(a, b); }
    static INLINE Vec feature_subtract(Vec a, Vec b) { return Isa::subtract_pairs(a, b); }
    static INLINE Vec add(Vec a, Vec b) { return Isa::add(a, b); }
    static INLINE Vec subtract(Vec a, Vec b) { return Isa::subtract(a, b); }
    template <int BITS>
    static INLINE Vec times(Vec a) { return Isa::template shift_left<BITS>(a); }
    template <int BITS>
    static INLINE Vec over(Vec a) { return Isa::template shift_right<BITS>(a); }
    // Exact for multiples of 3, whatever was lost above bit 31: 0xAAAAAAAB is the inverse of 3 modulo 2^32
    // (6 times it is 4·2^32 + 2).
    static INLINE Vec third(Vec a) { return Isa::multiply(a, Isa::spread(int32_t(0xAAAAAAABu))); }
    static INLINE Isa::F value(Vec a, Isa::F multiplier) { return Isa::multiply(Isa::to_float(a), multiplier); }
    template <int CHANNELS>
    static INLINE void store_prelu(Lane* out, int64_t stride, const Vec (&sum)[CHANNELS], const Stage& stage, int first, int limit) {
        if constexpr (CHANNELS % 2 == 0) {
            UNROLL for (int i = 0; i < CHANNELS; i += 2) {
                const float *negative = stage.negative + first + i, *positive = stage.positive + first + i;
                const Isa::F low = Isa::multiply_by_sign(sum[i], negative, positive);
                const Isa::F high = Isa::multiply_by_sign(sum[i + 1], negative + 1, positive + 1);
                store(out + i / 2 * stride, Isa::pair(low, high, limit));
            }
        }
    }
};
