#include "isa_avx512.h"

#include "strip.h"

extern const fsrcnn::InstructionSet fsrcnn_avx512vnni;
const fsrcnn::InstructionSet fsrcnn_avx512vnni = {"avx512vnni", Isa::accumulators, Isa::accumulators_fast, strip_bytes, run_tile};
