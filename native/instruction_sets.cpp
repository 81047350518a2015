// Which instruction sets this processor has.
#include "instruction_sets.h"

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

std::vector<const InstructionSet*> instruction_sets() {
    std::vector<const InstructionSet*> found;
#ifdef FSRCNN_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        if (__builtin_cpu_supports("avx512vnni")) found.push_back(&fsrcnn_avx512vnni);
        found.push_back(&fsrcnn_avx512);
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&fsrcnn_avx2);
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
