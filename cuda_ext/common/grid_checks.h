// From arrays and numbers of unknown origin to a Grid and a GridCall that the kernels can trust.
// The Python bindings and the sanitizer driver both come through here.
#pragma once

#include <cmath>
#include <initializer_list>

#include "array_checks.h"
#include "grid.h"

namespace inrcodec {

constexpr char kGridOp[] = "grid_encode";

inline GridLevel check_level(int n_dims, float scale, int64_t size) {
    if (!(scale >= 0.0f && scale <= kMaxScale)) {
        refuse(kGridOp, "a scale must be in [0, " + std::to_string(kMaxScale) + "]",
               std::to_string(scale));
    }
    if (size < 1 || size > int64_t{kMaxLevelSize}) {
        refuse(kGridOp, "a size must be in [1, " + std::to_string(kMaxLevelSize) + "]",
               std::to_string(size));
    }
    GridLevel level{};
    level.scale = scale;
    level.size = static_cast<uint32_t>(size);
    const uint64_t resolution = static_cast<uint64_t>(std::ceil(scale)) + 1;
    uint64_t n_vertices = 1;  // or any number above `size`: the level is hashed then
    for (int d = 0; d < n_dims; ++d) {
        level.stride[d] = static_cast<uint32_t>(n_vertices);
        n_vertices *= resolution;
        level.hashed = n_vertices > level.size;
        if (level.hashed) break;
    }
    if (!level.hashed) return level;
    if ((size & (size - 1)) != 0) {
        refuse(kGridOp, "the size of a hashed level must be a power of two", std::to_string(size));
    }
    constexpr uint32_t factors[kMaxDims] = {1u, 2654435761u, 805459861u, 3674653429u};
    for (int d = 0; d < kMaxDims; ++d) level.stride[d] = factors[d];
    return level;
}

inline Grid check_grid(int64_t n_dims, int64_t n_features, const std::vector<float>& scales,
                       const std::vector<int64_t>& sizes) {
    if (n_dims < 1 || n_dims > kMaxDims)
        refuse(kGridOp, "dims must be in [1, 4]", std::to_string(n_dims));
    if (n_features != 1 && n_features != 2 && n_features != 4 && n_features != 8) {
        refuse(kGridOp, "features must be 1, 2, 4 or 8", std::to_string(n_features));
    }
    if (scales.empty() || scales.size() > kMaxLevels || scales.size() != sizes.size()) {
        refuse(kGridOp, "scales and sizes must both have 1 to 32 levels",
               std::to_string(scales.size()) + " and " + std::to_string(sizes.size()));
    }
    Grid grid{};
    grid.n_dims = static_cast<int>(n_dims);
    grid.n_features = static_cast<int>(n_features);
    grid.n_levels = static_cast<int>(scales.size());
    for (int l = 0; l < grid.n_levels; ++l) {
        grid.levels[l] = check_level(grid.n_dims, scales[l], sizes[l]);
        grid.levels[l].offset = grid.n_entries;
        grid.n_entries += grid.levels[l].size;  // 2^5 levels of 2^24: below 2^32
    }
    return grid;
}

// The grid of a call, from the shapes of its `coords` and `table`, which are checked against it.
inline Grid check_inputs(const Array& coords, const Array& table, const std::vector<float>& scales,
                         const std::vector<int64_t>& sizes) {
    for (const Array* array : {&coords, &table}) {
        if (array->shape.size() == 2) continue;
        refuse(kGridOp, std::string(array->name) + " must have 2 axes", text_of(array->shape));
    }
    const Grid grid = check_grid(coords.shape[1], table.shape[1], scales, sizes);
    check_array(kGridOp, coords, {coords.shape[0], grid.n_dims}, coords.device);
    check_array(kGridOp, table, {grid.n_entries, grid.n_features}, coords.device);
    return grid;
}

// For `out` and `gradient`: [n_points, n_levels * n_features].
inline void check_features(const Grid& grid, const Array& features, const Array& coords) {
    check_array(kGridOp, features, {coords.shape[0], grid.n_levels * grid.n_features},
                coords.device);
}

}  // namespace inrcodec
