// The quantizer on the CPU, in float32. Values are taken in blocks; each stage within a block is a
// plain loop that the compiler turns into vectors. Sums are of float64 in kLanes lanes, the same for
// every instruction set, and a short block is padded with zeros.
//
// This file is compiled once per instruction set; INRCODEC_QUANTIZE_VARIANT names the result. It must
// not use the STL nor define anything external but that (see grid_kernels.cpp).
#include "../common/quantize_kernels.h"

namespace inrcodec {
namespace {

constexpr int kBlock = 256;
constexpr int kLanes = 16;
constexpr float kSmallestMoment = 1e-30f;  // below it, moments count as 0: denormals are slow

// The nearest integer, halves to even; above 2^23 all are integers.
inline float round_to_even(float x) {
    const float size = __builtin_fabsf(x);
    const float rounded = (size + 8388608.0f) - 8388608.0f;
    return __builtin_copysignf(size < 8388608.0f ? rounded : size, x);
}

// Uniform in [-1/2, 1/2), in multiples of 2^-24. Source: the mixer "lowbias32" of Wellons 2018,
// https://nullprogram.com/blog/2018/07/31/, with one key before it and one in its middle.
inline float noise(uint32_t index, const uint32_t* keys) {
    uint32_t bits = index ^ keys[0];
    bits = (bits ^ (bits >> 16)) * 0x7feb352du ^ keys[1];
    bits = (bits ^ (bits >> 15)) * 0x846ca68bu;
    bits ^= bits >> 16;
    return static_cast<float>(static_cast<int32_t>(bits >> 8)) * 0x1p-24f - 0.5f;
}

inline float sign(float x) {
    return static_cast<float>(x > 0.0f) - static_cast<float>(x < 0.0f);
}

// A sum of many floats.
struct Sum {
    double lanes[kLanes] = {};

    void add(const float* block) {
        for (int i = 0; i < kBlock; i += kLanes)
            for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += double{block[i + lane]};
    }

    void add_sizes_and_squares(const float* block, Sum& squares) {
        float sizes[kBlock], products[kBlock];
        for (int i = 0; i < kBlock; ++i) {
            sizes[i] = __builtin_fabsf(block[i]);
            products[i] = block[i] * block[i];
        }
        add(sizes);
        squares.add(products);
    }

