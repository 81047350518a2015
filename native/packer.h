// From a network's arrays to kernels packed block by block for an instruction set.
#pragma once

#include <list>
#include <vector>

#include "job.h"

namespace fsrcnn {

// A network and what its pointers point to; lists, because their elements stay where they are.
struct PackedNetwork {
    Network net{};
    std::list<std::vector<Lane>> lanes;
    std::list<std::vector<float>> floats;
    std::list<std::vector<Block>> block_lists;
    std::list<std::vector<int>> ints;
    std::vector<Stage> mapping;
    std::vector<Branch> branches;
};

// FSRCNN_OK, or what is wrong with a network: its architecture, its precision, the lengths of its arrays.
int32_t fault_of(const fsrcnn_network& given);

// Into an empty `packed`. The network has no fault. Throws std::bad_alloc.
void pack(PackedNetwork& packed, const fsrcnn_network& given, const InstructionSet& isa);

}  // namespace fsrcnn
