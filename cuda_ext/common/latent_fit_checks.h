// From arrays and numbers of unknown origin to a FitShape that the kernels can trust.
#pragma once

#include <algorithm>
#include <cmath>

#include "array_checks.h"
#include "latent_fit.h"

namespace inrcodec {

constexpr char kFitOp[] = "latent_fit";
constexpr int64_t kMaxFitValues = int64_t{1} << 40;
constexpr int64_t kMaxFitSide = int64_t{1} << 30;

inline int check_fit_number(const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) {
        refuse(kFitOp,
               name + (" must be in [" + std::to_string(low)) + ", " + std::to_string(high) + "]",
               std::to_string(value));
    }
    return static_cast<int>(value);
}

// The size of a grid from its next finer one: the same, or half of it, rounded up.
inline bool is_coarser(const FitGrid& grid, const FitGrid& finer) {
    const bool same = grid.height == finer.height && grid.width == finer.width;
    const bool half = grid.height == (finer.height + 1) / 2 && grid.width == (finer.width + 1) / 2;
    return same || half;
}

// `numbers`: height, width, whether it is of hyperlatents, and inputs of features, of each grid.
inline void check_fit_grids(FitShape& shape, const std::vector<int64_t>& numbers) {
    const size_t n_grids = numbers.size() / 4;
    if (numbers.size() % 4 != 0 || n_grids < 1 || n_grids > kMaxFitGrids)
        refuse(kFitOp, "grids must be 4 numbers of 1 to 32 grids", std::to_string(numbers.size()));
    for (size_t i = 0; i < n_grids; ++i) {
        const int64_t* at = numbers.data() + 4 * i;
        FitGrid& grid = shape.grids[i];
        grid.height = check_fit_number("height", at[0], 1, kMaxFitSide);
        grid.width = check_fit_number("width", at[1], 1, kMaxFitSide);
        grid.is_hyper = check_fit_number("is_hyper", at[2], 0, 1) != 0;
        grid.n_inputs = static_cast<int>(at[3]);
        if (at[3] != 0 && at[3] != static_cast<int64_t>(i))
            refuse(kFitOp, "features must see all grids before or none", std::to_string(at[3]));
        grid.offset = shape.n_latents;
        shape.n_latents += at[0] * at[1];
        if (shape.n_latents > kMaxFitValues)
            refuse(kFitOp, "latents must be fewer", std::to_string(shape.n_latents));
        if (i > 0 && !is_coarser(shape.grids[i - 1], grid))
            refuse(kFitOp, "a grid must be as large as the one before it, or twice", "neither");
        shape.n_levels += !grid.is_hyper;
    }
    shape.n_grids = static_cast<int>(n_grids);
    if (shape.finest().is_hyper) refuse(kFitOp, "the last grid must be of latents", "hyperlatents");
}

// `numbers`: rows and columns to each neighbour.
inline void check_fit_neighbours(FitShape& shape, const std::vector<int64_t>& numbers) {
    if (numbers.size() % 2 != 0 || numbers.empty() || numbers.size() > 2 * kMaxFitNeighbours)
        refuse(kFitOp, "neighbours must be 1 to 32 pairs", std::to_string(numbers.size()));
    shape.n_neighbours = static_cast<int>(numbers.size() / 2);
    for (int i = 0; i < shape.n_neighbours; ++i) {
        const int64_t row = numbers[2 * i], column = numbers[2 * i + 1];
        shape.rows[i] = check_fit_number("row", row, -kNeighbourRows, 0);
        shape.columns[i] =
            check_fit_number("column", column, -kNeighbourColumns, kNeighbourColumns);
        if (row == 0 && column >= 0)
            refuse(kFitOp, "neighbours must come before", text_of({row, column}));
    }
}

// `widths`: features, hidden values of the synthesis, layers of its tail, channels.
inline FitShape check_fit_shape(const std::vector<int64_t>& grids,
                                const std::vector<int64_t>& neighbours,
                                const std::vector<int64_t>& widths) {
    FitShape shape{};
    check_fit_grids(shape, grids);
    check_fit_neighbours(shape, neighbours);
    if (widths.size() != 4)
        refuse(kFitOp, "widths must be 4 numbers", std::to_string(widths.size()));
    shape.n_features = check_fit_number("features", widths[0], 1, kMaxFitNeighbours);
    shape.n_hidden = check_fit_number("hidden", widths[1], 1, kMaxFitHidden);
    shape.n_tails = check_fit_number("tail layers", widths[2], 1, kMaxTails);
    shape.n_channels = check_fit_number("channels", widths[3], 1, kMaxFitChannels);
    const int64_t n = shape.n_context(), levels = shape.n_levels, c = shape.n_channels;
    shape.n_cost_parameters = 2 * n * n + 2 * n + 4 * n + 2;
    for (int i = 0; i < shape.n_grids; ++i) {
        const int n_inputs = shape.grids[i].n_inputs;
        if (n_inputs) shape.n_cost_parameters += shape.n_features * (n_inputs + 1);
    }
    shape.n_pixel_parameters = 8 * (levels - 1) + shape.n_hidden * (levels + 1 + c) + c * levels +
                               9 * shape.n_tails * c * c + c * (1 + shape.n_tails);
    return shape;
}

// A call without its arrays, by the temperature of soft rounding.
inline SoftCall check_soft(double gain, double noise_scale, double temperature) {
    if (!(temperature >= 1e-3 && temperature <= 1e3))
        refuse(kFitOp, "temperature must be in [0.001, 1000]", std::to_string(temperature));
    SoftCall call;
    call.gain = static_cast<float>(gain);
    call.noise_scale = static_cast<float>(noise_scale);
    call.steepness = static_cast<float>(1.0 / temperature);
    call.height = static_cast<float>(0.5 / std::tanh(0.5 / temperature));
    return call;
}

}  // namespace inrcodec
