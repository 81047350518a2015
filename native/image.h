// The formats of images, as src/fsrcnn/planes.py and color.py have them, and what the engine wants to know of them.
#pragma once

#include <cstdint>
#include <string>

#include "bicubic.h"
#include "fsrcnn_engine.h"

namespace fsrcnn {

// An image and its result as `fsrcnn_run` takes them.
struct Pair {
    fsrcnn_picture lr, sr;
    fsrcnn_colour colour;  // points to the taps
    Taps rows, columns;

    // Throws Fault: a format that does not exist, two that differ in more than depth, a size that is not `scale` times the other, planes
    // without memory or in each other's.
    Pair(const fsrcnn_image& lr_image, const fsrcnn_image& sr_image, int scale);
    Pair(const Pair&) = delete;
};

}  // namespace fsrcnn
