// From arrays and numbers of unknown origin to tensors and a SoapMove that the kernels can trust. The
// Python bindings and the sanitizer driver both come through here.
#pragma once

#include <cmath>

#include "array_checks.h"
#include "soap.h"

namespace inrcodec {

constexpr char kSoapOp[] = "soap_step";
constexpr int64_t kMaxSoapValues = 1 << 24;

// A tensor as a matrix: its first axis, and all others together.
inline SoapTensor soap_tensor(const std::vector<int64_t>& shape) {
    if (shape.empty()) refuse(kSoapOp, "a shape must have an axis", text_of(shape));
    int64_t size = 1;
    for (const int64_t length : shape) {
        if (length < 0 || length > kMaxSoapValues || (size *= length) > kMaxSoapValues)
            refuse(kSoapOp, "a shape must have 0 to 2^24 values", text_of(shape));
    }
    SoapTensor tensor;
    if (size == 0) return tensor;
    tensor.rows = static_cast<int>(shape[0]);
    tensor.columns = static_cast<int>(size / shape[0]);
    const auto is_turned = [&](int length) {
        return shape.size() > 1 && length > 1 && length <= kLongestTurned;
    };
    tensor.turns_rows = is_turned(tensor.rows);
    tensor.turns_columns = is_turned(tensor.columns);
    return tensor;
}

inline std::vector<SoapTensor> check_soap_tensors(const std::vector<std::vector<int64_t>>& shapes,
                                                  const std::vector<float>& decays) {
    if (decays.size() != shapes.size())
        refuse(kSoapOp, "decays must be as many as shapes", std::to_string(decays.size()));
    std::vector<SoapTensor> tensors;
    int64_t values = 0, state = 0;
    for (size_t i = 0; i < shapes.size(); ++i) {
        SoapTensor tensor = soap_tensor(shapes[i]);
        if (!(decays[i] >= 0.0f && std::isfinite(decays[i])))
            refuse(kSoapOp, "a decay must be at least 0", std::to_string(decays[i]));
        tensor.decay = decays[i];
        tensor.values = values;
        tensor.state = state;
        values += tensor.size();
        state += soap_state_size(tensor);
        if (values > kMaxSoapValues)
            refuse(kSoapOp, "tensors must have at most 2^24 values", std::to_string(values));
        tensors.push_back(tensor);
    }
    return tensors;
}

inline int64_t count_soap_values(const std::vector<SoapTensor>& tensors) {
    return tensors.empty() ? 0 : tensors.back().values + tensors.back().size();
}

// Floats of the state of all tensors.
inline int64_t count_soap_state(const std::vector<SoapTensor>& tensors) {
    return tensors.empty() ? 0 : tensors.back().state + soap_state_size(tensors.back());
}

inline SoapMove check_soap_move(double rate, int64_t count) {
    if (!(rate >= 0.0 && std::isfinite(static_cast<float>(rate))))
        refuse(kSoapOp, "a rate must be at least 0", std::to_string(rate));
    if (count < 1) refuse(kSoapOp, "a count must be at least 1", std::to_string(count));
    SoapMove move;
    move.is_first = count == 1;
    move.turns = count % kSoapPeriod == 1;
    move.decay_rate = static_cast<float>(rate);
    if (move.is_first) return move;
    const double moved = static_cast<double>(count - 1);
    const double of_mean = 1.0 - std::pow(1.0 - double{kSoapMeanShare}, moved);
    const double of_square = 1.0 - std::pow(1.0 - double{kSoapSquareShare}, moved);
    move.rate = static_cast<float>(rate * std::sqrt(of_square) / of_mean);
    return move;
}

}  // namespace inrcodec
