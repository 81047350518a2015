#include "isa_avx512.h"

#include "strip.h"

extern const fsrcnn::InstructionSet fsrcnn_avx512;
const fsrcnn::InstructionSet fsrcnn_avx512 = {"avx512", Isa::accumulators, Isa::accumulators_fast, strip_bytes, run_tile};
