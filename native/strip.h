// The whole network on a tile, two LR rows at a time, in the working memory of one thread.
//
// Each instruction set's file includes this header after defining `Isa` (its vectors and what can be done with them), inside an
// anonymous namespace: the same text becomes different code in each, and none of it may be shared between them.
//
// Per step of two rows: luma → features → shrinking (a chunk of columns at a time) → ring of four rows → mapping, each stage one
// row behind the one before it, with a ring of its own → expanding → deconvolution (again a chunk at a time) → ring of
// output rows → pixels. Nothing else of the picture's width exists, and the rings fit in the L2 cache.

#include <cstring>

#include "network.h"

namespace {

using namespace fsrcnn;

#if defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 32")
#define INLINE inline __attribute__((always_inline))
#else
#define UNROLL
#define INLINE inline
#endif

// With FSRCNN_STAGES the time of each stage is taken (benchmarks/stages.py); without, nothing of this is left.
#ifdef FSRCNN_STAGES
struct Timed {
    const int stage;
    const double start;
    explicit Timed(int of) : stage(of), start(fsrcnn_seconds()) {}
    ~Timed() { fsrcnn_stage_time[stage] += fsrcnn_seconds() - start; }
};
#define STAGE(which) const Timed timed(which)
#else
#define STAGE(which)
#endif

constexpr int N = Isa::lanes;
constexpr int CHUNK = 128;  // columns whose features stay in the L1 cache
constexpr int ALIGNED = 16;         // lanes in a cache line

template <class T>
constexpr INLINE T smaller(T a, T b) {
    return a < b ? a : b;
}
template <class T>
constexpr INLINE T larger(T a, T b) {
    return a > b ? a : b;
}
INLINE int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }
INLINE int64_t round_down(int64_t a, int64_t b) { return a >= 0 ? a / b * b : -((-a + b - 1) / b * b); }

// A distance between planes that is an odd number of cache lines, so that neighbouring planes do not fight for cache sets.
INLINE int64_t plane_stride(int64_t lanes) { return (round_up(lanes, ALIGNED) / ALIGNED | 1) * ALIGNED; }

// Hands out a block of memory piece by piece; without one it only counts.
class Memory {
    uintptr_t start, next;

  public:
    explicit Memory(void* memory) : start(reinterpret_cast<uintptr_t>(memory)), next(start) {}
    template <class T>
    T* take(int64_t count) {
        T* piece = reinterpret_cast<T*>(next);
        next += uintptr_t(round_up(count * int64_t(sizeof(T)), 64));
        return piece;
    }
    size_t taken() const { return size_t(next - start); }
};

// ---- two kinds of arithmetic, one set of names ----------------------------------------------------------------------------

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
    // Exact for multiples of 3, whatever was lost above bit 31: 0xAAAAAAAB is the inverse of 3 modulo 2^32.
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

// ---- sums of products -----------------------------------------------------------------------------------------------------

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

