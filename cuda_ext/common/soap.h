// SOAP for small tensors: Adam in the eigenbases of Shampoo (Vyas et al. 2024, arXiv:2409.11321), one
// tensor at a time by a team of threads. Compiled for the CPU, where a team is one thread, and fit to
// be compiled for CUDA, where it is a block. inrcodec/kernels/reference_soap.py is the meaning, constants included.
//
// Of a gradient G [rows, columns] and the bases L [rows, rows] and R [columns, columns]:
//   M += 0.1 (G - M)    S += 0.05 ((L' G R)^2 - S)    W = (W - rate L ((L' M R) / (sqrt S + eps)) R')
//   (1 - decay rate)    GG_rows += 0.05 (G G' - GG_rows)    GG_columns += 0.05 (G' G - GG_columns)
// The first step only sets GG and the bases, and each tenth after it turns them: the columns of GG L,
// largest eigenvalue first, are made orthonormal. A column that depends on those before it is the old
// one made orthogonal to them, or a unit vector.
//
// A Team has rank(), size(), sync(), all(bool), and kWidth: how many neighbouring results one thread
// finds together. Each sum is taken by one thread in one order, so results do not depend on size().
#pragma once

#include <math.h>
#include <stdint.h>

#if defined(__CUDACC__)
#define INRCODEC_HOST_DEVICE __host__ __device__
#else
#define INRCODEC_HOST_DEVICE
#endif

namespace inrcodec {

constexpr float kSoapMeanShare = 0.1f;     // 1 - beta1
constexpr float kSoapSquareShare = 0.05f;  // 1 - beta2, of GG too
constexpr float kSoapEpsilon = 1e-8f;
constexpr int kSoapPeriod = 10;            // steps from turn to turn
constexpr int kSoapFirstTurns = 4;         // at the first step, as bases begin as identities
constexpr int kLongestTurned = 256;        // a longer axis is not turned
constexpr float kLargestGradient = 1e12f;  // so that no square overflows
constexpr float kSmallestSoap = 1e-30f;    // what is less counts as 0: denormals are slow
constexpr float kNegligible = 1e-6f;       // of the trace of GG
constexpr float kDependent = 1e-3f;        // of a vector that is left beside the others

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

// --- products ------------------------------------------------------------------------------------

// A matrix of which neither rows nor columns need be neighbours; as a right factor, columns are.
struct SoapMatrix {
    const float* at;
    int row, column;  // from one row, or column, to the next

    INRCODEC_HOST_DEVICE SoapMatrix transposed() const { return {at, column, row}; }
};

template <int kWidth>
static inline INRCODEC_HOST_DEVICE void soap_products(const float* left, int stride,
                                                      const float* right, int row, int inner,
                                                      float* out) {
    float sums[kWidth] = {};
    for (int k = 0; k < inner; ++k) {
        const float factor = left[k * stride];
        for (int c = 0; c < kWidth; ++c) sums[c] += factor * right[k * row + c];
    }
    for (int c = 0; c < kWidth; ++c) out[c] = sums[c];
}

// The first `count` of fewer than 2 kWidth products.
template <int kWidth>
static inline INRCODEC_HOST_DEVICE void soap_some_products(const float* left, int stride,
                                                           const float* right, int row, int inner,
                                                           float* out, int count) {
    if (count >= kWidth) {
        soap_products<kWidth>(left, stride, right, row, inner, out);
        right += kWidth, out += kWidth, count -= kWidth;
    }
    if constexpr (kWidth > 1)
        if (count > 0) soap_some_products<kWidth / 2>(left, stride, right, row, inner, out, count);
}

// out [rows, columns] = left [rows, inner] right [inner, columns].
template <class Team>
static inline INRCODEC_HOST_DEVICE void soap_multiply(const SoapMatrix& left,
                                                      const SoapMatrix& right, int rows, int inner,
                                                      int columns, float* out, const Team& team) {
    const int runs = (columns + Team::kWidth - 1) / Team::kWidth;
    for (int i = team.rank(); i < rows * runs; i += team.size()) {
        const int row = i / runs, first = i % runs * Team::kWidth;
        const int count = columns - first < Team::kWidth ? columns - first : Team::kWidth;
        soap_some_products<Team::kWidth>(left.at + row * left.row, left.column, right.at + first,
                                         right.row, inner, out + row * columns + first, count);
    }
    team.sync();
}

static inline INRCODEC_HOST_DEVICE float soap_settled(float value) {
    return fabsf(value) < kSmallestSoap ? 0.0f : value;
}

// values += share (others - values)
template <class Team>
static inline INRCODEC_HOST_DEVICE void soap_follow(float* values, const float* others, float share,
                                                    int count, const Team& team) {
    for (int i = team.rank(); i < count; i += team.size())
        values[i] = soap_settled(values[i] + share * (others[i] - values[i]));
    team.sync();
}

// --- bases ---------------------------------------------------------------------------------------

// Of one axis of a tensor: GG, the basis, its vectors as columns, and its transpose, all [n, n].
struct SoapBasis {
    int n = 0;  // 0: not turned
    float *outer = nullptr, *columns = nullptr, *rows = nullptr;

    INRCODEC_HOST_DEVICE SoapMatrix matrix() const { return {columns, n, 1}; }
    INRCODEC_HOST_DEVICE SoapMatrix transposed() const { return {rows, n, 1}; }
};

struct SoapWork {
    float *product, *wanted, *old;            // [n, n]
    float *shares, *vector, *along, *others;  // [n]

