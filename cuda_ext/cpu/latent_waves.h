// The waves of a grid, for the kernels of the latent op alone: the values that are decoded together,
// one in each of some rows.
//
// Row r, column c is in wave c + slope * r. The latest waves lie in slots, each of which holds a value
// of every row, so that a wave is one run, and so is each neighbour of all of its values. A slot is 0
// where its wave has no place in the grid.
#pragma once

#include "../common/latent_kernels.h"
#include "whole_blocks.h"

namespace inrcodec {
namespace {

constexpr double kContextUnit = 1024.0;

struct Wave {
    int64_t number;
    int64_t first;  // row
    int64_t count;
};

inline int64_t waves_of(const LatentModel& model, const LatentGrid& grid) {
    return grid.width + model.slope * (grid.height - 1);
}

inline Wave wave_of(const LatentModel& model, const LatentGrid& grid, int64_t number) {
    const int64_t before = number - grid.width + 1;  // column width - 1 is in this row or above it
    const int64_t first = before > 0 ? (before + model.slope - 1) / model.slope : 0;
    const int64_t last = number / model.slope;
    return {number, first, (last < grid.height - 1 ? last : grid.height - 1) - first + 1};
}

// No wave is longer. With room for a whole tile from any place on:
inline int64_t wave_room(const LatentModel& model, const LatentGrid& grid) {
    const int64_t across = (grid.width - 1) / model.slope + 1;
    return (grid.height < across ? grid.height : across) + kTile;
}

class Slots {
  public:
    static int64_t size(const LatentModel& model, const LatentGrid& grid) {
        return count(model) * room(grid);
    }

    Slots(const LatentModel& model, const LatentGrid& grid, double* scratch)
        : model_(model), grid_(grid), at_(scratch), mask_(count(model) - 1), room_(room(grid)) {
        const int64_t n = size(model, grid);
        for (int64_t i = 0; i < n; ++i) scratch[i] = 0.0;
    }

    // The places of a wave, all 0.
    double* begin(const Wave& wave) {
        const int64_t before = wave.number - mask_ - 1;
        double* slot = at(wave.number, 0);
        if (before >= 0) {
            const Wave old = wave_of(model_, grid_, before);
            for (int64_t i = 0; i < old.count; ++i) slot[old.first + i] = 0.0;
        }
        return slot + wave.first;
    }

    // Where a neighbour of the first value of a wave is; those of the others follow.
    const double* neighbour(const Wave& wave, int number) {
        const int row = model_.rows[number];
        return at(wave.number + model_.columns[number] + model_.slope * row, wave.first + row);
    }

  private:
    static int64_t count(const LatentModel& model) {
        int64_t slots = 1;
        for (int i = 0; i < model.n_neighbours; ++i)
            while (slots <= -(model.columns[i] + model.slope * model.rows[i])) slots *= 2;
        return slots;
    }

    static int64_t room(const LatentGrid& grid) {
        const int64_t room = kMaxReach + grid.height + kTile;
        return (room + kLanes - 1) / kLanes * kLanes;
    }

    double* at(int64_t wave, int64_t row) { return at_ + (wave & mask_) * room_ + kMaxReach + row; }

    const LatentModel& model_;
    const LatentGrid& grid_;
    double* at_;
    int64_t mask_, room_;
};

}  // namespace
}  // namespace inrcodec
