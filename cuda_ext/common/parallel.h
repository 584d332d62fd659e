// Tasks on several threads. The threads are started when first needed and kept: starting one can
// take longer than a whole call.
#pragma once

#include <functional>

namespace inrcodec {

// Runs task(0) ... task(n_tasks - 1), each once, on up to n_threads threads, this one among them,
// and returns when all are done. Tasks are taken in order of their number and must not throw. While
// one caller uses the threads, another does its tasks alone.
void run_tasks(int n_tasks, int n_threads, const std::function<void(int)>& task);

}  // namespace inrcodec
