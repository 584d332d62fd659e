// The CUDA kernels of latent fits as C functions that run on the host, for tests: compiled with
// INRCODEC_CUDA_ON_HOST together with cuda/latent_*.cu.
#include <vector>

#include "../common/latent_fit_checks.h"

namespace {

using inrcodec::FitShape;

FitShape shape_of(const int64_t* numbers) {
    const auto take = [&] {
        const int64_t count = *numbers++;
        const std::vector<int64_t> list(numbers, numbers + count);
        numbers += count;
        return list;
    };
    const auto grids = take(), neighbours = take(), widths = take();
    return inrcodec::check_fit_shape(grids, neighbours, widths);
}

// A buffer of scratch that is full of NaN, as nothing may be read that was not written.
std::vector<float> scratch_of(int64_t size) {
    return std::vector<float>(size, __builtin_nanf(""));
}

}  // namespace

// Shapes are lists of numbers, each with its length before it: grids, neighbours, widths.
extern "C" {

int64_t cuda_latent_kept(const int64_t* shape) {
    return inrcodec::kept_for_pixels_cuda(shape_of(shape));
}

void cuda_latent_cost(const int64_t* numbers, const float* latents, const float* parameters,
                      float* latents_gradient, float* parameters_gradient, float* bits) {
    const FitShape shape = shape_of(numbers);
    auto scratch = scratch_of(inrcodec::cost_scratch_cuda(shape));
    inrcodec::FitCostCall call;
    call.latents = latents;
    call.parameters = parameters;
    call.latents_gradient = latents_gradient;
    call.parameters_gradient = parameters_gradient;
    call.bits = bits;
    call.scratch = scratch.data();
    inrcodec::latent_cost_cuda(shape, call, {0, 0});
}

void cuda_latent_pixels(const int64_t* numbers, const float* latents, const float* parameters,
                        float* kept, float* pixels) {
    const FitShape shape = shape_of(numbers);
    inrcodec::FitPixelsCall call;
    call.latents = latents;
    call.parameters = parameters;
    call.kept = kept;
    call.pixels = pixels;
    inrcodec::latent_pixels_cuda(shape, call, {0, 0});
}

void cuda_latent_pixels_gradients(const int64_t* numbers, const float* gradient,
                                  const float* latents, const float* parameters, float* kept,
                                  float* latents_gradient, float* parameters_gradient) {
    const FitShape shape = shape_of(numbers);
    auto scratch = scratch_of(inrcodec::pixels_scratch_cuda(shape));
    inrcodec::FitPixelsCall call;
    call.gradient = gradient;
    call.latents = latents;
    call.parameters = parameters;
    call.kept = kept;
    call.latents_gradient = latents_gradient;
    call.parameters_gradient = parameters_gradient;
    call.scratch = scratch.data();
    inrcodec::latent_pixels_gradients_cuda(shape, call, {0, 0});
}

void cuda_soft_latents(int64_t n_values, const float* units, const float* noise, double gain,
                       double noise_scale, double temperature, float* out, float* slopes) {
    inrcodec::SoftCall call = inrcodec::check_soft(gain, noise_scale, temperature);
    call.n_values = n_values;
    call.units = units;
    call.noise = noise;
    call.out = out;
    call.slopes = slopes;
    inrcodec::soften_latents_cuda(call, {0, 0});
}
}
