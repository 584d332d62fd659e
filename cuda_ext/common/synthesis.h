// The synthesis op: values of latent grids -> pixels. Plain numbers, no STL: kernels that are compiled
// once per instruction set include this page. As in common/latent.h, all numbers are whole.
#pragma once

#include "latent.h"

namespace inrcodec {

constexpr int kMaxChannels = 16;
constexpr int kMaxHidden = 64;
constexpr int kMaxTail = 2;
constexpr int kLargestOffset = 1 << 16;  // and scale

// Where the tensors begin among the weights; tails are [channels, channels, 3, 3].
struct Synthesis {
    int64_t height, width;
    int n_levels, channels, n_hidden, n_tail;
    int64_t rise, sharpen;      // [levels - 1, 4]
    int64_t lift, lift_bias;    // [hidden, levels]
    int64_t lower, lower_bias;  // [channels, hidden]
    int64_t blend;              // [channels, levels]
    int64_t tail[kMaxTail], tail_bias[kMaxTail];
    int64_t n_weights;
};

// `latents`: of each level, coarsest first. `out` [height, width, channels].
struct SynthesisCall {
    const int32_t* latents[kMaxLatentLevels] = {};
    const double* weights = nullptr;
    int offsets[kMaxChannels] = {};
    int scale = 0;
    int32_t* out = nullptr;
};

// Arguments are checked already (common/synthesis_checks.h). The same for any number of threads.
void synthesize(const Synthesis& synthesis, const SynthesisCall& call, int n_threads);

}  // namespace inrcodec
