// As much of CUDA's language as the kernels use, on one thread of a CPU: every thread of a block is a
// fiber, which gives way at __syncthreads(). For tests; slow.
#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define INRCODEC_SHARED(name) float* const name = inrcodec::on_host::state().shared.data()

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(8) float2 {
    float x, y;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

inline float2 make_float2(float x, float y) {
    return {x, y};
}
inline float2& operator+=(float2& sum, float2 v) {
    return sum = {sum.x + v.x, sum.y + v.y};
}
inline float4& operator+=(float4& sum, float4 v) {
    return sum = {sum.x + v.x, sum.y + v.y, sum.z + v.z, sum.w + v.w};
}

inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

using cudaError_t = int;
using cudaStream_t = void*;
using cudaEvent_t = void*;
constexpr unsigned cudaEventDisableTiming = 0, cudaStreamNonBlocking = 0;
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin, cudaDevAttrComputeCapabilityMajor };
constexpr cudaError_t cudaSuccess = 0;

inline const char* cudaGetErrorString(cudaError_t) {
    return "nothing";
}
inline cudaError_t cudaGetDevice(int*) {
    return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) {
    return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
    *value = 227 << 10;
    return cudaSuccess;
}
inline cudaError_t cudaGetDeviceCount(int* count) {
    *count = 0;
    return cudaSuccess;
}
inline cudaError_t cudaGetLastError() {
    return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t*, unsigned) {
    return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) {
    return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t*, unsigned) {
    return cudaSuccess;
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) {
    return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* at, int value, size_t n_bytes, cudaStream_t) {
    std::memset(at, value, n_bytes);
    return cudaSuccess;
}
template <typename T>
inline void atomicAdd(T* at, T value) {
    *at += value;
}
inline void atomicMax(unsigned* at, unsigned value) {
    if (value > *at) *at = value;
}

namespace inrcodec::on_host {

constexpr size_t kStack = 16 << 10;

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool is_done = false;
};

struct State {
    ucontext_t scheduler;
    Fiber* current = nullptr;
    std::function<void()> body;
    std::vector<float> shared;
};

inline State& state() {
    static State one;
    return one;
}

inline void run_fiber() {
    state().body();
    state().current->is_done = true;
    swapcontext(&state().current->context, &state().scheduler);
}

inline void run_block(std::vector<Fiber>& fibers, dim3 threads) {
    for (Fiber& fiber : fibers) {
        getcontext(&fiber.context);
        fiber.stack.resize(kStack);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = kStack;
        fiber.context.uc_link = nullptr;
        fiber.is_done = false;
        makecontext(&fiber.context, run_fiber, 0);
    }
    for (bool is_running = true; is_running;) {
        is_running = false;
        for (unsigned i = 0; i < fibers.size(); ++i) {
            if (fibers[i].is_done) continue;
            is_running = true;
            threadIdx = dim3(i % threads.x, i / threads.x);
            state().current = &fibers[i];
            swapcontext(&state().scheduler, &fibers[i].context);
        }
    }
}

// Runs the body once for every thread of every block; what blocks share is full of NaN at first.
inline void run(dim3 blocks, dim3 threads, size_t shared_bytes, std::function<void()> body) {
    std::vector<Fiber> fibers(threads.x * threads.y);
    state().body = std::move(body);
    gridDim = blocks;
    blockDim = threads;
    for (unsigned y = 0; y < blocks.y; ++y) {
        for (unsigned x = 0; x < blocks.x; ++x) {
            blockIdx = dim3(x, y);
            state().shared.assign(shared_bytes / sizeof(float), __builtin_nanf(""));
            run_block(fibers, threads);
        }
    }
}

}  // namespace inrcodec::on_host

inline void __syncthreads() {
    auto& state = inrcodec::on_host::state();
    swapcontext(&state.current->context, &state.scheduler);
}

// All threads of the block call it together.
template <typename T>
inline T __shfl_xor_sync(unsigned, T value, int mask) {
    static T values[1024];
    const unsigned thread = threadIdx.x;
    values[thread] = value;
    __syncthreads();
    const T other = values[thread ^ static_cast<unsigned>(mask)];
    __syncthreads();
    return other;
}