    double total() const {
        double sum = 0.0;
        for (int lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
        return sum;
    }
};

inline void pad(float* block, int count) {
    for (int i = count; i < kBlock; ++i) block[i] = 0.0f;
}

// x and y of the values of a block.
template <Rounding R>
inline void quantize(const QuantizeCall& call, const QuantizeRun& run, int64_t first, int count,
                     float* x, float* y) {
    const float* units = call.units + first;
    const uint32_t keys[2] = {call.keys[0], call.keys[1]};
    const uint32_t index = static_cast<uint32_t>(first);
    const float rate = run.rate, step = run.step;
    for (int i = 0; i < count; ++i) x[i] = units[i] * rate / step;
    for (int i = 0; i < count; ++i) {
        if (R == Rounding::kFree) y[i] = x[i];
        if (R == Rounding::kNoisy) y[i] = x[i] + noise(index + static_cast<uint32_t>(i), keys);
        if (R == Rounding::kHard) y[i] = round_to_even(x[i]);
    }
}

template <Rounding R>
void forward(const QuantizeCall& call, const QuantizeRun& run, int64_t begin, int64_t end,
             double* sums) {
    float x[kBlock], y[kBlock];
    Sum parts[kForwardSums];
    for (int64_t first = begin; first < end; first += kBlock) {
        const int count = static_cast<int>(end - first < kBlock ? end - first : kBlock);
        quantize<R>(call, run, first, count, x, y);
        if (call.weights) {
            float* weights = call.weights + first;
            for (int i = 0; i < count; ++i) weights[i] = y[i] * run.step;
        }
        pad(y, count);
        parts[0].add_sizes_and_squares(y, parts[1]);
        if (call.base) {
            const float* base = call.base + first;
            for (int i = 0; i < count; ++i) y[i] -= base[i];
            parts[2].add_sizes_and_squares(y, parts[3]);
        }
    }
    for (int number = 0; number < kForwardSums; ++number) sums[number] = parts[number].total();
}

// What each value pays for the bits of its tensor, in units of the weights.
inline void find_prices(const QuantizeCall& call, const QuantizeRun& run, int64_t first, int count,
                        const float* y, float* prices) {
    const float step = run.step;
    const float by_size = run.slopes[0] / step, by_value = 2.0f * run.slopes[1] / step;
    for (int i = 0; i < count; ++i) prices[i] = by_size * sign(y[i]) + by_value * y[i];
    if (!call.base) return;
    const float* base = call.base + first;
    const float by_off = run.slopes[2] / step, by_difference = 2.0f * run.slopes[3] / step;
    for (int i = 0; i < count; ++i) {
        const float d = y[i] - base[i];
        prices[i] += by_off * sign(d) + by_difference * d;
    }
}

inline float without_denormals(float moment) {
    return __builtin_fabsf(moment) < kSmallestMoment ? 0.0f : moment;
}

inline void move(const QuantizeCall& call, int64_t first, int count, const float* gradient) {
    const AdamStep adam = call.adam;
    const float rest1 = 1.0f - adam.beta1, rest2 = 1.0f - adam.beta2;
    float* __restrict units = call.units + first;
    float* __restrict mean = call.mean + first;
    float* __restrict square = call.square + first;
    for (int i = 0; i < count; ++i) {
        const float g = gradient[i];
        const float m = without_denormals(mean[i] + rest1 * (g - mean[i]));
        const float v = without_denormals(adam.beta2 * square[i] + rest2 * g * g);
        mean[i] = m;
        square[i] = v;
        units[i] -= adam.rate * m / (__builtin_sqrtf(v) * adam.unbiased + adam.epsilon);
    }
}

template <Rounding R>
void step(const QuantizeCall& call, const QuantizeRun& run, int64_t begin, int64_t end,
          double* sums) {
    float x[kBlock], y[kBlock], prices[kBlock], slopes[kBlock], along[kBlock];
    Sum by_step, by_units;
    for (int64_t first = begin; first < end; first += kBlock) {
        const int count = static_cast<int>(end - first < kBlock ? end - first : kBlock);
        const float* gradient = call.gradient + first;
        quantize<R>(call, run, first, count, x, y);
        find_prices(call, run, first, count, y, prices);
        for (int i = 0; i < count; ++i) {
            slopes[i] = run.rate * (gradient[i] + prices[i]);
            along[i] = gradient[i] * (y[i] - x[i]) - prices[i] * x[i];
        }
        pad(slopes, count);
        pad(along, count);
        by_step.add(along);
        by_units.add(slopes);
        move(call, first, count, slopes);
    }
    sums[0] = by_step.total();
    sums[1] = by_units.total();
}

void any_forward(const QuantizeCall& call, const QuantizeRun& run, int64_t first, int64_t last,
                 double* sums) {
    switch (call.rounding) {
        case Rounding::kFree:
            return forward<Rounding::kFree>(call, run, first, last, sums);
        case Rounding::kNoisy:
            return forward<Rounding::kNoisy>(call, run, first, last, sums);
        case Rounding::kHard:
            return forward<Rounding::kHard>(call, run, first, last, sums);
    }
}

void any_step(const QuantizeCall& call, const QuantizeRun& run, int64_t first, int64_t last,
              double* sums) {
    switch (call.rounding) {
        case Rounding::kFree:
            return step<Rounding::kFree>(call, run, first, last, sums);
        case Rounding::kNoisy:
            return step<Rounding::kNoisy>(call, run, first, last, sums);
        case Rounding::kHard:
            return step<Rounding::kHard>(call, run, first, last, sums);
    }
}

}  // namespace

const QuantizeKernels INRCODEC_QUANTIZE_VARIANT = {any_forward, any_step};

}  // namespace inrcodec