template <class A, int CHANNELS, Then THEN>
void sum_block(const Sum& sum) {
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
    } else if constexpr (CHANNELS < A::ACCUMULATORS / 2) {  // the largest block that engine.cpp packs
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

// ---- mapping --------------------------------------------------------------------------------------------------------------

// Two rows of a mapping stage from four of the one before, with four products instead of six: Winograd's F(2, 3) along the columns.
// With rows a, b, c, d above each other and a kernel's rows p, q, r:
//     one = (b + c)·(p + q + r)/2,  other = (c - b)·(p - q + r)/2,  first row = one + other + (a - c)·p,  second = one - other - (b - d)·r
struct Mapped {
    const Lane* in[4];  // a - c, b + c, c - b, b - d
    const ptrdiff_t* offset;
    const Block* block;  // weights: (taps, one and other, channels), then (taps, p and -r, channels)
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
    Vec one[WIDE][CHANNELS], other[WIDE][CHANNELS];
    UNROLL for (int v = 0; v < WIDE; v++) {
        UNROLL for (int c = 0; c < CHANNELS; c++) one[v][c] = A::zero();
        UNROLL for (int c = 0; c < CHANNELS; c++) other[v][c] = A::zero();
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
                UNROLL for (int v = 0; v < WIDE; v++) one[v][c] = A::multiply_add(one[v][c], pixels[v], weight);
            }
            UNROLL for (int v = 0; v < WIDE; v++) pixels[v] = A::load(lower + *offset + v * N);
            UNROLL for (int c = 0; c < CHANNELS; c++) {
                const Vec weight = A::spread(weights + CHANNELS + c);
                UNROLL for (int v = 0; v < WIDE; v++) other[v][c] = A::multiply_add(other[v][c], pixels[v], weight);
            }
        }
        if (pass == 0) {
            UNROLL for (int c = 0; c < CHANNELS; c++) {
                const Vec bias = A::spread(mapped.stage->bias + first + c);
                UNROLL for (int v = 0; v < WIDE; v++) {
                    const Vec sum = A::add(one[v][c], bias);
                    one[v][c] = A::add(sum, other[v][c]);
                    other[v][c] = A::subtract(sum, other[v][c]);
                }
            }
        }
    }
    const int64_t at = first / A::PACK * mapped.out_stride + x;
    UNROLL for (int v = 0; v < WIDE; v++) {
        A::store_prelu(mapped.out[0] + at + v * N, mapped.out_stride, one[v], *mapped.stage, first, mapped.limit);
        A::store_prelu(mapped.out[1] + at + v * N, mapped.out_stride, other[v], *mapped.stage, first, mapped.limit);
    }
}

template <class A, int CHANNELS = 1>
void mapped_block(const Mapped& mapped) {
    if (mapped.block->channels == CHANNELS) {
        constexpr int WIDE = larger(1, A::ACCUMULATORS / (2 * CHANNELS));
        int64_t x = mapped.lo;
        for (; x + (WIDE - 1) * N < mapped.hi; x += WIDE * N) mapped_at<A, CHANNELS, WIDE>(mapped, x);
        if constexpr (WIDE > 1)
            for (; x < mapped.hi; x += N) mapped_at<A, CHANNELS, 1>(mapped, x);
    } else if constexpr (CHANNELS < A::ACCUMULATORS / 4) {
        mapped_block<A, CHANNELS + 1>(mapped);
    }
}

#include "pixels.h"

// ---- a strip --------------------------------------------------------------------------------------------------------------

template <class A>
class Strip {
    using Vec = typename A::Vec;

    const Network& net;
    const Job& job;
    Tile tile;
    Memory memory;
    PixelRows pixels;

    const int planes_d, planes_s, ring_rows;
    // Columns: `left_column` of the picture is column 0 of every line. Sums: columns of the deconvolution's phases.
    int64_t left, left_column, stride, chunk_stride, chunk_margin;
    int64_t first_sum_row, end_sum_row, first_feature_row, first_sum, end_sum, first_feature;

    float* luma;              // feature_kernel + 1 rows
    Lane* luma_lanes;
    int64_t luma_top;
    Lane* ring;               // (m + 1) × 4 rows × planes_s
    Lane *features, *upper, *lower, *evaluated;  // chunks of d planes
    Lane *transformed, *products;                // chunks: rows combined for the mapping, values of the deconvolution's polynomials
    Lane* sums;               // ring_rows × scale × scale planes
    float* hr_row;
    ptrdiff_t *feature_offset, *mapping_offset, *shrinking_offset, *expanding_offset, *deconvolution_offset, *extra_offset;
    int* product_of;          // (branch, phase, point) → channel of that point

    template <class T>
    T* take(int64_t count) { return memory.take<T>(count); }

