// SOAP for small tensors: Adam in the eigenbases of Shampoo (Vyas et al. 2024, arXiv:2409.11321), one
// tensor at a time by a team of threads (soap_bases.h). Compiled for the CPU, where a team is one
// thread, and fit to be compiled for CUDA, where it is a block. inrcodec/kernels/reference_soap.py is
// the meaning, numbers included.
//
// Of a gradient G [rows, columns] and the bases L [rows, rows] and R [columns, columns]:
//   M += 0.1 (G - M)    S += 0.05 ((L' G R)^2 - S)    W = (W - rate L ((L' M R) / (sqrt S + eps)) R')
//   (1 - decay rate)    GG_rows += 0.05 (G G' - GG_rows)    GG_columns += 0.05 (G' G - GG_columns)
// The first step only sets GG and the bases, and each tenth after it turns them: the columns of GG L,
// largest eigenvalue first, are made orthonormal. A column that depends on those before it is the old
// one made orthogonal to them, or a unit vector.
#pragma once

#include <stdint.h>

#include "soap_bases.h"

namespace inrcodec {

constexpr float kSoapMeanShare = 0.1f;     // 1 - beta1
constexpr float kSoapSquareShare = 0.05f;  // 1 - beta2, of GG too
constexpr float kSoapEpsilon = 1e-8f;
constexpr int kSoapPeriod = 10;            // steps from turn to turn
constexpr int kSoapFirstTurns = 4;         // at the first step, as bases begin as identities
constexpr int kLongestTurned = 256;        // a longer axis is not turned
constexpr float kLargestGradient = 1e12f;  // so that no square overflows

// One tensor as a matrix; an empty one or one of a single axis is not turned.
struct SoapTensor {
    int rows = 0, columns = 0;
    bool turns_rows = false, turns_columns = false;
    float decay = 0.0f;
    int64_t values = 0, state = 0;  // where its part of the arrays begins

    INRCODEC_HOST_DEVICE int size() const { return rows * columns; }
    INRCODEC_HOST_DEVICE int longest_turned() const {
        const int of_rows = turns_rows ? rows : 0, of_columns = turns_columns ? columns : 0;
        return of_rows > of_columns ? of_rows : of_columns;
    }
};

// State of a tensor: M, S; then of its turned axes, rows first, GG, the basis and its transpose.
static inline INRCODEC_HOST_DEVICE int64_t soap_state_size(const SoapTensor& t) {
    const int64_t rows = t.turns_rows ? t.rows : 0, columns = t.turns_columns ? t.columns : 0;
    return 2 * int64_t{t.rows} * t.columns + 3 * (rows * rows + columns * columns);
}

// Floats of working memory that a team needs for a tensor.
static inline INRCODEC_HOST_DEVICE int64_t soap_work_size(const SoapTensor& t) {
    const int64_t n = t.longest_turned();
    return 3 * int64_t{t.rows} * t.columns + 3 * n * n + 4 * n;
}

// Step number `count`, from 1 on.
struct SoapMove {
    float rate = 0.0f;        // over the bias corrections
    float decay_rate = 0.0f;  // the plain learning rate
    bool is_first = false, turns = false;
};

// Arrays, float32, of all tensors one after the other.
struct SoapCall {
    float* parameters = nullptr;
    const float* gradient = nullptr;
    float* state = nullptr;
};

// Arguments are checked already (common/soap_checks.h). Gives whether the tensors moved: where any
// gradient is not finite, or above kLargestGradient, nothing changes at all.
bool soap_step(const SoapTensor* tensors, int n_tensors, const SoapMove& move,
               const SoapCall& call);

// --- one tensor ----------------------------------------------------------------------------------

// What a tensor has in the state, and three matrices of its size to work in.
struct SoapPlaces {
    float *mean, *square, *first, *second, *third, *rest;
    SoapBasis of_rows, of_columns;

    INRCODEC_HOST_DEVICE SoapPlaces(const SoapTensor& t, float* state, float* work) {
        const int size = t.size();
        mean = state, square = mean + size;
        float* at = basis_at(of_rows, t.turns_rows ? t.rows : 0, square + size);
        basis_at(of_columns, t.turns_columns ? t.columns : 0, at);
        first = work, second = first + size, third = second + size, rest = third + size;
    }