    INRCODEC_HOST_DEVICE SoapWork(float* at, int n)
        : product(at),
          wanted(at + n * n),
          old(at + 2 * n * n),
          shares(at + 3 * n * n),
          vector(shares + n),
          along(vector + n),
          others(along + n) {}
};

static inline INRCODEC_HOST_DEVICE float soap_length(const float* vector, int n) {
    float sum = 0.0f;
    for (int i = 0; i < n; ++i) sum += vector[i] * vector[i];
    return sqrtf(sum);
}

template <class Team>
static inline INRCODEC_HOST_DEVICE void soap_scale(float* vector, float factor, int n,
                                                   const Team& team) {
    team.sync();  // all have read the length
    for (int i = team.rank(); i < n; i += team.size()) vector[i] *= factor;
    team.sync();
}

// Makes a unit vector orthogonal to the first `count` of a basis, twice as once loses digits; false
// if next to nothing is left of it.
template <class Team>
static inline INRCODEC_HOST_DEVICE bool soap_set_apart(const SoapBasis& basis, int count,
                                                       const SoapWork& work, const Team& team) {
    const int n = basis.n;
    for (int pass = 0; pass < 2; ++pass) {
        soap_multiply({work.vector, n, 1}, basis.matrix(), 1, n, count, work.along, team);
        soap_multiply({work.along, n, 1}, basis.transposed(), 1, count, n, work.others, team);
        for (int i = team.rank(); i < n; i += team.size()) work.vector[i] -= work.others[i];
        team.sync();
        const float length = soap_length(work.vector, n);
        if (!(length >= kDependent)) return false;
        soap_scale(work.vector, 1.0f / length, n, team);
    }
    return true;
}

// Candidate number `attempt` for vector j: of the product, of the old basis, unit vectors. False if
// it is next to nothing of the `trace`.
template <class Team>
static inline INRCODEC_HOST_DEVICE bool soap_propose(int attempt, int j, float trace, int n,
                                                     const SoapWork& work, const Team& team) {
    const float* from = (attempt == 0 ? work.wanted : work.old) + j * n;
    team.sync();  // all have left the last attempt
    for (int i = team.rank(); i < n; i += team.size())
        work.vector[i] = attempt < 2 ? from[i] : i == attempt - 2 ? 1.0f : 0.0f;
    team.sync();
    if (attempt > 0) return true;
    const float length = soap_length(work.vector, n);
    if (!(length >= kNegligible * trace)) return false;
    soap_scale(work.vector, 1.0f / length, n, team);
    return true;
}

// The basis anew, of the sorted `wanted` and `old` vectors.
template <class Team>
static inline INRCODEC_HOST_DEVICE void soap_orthonormalise(const SoapBasis& basis, float trace,
                                                            const SoapWork& work,
                                                            const Team& team) {
    const int n = basis.n;
    for (int j = 0; j < n; ++j) {
        for (int attempt = 0; attempt < n + 2; ++attempt)
            if (soap_propose(attempt, j, trace, n, work, team) &&
                soap_set_apart(basis, j, work, team))
                break;
        for (int i = team.rank(); i < n; i += team.size()) {
            basis.rows[j * n + i] = work.vector[i];
            basis.columns[i * n + j] = work.vector[i];
        }
        team.sync();
    }
}

// Where vector j comes to lie when larger shares come first.
static inline INRCODEC_HOST_DEVICE int soap_place(const float* shares, int j, int n) {
    int place = 0;
    for (int k = 0; k < n; ++k)
        place += shares[k] > shares[j] || (shares[k] == shares[j] && k < j) ? 1 : 0;
    return place;
}

// One round of power iteration. Vectors change places with their part of S: `count` values, `step`
// apart, of vector j from j * next on.
struct SoapSlices {
    float *square, *copy;
    int next, step, count;
};

template <class Team>
static inline INRCODEC_HOST_DEVICE void soap_turn(const SoapBasis& basis, const SoapSlices& slices,
                                                  const SoapWork& work, const Team& team) {
    const int n = basis.n;
    float trace = 0.0f;
    for (int i = 0; i < n; ++i) trace += basis.outer[i * n + i];
    if (!(trace >= kSmallestSoap)) return;
    soap_multiply({basis.outer, n, 1}, basis.matrix(), n, n, n, work.product, team);
    for (int j = team.rank(); j < n; j += team.size()) {
        float share = 0.0f;
        for (int i = 0; i < n; ++i) share += basis.rows[j * n + i] * work.product[i * n + j];
        work.shares[j] = share < kNegligible * trace ? 0.0f : share;
    }
    team.sync();
    for (int j = team.rank(); j < n; j += team.size()) {
        const int place = soap_place(work.shares, j, n);
        for (int i = 0; i < n; ++i) {
            work.wanted[place * n + i] = work.product[i * n + j];
            work.old[place * n + i] = basis.rows[j * n + i];
        }
        for (int i = 0; i < slices.count; ++i)
            slices.copy[place * slices.next + i * slices.step] =
                slices.square[j * slices.next + i * slices.step];
    }
    team.sync();
    for (int i = team.rank(); i < n * slices.count; i += team.size())
        slices.square[i] = slices.copy[i];
    soap_orthonormalise(basis, trace, work, team);
}

template <class Team>
static inline INRCODEC_HOST_DEVICE void soap_begin(const SoapBasis& basis, const Team& team) {
    for (int i = team.rank(); i < basis.n * basis.n; i += team.size())
        basis.rows[i] = basis.columns[i] = i % (basis.n + 1) == 0 ? 1.0f : 0.0f;
    team.sync();
}

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
