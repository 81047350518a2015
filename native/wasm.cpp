// What the engine wants of its platform, for a module of WebAssembly: one thread, its caller's, and no exceptions.
#include <__verbose_abort>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "pool.h"

namespace fsrcnn {

// A page has several threads by a module each, with a band of the picture for every one.
void share(Work& work, int64_t, bool) { work.work(true); }

}  // namespace fsrcnn

// Nothing goes wrong but for want of memory. That ends the module with a trap, an error of JavaScript; the library's own functions would
// write to a console first, and bring all of printf along.
namespace {

void* memory_or_trap(void* memory) {
    if (!memory) __builtin_trap();
    return memory;
}

}  // namespace

void std::__libcpp_verbose_abort(const char*, ...) noexcept(noexcept(std::__libcpp_verbose_abort(""))) { __builtin_trap(); }

void* operator new(size_t bytes) { return memory_or_trap(std::malloc(bytes)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
    return memory_or_trap(std::aligned_alloc(size_t(alignment), bytes));  // a whole number of objects, so a multiple of the alignment
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
