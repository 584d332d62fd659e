// What a fit of latent grids computes, on the CPU, in float32.
//
// This file is compiled once per instruction set; INRCODEC_FIT_VARIANT names the result. It must not
// use the STL nor define anything external but that (see grid_kernels.cpp).
#include "../common/latent_fit_kernels.h"
#include "latent_cost_strip.h"
#include "latent_features.h"
#include "latent_soft.h"
#include "latent_synthesis_back.h"
#include "latent_upsample.h"

namespace inrcodec {

extern const FitKernels INRCODEC_FIT_VARIANT;
const FitKernels INRCODEC_FIT_VARIANT = {
    soften_latents, cost_packed,  pack_cost,        find_features,  pass_features,
    cost_scratch,   cost_strip,   rise_scratch,     rise,           pass_rise,
    sharpen,        pass_sharpen, synthesis_packed, pack_synthesis, synthesis_scratch,
    lift,           tail,         pass_tail,        pass_lift,
};

}  // namespace inrcodec