  public:
    // With start == nullptr nothing may be called but `bytes`.
    Strip(const Network& network, const Job& work, void* start, int64_t widest_tile)
        : net(network),
          job(work),
          tile(),
          memory(start),
          pixels(network, work, memory, widest_tile),
          planes_d(network.shrinking.taps),
          planes_s(network.expanding.taps),
          ring_rows(power_of_two(network.columns + 2)) {
        const int reach = net.feature_kernel / 2, halo = net.columns - 1;
        chunk_margin = round_up(halo, ALIGNED);
        const int64_t slack = N + ALIGNED;  // what a block may compute beyond its last column, and a vector read there
        left = round_up(halo + net.m, ALIGNED) + round_up(reach, ALIGNED) + chunk_margin + ALIGNED;
        stride = plane_stride(left + widest_tile + 1 + net.m + reach + slack);
        chunk_stride = plane_stride(larger<int64_t>(chunk_margin, ALIGNED) + CHUNK + slack);
        luma = take<float>((net.feature_kernel + 1) * stride);
        luma_lanes = A::PACK == 2 ? take<Lane>((net.feature_kernel + 1) * stride) : reinterpret_cast<Lane*>(luma);
        ring = take<Lane>(int64_t(net.m + 1) * 4 * planes_s * stride);
        upper = take<Lane>(planes_d * chunk_stride);
        lower = take<Lane>(planes_d * chunk_stride);
        evaluated = take<Lane>(planes_d * chunk_stride);
        features = evaluated;
        transformed = take<Lane>(4 * planes_s * chunk_stride);
        int of_points = 0;
        for (const PointStage& point : net.point) of_points += point.channels;
        products = take<Lane>(int64_t(of_points) * chunk_stride);
        sums = take<Lane>(int64_t(ring_rows) * net.scale * net.scale * stride);
        hr_row = take<float>(net.scale * (widest_tile + 4) + 64);
        feature_offset = take<ptrdiff_t>(net.feature.taps);
        shrinking_offset = take<ptrdiff_t>(net.shrinking.taps);
        mapping_offset = take<ptrdiff_t>(3 * planes_s);
        expanding_offset = take<ptrdiff_t>(net.expanding.taps);
        deconvolution_offset = take<ptrdiff_t>(int64_t(planes_d) * net.shared_columns);
        extra_offset = take<ptrdiff_t>(planes_d);
        product_of = take<int>(net.branches * net.scale * POINTS);
        if (start) fill_offsets();
    }

    size_t bytes() const { return memory.taken(); }

    void run(const Tile& given) {
        tile = given;
        const int scale = net.scale, crop = net.crop;
        first_sum_row = tile.top + crop / scale;
        end_sum_row = (scale * tile.bottom - 1 + crop) / scale + 1;
        first_sum = tile.left + crop / scale;
        end_sum = (scale * tile.right - 1 + crop) / scale + 1;
        first_feature_row = first_sum_row - (net.columns - 1);
        first_feature = first_sum - (net.columns - 1);
        left_column = first_sum - left;
        luma_top = INT64_MIN;
        std::memset(sums, 0, sizeof(Lane) * size_t(ring_rows) * scale * scale * stride);
        pixels.begin(tile);
        for (int64_t row = round_down(first_feature_row - net.m, 2);; row += 2) {
            shrunk_row(row);
            shrunk_row(row + 1);
            for (int i = 0; i < net.m; i++) mapped_rows(i, row - 1 - i);
            const int64_t last = row - net.m;
            if (last + 1 < first_feature_row) continue;
            summed_rows(last);
            for (int64_t done = last; done < last + 2; done++) {
                if (done >= first_sum_row && done < end_sum_row) finished_row(done);
                std::memset(sum_plane(done, 0, 0), 0, sizeof(Lane) * size_t(scale) * scale * stride);
            }
            if (last + 1 >= end_sum_row - 1) break;
        }
    }

  private:
    static int power_of_two(int at_least) {
        int power = 1;
        while (power < at_least) power *= 2;
        return power;
    }

    bool inside(int64_t row) const { return row >= 0 && row < job.height; }
    int64_t luma_slot(int64_t row) const {
        const int64_t slots = net.feature_kernel + 1;
        return (row % slots + slots) % slots;
    }
    int64_t local(int64_t column) const { return column - left_column; }
    // The row's pixels in a stage's ring: -1 is the shrinking stage, i the i-th mapping stage.
    Lane* ring_row(int stage, int64_t row) { return ring + ((stage + 1) * 4 + (row & 3)) * planes_s * stride; }
    Lane* sum_plane(int64_t row, int row_phase, int phase) {
        return sums + (((row & (ring_rows - 1)) * net.scale + row_phase) * net.scale + phase) * stride;
    }

