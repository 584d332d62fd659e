// The CPU kernels of the latent_fit op, one set per instruction set. A kernel knows nothing of
// threads; how work is cut among them is in cpu/latent_cost.cpp and cpu/latent_pixels.cpp.
#pragma once

#include "latent_fit.h"

namespace inrcodec {

constexpr int kFitAlignment = 64;
constexpr int kFitBlock = 256;  // columns that are worked on together
constexpr int kFitGroup = 64;   // rows in memory have whole groups of columns,
constexpr int kFitMargin = 16;  // and margins on both sides

inline int64_t whole_groups(int64_t width) {
    return (width + kFitGroup - 1) / kFitGroup * kFitGroup;
}

// A grid while its cost is found. Rows of `values` and `gradient` are `stride` floats apart, with
// zeros around the grid for as far as a block sees; pointers are to row 0 and column 0.
struct CostGrid {
    int height, width;
    int64_t stride;
    float* values;
    float* gradient;
    // Features have half the rows and columns, those of the grid before: planes [n_features] of
    // `feature_plane` floats, rows `feature_stride` apart. Null: the grid has none.
    int n_inputs;
    int feature_height, feature_width;
    int64_t feature_stride, feature_plane;
    float* features;
    float* features_gradient;
    const float* feature_weights;  // [n_features, n_inputs]
    const float* feature_biases;
    float* feature_weights_gradient;
    float* feature_biases_gradient;
};

// Rows [first, last) of a grid. What its first rows add to the gradient of the rows above goes to
// `halo`, kNeighbourRows rows of `stride`, which like `gradient` lie around column 0.
struct CostStrip {
    const CostGrid* grid;
    int first, last;
    float* halo;
};

// Rows of floats with margins on both sides; `at` is row 0 and column 0.
struct FitPlane {
    int height, width;
    int64_t stride;
    float* at;

    float* row(int64_t y) const { return at + y * stride; }
};

// Rows [first, last) of what a step of the upsampling does: `from`, a plane or the latents of a grid
// as they come (with their width as stride), becomes `to`. On the way back, the gradient of `to`
// becomes that of `from`, and `kernel_gradient` [4] is written.
struct RiseStrip {
    FitPlane from, to;
    FitPlane from_gradient, to_gradient;
    const float* kernel;
    float* kernel_gradient;
    int first, last;  // of `from`
};

// The synthesis, or its way back. Planes of levels, channels or channels of a layer.
struct FitSynthesis {
    const float* packed;
    int height, width;
    int64_t stride;
    float* stack;                           // [levels] planes
    float* layers[kMaxTails];               // [channels] planes: what each layer of the tail gets
    float* pixels;                          // [channels, height, width]
    float* stack_gradient;                  // as stack
    float* layers_gradient[kMaxTails + 1];  // as layers; the last one is that of the pixels

    int64_t plane() const { return stride * height; }
};

struct FitKernels {
    // Values [first, last).
    void (*soften)(const SoftCall&, int64_t first, int64_t last);

    // Orders the parameters of the context model for the kernels.
    int64_t (*cost_packed)(const FitShape&);  // floats
    void (*pack_cost)(const FitShape&, const float* parameters, float* packed);

    // Finds or uses the features of grid `number`; `scratch`: twice as many floats as the features
    // of a plane.
    void (*find_features)(const FitShape&, const CostGrid* grids, int number, float* scratch);
    void (*pass_features)(const FitShape&, const CostGrid* grids, int number, float* scratch);

    int64_t (*cost_scratch)(const FitShape&);  // floats
    // The bits of a strip. Adds to the gradients of its grid, and writes those of the weights of the
    // context model, in their order, to `weights_gradient`.
    double (*cost_strip)(const FitShape&, const CostStrip&, const float* packed,
                         float* weights_gradient, float* scratch);

    // Twice as many rows and columns; a filter of 7 taps. `scratch`: rise_scratch(width of `to`,
    // rows of the strip) floats.
    int64_t (*rise_scratch)(int width, int n_rows);
    void (*rise)(const RiseStrip&, float* scratch);
    void (*pass_rise)(const RiseStrip&, float* scratch);
    void (*sharpen)(const RiseStrip&, float* scratch);
    void (*pass_sharpen)(const RiseStrip&, float* scratch);

    int64_t (*synthesis_packed)(const FitShape&);  // floats
    void (*pack_synthesis)(const FitShape&, const float* parameters, float* packed);
    int64_t (*synthesis_scratch)(const FitShape&);  // floats
    // Rows [first, last): the values before the tail; a layer of the tail, the last one to pixels.
    void (*lift)(const FitShape&, const FitSynthesis&, int first, int last, float* scratch);
    void (*tail)(const FitShape&, const FitSynthesis&, int layer, int first, int last,
                 float* scratch);
    // The same back. Sums are the gradients of the weights, then of the biases: of the layer; of
    // lift, lower and blend, then of the biases of lift and of lower.
    void (*pass_tail)(const FitShape&, const FitSynthesis&, int layer, int first, int last,
                      float* sums, float* scratch);
    void (*pass_lift)(const FitShape&, const FitSynthesis&, int first, int last, float* sums,
                      float* scratch);
};

extern const FitKernels kFitKernelsBaseline;
extern const FitKernels kFitKernelsAvx2;
extern const FitKernels kFitKernelsAvx512;

}  // namespace inrcodec
