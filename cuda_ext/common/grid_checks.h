// From arrays and numbers of unknown origin to a Grid and a GridCall that the kernels can trust.
// The Python bindings and the sanitizer driver both come through here.
#pragma once

#include <cmath>
#include <initializer_list>

#include "array_checks.h"
#include "grid.h"

namespace inrcodec {

constexpr char kGridOp[] = "grid_encode";

// What a caller says of a grid: scales and resolutions have a number per axis of each level.
struct GridShape {
    std::string interpolation;
    std::vector<float> scales;
    std::vector<int64_t> resolutions;
    std::vector<int64_t> sizes;
};

template <typename Number>
inline void check_within(const char* what, Number value, Number low, Number high) {
    if (value >= low && value <= high) return;
    refuse(kGridOp,
           what + (" must be in [" + std::to_string(low)) + ", " + std::to_string(high) + "]",
           std::to_string(value));
}

inline void set_interpolation(Grid& grid, const std::string& name) {
    const double n = grid.n_dims;
    grid.corners = Corners::kSimplex;
    if (name == "linear") grid.corners = Corners::kCube;
    if (name == "smoothstep") grid.corners = Corners::kSmoothCube;
    if (name == "nearest") grid.corners = Corners::kVertex;
    if (name == "simplex") grid.skew = static_cast<float>((std::sqrt(n + 1.0) - 1.0) / n);
    if (grid.corners != Corners::kSimplex || name == "kuhn" || name == "simplex") return;
    refuse(kGridOp, "interpolation must be one of linear, smoothstep, nearest, kuhn, simplex",
           name);
}

// A dense row that a point can reach is wrapped by one subtraction. Positions are rounded to
// float32 three times at most, which the factor covers.
inline void check_last_row(const Grid& grid, const GridLevel& level) {
    double shift = 0.0;
    for (int d = 0; d < grid.n_dims; ++d) shift += double{grid.skew} * (level.scale[d] + 0.5);
    double last_row = 0.0;
    for (int d = 0; d < grid.n_dims; ++d) {
        const double position = (level.scale[d] + 0.5 + shift) * (1.0 + 0x1p-21);
        last_row += (std::floor(position) + 1.0) * level.stride[d];
    }
    if (last_row < 2.0 * level.size) return;
    refuse(kGridOp, "the rows of a dense level must be below twice its size",
           std::to_string(last_row));
}

inline GridLevel check_level(const Grid& grid, const float* scales, const int64_t* resolutions,
                             int64_t size) {
    check_within<int64_t>("a size", size, 1, kMaxLevelSize);
    GridLevel level{};
    level.size = static_cast<uint32_t>(size);
    uint64_t n_vertices = 1;  // or any number above `size`: the level is hashed then
    for (int d = 0; d < grid.n_dims; ++d) {
        check_within("a scale", scales[d], 0.0f, kMaxScale);
        check_within<int64_t>("a resolution", resolutions[d], 1, kMaxResolution);
        level.scale[d] = scales[d];
        if (level.hashed) continue;
        level.stride[d] = static_cast<uint32_t>(n_vertices);
        n_vertices *= static_cast<uint64_t>(resolutions[d]);
        level.hashed = n_vertices > level.size;
    }
    if (!level.hashed) {
        check_last_row(grid, level);
        return level;
    }
    if ((size & (size - 1)) != 0) {
        refuse(kGridOp, "the size of a hashed level must be a power of two", std::to_string(size));
    }
    constexpr uint32_t factors[kMaxDims] = {1u, 2654435761u, 805459861u, 3674653429u};
    for (int d = 0; d < kMaxDims; ++d) level.stride[d] = factors[d];
    return level;
}

inline Grid check_grid(int64_t n_dims, int64_t n_features, const GridShape& shape) {
    check_within<int64_t>("dims", n_dims, 1, kMaxDims);
    if (n_features != 1 && n_features != 2 && n_features != 4 && n_features != 8) {
        refuse(kGridOp, "features must be 1, 2, 4 or 8", std::to_string(n_features));
    }
    const size_t n_levels = shape.sizes.size(), n_axes = n_levels * static_cast<size_t>(n_dims);
    check_within<int64_t>("levels", static_cast<int64_t>(n_levels), 1, kMaxLevels);
    if (shape.scales.size() != n_axes || shape.resolutions.size() != n_axes) {
        refuse(kGridOp, "scales and resolutions must be " + std::to_string(n_axes),
               std::to_string(shape.scales.size()) + " and " +
                   std::to_string(shape.resolutions.size()));
    }
    Grid grid{};
    grid.n_dims = static_cast<int>(n_dims);
    grid.n_features = static_cast<int>(n_features);
    grid.n_levels = static_cast<int>(n_levels);
    set_interpolation(grid, shape.interpolation);
    for (int l = 0; l < grid.n_levels; ++l) {
        const size_t first = static_cast<size_t>(l) * grid.n_dims;
        grid.levels[l] = check_level(grid, shape.scales.data() + first,
                                     shape.resolutions.data() + first, shape.sizes[l]);
        grid.levels[l].offset = grid.n_entries;
        grid.n_entries += grid.levels[l].size;  // 2^5 levels of 2^24: below 2^32
    }
    return grid;
}

// What numbers of tables and features may be where they are.
inline Type type_of_values(const Array& values) {
    const bool is_short = values.type == Type::kFloat16 || values.type == Type::kBfloat16;
    return is_short && values.device >= 0 ? values.type : Type::kFloat32;
}

inline GridValues values_of(Type type) {
    if (type == Type::kFloat16) return GridValues::kFloat16;
    return type == Type::kBfloat16 ? GridValues::kBfloat16 : GridValues::kFloat32;
}

// A GPU reads and writes up to 16 bytes of a row at once.
inline void check_rows(const Array& rows) {
    if (rows.device >= 0) check_alignment(kGridOp, rows, 16);
}

// The grid of a call, from the shapes of its `coords` and `table`, which are checked against it.
inline Grid check_inputs(const Array& coords, const Array& table, const GridShape& shape,
                         Type type = Type::kFloat32) {
    for (const Array* array : {&coords, &table}) {
        if (array->shape.size() == 2) continue;
        refuse(kGridOp, std::string(array->name) + " must have 2 axes", text_of(array->shape));
    }
    const Grid grid = check_grid(coords.shape[1], table.shape[1], shape);
    check_array(kGridOp, coords, {coords.shape[0], grid.n_dims}, coords.device);
    check_array(kGridOp, table, {grid.n_entries, grid.n_features}, coords.device, type);
    check_rows(table);
    return grid;
}

// For `out` and `gradient`: [n_points, n_levels * n_features].
inline void check_features(const Grid& grid, const Array& features, const Array& coords,
                           Type type = Type::kFloat32) {
    check_array(kGridOp, features, {coords.shape[0], grid.n_levels * grid.n_features},
                coords.device, type);
    check_rows(features);
}

}  // namespace inrcodec
