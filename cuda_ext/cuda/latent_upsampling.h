// The kernels that upsample latents, there and back, for latent_pixels.cu alone. One output, or one input
// on the way back, a thread, straight in two dimensions.
#pragma once

#include "latent_pixels_layout.h"

namespace inrcodec {
namespace {

// The factors of the values at places -2 ... 2 of an even or odd output, as cpu/latent_upsample.h says.
struct Rise {
    float taps[2][5];

    __device__ explicit Rise(const float* k)
        : taps{{k[0], k[2], k[3], k[1], 0.0f}, {0.0f, k[1], k[3], k[2], k[0]}} {}
};

// Which number of the kernel each factor is; 4: none.
__device__ int number_of(int parity, int tap) {
    const int i = parity ? 4 - tap : tap;
    return i == 0 ? 0 : i == 1 ? 2 : i == 2 ? 3 : i == 3 ? 1 : 4;
}

__global__ void rise(const Levels levels, const float* parameters, float* kept, int level) {
    const int height = levels.height[level], width = levels.width[level];
    const int64_t place = item_of_thread();
    if (place >= levels.area(level)) return;
    const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
    const int n_rows = levels.height[level - 1], n = levels.width[level - 1];
    const Rise kernel(parameters + 4 * (level - 1));
    const float* from = kept + levels.stack[level - 1] + blockIdx.y * levels.area(level - 1);
    float sum = 0.0f;
    for (int i = 0; i < 5; ++i) {
        const float* row = from + int64_t{clamped(y / 2 + i - 2, n_rows)} * n;
        float part = 0.0f;
        for (int k = 0; k < 5; ++k) part += kernel.taps[x % 2][k] * row[clamped(x / 2 + k - 2, n)];
        sum += kernel.taps[y % 2][i] * part;
    }
    kept[levels.stack[level] + (blockIdx.y + 1) * int64_t{height} * width + place] = sum;
}

// What an output at `out` takes of input `at`, of `n` along an axis, the ends standing for all beyond.
__device__ float share_of(const Rise& kernel, int out, int at, int n) {
    const int first = out / 2 - 2;
    float sum = 0.0f;
    for (int k = 0; k < 5; ++k)
        if (clamped(first + k, n) == at) sum += kernel.taps[out % 2][k];
    return sum;
}

__global__ void pass_rise(const Levels levels, const float* parameters, float* gradients,
                          int level) {
    const int n_rows = levels.height[level - 1], n = levels.width[level - 1];
    const int64_t place = item_of_thread();
    if (place >= levels.area(level - 1)) return;
    const int y = static_cast<int>(place / n), x = static_cast<int>(place % n);
    const int height = levels.height[level], width = levels.width[level];
    const Rise kernel(parameters + 4 * (level - 1));
    const float* from = gradients + levels.stack[level] + (blockIdx.y + 1) * levels.area(level);
    float columns[10];
    for (int k = 0; k < 10; ++k) {
        const int out = 2 * x - 4 + k;
        columns[k] = out >= 0 && out < width ? share_of(kernel, out, x, n) : 0.0f;
    }
    float sum = 0.0f;
    for (int i = 0; i < 10; ++i) {
        const int out = 2 * y - 4 + i;
        if (out < 0 || out >= height) continue;
        const float* row = from + int64_t{out} * width;
        float part = 0.0f;
        for (int k = 0; k < 10; ++k) part += columns[k] * row[clamped(2 * x - 4 + k, width)];
        sum += share_of(kernel, out, y, n_rows) * part;
    }
    gradients[levels.stack[level - 1] + blockIdx.y * levels.area(level - 1) + place] = sum;
}

// The filter of 7 taps along both axes, with zeros beyond the ends.
struct Filter {
    float taps[7];

