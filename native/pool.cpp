#include "pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace fsrcnn {
namespace {

constexpr std::chrono::milliseconds PATIENCE(50);

// A call of `share`, on the caller's stack.
struct Request {
    Work* work;
    int64_t wanted;  // threads that have not begun yet; in the queue while there are any
    int64_t running;
    Request* next;
    std::condition_variable finished;
};

struct Pool {
    const int64_t process;
    std::mutex mutex;
    std::condition_variable wanted;
    Request* first = nullptr;  // the queue
    int64_t threads = 0;       // all that were started
    int64_t needed = 0;        // those at work, and those that requests in the queue still want

    explicit Pool(int64_t id) : process(id) {}
};

int64_t process_id() {
#if defined(__unix__) || defined(__APPLE__)
    return getpid();
#else
    return 0;
#endif
}

// Never destroyed: its threads wait in it when the process exits. A child of fork() inherits it without its threads, perhaps locked,
// and makes another.
Pool& pool() {
    static std::atomic<Pool*> current{nullptr};
    const int64_t process = process_id();
    Pool* found = current.load();
    while (!found || found->process != process) {
        Pool* fresh = new Pool(process);
        if (current.compare_exchange_strong(found, fresh)) return *fresh;
        delete fresh;
    }
    return *found;
}

// With the mutex held, all three.
void append(Pool& pool, Request& request) {
    Request** end = &pool.first;
    while (*end) end = &(*end)->next;
    *end = &request;
    pool.needed += request.wanted;
}

void withdraw(Pool& pool, Request& request) {
    pool.needed -= request.wanted;
    request.wanted = 0;
    for (Request** at = &pool.first; *at; at = &(*at)->next)
        if (*at == &request) {
            *at = request.next;
            return;
        }
}

void serve(Pool& pool) {
    std::unique_lock<std::mutex> lock(pool.mutex);
    for (;;) {
        while (!pool.first) pool.wanted.wait(lock);
        Request& request = *pool.first;
        request.running++, request.wanted--;
        if (request.wanted == 0) withdraw(pool, request);
        lock.unlock();
        request.work->work(false);
        lock.lock();
        pool.needed--, request.running--;
        withdraw(pool, request);  // nothing is left to begin
        if (request.running == 0) request.finished.notify_one();
    }
}

void grow(Pool& pool) {
    try {
        for (; pool.threads < pool.needed; pool.threads++) std::thread(serve, std::ref(pool)).detach();
    } catch (const std::system_error&) {  // no more threads to be had: those that run do the work
    } catch (const std::bad_alloc&) {
    }
}

}  // namespace

void share(Work& work, int64_t threads, bool takes_part) {
    const int64_t wanted = takes_part ? threads - 1 : threads;
    if (wanted == 0) return work.work(true);
    Pool& threads_of = pool();
    Request request{&work, wanted, 0, nullptr, {}};
    std::unique_lock<std::mutex> lock(threads_of.mutex);
    append(threads_of, request);
    grow(threads_of);
    threads_of.wanted.notify_all();
    if (takes_part || threads_of.threads == 0) {
        lock.unlock();
        work.work(true);
        lock.lock();
        withdraw(threads_of, request);
    }
    while (request.running || request.wanted) {
        if (request.finished.wait_for(lock, PATIENCE) == std::cv_status::no_timeout) continue;
        lock.unlock();
        work.watch();
        lock.lock();
    }
}

}  // namespace fsrcnn
