// From arrays and numbers of unknown origin to a Synthesis and a SynthesisCall that the kernels can
// trust. The Python bindings and the sanitizer driver both come through here.
#pragma once

#include "latent_checks.h"
#include "synthesis.h"

namespace inrcodec {

constexpr char kSynthesisOp[] = "synthesis";

struct SynthesisShape {
    int64_t height, width, channels, n_levels, n_hidden, n_tail;
};

inline Synthesis check_synthesis(const SynthesisShape& shape) {
    check_within(kSynthesisOp, "height", shape.height, 1, UINT32_MAX);
    check_within(kSynthesisOp, "width", shape.width, 1, UINT32_MAX);
    if (shape.height > (int64_t{1} << 40) / shape.width) {
        refuse(kSynthesisOp, "places must be at most 2^40", text_of({shape.height, shape.width}));
    }
    check_within(kSynthesisOp, "channels", shape.channels, 1, kMaxChannels);
    check_within(kSynthesisOp, "levels", shape.n_levels, 1, kMaxLatentLevels);
    check_within(kSynthesisOp, "hidden values", shape.n_hidden, 1, kMaxHidden);
    check_within(kSynthesisOp, "layers of the tail", shape.n_tail, 1, kMaxTail);
    Synthesis synthesis{};
    synthesis.height = shape.height;
    synthesis.width = shape.width;
    synthesis.channels = static_cast<int>(shape.channels);
    synthesis.n_levels = static_cast<int>(shape.n_levels);
    synthesis.n_hidden = static_cast<int>(shape.n_hidden);
    synthesis.n_tail = static_cast<int>(shape.n_tail);
    int64_t at = 0;
    const auto place = [&at](int64_t& where, int64_t size) {
        where = at;
        at += size;
    };
    place(synthesis.rise, 4 * (shape.n_levels - 1));
    place(synthesis.sharpen, 4 * (shape.n_levels - 1));
    place(synthesis.lift, shape.n_hidden * shape.n_levels);
    place(synthesis.lift_bias, shape.n_hidden);
    place(synthesis.lower, shape.channels * shape.n_hidden);
    place(synthesis.blend, shape.channels * shape.n_levels);
    for (int i = 0; i < synthesis.n_tail; ++i)
        place(synthesis.tail[i], 9 * shape.channels * shape.channels);
    place(synthesis.lower_bias, shape.channels);
    for (int i = 0; i < synthesis.n_tail; ++i) place(synthesis.tail_bias[i], shape.channels);
    synthesis.n_weights = at;
    return synthesis;
}

// Every weight of a stream is smaller: 16 in 16 fractional bits, a bias 256 in up to 34.
inline void check_synthesis_weights(const Synthesis& synthesis, const Array& weights) {
    check_array(kSynthesisOp, weights, {synthesis.n_weights}, -1, Type::kFloat64);
    const auto check_part = [&](int64_t first, int64_t last, double largest) {
        Array part = weights;
        part.data = static_cast<double*>(weights.data) + first;
        part.shape = {last - first};
        check_whole(kSynthesisOp, part, largest);
    };
    check_part(0, synthesis.lift_bias, 0x1p20);
    check_part(synthesis.lift_bias, synthesis.lower, 0x1p36);
    check_part(synthesis.lower, synthesis.lower_bias, 0x1p20);
    check_part(synthesis.lower_bias, synthesis.tail_bias[0], 0x1p36);
    check_part(synthesis.tail_bias[0], synthesis.n_weights, 0x1p42);
}

inline void check_synthesis_latents(const Synthesis& synthesis, const std::vector<Array>& latents,
                                    SynthesisCall& call) {
    const int n = synthesis.n_levels;
    if (latents.size() != static_cast<size_t>(n)) {
        refuse(kSynthesisOp, "latents must be of " + std::to_string(n) + " levels",
               std::to_string(latents.size()));
    }
    for (int i = 0; i < n; ++i) {
        const int level = n - 1 - i;
        const int64_t height = divided(synthesis.height, level);
        const int64_t width = divided(synthesis.width, level);
        check_array(kSynthesisOp, latents[i], {height, width}, -1, Type::kInt32);
        const int32_t* values = static_cast<const int32_t*>(latents[i].data);
        int32_t low = 0, high = 0;
        for (int64_t at = 0; at < height * width; ++at) {
            low = values[at] < low ? values[at] : low;
            high = values[at] > high ? values[at] : high;
        }
        check_within(kSynthesisOp, "a latent", low, -kLargestLatent, kLargestLatent);
        check_within(kSynthesisOp, "a latent", high, -kLargestLatent, kLargestLatent);
        call.latents[i] = values;
    }
}

inline void check_synthesis_output(const Synthesis& synthesis, const std::vector<int64_t>& offsets,
                                   int64_t scale, const Array& out, SynthesisCall& call) {
    if (offsets.size() != static_cast<size_t>(synthesis.channels))
        refuse(kSynthesisOp, "offsets must be as many as channels", text_of(offsets));
    for (int c = 0; c < synthesis.channels; ++c) {
        check_within(kSynthesisOp, "an offset", offsets[c], -kLargestOffset, kLargestOffset);
        call.offsets[c] = static_cast<int>(offsets[c]);
    }
    check_within(kSynthesisOp, "scale", scale, 0, kLargestOffset);
    call.scale = static_cast<int>(scale);
    check_array(kSynthesisOp, out, {synthesis.height, synthesis.width, synthesis.channels}, -1,
                Type::kInt32);
    call.out = static_cast<int32_t*>(out.data);
}

}  // namespace inrcodec
