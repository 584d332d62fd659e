// The context model and the features, for the kernels of the latent op alone.
#pragma once

#include "latent_waves.h"
#include "whole_longs.h"

namespace inrcodec {
namespace {

constexpr double kWeightUnit = 0x1p-14;
constexpr double kResidual = 0x1p14;
constexpr double kLargestContext = 0x1p21;
constexpr Rounded kMix = {kWeightUnit, 0.0, kLargestContext};
constexpr Rounded kFeature = {kWeightUnit, -kLargestContext, kLargestContext};
constexpr Rounded kMean = {0x1p-16, -0x1p20, 0x1p20};
constexpr Rounded kScale = {0x1p-20, 0.0, kLaplaceScales - 1};

// The layers of the context model, in the order of the weights.
struct Context {
    Layer mix[2], head;

    Context(const LatentModel& model, const double* weights) {
        const int n = model.n_neighbours + model.n_features;
        for (int i = 0; i < 2; ++i) mix[i] = {weights + i * n * n, weights + (2 * n + i) * n, n, n};
        head = {weights + (2 * n + 2) * n, weights + (2 * n + 6) * n, 2, 2 * n};
    }
};

inline Layer feature_layer(const LatentModel& model, const LatentGrid& grid,
                           const double* weights) {
    return {weights + grid.feature_weights, weights + grid.feature_biases, model.n_features,
            grid.n_inputs};
}

// A layer becomes packed where its weights lie, with `matrix` in place of its own.
inline void pack_layer(const Layer& layer, const double* matrix, const double* weights,
                       double* packed) {
    pack_rows(matrix, layer.n_out, layer.n_in, packed + (layer.weights - weights));
    pack_biases(layer.biases, layer.n_out, packed + (layer.biases - weights));
}

void pack(const LatentModel& model, const double* weights, double* packed) {
    const Context context(model, weights);
    const int n = context.mix[0].n_in;
    double joined[kMaxContext * kMaxContext];
    for (const Layer& layer : context.mix) {
        for (int i = 0; i < n * n; ++i)
            joined[i] = layer.weights[i] + (i % (n + 1) == 0 ? kResidual : 0.0);
        pack_layer(layer, joined, weights, packed);
    }
    for (int r = 0; r < 2; ++r) {  // of the hidden layer, then directly of the context
        for (int i = 0; i < n; ++i) {
            joined[2 * n * r + i] = context.head.weights[n * r + i];
            joined[2 * n * r + n + i] = context.head.weights[n * (2 + r) + i];
        }
    }
    pack_layer(context.head, joined, weights, packed);
    for (int g = 0; g < model.n_grids; ++g) {
        if (model.grids[g].n_inputs == 0) continue;
        const Layer layer = feature_layer(model, model.grids[g], weights);
        pack_layer(layer, layer.weights, weights, packed);
    }
}

// --- features ------------------------------------------------------------------------------------

inline int64_t half_of(int64_t length) {
    return (length + 1) / 2;
}

// Doubles between the rows of two inputs.
inline int64_t input_room(const LatentGrid& grid) {
    return half_of(grid.width) + kTile;
}

int64_t features_scratch(const LatentGrid& grid) {
    return grid.n_inputs * input_room(grid);
}

// A row of squares of a coarser grid, each value as often as it has squares.
inline void spread(const int32_t* values, int shift, int64_t n, double* out) {
    for (int64_t i = 0; i < n; ++i) out[i] = values[i >> shift] * kContextUnit;
}

void find_features(const LatentModel& model, const LatentGrid& grid, const double* packed,
                   const int32_t* values, float* features, double* scratch) {
    const Layer layer = feature_layer(model, grid, packed);
    const int64_t height = half_of(grid.height), width = half_of(grid.width);
    const int64_t room = input_room(grid);
    for (int64_t i = 0; i < features_scratch(grid); ++i) scratch[i] = 0.0;
    for (int64_t y = 0; y < height; ++y) {
        for (int g = 0; g < grid.n_inputs; ++g) {
            const LatentGrid& coarse = model.grids[g];
            const int shift = coarse.level - grid.level - 1;
            if (y & ((int64_t{1} << shift) - 1)) continue;  // as in the row above
            spread(values + coarse.first + (y >> shift) * coarse.width, shift, width,
                   scratch + g * room);
        }
        for (int64_t x = 0; x < width; x += kTile) {
            const double* in[kMaxLatentGrids];
            alignas(kWholeAlignment) double tile[kMaxLatentFeatures * kTile];
            for (int g = 0; g < grid.n_inputs; ++g) in[g] = scratch + g * room + x;
            multiply(layer, in, kTileVectors, kFeature, tile, kTile);
            const int n = static_cast<int>(width - x < kTile ? width - x : kTile);
            float* out = features + (y * width + x) * kMaxLatentFeatures;
            for (int i = 0; i < n; ++i)
                for (int k = 0; k < layer.n_out; ++k)
                    out[i * kMaxLatentFeatures + k] = static_cast<float>(tile[k * kTile + i]);
        }
    }
}

// The features of the values of a wave: [n_features, room]. `places` is for as many integers.
inline void take_features(const LatentModel& model, const LatentGrid& grid, const Wave& wave,
                          const float* features, int64_t room, uint64_t* places, double* out) {
    const int64_t width = half_of(grid.width), slope = model.slope;
    const int64_t column = wave.number - slope * wave.first;
    for (int64_t i = 0; i < wave.count; ++i) {
        const int64_t y = (wave.first + i) >> 1, x = (column - slope * i) >> 1;
        places[i] = static_cast<uint64_t>((y * width + x) * kMaxLatentFeatures);
    }
    for (int64_t i = wave.count; i < wave.count + kLanes; ++i) places[i] = 0;
    for (int64_t i = 0; i < wave.count; i += kLanes) {
        const Doubles bits = load(reinterpret_cast<const double*>(places + i));
        for (int k = 0; k < model.n_features; ++k)
            store(out + k * room + i,
                  gather(features + k, reinterpret_cast<const Unsigned&>(bits)));
    }
}

// --- mean and scale ------------------------------------------------------------------------------

// The indices of mean and scale [2, kTile] of some values, given the runs of their contexts.
inline void find_parameters(const Context& context, const double* const* contexts, int n_vectors,
                            double* parameters) {
    alignas(kWholeAlignment) double first[kMaxContext * kTile], second[kMaxContext * kTile];
    const double *between[kMaxContext], *last[2 * kMaxContext];
    const int n = context.mix[0].n_in;
    for (int i = 0; i < n; ++i) {
        between[i] = first + i * kTile;
        last[i] = second + i * kTile;
        last[n + i] = contexts[i];
    }
    multiply(context.mix[0], contexts, n_vectors, kMix, first, kTile);
    multiply(context.mix[1], between, n_vectors, kMix, second, kTile);
    multiply(context.head, last, n_vectors, Plain{}, parameters, kTile);
    for (int i = 0; i < n_vectors * kLanes; i += kLanes) {
        store(parameters + i, kMean(load(parameters + i)));
        store(parameters + kTile + i, kScale(load(parameters + kTile + i)));
    }
}

}  // namespace
}  // namespace inrcodec
