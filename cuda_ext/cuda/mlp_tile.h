// A ReLU network over tiles of points in what a block shares, there and back, in float32. For mlp.cu.
//
// The values of a layer are rows, one of each value, with a column for each point; biases are weights
// of a row of ones behind the inputs. A thread has 4 values of 4 points at once, of 4 x 4 weights the
// sums over some of the points. Rows are 4 banks apart, so that threads read different ones.
#pragma once

#include "../common/mlp.h"
#include "tile.h"

namespace inrcodec {
namespace {

constexpr int kMlpPoints = 128, kMlpThreads = 256;
constexpr int kMlpStride = kMlpPoints + 4;
constexpr int kPointQuads = kMlpPoints / 4;

// Where things begin in what a block shares, in floats.
struct MlpLayout {
    int values[kMaxMlpLayers + 1];  // of the inputs, and of what each layer puts out
    int n_rows[kMaxMlpLayers + 1];
    int weights[kMaxMlpLayers];  // [padded outputs, padded inputs and the bias]
    int sums[kMaxMlpLayers];     // likewise, the gradient
    int used = 0;

    __host__ __device__ static int n_in(const Mlp& mlp, int l) {
        return padded4(mlp.layers[l].n_in + (mlp.has_bias ? 1 : 0));
    }
    __host__ __device__ static int n_out(const Mlp& mlp, int l) {
        return padded4(mlp.layers[l].n_out);
    }

    MlpLayout(const Mlp& mlp, bool with_sums) {
        for (int l = 0; l <= mlp.n_layers; ++l) {
            const int as_inputs = l < mlp.n_layers ? n_in(mlp, l) : 0;
            const int as_outputs = l > 0 ? n_out(mlp, l - 1) : 0;
            n_rows[l] = as_inputs > as_outputs ? as_inputs : as_outputs;
            values[l] = take(used, n_rows[l] * kMlpStride);
        }
        for (int l = 0; l < mlp.n_layers; ++l) {
            const int size = n_in(mlp, l) * n_out(mlp, l);
            weights[l] = take(used, size);
            sums[l] = with_sums ? take(used, size) : 0;
        }
    }
};

__device__ inline void add_scaled(float4& sum, float scale, float4 v) {
    sum.x += scale * v.x;
    sum.y += scale * v.y;
    sum.z += scale * v.z;
    sum.w += scale * v.w;
}

__device__ inline void add_weighted(float4& sum, float4 weights, const float4 (&v)[4]) {
    add_scaled(sum, weights.x, v[0]);
    add_scaled(sum, weights.y, v[1]);
    add_scaled(sum, weights.z, v[2]);
    add_scaled(sum, weights.w, v[3]);
}

// The parameter that a weight is, or -1 if it is padding.
__device__ inline int64_t parameter_of(const Mlp& mlp, int l, int o, int k) {
    const MlpLayer& layer = mlp.layers[l];
    if (o >= layer.n_out) return -1;
    if (k < layer.n_in) return layer.weights + int64_t{o} * layer.n_in + k;
    return mlp.has_bias && k == layer.n_in ? layer.biases + o : -1;
}

class MlpTile {
  public:
    __device__ MlpTile(const Mlp& mlp, const MlpLayout& layout, float* shared)
        : mlp_(mlp), layout_(layout), shared_(shared), thread_(static_cast<int>(threadIdx.x)) {}

    __device__ float* values(int l) const { return shared_ + layout_.values[l]; }

    // All weights, and sums of zero.
    __device__ void begin(const float* parameters, bool with_sums) const {
        for (int l = 0; l < mlp_.n_layers; ++l) {
            const int n_in = MlpLayout::n_in(mlp_, l), size = n_in * MlpLayout::n_out(mlp_, l);
            for (int at = thread_; at < size; at += kMlpThreads) {
                const int64_t from = parameter_of(mlp_, l, at / n_in, at % n_in);
                shared_[layout_.weights[l] + at] = from < 0 ? 0.0f : parameters[from];
                if (with_sums) shared_[layout_.sums[l] + at] = 0.0f;
            }
        }
    }

    // The inputs of the points from `first` on; none behind the last one.
    __device__ void load(const MlpCall& call, int64_t first) const {
        const int n_inputs = mlp_.n_inputs, n_rows = layout_.n_rows[0];
        float* const to = values(0);
        for (int at = thread_; at < kMlpPoints * n_rows; at += kMlpThreads) {
            const int point = at / n_rows, k = at % n_rows;
            float value = mlp_.has_bias && k == n_inputs ? 1.0f : 0.0f;
            if (k < n_inputs && first + point < call.n_points)
                value = call.x[(first + point) * n_inputs + k];
            to[k * kMlpStride + point] = value;
        }
    }

    // What all layers put out.
    __device__ void forward() const {
        for (int l = 0; l < mlp_.n_layers; ++l) {
            __syncthreads();
            put_out(l);
        }
        __syncthreads();
    }

