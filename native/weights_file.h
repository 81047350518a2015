// A network in memory, and from a safetensors file of fsrcnn: what src/fsrcnn/architecture.py and weights.py say of both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fsrcnn {

struct Convolution {
    std::string name;  // in front of its arrays' names
    int out, in, side;
};

struct Architecture {
    int32_t d = 56, s = 12, m = 4, feature_kernel = 5, deconvolution_kernel = 9, scale = 3, crop = -1;

    // All but the deconvolution, in the order of computation.
    std::vector<Convolution> convolutions() const;
    // LR pixels on each side of a region that its HR pixels can depend on.
    int32_t halo() const;
    // Of the family, or of d, s and m: fsrcnn-40-10-3.
    std::string name() const;
};

struct Weights {
    Architecture architecture;
    std::vector<float> arrays;  // as `fsrcnn_network` has them: kernel, biases and slopes of each convolution; kernel and bias of the last
};

// Throws Fault: it is no such file, or what it holds does not fit together. Costs the length of the file.
Weights parse(const unsigned char* data, size_t length, const std::string& source);

// The bytes of a regular file of at most 64 MiB. Throws Fault. `path` is UTF-8.
std::vector<unsigned char> contents(const std::string& path);

}  // namespace fsrcnn
