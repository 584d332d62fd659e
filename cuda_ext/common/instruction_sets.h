// Which variant of the CPU kernels runs: the best that was compiled and that this machine has,
// unless another is asked for.
#pragma once

#include <string>
#include <vector>

#include "grid_kernels.h"
#include "latent_fit_kernels.h"
#include "latent_kernels.h"
#include "mlp_kernels.h"
#include "quantize_kernels.h"
#include "soap_kernels.h"
#include "synthesis_kernels.h"

namespace inrcodec {

// Names of the sets that this machine can run, simplest first: "baseline", "avx2", "avx512".
std::vector<std::string> instruction_sets();

// The set in use.
std::string instruction_set();

// Use another; throws std::invalid_argument for one that is not in `instruction_sets()`.
void use_instruction_set(const std::string& name);

const GridKernels& grid_kernels();
const MlpKernels& mlp_kernels();
const QuantizeKernels& quantize_kernels();
const LatentKernels& latent_kernels();
const SynthesisKernels& synthesis_kernels();
const FitKernels& fit_kernels();
const SoapKernels& soap_kernels();

}  // namespace inrcodec
