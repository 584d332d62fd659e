// The fit_moves op: the steps of a fit on a GPU. Plain numbers, no STL.
#pragma once

#include <cstdint>

#include "soap.h"
#include "stream.h"

namespace inrcodec {

constexpr int kMaxSoapTensorsOnGpu = 48;
constexpr int64_t kMaxSoapWorkOnGpu = 24 << 10;  // floats, of the memory that a block shares

// Adam (Kingma & Ba 2015) on arrays [n_values], float32:
//   mean += mean_share (gradient - mean)    square += square_share (gradient^2 - square)
//   values -= scalars[0] mean / (scalars[1] sqrt(square) + epsilon)
// with scalars[0] the learning rate over the bias of the mean, and scalars[1] one over the root of the bias
// of the square. `finite` [1]: 0 where nothing is to move.
struct AdamCall {
    int64_t n_values = 0;
    float* values = nullptr;
    const float* gradient = nullptr;
    float *mean = nullptr, *square = nullptr;
    const float *scalars = nullptr, *finite = nullptr;
    float mean_share = 0.0f, square_share = 0.0f, epsilon = 0.0f;
};

#if defined(INRCODEC_CUDA)
// Arguments are checked already (bindings_fit_moves.cpp). Arrays, scalars and `finite` are on the GPU;
// work is queued on a stream. They throw std::runtime_error when CUDA refuses.
void adam_step_cuda(const AdamCall& call, Stream stream);

// Whether there are few enough tensors, and small enough ones.
bool has_cuda_soap(const SoapTensor* tensors, int n_tensors);

// A step of common/soap.h; `scalars` are the fields of its SoapMove, flags as 0 and 1. Gradients are not
// looked at: `finite` says that they may be used.
void soap_step_cuda(const SoapTensor* tensors, int n_tensors, const SoapCall& call,
                    const float* scalars, const float* finite, Stream stream);
#endif

}  // namespace inrcodec
