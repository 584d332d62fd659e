// From arrays and numbers of unknown origin to runs and a QuantizeCall that the kernels can trust.
// The Python bindings and the sanitizer driver both come through here.
#pragma once

#include <cmath>

#include "array_checks.h"
#include "quantize.h"

namespace inrcodec {

constexpr char kQuantizeOp[] = "quantize";

inline Rounding check_rounding(const std::string& name) {
    if (name == "free") return Rounding::kFree;
    if (name == "noisy") return Rounding::kNoisy;
    if (name == "hard") return Rounding::kHard;
    refuse(kQuantizeOp, "rounding must be free, noisy or hard", name);
}

inline float check_positive(const char* name, double value) {
    const float single = static_cast<float>(value);
    if (!(single > 0.0f && std::isfinite(single)))
        refuse(kQuantizeOp, std::string(name) + " must be above 0", std::to_string(value));
    return single;
}

inline double check_share(const char* name, double value) {
    if (!(value >= 0.0 && value < 1.0))
        refuse(kQuantizeOp, std::string(name) + " must be in [0, 1)", std::to_string(value));
    return value;
}

// The runs of tensors of these sizes, one after the other.
inline std::vector<QuantizeRun> check_runs(const std::vector<int64_t>& sizes,
                                           const std::vector<float>& rates,
                                           const std::vector<float>& steps) {
    if (rates.size() != sizes.size() || steps.size() != sizes.size()) {
        refuse(kQuantizeOp, "rates and steps must be as many as sizes",
               std::to_string(rates.size()) + " and " + std::to_string(steps.size()));
    }
    std::vector<QuantizeRun> runs(sizes.size());
    int64_t at = 0;
    for (size_t t = 0; t < sizes.size(); ++t) {
        if (sizes[t] < 1 || sizes[t] > int64_t{UINT32_MAX} - at)
            refuse(kQuantizeOp, "sizes must be at least 1 and below 2^32 together", text_of(sizes));
        runs[t].first = at;
        runs[t].last = at += sizes[t];
        runs[t].rate = check_positive("a rate", rates[t]);
        runs[t].step = check_positive("a step", steps[t]);
    }
    return runs;
}

inline int64_t count_values(const std::vector<QuantizeRun>& runs) {
    return runs.empty() ? 0 : runs.back().last;
}

// For every array with an element per value.
inline void check_values(const std::vector<QuantizeRun>& runs, const Array& array) {
    check_array(kQuantizeOp, array, {count_values(runs)}, -1);
}

// `slopes`: kForwardSums for each run.
inline void check_slopes(std::vector<QuantizeRun>& runs, const std::vector<float>& slopes) {
    if (slopes.size() != runs.size() * kForwardSums) {
        refuse(kQuantizeOp, "slopes must be 4 for each size", std::to_string(slopes.size()));
    }
    for (size_t i = 0; i < slopes.size(); ++i)
        runs[i / kForwardSums].slopes[i % kForwardSums] = slopes[i];
}

// The step number `count`, from 1 on.
inline AdamStep check_adam(double rate, double beta1, double beta2, double epsilon, int64_t count) {
    check_share("beta1", beta1);
    check_share("beta2", beta2);
    if (count < 1) refuse(kQuantizeOp, "a count must be at least 1", std::to_string(count));
    const double n = static_cast<double>(count);
    AdamStep adam;
    adam.rate = static_cast<float>(rate / (1.0 - std::pow(beta1, n)));
    adam.beta1 = static_cast<float>(beta1);
    adam.beta2 = static_cast<float>(beta2);
    adam.unbiased = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(beta2, n)));
    adam.epsilon = check_positive("epsilon", epsilon);
    return adam;
}

}  // namespace inrcodec
