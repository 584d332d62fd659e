// The gradient of a network's parameters, a sum over points, so that its order does not depend on
// the threads. The points are cut into chunks, whose number follows from the call alone. Chunks are
// summed on their own, in point order, then added up in chunk order. Not for kernels.
#pragma once

#include <algorithm>
#include <vector>

#include "../common/instruction_sets.h"
#include "../common/mlp_kernels.h"
#include "../common/parallel.h"
#include "kept_floats.h"

namespace inrcodec {
namespace {

constexpr int kMlpScratch = 0, kMlpFeatures = 1;  // of kept_floats

inline int64_t divide_up(int64_t value, int64_t by) {
    return (value + by - 1) / by;
}

class MlpSums {
  public:
    MlpSums(const Mlp& mlp, const float* parameters, int64_t n_points)
        : mlp_(mlp),
          kernels_(mlp_kernels()),
          n_points_(n_points),
          n_tiles_(divide_up(n_points, kMlpTile)),
          size_(kernels_.sums_size(mlp)),
          n_chunks_(count_chunks()),
          packed_(make_aligned<float>(mlp.n_parameters)),
          transposed_(make_aligned<float>(mlp.n_parameters)),
          sums_(make_aligned<float>(n_chunks_ * size_)),
          squares_(static_cast<size_t>(n_chunks_), 0.0) {
        kernels_.pack(mlp, parameters, packed_.get(), transposed_.get());
    }

    // Calls add(chunk, first, last) for the points of each chunk, on threads.
    template <typename Add>
    void sum(int n_threads, Add add) {
        run_tasks(n_chunks_, n_threads, [&](int chunk) {
            std::fill_n(sums_.get() + chunk * size_, size_, 0.0f);
            add(chunk, first_point(chunk), first_point(chunk + 1));
        });
    }

    // Adds the points [first, last) of a call to a chunk.
    void add(int chunk, const MlpCall& call, int64_t first, int64_t last) {
        float* const scratch = kept_floats<kMlpScratch>(kernels_.gradients_scratch(mlp_));
        squares_[static_cast<size_t>(chunk)] +=
            kernels_.gradients(mlp_, call, first, last, packed_.get(), transposed_.get(),
                               sums_.get() + chunk * size_, scratch);
    }

    // Writes the gradient of the parameters; returns the sum of squares.
    double finish(float* gradient, int n_threads) const {
        run_tasks(mlp_.n_layers, n_threads, [&](int layer) {
            kernels_.add_sums(mlp_, sums_.get(), n_chunks_, layer, gradient);
        });
        double total = 0.0;
        for (const double squares : squares_) total += squares;
        return total;
    }

  private:
    static constexpr int64_t kTilesPerChunk = 2;  // at least
    static constexpr int64_t kMaxChunks = 16;
    static constexpr int64_t kMaxSumsFloats = 1 << 24;

    int count_chunks() const {
        const int64_t most = std::min(kMaxChunks, kMaxSumsFloats / size_);
        return static_cast<int>(std::max<int64_t>(1, std::min(most, n_tiles_ / kTilesPerChunk)));
    }

    int64_t first_point(int chunk) const {
        return std::min(n_tiles_ * chunk / n_chunks_ * kMlpTile, n_points_);
    }

    const Mlp& mlp_;
    const MlpKernels& kernels_;
    const int64_t n_points_, n_tiles_, size_;
    const int n_chunks_;
    const AlignedBuffer<float> packed_, transposed_, sums_;
    std::vector<double> squares_;
};

}  // namespace
}  // namespace inrcodec
