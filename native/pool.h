// Work for several threads: the process's own, which are started when first wanted and stay for the next call.
#pragma once

#include <cstdint>

namespace fsrcnn {

class Work {
  public:
    // Done in several threads at once; returns when nothing is left to begin. `in_caller`: in the thread that called `share`.
    virtual void work(bool in_caller) noexcept = 0;
    // In the thread that called `share`, about every 50 ms while it waits.
    virtual void watch() noexcept = 0;

  protected:
    ~Work() = default;
};

// Has the work done by up to `threads` threads, and returns when the last of them is finished. Where `takes_part`, the caller is one
// of them; otherwise it waits and watches. Where no thread is to be had the caller does it all. Calls from several threads take turns
// in the order in which they came. A child of fork() has threads of its own. Throws std::bad_alloc.
void share(Work& work, int64_t threads, bool takes_part);

}  // namespace fsrcnn
