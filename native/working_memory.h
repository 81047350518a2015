// Where the lines of a strip lie in its memory: vectors, cache lines, chunks. Included by strip.h.
#if defined(__GNUC__) || defined(__clang__)  // clang-cl does not say that it is GCC, too
#define UNROLL _Pragma("GCC unroll 32")
#define INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#else
#define UNROLL
#define INLINE inline
#define NOINLINE
#endif

constexpr int N = Isa::lanes;
constexpr int CHUNK = 128;  // columns whose features stay in the L1 cache
constexpr int ALIGNED = 16;  // lanes in a cache line

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

// A distance between planes that is an odd number of cache lines, so that neighbouring planes do not fight for cache sets:
// 1120 lanes are 70 lines of 16, so 71 lines, 1136 lanes.
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