  private:
    static INRCODEC_HOST_DEVICE float* basis_at(SoapBasis& basis, int n, float* at) {
        basis.n = n;
        basis.outer = at, basis.columns = at + n * n, basis.rows = at + 2 * n * n;
        return at + 3 * n * n;
    }
};

// `values` in the bases, or back. Gives where they are: `first`, `second` or the values themselves.
template <class Team>
static inline INRCODEC_HOST_DEVICE const float* soap_rotate(const float* values, bool is_back,
                                                            const SoapTensor& t,
                                                            const SoapPlaces& at,
                                                            const Team& team) {
    const SoapBasis &rows = at.of_rows, &columns = at.of_columns;
    const float* from = values;
    if (rows.n > 0) {
        const SoapMatrix left = is_back ? rows.matrix() : rows.matrix().transposed();
        soap_multiply(left, {from, t.columns, 1}, t.rows, t.rows, t.columns, at.first, team);
        from = at.first;
    }
    if (columns.n > 0) {
        const SoapMatrix right = is_back ? columns.transposed() : columns.matrix();
        soap_multiply({from, t.columns, 1}, right, t.rows, t.columns, t.columns, at.second, team);
        from = at.second;
    }
    return from;
}

template <class Team>
static inline INRCODEC_HOST_DEVICE void soap_descend(const SoapTensor& t, const SoapMove& move,
                                                     float* parameters, const float* gradient,
                                                     const SoapPlaces& at, const Team& team) {
    const int size = t.size();
    const float* turned = soap_rotate(gradient, false, t, at, team);
    for (int i = team.rank(); i < size; i += team.size()) at.third[i] = turned[i] * turned[i];
    team.sync();
    soap_follow(at.mean, gradient, kSoapMeanShare, size, team);
    soap_follow(at.square, at.third, kSoapSquareShare, size, team);
    const float* mean = soap_rotate(at.mean, false, t, at, team);
    for (int i = team.rank(); i < size; i += team.size())
        at.third[i] = mean[i] / (sqrtf(at.square[i]) + kSoapEpsilon);
    team.sync();
    const float* back = soap_rotate(at.third, true, t, at, team);
    const float kept = 1.0f - t.decay * move.decay_rate;
    for (int i = team.rank(); i < size; i += team.size())
        parameters[i] = (parameters[i] - move.rate * back[i]) * kept;
    team.sync();
}

// Both GG follow the gradient.
template <class Team>
static inline INRCODEC_HOST_DEVICE void soap_gather(const SoapTensor& t, const float* gradient,
                                                    const SoapPlaces& at, const Team& team) {
    const int rows = at.of_rows.n, columns = at.of_columns.n;
    const SoapMatrix given{gradient, t.columns, 1};
    if (rows > 0) {
        for (int i = team.rank(); i < t.size(); i += team.size())
            at.first[i % t.columns * rows + i / t.columns] = gradient[i];
        team.sync();
        soap_multiply(given, {at.first, rows, 1}, rows, t.columns, rows, at.rest, team);
        soap_follow(at.of_rows.outer, at.rest, kSoapSquareShare, rows * rows, team);
    }
    if (columns > 0) {
        soap_multiply(given.transposed(), given, columns, t.rows, columns, at.rest, team);
        soap_follow(at.of_columns.outer, at.rest, kSoapSquareShare, columns * columns, team);
    }
}

template <class Team>
static inline INRCODEC_HOST_DEVICE void soap_turn_both(const SoapTensor& t, const SoapPlaces& at,
                                                       const Team& team) {
    if (at.of_rows.n > 0) {
        const SoapSlices rows{at.square, at.first, t.columns, 1, t.columns};
        soap_turn(at.of_rows, rows, {at.rest, t.rows}, team);
    }
    if (at.of_columns.n > 0) {
        const SoapSlices columns{at.square, at.first, 1, t.columns, t.rows};
        soap_turn(at.of_columns, columns, {at.rest, t.columns}, team);
    }
}

// A whole step of one tensor; the pointers are those of its own parts of the arrays.
template <class Team>
static inline INRCODEC_HOST_DEVICE void soap_move(const SoapTensor& t, const SoapMove& move,
                                                  float* parameters, const float* gradient,
                                                  float* state, float* work, const Team& team) {
    const SoapPlaces at(t, state, work);
    if (move.is_first) {
        soap_begin(at.of_rows, team);
        soap_begin(at.of_columns, team);
    } else {
        soap_descend(t, move, parameters, gradient, at, team);
    }
    soap_gather(t, gradient, at, team);
    const int n_turns = move.is_first ? kSoapFirstTurns : move.turns ? 1 : 0;
    for (int i = 0; i < n_turns; ++i) soap_turn_both(t, at, team);
}

// Whether a step may be made with these gradients.
template <class Team>
static inline INRCODEC_HOST_DEVICE bool soap_accepts(const float* gradient, int64_t count,
                                                     const Team& team) {
    bool is_fine = true;
    for (int64_t i = team.rank(); i < count; i += team.size())
        is_fine = is_fine && fabsf(gradient[i]) <= kLargestGradient;
    return team.all(is_fine);
}

}  // namespace inrcodec