    __device__ explicit Filter(const float* k) : taps{k[0], k[1], k[2], k[3], k[2], k[1], k[0]} {}
};

__device__ float filtered(const Filter& filter, const float* plane, int height, int width, int y,
                          int x) {
    float sum = 0.0f;
    for (int i = 0; i < 7; ++i) {
        const int row = y + i - 3;
        if (row < 0 || row >= height) continue;
        float part = 0.0f;
        for (int k = 0; k < 7; ++k) {
            const int column = x + k - 3;
            if (column >= 0 && column < width)
                part += filter.taps[k] * plane[int64_t{row} * width + column];
        }
        sum += filter.taps[i] * part;
    }
    return sum;
}

// Row y of blocks: level y; from latents to the first planes of the stacks, or the way back.
__global__ void sharpen(const Levels levels, const float* parameters, const float* latents,
                        float* latents_gradient, float* stacks) {
    const int level = static_cast<int>(blockIdx.y);
    const int height = levels.height[level], width = levels.width[level];
    const int64_t place = item_of_thread();
    if (place >= levels.area(level)) return;
    const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
    float* const plane = stacks + levels.stack[level];
    const float* from = latents_gradient ? plane : latents + levels.latents[level];
    float* const to = latents_gradient ? latents_gradient + levels.latents[level] : plane;
    if (level == 0) {
        to[place] = from[place];
    } else {
        const Filter filter(parameters + 4 * (levels.n - 1 + level - 1));
        to[place] = filtered(filter, from, height, width, y, x);
    }
}

__device__ void weigh_rise(const Levels& levels, const float* parameters, const float* kept,
                           const float* gradients, int level, float* sums) {
    const int height = levels.height[level], width = levels.width[level];
    const int n_rows = levels.height[level - 1], n = levels.width[level - 1];
    const Rise kernel(parameters + 4 * (level - 1));
    const int64_t area = int64_t{height} * width;
    for (int64_t item = item_of_thread(); item < area * level;
         item += int64_t{gridDim.x} * kThreads) {
        const int64_t number = item / area, place = item % area;
        const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
        const float slope = gradients[levels.stack[level] + area + item];
        const float* from = kept + levels.stack[level - 1] + number * levels.area(level - 1);
        for (int i = 0; i < 5; ++i) {
            const float* row = from + int64_t{clamped(y / 2 + i - 2, n_rows)} * n;
            float part = 0.0f;
            for (int k = 0; k < 5; ++k) {
                const float value = row[clamped(x / 2 + k - 2, n)];
                part += kernel.taps[x % 2][k] * value;
                const int column = number_of(x % 2, k);
                const float by_column = slope * kernel.taps[y % 2][i] * value;
                for (int j = 0; j < 4; ++j) sums[j] += j == column ? by_column : 0.0f;
            }
            const int in_kernel = number_of(y % 2, i);
            for (int j = 0; j < 4; ++j) sums[j] += j == in_kernel ? slope * part : 0.0f;
        }
    }
}

__device__ void weigh_filter(const Levels& levels, const float* parameters, const float* latents,
                             const float* gradients, int level, float* sums) {
    const int height = levels.height[level], width = levels.width[level];
    const Filter filter(parameters + 4 * (levels.n - 1 + level - 1));
    const float* from = latents + levels.latents[level];
    const int64_t area = int64_t{height} * width;
    for (int64_t place = item_of_thread(); place < area; place += int64_t{gridDim.x} * kThreads) {
        const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
        const float slope = gradients[levels.stack[level] + place];
        for (int i = 0; i < 7; ++i) {
            const int row = y + i - 3;
            if (row < 0 || row >= height) continue;
            float part = 0.0f;
            for (int k = 0; k < 7; ++k) {
                const int column = x + k - 3;
                if (column < 0 || column >= width) continue;
                const float value = from[int64_t{row} * width + column];
                part += filter.taps[k] * value;
                const int number = k < 4 ? k : 6 - k;
                for (int j = 0; j < 4; ++j)
                    sums[j] += j == number ? slope * filter.taps[i] * value : 0.0f;
            }
            const int number = i < 4 ? i : 6 - i;
            for (int j = 0; j < 4; ++j) sums[j] += j == number ? slope * part : 0.0f;
        }
    }
}

// Row y of blocks: the kernel that doubles to level y + 1, then, from n - 1 on, the filters.
__global__ void weigh_upsampling(const Levels levels, const float* parameters, const float* latents,
                                 const float* kept, const float* gradients, float* partial) {
    INRCODEC_SHARED(shared);
    const int n_rises = levels.n - 1, number = static_cast<int>(blockIdx.y);
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (number < n_rises) {
        weigh_rise(levels, parameters, kept, gradients, number + 1, sums);
    } else {
        weigh_filter(levels, parameters, latents, gradients, number - n_rises + 1, sums);
    }
    for (int j = 0; j < 4; ++j) {
        const float sum = sum_of_block(sums[j], kThreads, shared);
        if (threadIdx.x == 0) partial[int64_t{blockIdx.x} * 8 * n_rises + 4 * number + j] = sum;
    }
}

}  // namespace
}  // namespace inrcodec