    void fill_offsets() {
        for (int i = 0; i < net.shrinking.taps; i++) shrinking_offset[i] = i * chunk_stride;
        for (int i = 0; i < net.expanding.taps; i++) expanding_offset[i] = i * stride;
        for (int i = 0; i < planes_s; i++)
            for (int x = 0; x < 3; x++) mapping_offset[3 * i + x] = i * chunk_stride + x - 1;
        for (int x = 0; x < net.shared_columns; x++)
            for (int i = 0; i < planes_d; i++) deconvolution_offset[x * planes_d + i] = i * chunk_stride - x;
        for (int i = 0; i < planes_d; i++) extra_offset[i] = i * chunk_stride - net.shared_columns;
        for (int p = 0; p < POINTS; p++)
            for (int c = 0; c < net.point[p].channels; c++)
                product_of[(net.point[p].branch[c] * net.scale + net.point[p].phase[c]) * POINTS + p] = c;
    }

    // Zero padding: a row's columns outside the picture, as far as they are read.
    void clear_outside(Lane* planes, int count, int64_t plane_step, int64_t zero_column, int64_t lanes) {
        const int64_t before = smaller(lanes, larger<int64_t>(0, -zero_column));
        const int64_t from = smaller(lanes, larger<int64_t>(0, job.width - zero_column));
        if (before == 0 && from == lanes) return;
        for (int i = 0; i < count; i++) {
            Lane* plane = planes + i * plane_step;
            std::memset(plane, 0, sizeof(Lane) * size_t(before));
            std::memset(plane + from, 0, sizeof(Lane) * size_t(lanes - from));
        }
    }

    // -- luma, features, shrinking

    void read_luma(int64_t row) {
        STAGE(PIXELS);
        const int64_t slot = luma_slot(row);
        float* line = luma + slot * stride;
        std::memset(line, 0, sizeof(float) * size_t(stride));
        if (inside(row)) {
            const int reach = net.m + net.feature_kernel / 2;
            const int64_t from = larger<int64_t>(0, first_feature - reach), to = smaller(job.width, end_sum + reach);
            if (from < to) pixels.read_luma(row, from, to, line + local(from));
        }
        if constexpr (A::PACK == 2) {  // neighbours side by side: a pair of taps is one lane
            Lane* lanes = luma_lanes + slot * stride;
            const float most = net.input_levels;
            for (int64_t x = 0; x < stride; x++) {
                const float level = line[x] * most, positive = level > 0 ? level : 0.0f;  // NaN becomes 0
                lanes[x].whole = int32_t((positive < most ? positive : most) + 0.5f);
            }
            for (int64_t x = 0; x + 1 < stride; x++) lanes[x].whole |= int32_t(uint32_t(lanes[x + 1].whole) << 16);
        }
    }

    void shrunk_row(int64_t row) {
        const int kernel = net.feature_kernel, reach = kernel / 2;
        if (row < first_feature_row - net.m || row >= end_sum_row + net.m) return;
        Lane* out = ring_row(-1, row);
        if (!inside(row)) {
            std::memset(out, 0, sizeof(Lane) * size_t(planes_s) * stride);
            return;
        }
        if (luma_top == INT64_MIN) luma_top = row - reach;
        for (; luma_top <= row + reach; luma_top++) read_luma(luma_top);
        const int pairs = (kernel + A::PACK - 1) / A::PACK;
        for (int y = 0; y < kernel; y++) {
            const int64_t line = luma_slot(row - reach + y) * stride - reach;
            for (int x = 0; x < pairs; x++) feature_offset[y * pairs + x] = line + x * A::PACK;
        }
        const int64_t lo = round_down(local(first_feature - net.m), ALIGNED), hi = local(end_sum + net.m);
        for (int64_t from = lo; from < hi; from += CHUNK) {
            const int64_t to = smaller(hi, from + CHUNK);
            Sum sum{luma_lanes, feature_offset, net.feature.taps, nullptr, &net.feature, features - from, chunk_stride, from, to,
                    net.feature_levels};
            {
                STAGE(FEATURE_EXTRACTION);
                sum_all<A, PRELU>(sum, net.feature.block, net.feature.blocks);
            }
            STAGE(SHRINKING);
            sum.in = features - from, sum.offset = shrinking_offset, sum.taps = net.shrinking.taps, sum.stage = &net.shrinking;
            sum.out = out, sum.out_stride = stride;
            sum_all<A, PRELU>(sum, net.shrinking.block, net.shrinking.blocks);
        }
        clear_outside(out, planes_s, stride, left_column, stride);
    }

