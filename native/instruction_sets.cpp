// Which instruction sets this processor has.
#include "instruction_sets.h"

#ifdef FSRCNN_X86
#include <cpuid.h>
#endif

extern const fsrcnn::InstructionSet fsrcnn_generic;
#ifdef FSRCNN_X86
extern const fsrcnn::InstructionSet fsrcnn_avx2, fsrcnn_avx512, fsrcnn_avx512vnni;
#endif
#ifdef FSRCNN_AARCH64
extern const fsrcnn::InstructionSet fsrcnn_neon;
#endif
#ifdef __wasm__
extern const fsrcnn::InstructionSet fsrcnn_wasm;
#endif

namespace fsrcnn {

#ifdef FSRCNN_X86
namespace {

// What CPUID says, of instructions whose registers the system saves. Asked here, because __builtin_cpu_supports is not to be had
// with clang-cl, and of Zig's run-time library says no to everything.
struct Processor {
    bool avx2 = false, avx512 = false, vnni = false;

    Processor() {
        unsigned a, b, c, d;
        if (!__get_cpuid(1, &a, &b, &c, &d)) return;
        constexpr unsigned FMA = 1u << 12, OSXSAVE = 1u << 27;
        if (!(c & OSXSAVE)) return;
        const bool fma = c & FMA;
        unsigned saved, high;
        __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
        if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
        constexpr unsigned YMM = 0x6, ZMM = 0xE6;  // of XCR0: XMM and YMM; masks and ZMM, too
        constexpr unsigned AVX2 = 1u << 5, AVX512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
        constexpr unsigned VNNI = 1u << 11;
        avx2 = fma && (saved & YMM) == YMM && (b & AVX2);
        avx512 = fma && (saved & ZMM) == ZMM && (b & AVX512) == AVX512;
        vnni = avx512 && (c & VNNI);
    }
};

}  // namespace
#endif

std::vector<const InstructionSet*> instruction_sets() {
    std::vector<const InstructionSet*> found;
#ifdef FSRCNN_X86
    const Processor processor;
    if (processor.avx512) {
        if (processor.vnni) found.push_back(&fsrcnn_avx512vnni);
        found.push_back(&fsrcnn_avx512);
    }
    if (processor.avx2) found.push_back(&fsrcnn_avx2);
#endif
#ifdef FSRCNN_AARCH64
    found.push_back(&fsrcnn_neon);  // part of every AArch64
#endif
#ifdef __wasm__
    found.push_back(&fsrcnn_wasm);  // a browser without 128-bit SIMD does not load the module
#else
    found.push_back(&fsrcnn_generic);
#endif
    return found;
}

}  // namespace fsrcnn
