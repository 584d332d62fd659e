// Calls of SOAP for the sanitizer driver, which includes this page behind its own helpers.
//
//   "INRS" | u8 op: 0 as in the module, 1 by a team of so many threads | u8 threads
//   u8 instruction set | u8 tensors | u8 axes [tensors] | u32 lengths [sum of axes]
//   f32 decays [tensors] | f32 rate | u32 count | f32 parameters | f32 gradient | f32 state
// Results: whether they moved, 1 or 0; parameters; state. Those of op 1 are those of the simplest
// instruction set, to the bit: no thread may need what another has not done yet.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "../common/soap_checks.h"
#include "reader.h"

namespace {

// Where the threads of a team wait for one another, and join what they found.
class Meeting {
  public:
    explicit Meeting(int size) : size_(size) {}

    bool all(bool value) {
        std::unique_lock<std::mutex> lock(mutex_);
        all_ = all_ && value;
        const int64_t round = round_;
        if (++waiting_ == size_) {
            result_ = all_, all_ = true, waiting_ = 0, ++round_;
            changed_.notify_all();
        } else {
            changed_.wait(lock, [&] { return round_ != round; });
        }
        return result_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int size_, waiting_ = 0;
    int64_t round_ = 0;
    bool all_ = true, result_ = true;
};

// One thread of several; finds one product at a time, as a thread of a GPU does.
struct Member {
    static constexpr int kWidth = 1;
    int number, count;
    Meeting& meeting;

    int rank() const { return number; }
    int size() const { return count; }
    void sync() const { meeting.all(true); }
    bool all(bool value) const { return meeting.all(value); }
};

bool step_by_team(const std::vector<SoapTensor>& tensors, const SoapMove& move,
                  const SoapCall& call, int n_threads) {
    int64_t n_work = 0;
    for (const SoapTensor& tensor : tensors) n_work = std::max(n_work, soap_work_size(tensor));
    std::vector<float> work(static_cast<size_t>(n_work));
    bool moved = false;
    const auto run = [&](const Member& member) {
        const bool is_fine = soap_accepts(call.gradient, count_soap_values(tensors), member);
        if (member.number == 0) moved = is_fine;
        for (size_t i = 0; is_fine && i < tensors.size(); ++i) {
            const SoapTensor& t = tensors[i];
            soap_move(t, move, call.parameters + t.values, call.gradient + t.values,
                      call.state + t.state, work.data(), member);
        }
    };
    Meeting meeting(n_threads);
    std::vector<std::thread> threads;
    for (int number = 0; number < n_threads; ++number)
        threads.emplace_back(run, Member{number, n_threads, meeting});
    for (std::thread& thread : threads) thread.join();
    return moved;
}

std::vector<SoapTensor> read_soap_tensors(Reader& reader) {
    const uint64_t n_tensors = reader.number<uint8_t>();
    std::vector<std::vector<int64_t>> shapes;
    for (const uint8_t n_axes : reader.numbers<uint8_t>(n_tensors)) shapes.emplace_back(n_axes);
    for (std::vector<int64_t>& shape : shapes)
        for (int64_t& length : shape) length = reader.number<uint32_t>();
    return check_soap_tensors(shapes, reader.numbers<float>(n_tensors));
}

std::vector<float> run_soap(Reader& reader) {
    const auto [op, n_threads] = read_start(reader, 1);
    const std::vector<SoapTensor> tensors = read_soap_tensors(reader);
    const float rate = reader.number<float>();
    const SoapMove move = check_soap_move(rate, reader.number<uint32_t>());
    const uint64_t n_values = static_cast<uint64_t>(count_soap_values(tensors));
    std::vector<float> parameters = reader.numbers<float>(n_values);
    std::vector<float> gradient = reader.numbers<float>(n_values);
    std::vector<float> state =
        reader.numbers<float>(static_cast<uint64_t>(count_soap_state(tensors)));
    reader.finish();
    const SoapCall call{parameters.data(), gradient.data(), state.data()};
    const bool moved = op == 0
                           ? soap_step(tensors.data(), static_cast<int>(tensors.size()), move, call)
                           : step_by_team(tensors, move, call, n_threads);
    std::vector<float> out{moved ? 1.0f : 0.0f};
    out.insert(out.end(), parameters.begin(), parameters.end());
    out.insert(out.end(), state.begin(), state.end());
    return out;
}

}  // namespace