    // -- mapping: rows row and row + 1

    void mapped_rows(int stage, int64_t row) {
        const int rest = net.m - 1 - stage;
        if (row + 1 < first_feature_row - rest || row >= end_sum_row + rest) return;
        Lane* out[2] = {ring_row(stage, row), ring_row(stage, row + 1)};
        if (inside(row) || inside(row + 1)) {
            const Lane* in[4];
            for (int i = 0; i < 4; i++) in[i] = ring_row(stage - 1, row - 1 + i);
            const int64_t lo = round_down(local(first_feature - rest), ALIGNED), hi = local(end_sum + rest);
            for (int64_t from = lo; from < hi; from += CHUNK) mapped_chunk(net.mapping[stage], in, out, from, smaller(hi, from + CHUNK));
        }
        for (int i = 0; i < 2; i++) {
            if (inside(row + i)) clear_outside(out[i], planes_s, stride, left_column, stride);
            else std::memset(out[i], 0, sizeof(Lane) * size_t(planes_s) * stride);
        }
    }

    void mapped_chunk(const Stage& stage, const Lane* const in[4], Lane* const out[2], int64_t from, int64_t to) {
        STAGE(MAPPING);
        const int64_t point_stride = planes_s * chunk_stride;
        Lane* const base = transformed + ALIGNED - from;  // column `from` stands at ALIGNED
        for (int plane = 0; plane < planes_s; plane++) {
            for (int64_t x = from - N; x < to + 1; x += N) {
                Vec row[4];
                UNROLL for (int i = 0; i < 4; i++) row[i] = A::load(in[i] + plane * stride + x);
                Lane* at = base + plane * chunk_stride + x;
                A::store(at, A::feature_subtract(row[0], row[2]));
                A::store(at + point_stride, A::feature_add(row[1], row[2]));
                A::store(at + 2 * point_stride, A::feature_subtract(row[2], row[1]));
                A::store(at + 3 * point_stride, A::feature_subtract(row[1], row[3]));
            }
        }
        Mapped mapped{{base, base + point_stride, base + 2 * point_stride, base + 3 * point_stride}, mapping_offset, nullptr, &stage,
                      {out[0], out[1]}, stride, from, to, net.feature_levels};
        for (int i = 0; i < stage.blocks; i++) {
            mapped.block = stage.block + i;
            mapped_block<A>(mapped);
        }
    }

    // -- expanding and deconvolution

    void expanded_chunk(Lane* out, int64_t row, int64_t from, int64_t to, int64_t base) {
        STAGE(EXPANDING);
        if (!inside(row)) {
            std::memset(out, 0, sizeof(Lane) * size_t(planes_d) * chunk_stride);
            return;
        }
        Sum sum{ring_row(net.m - 1, row), expanding_offset, net.expanding.taps, nullptr, &net.expanding, out - base, chunk_stride,
                from, to, net.feature_levels};
        sum_all<A, PRELU>(sum, net.expanding.block, net.expanding.blocks);
        clear_outside(out + (from - base), planes_d, chunk_stride, left_column + from, round_up(to - from, N));
    }

    void summed_rows(int64_t row) {
        if (!inside(row) && !inside(row + 1)) return;
        const int64_t hi = local(end_sum);
        for (int64_t from = local(first_sum), done = from - chunk_margin; from < hi; from += CHUNK) {
            const int64_t to = smaller(hi, from + CHUNK), base = from - chunk_margin;
            if (done > base)  // the last columns of the chunk before are the first of this one
                for (int i = 0; i < planes_d; i++) {
                    std::memmove(upper + i * chunk_stride, upper + i * chunk_stride + CHUNK, sizeof(Lane) * size_t(chunk_margin));
                    std::memmove(lower + i * chunk_stride, lower + i * chunk_stride + CHUNK, sizeof(Lane) * size_t(chunk_margin));
                }
            expanded_chunk(upper, row, done, to, base);
            expanded_chunk(lower, row + 1, done, to, base);
            done = from + CHUNK;
            deconvolved_chunk(row, from, to, base);
        }
    }

