// What this processor can multiply and add at best, in 10^9 per second: registers only, no memory.
// Prints one line per kind of arithmetic: name, with one thread, with all that were asked for.
#include <immintrin.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

constexpr long STEPS = 40000000;
constexpr int SUMS = 14;

template <class Vector, class Step>
void many(Step step, Vector start) {
    Vector sum[SUMS], x = start;
    for (Vector& each : sum) each = start;
    for (long i = 0; i < STEPS; i++) {
#pragma GCC unroll 14
        for (int j = 0; j < SUMS; j++) sum[j] = step(sum[j], x);
        asm volatile("" : "+v"(x));
    }
    for (Vector& each : sum) asm volatile("" : : "v"(each));
}

double rate(void (*run)(), int lanes, int threads) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++) others.emplace_back(run);
    run();
    for (std::thread& each : others) each.join();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    return double(STEPS) * SUMS * lanes * threads / seconds.count() / 1e9;
}

void report(const char* name, void (*run)(), int lanes, int threads) {
    std::printf("%s\t%.1f\t%.1f\n", name, rate(run, lanes, 1), rate(run, lanes, threads));
}

int main(int, char** arguments) {
    const int threads = std::atoi(arguments[1]);
#ifdef __AVX512F__
    report("float32, AVX-512", [] { many([](__m512 s, __m512 x) { return _mm512_fmadd_ps(x, x, s); }, _mm512_set1_ps(0)); }, 16, threads);
#endif
#ifdef __FMA__
    report("float32, AVX2", [] { many([](__m256 s, __m256 x) { return _mm256_fmadd_ps(x, x, s); }, _mm256_set1_ps(0)); }, 8, threads);
#endif
#ifdef __AVX512VNNI__
    report("16-bit pairs, VNNI", [] { many([](__m512i s, __m512i x) { return _mm512_dpwssd_epi32(s, x, x); }, _mm512_setzero_si512()); }, 32, threads);
#endif
#ifdef __AVX512BF16__
    report("bfloat16, AVX-512", [] {
        many([](__m512 s, __m512 x) { return _mm512_dpbf16_ps(s, __m512bh(_mm512_castps_si512(x)), __m512bh(_mm512_castps_si512(x))); },
             _mm512_set1_ps(0));
    }, 32, threads);
#endif
}
