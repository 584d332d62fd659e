#include "../common/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace inrcodec {
namespace {

class Pool {
  public:
    // False, and nothing done, when another caller uses the pool.
    bool run(int n_tasks, int n_helpers, const std::function<void(int)>& task) {
        const std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
        if (!turn.owns_lock()) return false;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            start_workers(n_helpers);
            task_ = &task;
            n_tasks_ = n_tasks;
            next_ = 0;
            places_ = n_helpers;
        }
        wake_.notify_all();
        take_tasks();
        std::unique_lock<std::mutex> lock(mutex_);
        places_ = 0;  // who has not come yet is not needed any more
        idle_.wait(lock, [this] { return n_working_ == 0; });
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        return true;
    }

  private:
    void start_workers(int n_wanted) {
        try {
            for (; n_workers_ < n_wanted; ++n_workers_) std::thread([this] { work(); }).detach();
        } catch (const std::system_error&) {
            // The system gives no more threads: those there are do the work.
        }
    }

    void work() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return places_ > 0; });
            --places_;
            ++n_working_;
            lock.unlock();
            take_tasks();
            lock.lock();
            if (--n_working_ == 0) idle_.notify_one();
        }
    }

    // After an exception no more tasks are begun; the first one is kept for the caller.
    void take_tasks() {
        try {
            for (int i = next_++; i < n_tasks_; i = next_++) (*task_)(i);
        } catch (...) {
            next_ = n_tasks_;
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!error_) error_ = std::current_exception();
        }
    }

    std::mutex turn_;   // held by the caller that uses the pool
    std::mutex mutex_;  // guards all below but next_
    std::condition_variable wake_, idle_;
    int n_workers_ = 0, n_working_ = 0;
    int places_ = 0;  // workers that may still join the tasks at hand
    int n_tasks_ = 0;
    const std::function<void(int)>* task_ = nullptr;
    std::atomic<int> next_{0};
    std::exception_ptr error_;
};

std::atomic<Pool*> current_pool{nullptr};

// Never freed: workers wait in it until the process ends. A forked child has no workers and gets
// its own pool.
Pool& pool() {
    static std::mutex making;
    Pool* found = current_pool.load();
    if (found) return *found;
    const std::lock_guard<std::mutex> lock(making);
    if (!current_pool.load()) {
#if !defined(_WIN32)
        static const int once = pthread_atfork(nullptr, nullptr, [] { current_pool = nullptr; });
        (void)once;
#endif
        current_pool = new Pool;
    }
    return *current_pool.load();
}

}  // namespace

void run_tasks(int n_tasks, int n_threads, const std::function<void(int)>& task) {
    const int n_helpers = std::min(n_threads, n_tasks) - 1;
    if (n_helpers > 0 && pool().run(n_tasks, n_helpers, task)) return;
    for (int i = 0; i < n_tasks; ++i) task(i);
}

}  // namespace inrcodec
