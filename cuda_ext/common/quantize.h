// Quantization within a fit: what a flat vector of values is worth as it will be stored, and the step
// of Adam that moves it. Plain numbers, no STL: kernels that are compiled once per instruction set
// include this page.
//
// Of a unit u of a tensor with a learning rate r and a step s:
//   x = u r / s    y = x (free), x + noise (noisy) or round(x), halves to even (hard)    w = y s
// With a base k, d = y - k. inrcodec/kernels/reference_quantize.py is the meaning.
#pragma once

#include <cstdint>

namespace inrcodec {

enum class Rounding { kFree, kNoisy, kHard };

constexpr int kForwardSums = 4;  // of |y|, y^2, |d|, d^2
constexpr int kStepSums = 2;     // the derivative of the loss by the step; by all units together

// One tensor: the values [first, last) of the vector.
struct QuantizeRun {
    int64_t first = 0, last = 0;
    float rate = 0.0f, step = 0.0f;
    float slopes[kForwardSums] = {};  // of what the bits cost, by each sum
};

struct AdamStep {
    float rate = 0.0f;  // over the bias correction of the mean
    float beta1 = 0.0f, beta2 = 0.0f;
    float unbiased = 0.0f;  // one over the root of the bias correction of the square
    float epsilon = 0.0f;
};

// Arrays of a call, float32, one element per value. Null where a function does not need one, where
// there is no base, or where the weights are not wanted.
struct QuantizeCall {
    Rounding rounding = Rounding::kFree;
    uint32_t keys[2] = {};  // of the noise
    float* units = nullptr;
    const float* base = nullptr;
    float* weights = nullptr;
    const float* gradient = nullptr;  // of the loss without bits by the weights
    float* mean = nullptr;            // Adam's moments
    float* square = nullptr;
    AdamStep adam;
};

// Arguments are checked already (common/quantize_checks.h). The same bits for any number of threads.
// `sums`: kForwardSums, or kStepSums, for each run.
void quantize_forward(const QuantizeRun* runs, int n_runs, const QuantizeCall& call, double* sums,
                      int n_threads);
void quantize_step(const QuantizeRun* runs, int n_runs, const QuantizeCall& call, double* sums,
                   int n_threads);

}  // namespace inrcodec
