// The mlp op: h = activation(W h + b) for each layer but the last, which is linear. Plain numbers,
// no STL: kernels that are compiled once per instruction set include this page.
#pragma once

#include <cstdint>

#include "stream.h"

namespace inrcodec {

constexpr int kMaxMlpLayers = 33;
constexpr int kMaxMlpSize = 1024;

// Of h: sin h, max(h, 0), sin h sqrt|h|, sin h arctan h, sin h ln(1 + |h|).
enum class Activation { kSine, kRelu, kSineSqrt, kSineArctan, kSineLog };

// The weights [n_out, n_in] of a layer begin at `weights` in the parameters, and its biases [n_out],
// if there are any, at `biases`.
struct MlpLayer {
    int n_in, n_out;
    int64_t weights, biases;
};

struct Mlp {
    int n_layers;
    int n_inputs, n_outputs;
    int widest;  // the largest of all sizes
    bool has_bias;
    Activation activation;
    int64_t n_parameters;
    MlpLayer layers[kMaxMlpLayers];

    // By what a value is off its target, the slope of the mean square of that over all values.
    float slope_of_mean(int64_t n_points) const {
        return 2.0f / static_cast<float>(n_points * n_outputs);
    }
};

// Arrays of a call, float32, rows contiguous: `x` [n_points, n_inputs], `parameters` (layer by
// layer, weights before biases), `gradient` of the result and the result `out`, both [n_points,
// n_outputs], and what the gradients function gives. With `targets` [n_points, n_outputs] in place
// of a gradient, that is `slope` times what the result is off them. Null where a function does not
// need one; `x_gradient` also where it is not wanted.
struct MlpCall {
    int64_t n_points = 0;
    const float* x = nullptr;
    const float* parameters = nullptr;
    const float* gradient = nullptr;
    const float* targets = nullptr;
    float slope = 0.0f;
    float* out = nullptr;
    float* parameters_gradient = nullptr;
    float* x_gradient = nullptr;
};

// Arguments are checked already (common/mlp_checks.h). The same bits for any number of threads.
void mlp_forward(const Mlp& mlp, const MlpCall& call, int n_threads);

// Returns the sum of the squares of what the result is off the targets; 0 without them.
double mlp_gradients(const Mlp& mlp, const MlpCall& call, int n_threads);

#if defined(INRCODEC_CUDA)
// Floats that calls on a GPU need; 0: there is no kernel for the network on that GPU. There is one
// for ReLU networks with layers of up to about 64 values.
int64_t mlp_scratch_cuda(const Mlp& mlp, int64_t n_points, int device);

// The same on the GPU that holds the arrays, queued on a stream; the same bits each time. They throw
// std::runtime_error when CUDA refuses. The sum of squares is the first float of the scratch; slopes
// of x may take the place of x.
void mlp_forward_cuda(const Mlp& mlp, const MlpCall& call, Stream stream);
void mlp_gradients_cuda(const Mlp& mlp, const MlpCall& call, float* scratch, Stream stream);
#endif

}  // namespace inrcodec
