// A multiresolution grid and one call on it, as plain numbers for CPU and GPU. No STL: kernels that
// are compiled once per instruction set include this page.
//
// A grid is given by its interpolation and, per level, a scale and a number of vertices for each axis
// and a table size (inrcodec/kernels/geometry.py says why). With n = the product of the vertices:
//   dense  if n <= size:         row = (sum_d v_d * product of the vertices of axes < d) mod size
//   hashed otherwise, size 2^k:  row = (xor_d v_d * factor_d) mod size, in 32 bits
// The rows of a level follow those of the level before.
#pragma once

#include <cstdint>

namespace inrcodec {

constexpr int kMaxDims = 4;
constexpr int kMaxLevels = 32;
constexpr int kMaxFeatures = 8;
constexpr uint32_t kMaxLevelSize = 1u << 24;
constexpr float kMaxScale = 4194303.0f;  // 2^22 - 1: vertices and halves are exact in float32
constexpr uint32_t kMaxResolution = 1u << 24;

// Between the 2^dims corners of a cell, as they are or with places in the cell smoothed, its lowest
// corner alone, or the dims + 1 corners of the simplex within it. The order is that of tables of
// kernels.
enum class Corners { kCube, kSmoothCube, kVertex, kSimplex };
constexpr int kCornersKinds = 4;

struct GridLevel {
    float scale[kMaxDims];
    uint32_t size;
    uint32_t offset;            // its first row in the table
    uint32_t stride[kMaxDims];  // products of the resolutions, or the factors of the hash
    bool hashed;
};

struct Grid {
    int n_dims;
    int n_features;
    int n_levels;
    uint32_t n_entries;
    Corners corners;
    float skew;  // positions are p + skew * sum(p); 0: p
    GridLevel levels[kMaxLevels];

    // Rows of a level that a point needs.
    int n_corners() const {
        if (corners == Corners::kVertex) return 1;
        return corners == Corners::kSimplex ? n_dims + 1 : 1 << n_dims;
    }
};

// What numbers of tables and features are; all but float32 on a GPU alone.
enum class GridValues { kFloat32, kFloat16, kBfloat16 };

// Arrays of a call, float32, rows contiguous: `coords` [n_points, n_dims], `table` [n_entries,
// n_features], `gradient` (of the features) [n_points, n_levels * n_features]; `out` is what the
// function gives. Null where a function does not need one. With a `direction` [n_points, n_dims],
// what is encoded is the derivative of the features along it, in which the axes count on which a
// point is inside of (0, 1). On a GPU `table`, its gradient, features and theirs may point to other
// `values`.
struct GridCall {
    int64_t n_points = 0;
    const float* coords = nullptr;
    const float* table = nullptr;
    const float* gradient = nullptr;
    float* out = nullptr;
    const float* direction = nullptr;
    GridValues values = GridValues::kFloat32;
};

}  // namespace inrcodec
