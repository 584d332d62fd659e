// The latent op: coded words -> the values of all latent grids. Plain numbers, no STL: kernels that
// are compiled once per instruction set include this page.
//
// Numbers of the networks are whole numbers held as doubles, and every sum is below 2^52, so that
// they are exact in any order of additions. `representations/latentgrid` is what is meant by them.
#pragma once

#include <cstdint>

namespace inrcodec {

constexpr int kWholeAlignment = 64;  // bytes, of buffers of the kernels
constexpr int kMaxLatentLevels = 12;
constexpr int kMaxLatentGrids = 24;
constexpr int kMaxNeighbours = 32;
constexpr int kMaxLatentFeatures = 8;
constexpr int kMaxReach = 7;  // rows or columns to a neighbour
constexpr int kMaxSlope = 16;
constexpr int kMaxContext = kMaxNeighbours + kMaxLatentFeatures;
constexpr int kLargestLatent = 2047;
constexpr int kLaplaceScales = 241;
constexpr int kLaplacePowers = 1025;

// One grid in the order of coding. Its features are made of the first `n_inputs` grids, whose levels
// are all above its own.
struct LatentGrid {
    int level;
    int n_inputs;
    int largest;  // size of a value; 0: nothing of the grid is coded
    int64_t height, width;
    int64_t first;            // where its values begin among those of all grids
    int64_t feature_weights;  // where [features, inputs] and their biases begin among the weights
    int64_t feature_biases;
};

struct LatentModel {
    int n_grids;
    int n_neighbours, n_features;
    int slope;  // columns that a row is behind the one above it
    int rows[kMaxNeighbours], columns[kMaxNeighbours];
    int64_t n_values;
    int64_t n_weights;
    LatentGrid grids[kMaxLatentGrids];
};

// `weights`: of the context model, in the order of the stream. `decays` and `powers`: the tables of
// the Laplace counts. `out` [n_values].
struct LatentCall {
    const uint32_t* words = nullptr;
    int64_t n_words = 0;
    const double* weights = nullptr;
    const int64_t* decays = nullptr;
    const int64_t* powers = nullptr;
    int32_t* out = nullptr;
};

enum class LatentEnd {
    kRight,
    kWrong,     // the words do not end with the last value
    kNoSymbol,  // the words point above the last cumulative count
};

// Arguments are checked already (common/latent_checks.h). `out` holds zeros where it was not written
// before the words turned out to be wrong.
LatentEnd decode_latents(const LatentModel& model, const LatentCall& call);

}  // namespace inrcodec
