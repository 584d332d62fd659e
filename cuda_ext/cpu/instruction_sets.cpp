#include "../common/instruction_sets.h"

#include <atomic>
#include <stdexcept>

namespace inrcodec {
namespace {

struct Variant {
    const char* name;
    const GridKernels* grid;
    const MlpKernels* mlp;
    const QuantizeKernels* quantize;
    const LatentKernels* latent;
    const SynthesisKernels* synthesis;
    const FitKernels* fit;
    const SoapKernels* soap;
    bool (*runs_here)();
};

bool always() {
    return true;
}

#if defined(INRCODEC_X86_VARIANTS)
bool has_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#endif

constexpr Variant kVariants[] = {
    {"baseline", &kGridKernelsBaseline, &kMlpKernelsBaseline, &kQuantizeKernelsBaseline,
     &kLatentKernelsBaseline, &kSynthesisKernelsBaseline, &kFitKernelsBaseline,
     &kSoapKernelsBaseline, always},
#if defined(INRCODEC_X86_VARIANTS)
    {"avx2", &kGridKernelsAvx2, &kMlpKernelsAvx2, &kQuantizeKernelsAvx2, &kLatentKernelsAvx2,
     &kSynthesisKernelsAvx2, &kFitKernelsAvx2, &kSoapKernelsAvx2, has_avx2},
    {"avx512", &kGridKernelsAvx512, &kMlpKernelsAvx512, &kQuantizeKernelsAvx512,
     &kLatentKernelsAvx512, &kSynthesisKernelsAvx512, &kFitKernelsAvx512, &kSoapKernelsAvx512,
     has_avx512},
#endif
};

const Variant* best() {
    const Variant* found = &kVariants[0];
    for (const Variant& variant : kVariants)
        if (variant.runs_here()) found = &variant;
    return found;
}

std::atomic<const Variant*>& chosen() {
    static std::atomic<const Variant*> variant{best()};
    return variant;
}

}  // namespace

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const Variant& variant : kVariants)
        if (variant.runs_here()) names.emplace_back(variant.name);
    return names;
}

std::string instruction_set() {
    return chosen().load()->name;
}

void use_instruction_set(const std::string& name) {
    std::string known;
    for (const Variant& variant : kVariants) {
        if (!variant.runs_here()) continue;
        if (name == variant.name) return chosen().store(&variant);
        known += (known.empty() ? "" : ", ") + std::string(variant.name);
    }
    throw std::invalid_argument("instruction set must be one of " + known + ", got " + name);
}

const GridKernels& grid_kernels() {
    return *chosen().load()->grid;
}

const MlpKernels& mlp_kernels() {
    return *chosen().load()->mlp;
}

const QuantizeKernels& quantize_kernels() {
    return *chosen().load()->quantize;
}

const LatentKernels& latent_kernels() {
    return *chosen().load()->latent;
}

const SynthesisKernels& synthesis_kernels() {
    return *chosen().load()->synthesis;
}

const FitKernels& fit_kernels() {
    return *chosen().load()->fit;
}

const SoapKernels& soap_kernels() {
    return *chosen().load()->soap;
}

}  // namespace inrcodec
