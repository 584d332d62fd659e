// The decoder of latent grids, wave by wave: the context model computes what all values of a wave
// have for means and scales, then the range decoder reads them one after the other.
//
// This file is compiled once per instruction set; INRCODEC_LATENT_VARIANT names the result. It must
// not use the STL nor define anything external but that (see grid_kernels.cpp).
#include "../common/latent_kernels.h"

#include "latent_context.h"
#include "latent_range.h"
#include "latent_waves.h"

namespace inrcodec {
namespace {

constexpr int kSealWords = 2;

// What decoding a grid needs besides its values, cut out of the scratch.
struct Workspace {
    Slots slots;
    int64_t room;  // between the features of a wave
    double* features;
    int32_t *means, *scales;

    Workspace(const LatentModel& model, const LatentGrid& grid, double* scratch)
        : slots(model, grid, scratch), room(wave_room(model, grid)) {
        features = scratch + Slots::size(model, grid);
        means = reinterpret_cast<int32_t*>(features + model.n_features * room);
        scales = means + room;
        for (int64_t i = 0; i < model.n_features * room; ++i) features[i] = 0.0;
    }
};

int64_t decode_scratch(const LatentModel& model, const LatentGrid& grid) {
    return Slots::size(model, grid) + (model.n_features + 1) * wave_room(model, grid);
}

void find_wave(const LatentModel& model, const Context& context, const Wave& wave,
               Workspace& work) {
    const double* runs[kMaxContext];
    for (int i = 0; i < model.n_neighbours; ++i) runs[i] = work.slots.neighbour(wave, i);
    for (int k = 0; k < model.n_features; ++k)
        runs[model.n_neighbours + k] = work.features + k * work.room;
    for (int64_t at = 0; at < wave.count; at += kTile) {
        const double* contexts[kMaxContext];
        for (int i = 0; i < context.mix[0].n_in; ++i) contexts[i] = runs[i] + at;
        const int count = static_cast<int>(wave.count - at < kTile ? wave.count - at : kTile);
        find_parameters(context, contexts, count, work.means + at, work.scales + at);
    }
}

// False when the words point above the last count.
bool read_wave(const LatentModel& model, const LatentGrid& grid, const Wave& wave,
               const Workspace& work, const LaplaceTables& tables, RangeState& words,
               double* places, int32_t* values) {
    RangeState state = words;  // in registers
    int32_t* value = values + wave.first * grid.width + wave.number - model.slope * wave.first;
    for (int64_t i = 0; i < wave.count; ++i, value += grid.width - model.slope) {
        const Counts counts{tables, grid.largest, work.means[i], tables.decays[work.scales[i]]};
        int32_t symbol;
        if (!take(state, counts, symbol)) return false;
        places[i] = symbol * kContextUnit;
        *value = symbol;
    }
    words = state;
    return true;
}

LatentEnd decode(const LatentModel& model, const LatentGrid& grid, const double* packed,
                 const float* features, const LaplaceTables& tables, RangeState& state,
                 int32_t* values, double* scratch) {
    const Context context(model, packed);
    Workspace work(model, grid, scratch);
    for (int64_t number = 0; number < waves_of(model, grid); ++number) {
        const Wave wave = wave_of(model, grid, number);
        double* places = work.slots.begin(wave);
        if (wave.count <= 0) continue;
        if (seal(state).n_words > state.n_words + kSealWords) return LatentEnd::kWrong;
        if (features) take_features(model, grid, wave, features, work.room, work.features);
        find_wave(model, context, wave, work);
        if (!read_wave(model, grid, wave, work, tables, state, places, values))
            return LatentEnd::kNoSymbol;
    }
    return LatentEnd::kRight;
}

}  // namespace

const LatentKernels INRCODEC_LATENT_VARIANT = {
    pack, features_scratch, find_features, decode_scratch, decode,
};

}  // namespace inrcodec
