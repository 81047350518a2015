// Sums of products, most of the engine's time: the feature extraction, the 1×1 stages and the deconvolution. Included by strip.h.

enum Then { PRELU, STORE, ADD };

// For the columns lo … hi-1 (and some more, up to a vector): out[channel][x] = sum over t of weights[t][channel] * in[offset[t] + x].
struct Sum {
    const Lane* in;
    const ptrdiff_t* offset;
    int taps;
    const Block* block;
    const Stage* stage;  // for PRELU
    Lane* out;           // plane 0 of the stage
    int64_t out_stride;
    int64_t lo, hi;
    int limit;           // fast: the largest feature
};

template <class A, int CHANNELS, int WIDE, Then THEN>
INLINE void sum_at(const Sum& sum, int64_t x) {
    using Vec = typename A::Vec;
    Vec total[WIDE][CHANNELS];
    const int first = sum.block->first;
    UNROLL for (int c = 0; c < CHANNELS; c++) {
        const Vec start = THEN == PRELU ? A::spread(sum.stage->bias + first + c) : A::zero();
        UNROLL for (int v = 0; v < WIDE; v++) total[v][c] = start;
    }
    const Lane* weights = sum.block->weights;
    const Lane* in = sum.in + x;
    const ptrdiff_t* const end = sum.offset + sum.taps;
    for (const ptrdiff_t* offset = sum.offset; offset != end; ++offset, weights += CHANNELS) {
        const Lane* at = in + *offset;
        Vec pixels[WIDE];
        UNROLL for (int v = 0; v < WIDE; v++) pixels[v] = A::load(at + v * N);
        UNROLL for (int c = 0; c < CHANNELS; c++) {
            const Vec weight = A::spread(weights + c);
            UNROLL for (int v = 0; v < WIDE; v++) total[v][c] = A::multiply_add(total[v][c], pixels[v], weight);
        }
    }
    UNROLL for (int v = 0; v < WIDE; v++) {
        if constexpr (THEN == PRELU) {
            A::store_prelu(sum.out + first / A::PACK * sum.out_stride + x + v * N, sum.out_stride, total[v], *sum.stage, first,
                           sum.limit);
        } else {
            UNROLL for (int c = 0; c < CHANNELS; c++) {
                Lane* to = sum.out + (first + c) * sum.out_stride + x + v * N;
                A::store(to, THEN == ADD ? A::add(total[v][c], A::load(to)) : total[v][c]);
            }
        }
    }
}

// A function of its own, so that a compiler that sees all of it at once, as a browser's does, keeps the sums in registers.
template <class A, int CHANNELS, Then THEN>
NOINLINE void sum_block(const Sum& sum) {
    constexpr int WIDE = smaller(4, larger(1, A::ACCUMULATORS / CHANNELS));
    int64_t x = sum.lo;
    for (; x + (WIDE - 1) * N < sum.hi; x += WIDE * N) sum_at<A, CHANNELS, WIDE, THEN>(sum, x);
    if constexpr (WIDE > 1)
        for (; x < sum.hi; x += N) sum_at<A, CHANNELS, 1, THEN>(sum, x);
}

template <class A, Then THEN, int CHANNELS = 1>
INLINE void sum_blocks_of(const Sum& sum) {
    if (sum.block->channels == CHANNELS) {
        sum_block<A, CHANNELS, THEN>(sum);
    } else if constexpr (CHANNELS < A::ACCUMULATORS / 2) {  // the largest block that packer.cpp packs
        sum_blocks_of<A, THEN, CHANNELS + 1>(sum);
    }
}

template <class A, Then THEN>
void sum_all(Sum sum, const Block* block, int blocks) {
    for (int i = 0; i < blocks; i++) {
        sum.block = block + i;
        sum_blocks_of<A, THEN>(sum);
    }
}