    // From the slopes of what is put out, in its place: adds to the sums, and leaves the slopes of the
    // inputs in their place if they are wanted.
    __device__ void backward(bool wants_inputs) const {
        for (int l = mlp_.n_layers - 1; l >= 0; --l) {
            __syncthreads();
            add_products(l);
            if (l == 0 && !wants_inputs) return;
            __syncthreads();
            pass_back(l);
        }
        __syncthreads();
    }

  private:
    __device__ void put_out(int l) const {
        const int n_out = mlp_.layers[l].n_out, n_in = MlpLayout::n_in(mlp_, l);
        const bool is_last = l == mlp_.n_layers - 1;
        const int n_items = layout_.n_rows[l + 1] / 4 * kPointQuads;
        for (int item = thread_; item < n_items; item += kMlpThreads) {
            const int o = item / kPointQuads * 4, p = item % kPointQuads * 4;
            float4 sums[4] = {};
            if (o < n_out) {
                const float* weights = shared_ + layout_.weights[l] + o * n_in;
                const float* in = values(l) + p;
                for (int k = 0; k < n_in; k += 4, in += 4 * kMlpStride) {
                    const float4 v[4] = {load4(in), load4(in + kMlpStride),
                                         load4(in + 2 * kMlpStride), load4(in + 3 * kMlpStride)};
                    for (int r = 0; r < 4; ++r)
                        add_weighted(sums[r], load4(weights + r * n_in + k), v);
                }
            }
            float* const out = values(l + 1) + o * kMlpStride + p;
            for (int r = 0; r < 4; ++r) {
                float4 value = is_last ? sums[r] : positive(sums[r]);
                if (o + r >= n_out) {
                    const float other = mlp_.has_bias && o + r == n_out ? 1.0f : 0.0f;
                    value = make_float4(other, other, other, other);
                }
                store4(out + r * kMlpStride, value);
            }
        }
    }

    // The slopes of the inputs of layer l, where the inputs were.
    __device__ void pass_back(int l) const {
        const int n_out = mlp_.layers[l].n_out, n_in = MlpLayout::n_in(mlp_, l);
        const int n_items = n_in / 4 * kPointQuads;
        for (int item = thread_; item < n_items; item += kMlpThreads) {
            const int k = item / kPointQuads * 4, p = item % kPointQuads * 4;
            const float* slopes = values(l + 1) + p;
            const float* weights = shared_ + layout_.weights[l] + k;
            float4 sums[4] = {};
            for (int o = 0; o < n_out; ++o, slopes += kMlpStride, weights += n_in) {
                const float4 slope = load4(slopes), w = load4(weights);
                add_scaled(sums[0], w.x, slope);
                add_scaled(sums[1], w.y, slope);
                add_scaled(sums[2], w.z, slope);
                add_scaled(sums[3], w.w, slope);
            }
            float* const at = values(l) + k * kMlpStride + p;
            for (int r = 0; r < 4; ++r) {
                float* const row = at + r * kMlpStride;
                store4(row, l > 0 ? where_positive(sums[r], load4(row)) : sums[r]);
            }
        }
    }

    // Adds the products of the slopes of layer l's outputs and of its inputs, over the points. Threads
    // side by side share 4 x 4 weights, each with every so many of the points.
    __device__ void add_products(int l) const {
        const int n_o = MlpLayout::n_out(mlp_, l) / 4, n_k = MlpLayout::n_in(mlp_, l) / 4;
        const int n_items = n_o * n_k;
        int n_groups = 1;
        while (n_groups < 32 && 2 * n_groups * n_items <= kMlpThreads) n_groups *= 2;
        const int group = thread_ % n_groups, step = kMlpThreads / n_groups;
        for (int first = 0; first < n_items; first += step) {
            const int item = first + thread_ / n_groups;
            const bool is_there = item < n_items;
            const int o = is_there ? item / n_k : 0, k = is_there ? item % n_k : 0;
            float sums[4][4] = {};
            for (int quad = group; quad < kPointQuads; quad += n_groups) {
                const float* slopes = values(l + 1) + o * kMlpStride + 4 * quad;
                const float* inputs = values(l) + k * kMlpStride + 4 * quad;
                float4 in[4];
                for (int j = 0; j < 4; ++j) in[j] = load4(inputs + j * n_k * kMlpStride);
                for (int i = 0; i < 4; ++i) {
                    const float4 slope = load4(slopes + i * n_o * kMlpStride);
                    for (int j = 0; j < 4; ++j) sums[i][j] = dot4(slope, in[j], sums[i][j]);
                }
            }
            float* const to = shared_ + layout_.sums[l] + o * 4 * n_k + k;
            for (int i = 0; i < 4; ++i) {
                for (int j = 0; j < 4; ++j) {
                    float sum = sums[i][j];
                    for (int other = 1; other < n_groups; other *= 2)
                        sum += __shfl_xor_sync(~0u, sum, other);
                    if (is_there && group == 0) to[(i * n_o * 4 + j) * n_k] += sum;
                }
            }
        }
    }

    const Mlp& mlp_;
    const MlpLayout& layout_;
    float* const shared_;
    const int thread_;
};

}  // namespace
}  // namespace inrcodec
