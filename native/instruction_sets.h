#pragma once

#include <vector>

#include "job.h"

namespace fsrcnn {

// The instruction sets that were compiled in and that this processor has, best first; `generic` is always the last.
std::vector<const InstructionSet*> instruction_sets();

}  // namespace fsrcnn
