// Products of small matrices, and the bases of SOAP (soap.h), by a team of threads.
//
// A Team has rank(), size(), sync(), and kWidth: how many neighbouring results one thread finds together;
// for soap_accepts, all(bool) as well. Each sum is taken by one thread in one order, so results do not depend on size().
#pragma once

#include <math.h>

#if defined(__CUDACC__)
#define INRCODEC_HOST_DEVICE __host__ __device__
#else
#define INRCODEC_HOST_DEVICE
#endif

namespace inrcodec {

constexpr float kSmallestSoap = 1e-30f;  // what is less counts as 0: denormals are slow
constexpr float kNegligible = 1e-6f;     // of the trace of GG
constexpr float kDependent = 1e-3f;      // of a vector that is left beside the others

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

}  // namespace inrcodec
