// From arrays and numbers of unknown origin to a LatentModel and a LatentCall that the kernels can
// trust. The Python bindings and the sanitizer driver both come through here.
#pragma once

#include <cmath>

#include "array_checks.h"
#include "latent.h"

namespace inrcodec {

constexpr char kLatentOp[] = "latent";

// What Python tells of a model: of all grids in the order of coding, `levels`, `inputs` of features
// and `largest` values; rows and columns of the neighbours, alternating.
struct LatentShape {
    int64_t height, width;
    std::vector<int64_t> levels, inputs, largest, neighbours;
    int64_t n_features, slope;
};

inline void check_within(const char* op, const char* name, int64_t value, int64_t low,
                         int64_t high) {
    if (value < low || value > high) {
        refuse(op,
               std::string(name) + " must be in [" + std::to_string(low) + ", " +
                   std::to_string(high) + "]",
               std::to_string(value));
    }
}

// Whole numbers of at most `largest` in size.
inline void check_whole(const char* op, const Array& array, double largest) {
    const double* values = static_cast<const double*>(array.data);
    for (int64_t i = 0; i < array.shape[0]; ++i) {
        if (!(std::fabs(values[i]) <= largest) || values[i] != std::floor(values[i])) {
            refuse(op, std::string(array.name) + " must be whole numbers within their range",
                   std::to_string(values[i]));
        }
    }
}

// Rows or columns at a level.
inline int64_t divided(int64_t length, int level) {
    return (length + (int64_t{1} << level) - 1) >> level;
}

inline void check_neighbours(const LatentShape& shape, LatentModel& model) {
    const size_t n = shape.neighbours.size() / 2;
    check_within(kLatentOp, "neighbours", static_cast<int64_t>(n), 1, kMaxNeighbours);
    check_within(kLatentOp, "slope", shape.slope, 1, kMaxSlope);
    model.n_neighbours = static_cast<int>(n);
    model.slope = static_cast<int>(shape.slope);
    for (size_t i = 0; i < n; ++i) {
        const int64_t row = shape.neighbours[2 * i], column = shape.neighbours[2 * i + 1];
        check_within(kLatentOp, "a neighbour's row", row, -kMaxReach, 0);
        check_within(kLatentOp, "a neighbour's column", column, -kMaxReach, kMaxReach);
        if (column + shape.slope * row >= 0)
            refuse(kLatentOp, "neighbours must be in earlier waves", text_of({row, column}));
        model.rows[i] = static_cast<int>(row);
        model.columns[i] = static_cast<int>(column);
    }
}

inline void check_grid_inputs(const LatentModel& model, int number) {
    const LatentGrid& grid = model.grids[number];
    check_within(kLatentOp, "inputs of features", grid.n_inputs, 0,
                 model.n_features > 0 ? number : 0);
    for (int g = 0; g < grid.n_inputs; ++g)
        check_within(kLatentOp, "the level of an input", model.grids[g].level, grid.level + 1,
                     kMaxLatentLevels - 1);
}

// Where the weights of the features begin: after the layers of the context model, all matrices first.
inline void place_feature_weights(LatentModel& model) {
    const int64_t n = model.n_neighbours + model.n_features;
    int64_t at = 2 * n * n + 6 * n + 2;
    for (int g = 0; g < model.n_grids; ++g) {
        LatentGrid& grid = model.grids[g];
        grid.feature_weights = at;
        if (grid.n_inputs > 0) at += int64_t{grid.n_inputs} * model.n_features;
    }
    for (int g = 0; g < model.n_grids; ++g) {
        model.grids[g].feature_biases = at;
        if (model.grids[g].n_inputs > 0) at += model.n_features;
    }
    model.n_weights = at;
}

inline LatentModel check_latent_model(const LatentShape& shape) {
    const size_t n_grids = shape.levels.size();
    check_within(kLatentOp, "grids", static_cast<int64_t>(n_grids), 1, kMaxLatentGrids);
    if (shape.inputs.size() != n_grids || shape.largest.size() != n_grids)
        refuse(kLatentOp, "inputs and largest must be as many as levels", text_of(shape.inputs));
    check_within(kLatentOp, "height", shape.height, 1, UINT32_MAX);
    check_within(kLatentOp, "width", shape.width, 1, UINT32_MAX);
    if (shape.height > (int64_t{1} << 40) / shape.width)
        refuse(kLatentOp, "places must be at most 2^40", text_of({shape.height, shape.width}));
    check_within(kLatentOp, "features", shape.n_features, 0, kMaxLatentFeatures);
    LatentModel model{};
    model.n_features = static_cast<int>(shape.n_features);
    check_neighbours(shape, model);
    for (size_t g = 0; g < n_grids; ++g) {
        LatentGrid& grid = model.grids[model.n_grids];
        check_within(kLatentOp, "a level", shape.levels[g], 0, kMaxLatentLevels - 1);
        check_within(kLatentOp, "a largest value", shape.largest[g], 0, kLargestLatent);
        check_within(kLatentOp, "inputs of features", shape.inputs[g], 0, kMaxLatentGrids);
        grid.level = static_cast<int>(shape.levels[g]);
        grid.largest = static_cast<int>(shape.largest[g]);
        grid.n_inputs = static_cast<int>(shape.inputs[g]);
        check_grid_inputs(model, model.n_grids++);
        grid.height = divided(shape.height, grid.level);
        grid.width = divided(shape.width, grid.level);
        grid.first = model.n_values;
        model.n_values += grid.height * grid.width;
    }
    place_feature_weights(model);
    return model;
}

// Every weight of a stream is smaller: 16 in 14 fractional bits, a bias 256 in 24.
inline void check_latent_weights(const LatentModel& model, const Array& weights) {
    check_array(kLatentOp, weights, {model.n_weights}, -1, Type::kFloat64);
    check_whole(kLatentOp, weights, 0x1p32);
    const double* values = static_cast<const double*>(weights.data);
    const auto check_matrix = [&](int64_t first, int64_t last) {
        Array part = weights;
        part.data = const_cast<double*>(values + first);
        part.shape = {last - first};
        check_whole(kLatentOp, part, 0x1p18);
    };
    const int64_t n = model.n_neighbours + model.n_features;
    check_matrix(0, 2 * n * n);
    check_matrix(2 * n * n + 2 * n, 2 * n * n + 6 * n);
    check_matrix(model.grids[0].feature_weights, model.grids[0].feature_biases);
}

// The tables that docs/format.md states pass; others that would break the search do not.
inline void check_laplace_tables(const Array& decays, const Array& powers) {
    check_array(kLatentOp, decays, {kLaplaceScales}, -1, Type::kInt64);
    check_array(kLatentOp, powers, {kLaplacePowers}, -1, Type::kInt64);
    const int64_t* decay = static_cast<const int64_t*>(decays.data);
    for (int s = 0; s < kLaplaceScales; ++s)
        check_within(kLatentOp, "a decay", decay[s], 0, INT32_MAX);
    const int64_t* power = static_cast<const int64_t*>(powers.data);
    check_within(kLatentOp, "the first power", power[0], int64_t{1} << 31, int64_t{1} << 31);
    for (int i = 1; i < kLaplacePowers; ++i)
        check_within(kLatentOp, "a power", power[i], int64_t{1} << 30, power[i - 1]);
    check_within(kLatentOp, "the last power", power[kLaplacePowers - 1], 0, int64_t{1} << 30);
}

inline void check_words(const Array& words) {
    if (words.shape.size() != 1) refuse(kLatentOp, "words must have 1 axis", text_of(words.shape));
    check_array(kLatentOp, words, words.shape, -1, Type::kUint32);
}

}  // namespace inrcodec