    template <int POINT>
    void evaluate(int64_t lanes) {
        for (int plane = 0; plane < planes_d; plane++) {
            const Lane *a = upper + plane * chunk_stride, *b = lower + plane * chunk_stride;
            Lane* to = evaluated + plane * chunk_stride;
            for (int64_t x = 0; x < lanes; x += N) {
                Vec first = A::load(a + x), second = A::load(b + x);
                if constexpr (POINT == AT_2) second = A::feature_add(second, second);
                if constexpr (POINT == AT_HALF) first = A::feature_add(first, first);
                A::store(to + x, POINT == AT_MINUS_1 ? A::feature_subtract(first, second) : A::feature_add(first, second));
            }
        }
    }

    void deconvolved_chunk(int64_t row, int64_t from, int64_t to, int64_t base) {
        STAGE(DECONVOLUTION);
        const int64_t lanes = to - base;
        int64_t at[POINTS], next = 0;
        for (int p = 0; p < POINTS; p++) {
            const PointStage& point = net.point[p];
            at[p] = next;
            if (point.channels == 0) continue;
            const Lane* in = evaluated;
            switch (p) {
                case AT_0: in = upper; break;
                case AT_1: evaluate<AT_1>(lanes); break;
                case AT_MINUS_1: evaluate<AT_MINUS_1>(lanes); break;
                case AT_2: evaluate<AT_2>(lanes); break;
                case AT_HALF: evaluate<AT_HALF>(lanes); break;
                default: in = lower; break;
            }
            Sum sum{in - base, deconvolution_offset, planes_d * net.shared_columns, nullptr, nullptr,
                    products + next - from, chunk_stride, from, to, 0};
            sum_all<A, STORE>(sum, point.block, point.blocks);
            sum.offset = extra_offset, sum.taps = planes_d;
            sum_all<A, ADD>(sum, point.extra_block, point.extra_blocks);
            next += point.channels * chunk_stride;
        }
        for (int b = 0; b < net.branches; b++) {
            const Branch& branch = net.branch[b];
            for (int phase = 0; phase < net.scale; phase++) {
                const Lane* product[POINTS];
                for (int p = 0; p < POINTS; p++)
                    product[p] = products + at[p] + product_of[(b * net.scale + phase) * POINTS + p] * chunk_stride;
                Lane* total[6];
                for (int k = 0; k <= branch.kernel_rows; k++)
                    total[k] = sum_plane(row + branch.first_row + k, branch.row_phase, phase) + from;
                switch (branch.kernel_rows) {
                    case 1: interpolate<1>(product, total, to - from); break;
                    case 2: interpolate<2>(product, total, to - from); break;
                    case 3: interpolate<3>(product, total, to - from); break;
                    case 4: interpolate<4>(product, total, to - from); break;
                    default: interpolate<5>(product, total, to - from); break;
                }
            }
        }
    }

