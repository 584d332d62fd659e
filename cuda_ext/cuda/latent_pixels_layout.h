// Where the arrays of the pixels of latents lie, for latent_pixels.cu alone.
#pragma once

#include "../common/latent_fit.h"
#include "tile.h"

namespace inrcodec {
namespace {

constexpr int kBlocks = 2 * kMultiprocessors;  // that share the pixels
constexpr int kThreads = 256;
constexpr int kMaxLevels = 16;

// The grids of latents, coarsest first. `stack`: offset of a level's planes, its own first, then those
// of coarser levels from fine to coarse.
struct Levels {
    int n;
    int height[kMaxLevels], width[kMaxLevels];
    int64_t latents[kMaxLevels], stack[kMaxLevels];

    __host__ __device__ int64_t area(int level) const {
        return int64_t{height[level]} * width[level];
    }
};

// Offsets in floats: of what is kept, of scratch on the way back, and of parameters.
struct PixelsLayout {
    Levels levels;
    int64_t layers, kept;  // of the tail's inputs, behind the stacks
    int64_t layers_gradient, sums, scratch;
    int lift_stride, tail_stride, rise_stride;
    int64_t lift, lift_bias, lower, blend, tails, lower_bias, tail_biases;
};

void place_parameters(const FitShape& shape, PixelsLayout& layout) {
    const int64_t m = shape.n_hidden, c = shape.n_channels, levels = shape.n_levels;
    layout.lift = 8 * (levels - 1);
    layout.lift_bias = layout.lift + m * levels;
    layout.lower = layout.lift_bias + m;
    layout.blend = layout.lower + c * m;
    layout.tails = layout.blend + c * levels;
    layout.lower_bias = layout.tails + 9 * shape.n_tails * c * c;
    layout.tail_biases = layout.lower_bias + c;
}

PixelsLayout plan(const FitShape& shape) {
    PixelsLayout layout{};
    Levels& levels = layout.levels;
    int64_t used = 0;
    for (int i = 0; i < shape.n_grids; ++i) {
        const FitGrid& grid = shape.grids[i];
        if (grid.is_hyper) continue;
        levels.height[levels.n] = grid.height;
        levels.width[levels.n] = grid.width;
        levels.latents[levels.n] = grid.offset;
        levels.stack[levels.n] = used;
        used += levels.area(levels.n) * (levels.n + 1);
        ++levels.n;
    }
    const int64_t planes = levels.area(levels.n - 1) * shape.n_channels;
    layout.layers = layout.layers_gradient = used;  // behind the gradients of the stacks as well
    layout.kept = layout.sums = used + planes * shape.n_tails;
    place_parameters(shape, layout);
    const int64_t c = shape.n_channels;
    layout.lift_stride = static_cast<int>(layout.tails - layout.lift + c);
    layout.tail_stride = static_cast<int>(9 * c * c + c);
    layout.rise_stride = 8 * (levels.n - 1);
    int largest = layout.lift_stride;
    if (layout.tail_stride > largest) largest = layout.tail_stride;
    if (layout.rise_stride > largest) largest = layout.rise_stride;
    layout.scratch = layout.sums + int64_t{kBlocks} * largest;
    return layout;
}

__device__ int64_t item_of_thread() {
    return int64_t{blockIdx.x} * kThreads + threadIdx.x;
}

__device__ int clamped(int at, int length) {
    return at < 0 ? 0 : at < length ? at : length - 1;
}

}  // namespace
}  // namespace inrcodec
