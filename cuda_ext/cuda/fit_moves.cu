// The steps of a fit on the GPU, in float32. What changes from step to step is read from memory of the
// GPU, so that a CUDA graph of an iteration can be run again and again; nothing moves where `finite` is 0.
#include <cmath>

#include "../common/fit_moves.h"
#include "launch.h"

namespace inrcodec {
namespace {

constexpr char kOp[] = "fit_moves";
constexpr int kThreads = 256;

__global__ void move_by_adam(const AdamCall call) {
    const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
    if (i >= call.n_values || *call.finite == 0.0f) return;
    const float slope = call.gradient[i];
    const float mean = call.mean[i] + call.mean_share * (slope - call.mean[i]);
    const float square = call.square[i] + call.square_share * (slope * slope - call.square[i]);
    call.mean[i] = mean;
    call.square[i] = square;
    const float rate = call.scalars[0], square_scale = call.scalars[1];
    call.values[i] -= rate * mean / (sqrtf(square) * square_scale + call.epsilon);
}

// A block, as the team of common/soap.h.
struct Block {
    static constexpr int kWidth = 1;
    __device__ int rank() const { return static_cast<int>(threadIdx.x); }
    __device__ int size() const { return kThreads; }
    __device__ void sync() const { __syncthreads(); }
};

struct SoapTensors {
    SoapTensor at[kMaxSoapTensorsOnGpu];
};

// One tensor a block.
__global__ void __launch_bounds__(kThreads)
    move_by_soap(const SoapTensors tensors, const SoapCall call, const float* scalars,
                 const float* finite) {
    INRCODEC_SHARED(work);
    const SoapTensor& tensor = tensors.at[blockIdx.x];
    if (tensor.size() == 0 || *finite == 0.0f) return;
    const SoapMove move = {scalars[0], scalars[1], scalars[2] != 0.0f, scalars[3] != 0.0f};
    soap_move(tensor, move, call.parameters + tensor.values, call.gradient + tensor.values,
              call.state + tensor.state, work, Block());
}

}  // namespace

bool has_cuda_soap(const SoapTensor* tensors, int n_tensors) {
    for (int i = 0; i < n_tensors; ++i)
        if (soap_work_size(tensors[i]) > kMaxSoapWorkOnGpu) return false;
    return n_tensors <= kMaxSoapTensorsOnGpu;
}

void adam_step_cuda(const AdamCall& call, Stream stream) {
    Launcher(kOp, stream)
        .run(move_by_adam, dim3(blocks_for(call.n_values, kThreads)), dim3(kThreads), 0, call);
}

void soap_step_cuda(const SoapTensor* tensors, int n_tensors, const SoapCall& call,
                    const float* scalars, const float* finite, Stream stream) {
    SoapTensors all{};
    int64_t n_work = 0;
    for (int i = 0; i < n_tensors; ++i) {
        all.at[i] = tensors[i];
        const int64_t size = soap_work_size(tensors[i]);
        n_work = size > n_work ? size : n_work;
    }
    Launcher(kOp, stream)
        .run(move_by_soap, dim3(n_tensors), dim3(kThreads), sizeof(float) * n_work, all, call,
             scalars, finite);
}

}  // namespace inrcodec