    // From the values of a polynomial of degree ROWS at 0, 1, -1, 2, ½ (as many as it needs) and its leading coefficient ("at
    // infinity") to its coefficients h. Every step holds for whole numbers modulo 2^32 too, as long as what is halved fits in 32 bits.
    template <int ROWS>
    static void interpolate(const Lane* const product[POINTS], Lane* const total[6], int64_t lanes) {
        for (int64_t x = 0; x < lanes; x += N) {
            Vec h[ROWS + 1];
            h[0] = A::load(product[AT_0] + x);
            h[ROWS] = A::load(product[AT_INFINITY] + x);
            if constexpr (ROWS == 2) h[1] = A::subtract(A::subtract(A::load(product[AT_1] + x), h[0]), h[2]);
            if constexpr (ROWS >= 3) {
                const Vec plus = A::load(product[AT_1] + x), minus = A::load(product[AT_MINUS_1] + x);
                [[maybe_unused]] const Vec even = A::add(plus, minus), odd = A::subtract(plus, minus);  // 2(h0 + h2 + h4), 2(h1 + h3)
                if constexpr (ROWS == 3) {
                    h[2] = A::template over<1>(A::subtract(even, A::template times<1>(h[0])));
                    h[1] = A::template over<1>(A::subtract(odd, A::template times<1>(h[3])));
                } else if constexpr (ROWS == 4) {
                    const Vec two = A::load(product[AT_2] + x);
                    h[2] = A::template over<1>(A::subtract(even, A::template times<1>(A::add(h[0], h[4]))));
                    const Vec known = A::add(h[0], A::template times<2>(A::add(h[2], A::template times<2>(h[4]))));
                    const Vec h3 = A::third(A::subtract(A::subtract(two, known), odd));  // 2·h3
                    h[3] = A::template over<1>(h3);
                    h[1] = A::template over<1>(A::subtract(odd, h3));
                } else {
                    const Vec sum_known = A::add(h[0], h[5]), gap_known = A::subtract(h[0], h[5]);
                    const Vec two = A::load(product[AT_2] + x), half = A::load(product[AT_HALF] + x);
                    const Vec ones = A::subtract(plus, sum_known);                       // (h1 + h4) + (h2 + h3)
                    const Vec signs = A::subtract(minus, gap_known);                     // (h2 - h3) - (h1 - h4)
                    const Vec known = A::add(A::template times<5>(sum_known), sum_known);  // 33(h0 + h5)
                    const Vec both = A::subtract(A::add(two, half), known);              // 18(h1 + h4) + 12(h2 + h3)
                    const Vec gap = A::subtract(A::subtract(half, two), A::subtract(A::template times<5>(gap_known), gap_known));
                    const Vec twelve = A::add(A::template times<3>(ones), A::template times<2>(ones));
                    const Vec outer = A::template over<1>(A::third(A::subtract(both, twelve)));            // h1 + h4
                    const Vec outer_gap = A::template over<1>(A::third(A::third(A::subtract(gap, A::template times<2>(signs)))));
                    const Vec inner = A::subtract(ones, outer), inner_gap = A::add(signs, outer_gap);
                    h[1] = A::template over<1>(A::add(outer, outer_gap));
                    h[4] = A::template over<1>(A::subtract(outer, outer_gap));
                    h[2] = A::template over<1>(A::add(inner, inner_gap));
                    h[3] = A::template over<1>(A::subtract(inner, inner_gap));
                }
            }
            UNROLL for (int k = 0; k <= ROWS; k++) A::store(total[k] + x, A::add(A::load(total[k] + x), h[k]));
        }
    }

    // -- HR rows

    void finished_row(int64_t row) {
        STAGE(PIXELS);
        const int scale = net.scale;
        for (int row_phase = 0; row_phase < scale; row_phase++) {
            const int64_t hr = scale * row + row_phase - net.crop;
            if (hr < scale * tile.top || hr >= scale * tile.bottom) continue;
            float* line = hr_row + 16;  // stands at HR column scale * tile.left; a few columns beside the tile are written, too
            for (int phase = 0; phase < scale; phase++) {
                Lane* plane = sum_plane(row, row_phase, phase);
                const Isa::F multiplier = Isa::spread(net.fast ? net.phase_multiplier[row_phase * scale + phase] : 1.0f);
                const Isa::F bias = Isa::spread(net.bias);
                const int64_t from = local(first_sum), to = local(end_sum);
                for (int64_t x = from; x < to; x += N)
                    Isa::store(&plane[x].real, Isa::add(A::value(A::load(plane + x), multiplier), bias));
                float* out = line + scale * (first_sum - tile.left) + phase - net.crop;
                const Lane* in = plane + from;
                const int64_t count = to - from;
                switch (scale) {
                    case 2: for (int64_t x = 0; x < count; x++) out[2 * x] = in[x].real; break;
                    case 3: for (int64_t x = 0; x < count; x++) out[3 * x] = in[x].real; break;
                    default: for (int64_t x = 0; x < count; x++) out[4 * x] = in[x].real; break;
                }
            }
            pixels.write(hr, line);
        }
    }
};

size_t strip_bytes(const Network& network, int64_t widest_tile, const Job& job) {
    return network.fast ? Strip<Fast>(network, job, nullptr, widest_tile).bytes()
                        : Strip<Exact>(network, job, nullptr, widest_tile).bytes();
}

void run_tile(const Network& network, const Job& job, const Tile& tile, void* memory, int64_t widest_tile) {
    if (network.fast) Strip<Fast>(network, job, memory, widest_tile).run(tile);
    else Strip<Exact>(network, job, memory, widest_tile).run(tile);
}

}  // namespace
