// The decoder of latent grids, wave by wave: the context model computes what all values of a wave
// have for means and scales, then the range decoder reads them one after the other.
//
// This file is compiled once per instruction set; INRCODEC_LATENT_VARIANT names the result. It must
// not use the STL nor define anything external but that (see grid_kernels.cpp).
#include "../common/latent_kernels.h"

#include "latent_context.h"
#include "latent_counts.h"
#include "latent_waves.h"

namespace inrcodec {
namespace {

constexpr int kSealWords = 2;

// What decoding a grid needs besides its values, cut out of the scratch. Of each value of a wave: its
// features, mean and scale, the first of three symbols, and the counts around them.
struct Workspace {
    Slots slots;
    int64_t room;  // between two of the same value
    double *features, *means, *scales, *symbols;
    uint64_t* counts;

    Workspace(const LatentModel& model, const LatentGrid& grid, double* scratch)
        : slots(model, grid, scratch), room(wave_room(model, grid)) {
        features = scratch + Slots::size(model, grid);
        means = features + model.n_features * room;
        scales = means + room;
        symbols = scales + room;
        counts = reinterpret_cast<uint64_t*>(symbols + room);
        for (int64_t i = 0; i < model.n_features * room; ++i) features[i] = 0.0;
    }
};

int64_t decode_scratch(const LatentModel& model, const LatentGrid& grid) {
    return Slots::size(model, grid) + (model.n_features + 3 + kAround) * wave_room(model, grid);
}

// All that can be known of a wave before its values are read.
void find_wave(const LatentModel& model, const LatentGrid& grid, const Context& context,
               const Wave& wave, const LaplaceTables& tables, Workspace& work) {
    const double* runs[kMaxContext];
    for (int i = 0; i < model.n_neighbours; ++i) runs[i] = work.slots.neighbour(wave, i);
    for (int k = 0; k < model.n_features; ++k)
        runs[model.n_neighbours + k] = work.features + k * work.room;
    for (int64_t at = 0; at < wave.count; at += kTile) {
        const double* contexts[kMaxContext];
        alignas(kWholeAlignment) double parameters[2 * kTile];
        for (int i = 0; i < context.mix[0].n_in; ++i) contexts[i] = runs[i] + at;
        const int n_vectors = vectors_of(wave.count - at);
        find_parameters(context, contexts, n_vectors, parameters);
        for (int i = 0; i < n_vectors * kLanes; i += kLanes) {
            store(work.means + at + i, load(parameters + i));
            store(work.scales + at + i, load(parameters + kTile + i));
            find_counts(tables, grid.largest, parameters + i, parameters + kTile + i,
                        work.symbols + at + i, work.counts + at + i, work.room);
        }
    }
}

// False when the words point above the last count.
bool read_wave(const LatentModel& model, const LatentGrid& grid, const Wave& wave,
               const Workspace& work, const LaplaceTables& tables, RangeState& words,
               double* places, int32_t* values) {
    RangeState state = words;  // in registers
    int32_t* value = values + wave.first * grid.width + wave.number - model.slope * wave.first;
    for (int64_t i = 0; i < wave.count; ++i, value += grid.width - model.slope) {
        uint64_t around[kAround];
        for (int k = 0; k < kAround; ++k) around[k] = work.counts[k * work.room + i];
        int32_t symbol = static_cast<int32_t>(work.symbols[i]);
        const int near = take_near(state, around);
        if (near < 0) {
            const Counts counts{tables, grid.largest, static_cast<int32_t>(work.means[i]),
                                tables.decays[static_cast<int32_t>(work.scales[i])]};
            const Bracket from{symbol, symbol + kAround - 1, static_cast<uint32_t>(around[0]),
                               static_cast<uint32_t>(around[kAround - 1])};
            if (!take_any(state, counts, from, symbol)) return false;
        } else {
            symbol += near;
        }
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
        if (features) {
            take_features(model, grid, wave, features, work.room, work.counts, work.features);
        }
        find_wave(model, grid, context, wave, tables, work);
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
