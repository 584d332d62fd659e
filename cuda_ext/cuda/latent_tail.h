// The kernels of the tail of the synthesis, there and back, for latent_pixels.cu alone. One pixel of one
// channel a thread.
#pragma once

#include "latent_pixels_layout.h"

namespace inrcodec {
namespace {

// Row y of blocks: channel y of what a layer puts out.
__global__ void tail(const FitShape shape, const PixelsLayout layout, const float* parameters,
                     const float* kept, int layer, float* to) {
    const int finest = layout.levels.n - 1, n = shape.n_channels;
    const int height = layout.levels.height[finest], width = layout.levels.width[finest];
    const int64_t place = item_of_thread(), area = int64_t{height} * width;
    if (place >= area) return;
    const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
    const int o = static_cast<int>(blockIdx.y);
    const float* in = kept + layout.layers + layer * n * area;
    const float* weights = parameters + layout.tails + 9 * (layer * n + o) * n;
    float sum = parameters[layout.tail_biases + layer * n + o] + in[o * area + place];
    for (int i = 0; i < n; ++i) {
        for (int row = 0; row < 3; ++row) {
            const float* from = in + i * area + int64_t{clamped(y + row - 1, height)} * width;
            for (int k = 0; k < 3; ++k)
                sum += weights[9 * i + 3 * row + k] * from[clamped(x + k - 1, width)];
        }
    }
    if (layer < shape.n_tails - 1) {
        sum = sum < 0.0f ? 0.0f : sum;  // NaN stays
    } else {
        const float* stack = kept + layout.levels.stack[finest] + place;
        const float* blend = parameters + layout.blend + o * layout.levels.n;
        for (int k = 0; k < layout.levels.n; ++k) sum += blend[k] * stack[k * area];
    }
    to[o * area + place] = sum;
}

// Row y of blocks: channel y of the input of a layer.
__global__ void pass_tail(const FitShape shape, const PixelsLayout layout, const float* parameters,
                          const float* kept, const float* from, int layer, float* to) {
    const int finest = layout.levels.n - 1, n = shape.n_channels;
    const int height = layout.levels.height[finest], width = layout.levels.width[finest];
    const int64_t place = item_of_thread(), area = int64_t{height} * width;
    if (place >= area) return;
    const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
    const int i = static_cast<int>(blockIdx.y);
    const float* weights = parameters + layout.tails + 9 * (int64_t{layer} * n * n + i);
    float sum = from[i * area + place];
    for (int near_y = y - 1; near_y <= y + 1; ++near_y) {
        for (int row = 0; row < 3; ++row) {
            const bool sees_row =
                near_y >= 0 && near_y < height && clamped(near_y + row - 1, height) == y;
            for (int near_x = x - 1; sees_row && near_x <= x + 1; ++near_x) {
                for (int k = 0; k < 3; ++k) {
                    if (near_x < 0 || near_x >= width || clamped(near_x + k - 1, width) != x)
                        continue;
                    const int64_t at = int64_t{near_y} * width + near_x;
                    for (int o = 0; o < n; ++o)
                        sum += weights[9 * o * n + 3 * row + k] * from[o * area + at];
                }
            }
        }
    }
    const bool is_off = layer > 0 && !(kept[layout.layers + (layer * n + i) * area + place] > 0.0f);
    to[i * area + place] = is_off ? 0.0f : sum;
}

// Row y of blocks: weights from input y % n to output y / n; with input 0 the bias of the output.
__global__ void weigh_tail(const FitShape shape, const PixelsLayout layout, const float* kept,
                           const float* from, int layer, float* partial) {
    INRCODEC_SHARED(shared);
    const int finest = layout.levels.n - 1, n = shape.n_channels;
    const int height = layout.levels.height[finest], width = layout.levels.width[finest];
    const int64_t area = int64_t{height} * width;
    const int o = static_cast<int>(blockIdx.y) / n, i = static_cast<int>(blockIdx.y) % n;
    const float* in = kept + layout.layers + (layer * n + i) * area;
    float sums[10] = {};
    for (int64_t place = item_of_thread(); place < area; place += int64_t{gridDim.x} * kThreads) {
        const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
        const float slope = from[o * area + place];
        for (int row = 0; row < 3; ++row) {
            const float* at = in + int64_t{clamped(y + row - 1, height)} * width;
            for (int k = 0; k < 3; ++k) sums[3 * row + k] += slope * at[clamped(x + k - 1, width)];
        }
        sums[9] += slope;
    }
    float* const to = partial + int64_t{blockIdx.x} * layout.tail_stride;
    for (int k = 0; k < 10; ++k) {
        if (k == 9 && i > 0) break;
        const float sum = sum_of_block(sums[k], kThreads, shared);
        if (threadIdx.x == 0) to[k < 9 ? 9 * (o * n + i) + k : 9 * n * n + o] = sum;
    }
}

}  // namespace
}  // namespace inrcodec
