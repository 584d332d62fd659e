// The latent_fit op: what a fit of latent grids computes, and its gradients. Its meaning is
// inrcodec/kernels/torch_latent.py. Plain numbers, no STL: kernels that are compiled once per
// instruction set include this page.
#pragma once

#include <cstdint>

#include "stream.h"

namespace inrcodec {

constexpr int kMaxFitGrids = 32;
constexpr int kMaxFitNeighbours = 32;
constexpr int kMaxFitHidden = 128;
constexpr int kMaxFitChannels = 16;
constexpr int kMaxTails = 4;
constexpr int kNeighbourRows = 3;     // a neighbour lies at most so many rows above
constexpr int kNeighbourColumns = 4;  // and so many columns to the left or right

// `n_inputs`: how many of the grids before it its features see, all of them or none.
struct FitGrid {
    int height, width;
    bool is_hyper;
    int n_inputs;
    int64_t offset;  // of its values in the latents
};

struct FitShape {
    int n_grids, n_neighbours, n_features, n_hidden, n_tails, n_channels;
    int n_levels;  // grids that are not of hyperlatents
    FitGrid grids[kMaxFitGrids];
    int rows[kMaxFitNeighbours], columns[kMaxFitNeighbours];  // to the neighbours
    int64_t n_latents, n_cost_parameters, n_pixel_parameters;

    int n_context() const { return n_neighbours + n_features; }
    const FitGrid& finest() const { return grids[n_grids - 1]; }
};

// Arrays, float32. `parameters` are all weights of the context model and of the features, one after
// the other in the order in which a stream holds them; so are their gradients.
struct FitCostCall {
    const float* latents = nullptr;
    const float* parameters = nullptr;
    float* latents_gradient = nullptr;
    float* parameters_gradient = nullptr;
    float* bits = nullptr;     // on a GPU: [1]
    float* scratch = nullptr;  // on a GPU: [cost_scratch_cuda(shape)]
};

// Arrays, float32: all weights of the upsampling and the synthesis as `parameters`, in their order,
// and the pixels [channels, height, width] or their `gradient`. `kept`, [kept_for_pixels(shape)], is
// what the way back needs of the way there.
struct FitPixelsCall {
    const float* latents = nullptr;
    const float* parameters = nullptr;
    const float* gradient = nullptr;
    float* kept = nullptr;
    float* pixels = nullptr;
    float* latents_gradient = nullptr;
    float* parameters_gradient = nullptr;
    float* scratch = nullptr;  // on a GPU: [pixels_scratch_cuda(shape)]
};

// Arrays [n_values], float32: `out` = round(round(gain units) + noise_scale noise), both softly, with
// tanh(steepness x) height around the middle of a step; `slopes`, the derivative by the units.
struct SoftCall {
    int64_t n_values = 0;
    const float* units = nullptr;
    const float* noise = nullptr;
    float* out = nullptr;
    float* slopes = nullptr;
    float gain = 1.0f, noise_scale = 0.0f, steepness = 1.0f, height = 1.0f;
    const float* scalars = nullptr;  // on a GPU: [4], these four numbers
};

// Arguments are checked already (common/latent_fit_checks.h). The same bits for any number of
// threads.

// The bits of all latents, and their gradients.
double latent_cost(const FitShape& shape, const FitCostCall& call, int n_threads);

void soften_latents(const SoftCall& call, int n_threads);

// The pixels, which `call.pixels` receives; and the gradients of a function of them.
int64_t kept_for_pixels(const FitShape& shape);
void latent_pixels(const FitShape& shape, const FitPixelsCall& call, int n_threads);
void latent_pixels_gradients(const FitShape& shape, const FitPixelsCall& call, int n_threads);

#if defined(INRCODEC_CUDA)
// The same on the GPU that holds the arrays, queued on a stream; the same bits at every call. They
// throw std::runtime_error when CUDA refuses. `kept` is of another size and order than on the CPU.

// Whether networks are small enough for the kernels; the sizes that a stream can name all are.
bool has_cuda_cost(const FitShape& shape);
bool has_cuda_pixels(const FitShape& shape);

int64_t cost_scratch_cuda(const FitShape& shape);
void latent_cost_cuda(const FitShape& shape, const FitCostCall& call, Stream stream);

int64_t kept_for_pixels_cuda(const FitShape& shape);
int64_t pixels_scratch_cuda(const FitShape& shape);
void latent_pixels_cuda(const FitShape& shape, const FitPixelsCall& call, Stream stream);
void latent_pixels_gradients_cuda(const FitShape& shape, const FitPixelsCall& call, Stream stream);

// `call.scalars`: on the GPU.
void soften_latents_cuda(const SoftCall& call, Stream stream);
#endif

}  // namespace inrcodec
