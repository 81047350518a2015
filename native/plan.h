// How a picture is cut into tiles, and how many threads are worth it.
#pragma once

#include "job.h"

namespace fsrcnn {

struct Plan {
    int64_t columns, bands, threads;
    bool small;  // a few milliseconds: not worth handing over to another thread

    int64_t tiles() const { return columns * bands; }
};

Plan plan(const Network& net, const Job& job, int64_t threads);

Tile tile(const Plan& plan, const Job& job, int64_t number);

// Whether the picture has fully transparent pixels.
bool has_hidden(const fsrcnn_picture& picture, const fsrcnn_colour& colour, int64_t height, int64_t width);

}  // namespace fsrcnn
