// How a call of the latent op goes through the grids, one after the other on one thread: every value
// depends on those before it.
#include "../common/latent.h"

#include <algorithm>

#include "../common/instruction_sets.h"
#include "aligned.h"
#include "latent_range.h"

namespace inrcodec {
namespace {

LaplaceTables tables_of(const LatentCall& call) {
    LaplaceTables tables;
    for (int s = 0; s < kLaplaceScales; ++s)
        tables.decays[s] = static_cast<uint64_t>(call.decays[s]);
    for (int i = 0; i < kLaplacePowers - 1; ++i) {
        const uint64_t power = static_cast<uint64_t>(call.powers[i]);
        tables.powers[i] = power << 32 | (power - static_cast<uint64_t>(call.powers[i + 1]));
    }
    return tables;
}

RangeState start(const LatentCall& call) {
    RangeState state{call.words, call.n_words, 0, 0, ~uint64_t{0}};
    state.ahead = uint64_t{next_word(state)} << 32;
    state.ahead |= next_word(state);
    return state;
}

bool ends_rightly(const RangeState& state) {
    const Seal end = seal(state);
    return state.n_words == end.n_words && state.ahead == end.ahead;
}

LatentEnd decode_grid(const LatentKernels& kernels, const LatentModel& model,
                      const LatentGrid& grid, const double* packed, const LaplaceTables& tables,
                      RangeState& state, int32_t* out) {
    AlignedBuffer<float> features;
    if (grid.n_inputs > 0) {
        const int64_t squares = ((grid.height + 1) / 2) * ((grid.width + 1) / 2);
        features = make_aligned<float>(squares * kMaxLatentFeatures);
        const auto scratch = make_aligned<double>(kernels.features_scratch(grid));
        kernels.find_features(model, grid, packed, out, features.get(), scratch.get());
    }
    const auto scratch = make_aligned<double>(kernels.decode_scratch(model, grid));
    return kernels.decode(model, grid, packed, features.get(), tables, state, out + grid.first,
                          scratch.get());
}

}  // namespace

LatentEnd decode_latents(const LatentModel& model, const LatentCall& call) {
    const LatentKernels& kernels = latent_kernels();
    const auto packed = make_aligned<double>(model.n_weights);
    kernels.pack(model, call.weights, packed.get());
    const LaplaceTables tables = tables_of(call);
    RangeState state = start(call);
    std::fill(call.out, call.out + model.n_values, 0);
    bool any = false;
    for (int g = 0; g < model.n_grids; ++g) {
        const LatentGrid& grid = model.grids[g];
        if (grid.largest == 0) continue;
        any = true;
        const LatentEnd end =
            decode_grid(kernels, model, grid, packed.get(), tables, state, call.out);
        if (end != LatentEnd::kRight) return end;
    }
    const bool right = any ? ends_rightly(state) : call.n_words == 0;
    return right ? LatentEnd::kRight : LatentEnd::kWrong;
}

}  // namespace inrcodec
