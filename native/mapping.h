// The 3×3 mapping stages, two rows at a time. Included by strip.h.

// Two rows of a mapping stage from four of the one before, with four products instead of six: Winograd's F(2, 3) along the columns.
// With rows a, b, c, d above each other and a kernel's rows p, q, r:
//     plus = (b + c)·(p + q + r)/2,   minus = (c - b)·(p - q + r)/2
//     first row = plus + minus + (a - c)·p,   second row = plus - minus - (b - d)·r
// Rows 1, 2, 3, 4 and a kernel 5, 6, 7: plus = 5·18/2 = 45, minus = 1·6/2 = 3, first = 45 + 3 - 2·5 = 38 = 1·5 + 2·6 + 3·7,
// second = 45 - 3 + 2·7 = 56 = 2·5 + 3·6 + 4·7.
struct Mapped {
    const Lane* in[4];  // a - c, b + c, c - b, b - d
    const ptrdiff_t* offset;
    const Block* block;  // weights: (taps, of plus and of minus, channels), then (taps, p and -r, channels)
    const Stage* stage;
    Lane* out[2];
    int64_t out_stride;
    int64_t lo, hi;
    int limit;
};

template <class A, int CHANNELS, int WIDE>
INLINE void mapped_at(const Mapped& mapped, int64_t x) {
    using Vec = typename A::Vec;
    const int first = mapped.block->first;
    Vec plus[WIDE][CHANNELS], minus[WIDE][CHANNELS];
    UNROLL for (int v = 0; v < WIDE; v++) {
        UNROLL for (int c = 0; c < CHANNELS; c++) plus[v][c] = A::zero();
        UNROLL for (int c = 0; c < CHANNELS; c++) minus[v][c] = A::zero();
    }
    const Lane* weights = mapped.block->weights;
    const ptrdiff_t* const end = mapped.offset + mapped.stage->taps;
    for (int pass = 0; pass < 2; pass++) {
        const Lane *upper = mapped.in[pass ? 0 : 1] + x, *lower = mapped.in[pass ? 3 : 2] + x;
        for (const ptrdiff_t* offset = mapped.offset; offset != end; ++offset, weights += 2 * CHANNELS) {
            Vec pixels[WIDE];
            UNROLL for (int v = 0; v < WIDE; v++) pixels[v] = A::load(upper + *offset + v * N);
            UNROLL for (int c = 0; c < CHANNELS; c++) {
                const Vec weight = A::spread(weights + c);
                UNROLL for (int v = 0; v < WIDE; v++) plus[v][c] = A::multiply_add(plus[v][c], pixels[v], weight);
            }
            UNROLL for (int v = 0; v < WIDE; v++) pixels[v] = A::load(lower + *offset + v * N);
            UNROLL for (int c = 0; c < CHANNELS; c++) {
                const Vec weight = A::spread(weights + CHANNELS + c);
                UNROLL for (int v = 0; v < WIDE; v++) minus[v][c] = A::multiply_add(minus[v][c], pixels[v], weight);
            }
        }
        if (pass == 0) {
            UNROLL for (int c = 0; c < CHANNELS; c++) {
                const Vec bias = A::spread(mapped.stage->bias + first + c);
                UNROLL for (int v = 0; v < WIDE; v++) {
                    const Vec sum = A::add(plus[v][c], bias);
                    plus[v][c] = A::add(sum, minus[v][c]);
                    minus[v][c] = A::subtract(sum, minus[v][c]);
                }
            }
        }
    }
    const int64_t at = first / A::PACK * mapped.out_stride + x;
    UNROLL for (int v = 0; v < WIDE; v++) {
        A::store_prelu(mapped.out[0] + at + v * N, mapped.out_stride, plus[v], *mapped.stage, first, mapped.limit);
        A::store_prelu(mapped.out[1] + at + v * N, mapped.out_stride, minus[v], *mapped.stage, first, mapped.limit);
    }
}

// A function of its own, as `sum_block`.
template <class A, int CHANNELS>
NOINLINE void mapped_columns(const Mapped& mapped) {
    constexpr int WIDE = larger(1, A::ACCUMULATORS / (2 * CHANNELS));
    int64_t x = mapped.lo;
    for (; x + (WIDE - 1) * N < mapped.hi; x += WIDE * N) mapped_at<A, CHANNELS, WIDE>(mapped, x);
    if constexpr (WIDE > 1)
        for (; x < mapped.hi; x += N) mapped_at<A, CHANNELS, 1>(mapped, x);
}

template <class A, int CHANNELS = 1>
void mapped_block(const Mapped& mapped) {
    if (mapped.block->channels == CHANNELS) {
        mapped_columns<A, CHANNELS>(mapped);
    } else if constexpr (CHANNELS < A::ACCUMULATORS / 4) {
        mapped_block<A, CHANNELS + 1>(mapped);
    }
}
