// How the CUDA files start kernels and share memory. With INRCODEC_CUDA_ON_HOST they are plain C++
// (cuda/on_host.h), so that tests run the same kernels where there is no GPU.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>

#include "../common/stream.h"

#if defined(INRCODEC_CUDA_ON_HOST)
#include "on_host.h"
#else
#include <cuda_runtime.h>
// Memory that the threads of a block share, as much as the launch asks for; 16 bytes aligned.
#define INRCODEC_SHARED(name)                     \
    extern __shared__ float4 shared_quadruples[]; \
    float* const name = reinterpret_cast<float*>(shared_quadruples)
#endif

namespace inrcodec {

// Of a large GPU, so that results do not depend on which it is; on the host few, so that tests have
// blocks of several tiles.
#if defined(INRCODEC_CUDA_ON_HOST)
constexpr int kMultiprocessors = 1;
#else
constexpr int kMultiprocessors = 132;
#endif

inline void check_cuda(const char* op, cudaError_t error) {
    if (error == cudaSuccess) return;
    throw std::runtime_error(std::string(op) + ": CUDA must accept the call, got " +
                             cudaGetErrorString(error));
}

// Makes the arrays' GPU the current one for as long as it lives.
class OnDevice {
  public:
    OnDevice(const char* op, int device) {
        check_cuda(op, cudaGetDevice(&before_));
        check_cuda(op, cudaSetDevice(device));
    }
    ~OnDevice() { cudaSetDevice(before_); }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

  private:
    int before_ = 0;
};

inline cudaStream_t handle_of(Stream stream) {
    return reinterpret_cast<cudaStream_t>(stream.handle);
}

inline unsigned blocks_for(int64_t n_items, int n_threads) {
    return static_cast<unsigned>((n_items + n_threads - 1) / n_threads);
}

// Bytes that a block can share on a GPU.
inline size_t most_shared(const char* op, int device) {
    int bytes = 0;
    check_cuda(op, cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
    return static_cast<size_t>(bytes);
}

// A second stream, for work beside that of a first one; one for each thread and GPU, made once.
struct SideStream {
    cudaStream_t stream = nullptr;
    cudaEvent_t event = nullptr;

    static const SideStream& of(const char* op, int device) {
        thread_local std::map<int, SideStream> all;
        SideStream& side = all[device];
        if (!side.stream) {
            check_cuda(op, cudaEventCreateWithFlags(&side.event, cudaEventDisableTiming));
            check_cuda(op, cudaStreamCreateWithFlags(&side.stream, cudaStreamNonBlocking));
        }
        return side;
    }

    // What one stream has queued so far comes before what follows on another.
    void order(const char* op, cudaStream_t before, cudaStream_t after) const {
        check_cuda(op, cudaEventRecord(event, before));
        check_cuda(op, cudaStreamWaitEvent(after, event, 0));
    }
};

// Starts kernels of one op on one stream, and checks that CUDA takes them.
class Launcher {
  public:
    Launcher(const char* op, Stream stream)
        : op_(op), device_(op, stream.device), gpu_(stream.device), stream_(handle_of(stream)) {}

    // Starts kernels by start(launcher), which may run at the same time as those of meanwhile().
    template <typename Start, typename Meanwhile>
    void run_beside(Start start, Meanwhile meanwhile) const {
        const SideStream& side = SideStream::of(op_, gpu_);
        side.order(op_, stream_, side.stream);
        try {
            start(Launcher(op_, {gpu_, reinterpret_cast<uintptr_t>(side.stream)}));
            meanwhile();
        } catch (...) {  // the arrays may be freed once the stream has been gone through
            cudaEventRecord(side.event, side.stream);
            cudaStreamWaitEvent(stream_, side.event, 0);
            throw;
        }
        side.order(op_, side.stream, stream_);
    }

    template <typename... Parameters, typename... Arguments>
    void run(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared_bytes,
             Arguments... arguments) const {
        if (blocks.x == 0 || blocks.y == 0) return;
#if defined(INRCODEC_CUDA_ON_HOST)
        on_host::run(blocks, threads, shared_bytes, [=] { kernel(arguments...); });
#else
        if (shared_bytes > kPlainShared) {  // as much as can be, the same for all threads
            check_cuda(op_, cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                 cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                 static_cast<int>(most_shared(op_, gpu_))));
        }
        // clang-format off
        kernel<<<blocks, threads, shared_bytes, stream_>>>(arguments...);
        // clang-format on
        check_cuda(op_, cudaGetLastError());
#endif
    }

  private:
    static constexpr size_t kPlainShared = 48 << 10;  // without asking for more

    const char* op_;
    OnDevice device_;
    int gpu_;
    cudaStream_t stream_;
};

}  // namespace inrcodec
