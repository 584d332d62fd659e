// Soft rounding of latents on the GPU, in float32: one latent a thread.
#include <cmath>

#include "../common/latent_fit.h"
#include "launch.h"

namespace inrcodec {
namespace {

constexpr int kThreads = 256;

// x becomes its soft rounding, as cpu/latent_soft.h says; gives the slope.
__device__ float soften(float& x, float steepness, float height) {
    const float below = floorf(x) + 0.5f;
    const float bend = tanhf((x - below) * steepness);
    x = below + height * bend;
    return height * steepness * (1.0f - bend * bend);
}

__global__ void soften_all(const SoftCall call) {
    const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
    if (i >= call.n_values) return;
    const float gain = call.scalars[0], steepness = call.scalars[2], height = call.scalars[3];
    float x = call.units[i] * gain;
    float slope = soften(x, steepness, height) * gain;
    x += call.noise[i] * call.scalars[1];
    slope *= soften(x, steepness, height);
    call.out[i] = x;
    call.slopes[i] = slope;
}

}  // namespace

void soften_latents_cuda(const SoftCall& call, Stream stream) {
    const Launcher launcher("soft_latents", stream);
    launcher.run(soften_all, dim3(blocks_for(call.n_values, kThreads)), dim3(kThreads), 0, call);
}

}  // namespace inrcodec
