// A moment-network and its gradient, by hand; phasecal/potentials/moments.py and moment_network.py have the formulas.
//
// Atoms are worked on side by side, one in each lane of a vector register: what is written here for one atom is done for
// 16 of them (single precision, AVX-512). Every loop over an atom's neighbours, moments or weights is then one over whole
// registers, and nothing is ever summed over lanes.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

// glibc has exp and log for whole registers, but declares them only for those who give up the rules of rounding.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
extern "C" {
__attribute__((simd("notinbranch"))) float expf(float) noexcept;
__attribute__((simd("notinbranch"))) float logf(float) noexcept;
__attribute__((simd("notinbranch"))) double exp(double) noexcept;
__attribute__((simd("notinbranch"))) double log(double) noexcept;
}
#endif

namespace phasecal {

#if defined(__AVX512F__)
constexpr int REGISTER = 64;    // bytes
#elif defined(__AVX__)
constexpr int REGISTER = 32;
#else
constexpr int REGISTER = 16;
#endif

template <typename T> struct Lanes;
template <> struct Lanes<float> {
  typedef float type __attribute__((vector_size(REGISTER)));
  static float exp(float x) { return ::expf(x); }
  static float log(float x) { return ::logf(x); }
};
template <> struct Lanes<double> {
  typedef double type __attribute__((vector_size(REGISTER)));
  static double exp(double x) { return ::exp(x); }
  static double log(double x) { return ::log(x); }
};

// Monomials of unit vectors: ranks 2 (of axes) and 3 (of axis and monomial of rank 2), which of rank 3 sum to x, y and z,
// and how often each occurs in a full contraction.
constexpr int SECOND = 6, THIRD = 10, MONOMIALS = SECOND + THIRD;
constexpr int RANK_2[SECOND][2] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}, {0, 2}, {1, 2}};
constexpr int RANK_3[THIRD][2] = {{0, 0}, {1, 1}, {2, 2}, {0, 3}, {0, 4}, {1, 3}, {1, 5}, {2, 4}, {2, 5}, {0, 5}};
constexpr int TRACE_3[3][3] = {{0, 5, 7}, {1, 3, 8}, {2, 4, 6}};
constexpr int MULTIPLICITY[MONOMIALS] = {1, 1, 1, 2, 2, 2, 1, 1, 1, 3, 3, 3, 3, 3, 3, 6};
constexpr double CLAMP = 0.9;
constexpr int MAX_BASIS = 32;    // phasecal/native.py refuses more

// The arrays of a model, as Python has them; shapes in phasecal/native.py.
struct MomentArrays {
  int n_elements, n_radial, n_basis;
  std::vector<int> hidden;
  double cutoff, guard;
  const double *theta, *radial, *mean, *scale, *references, *inner;
};

// Neighbourhoods in rows of `columns` neighbours, of which `counts` are there.
template <typename T> struct Rows {
  const T *vectors;
  const int *species, *others, *counts;
  int n, columns;
};

template <typename T> class MomentNetwork {
 public:
  explicit MomentNetwork(const MomentArrays &m) :
      n_elements(m.n_elements), n_radial(m.n_radial), n_basis(m.n_basis), n_pairs(n_radial * (n_radial + 1) / 2),
      n_invariants(n_radial + 4 * n_pairs), cutoff(m.cutoff), guard(m.guard), sizes{n_invariants}
  {
    sizes.insert(sizes.end(), m.hidden.begin(), m.hidden.end());
    n_theta = sizes.back();
    for (size_t l = 1; l < sizes.size(); l++) n_theta += (sizes[l - 1] + 1) * sizes[l];
    radial.assign(m.radial, m.radial + n_elements * n_radial * n_basis);
    inner.assign(m.inner, m.inner + n_elements * n_elements);
    mean.assign(m.mean, m.mean + n_elements * n_invariants);
    for (int i = 0; i < n_elements * n_invariants; i++) inverse_scale.push_back(1.0 / m.scale[i]);
    references.assign(m.references, m.references + n_elements);
    theta.assign(m.theta, m.theta + n_elements * n_theta);
    sums.resize(n_elements * n_basis * MONOMIALS);
    moments.resize(n_radial * MONOMIALS), moment_slopes.resize(n_radial * MONOMIALS);
    zeroth.resize(n_radial), zeroth_slopes.resize(n_radial);
    first.resize(3 * n_radial), first_slopes.resize(3 * n_radial);
    raw.resize(n_invariants);
    for (int size : sizes) layers.emplace_back(size), layer_slopes.emplace_back(size);
  }

  // Energies of all rows, eV, and their slopes, eV/Å, laid out as the vectors; those of absent neighbours are not written.
  void evaluate(const Rows<T> &rows, double *energies, T *slopes)
  {
    std::vector<int> chosen;
    for (int element = 0; element < n_elements; element++)
      for (int row = 0; row <= rows.n; row++) {
        const bool full = chosen.size() == LANES, end = row == rows.n;
        if (full || (end && !chosen.empty())) {
          evaluate_some(rows, element, chosen, energies, slopes);
          chosen.clear();
        }
        if (!end && rows.species[row] == element) chosen.push_back(row);
      }
  }

 private:
  typedef typename Lanes<T>::type V;
  static constexpr int LANES = REGISTER / sizeof(T);
  static constexpr int BLOCK = 8;    // sums that are kept in registers together

  struct Pair {    // of an atom and a neighbour
    V unit[3], inverse, basis[MAX_BASIS], basis_slope[MAX_BASIS], monomial[MONOMIALS], guard, guard_slope;
  };

  int n_elements, n_radial, n_basis, n_pairs, n_invariants, n_theta;
  T cutoff, guard;
  std::vector<int> sizes;    // of all layers
  std::vector<T> radial, inner, mean, inverse_scale, theta;
  std::vector<double> references;
  std::vector<V> x, y, z, other;    // neighbours
  std::vector<V> sums;              // of basis functions times monomials over neighbours; later the energy's slopes
  std::vector<V> moments, zeroth, first, moment_slopes, zeroth_slopes, first_slopes, raw;
  std::vector<std::vector<V>> layers, layer_slopes;

  void evaluate_some(const Rows<T> &rows, int element, const std::vector<int> &chosen, double *energies, T *slopes)
  {
    int width = 0;
    for (int row : chosen) width = std::max(width, rows.counts[row]);
    for (std::vector<V> *array : {&x, &y, &z, &other}) array->assign(width, V{} + 2 * cutoff);
    for (size_t a = 0; a < chosen.size(); a++)
      for (int k = 0; k < rows.counts[chosen[a]]; k++) {
        const size_t i = static_cast<size_t>(chosen[a]) * rows.columns + k;
        x[k][a] = rows.vectors[3 * i], y[k][a] = rows.vectors[3 * i + 1], z[k][a] = rows.vectors[3 * i + 2];
        other[k][a] = rows.others[i];
      }
    const V fixed = sum_neighbors(element);
    contract();
    const V energy = run_network(element);
    contract_back();
    spread_to_neighbors(element);
    for (size_t a = 0; a < chosen.size(); a++) {
      energies[chosen[a]] = references[element] + static_cast<double>(fixed[a]) + static_cast<double>(energy[a]);
      for (int k = 0; k < rows.counts[chosen[a]]; k++) {
        const size_t i = static_cast<size_t>(chosen[a]) * rows.columns + k;
        slopes[3 * i] = x[k][a], slopes[3 * i + 1] = y[k][a], slopes[3 * i + 2] = z[k][a];
      }
    }
  }

  static V root(V value)
  {
    for (int a = 0; a < LANES; a++) value[a] = std::sqrt(value[a]);
    return value;
  }

  static V exponential(V value)
  {
    for (int a = 0; a < LANES; a++) value[a] = Lanes<T>::exp(value[a]);
    return value;
  }

  static V logarithm(V value)
  {
    for (int a = 0; a < LANES; a++) value[a] = Lanes<T>::log(value[a]);
    return value;
  }

  V of_element(V value, int e, int k) const { return n_elements == 1 ? value : (other[k] == T(e) ? value : V{}); }

  void describe(int element, int k, Pair &p) const
  {
    const V zero = {}, one = zero + 1;
    const V squared = x[k] * x[k] + y[k] * y[k] + z[k] * z[k];
    const auto inside = squared < cutoff * cutoff;
    const V r = inside ? root(squared) : zero + cutoff;
    p.inverse = one / r;
    p.unit[0] = x[k] * p.inverse, p.unit[1] = y[k] * p.inverse, p.unit[2] = z[k] * p.inverse;

    V shortest = zero + inner[element * n_elements];
    for (int e = 1; e < n_elements; e++) shortest = other[k] == T(e) ? zero + inner[element * n_elements + e] : shortest;
    const V lower = T(CLAMP) * shortest, range = T(1 - CLAMP) * shortest;
    const V t = (r - lower) / range;
    const V u = t > zero ? (t < one ? t : one) : zero;
    const V clamped = lower + range * (u * u * u * (T(6) - T(8) * u + T(3) * u * u) + (t > one ? t - one : zero));
    const V clamped_slope = t < one ? u * u * (T(18) - T(32) * u + T(15) * u * u) : one;
    const V s = 2 / cutoff * clamped - one, s_slope = 2 / cutoff * clamped_slope;
    const V q = inside ? one - r / cutoff : zero;
    const V envelope = T(8) * q * q * q, envelope_slope = -24 / cutoff * q * q;
    V last = one, now = s, last_slope = zero, now_slope = one;
    p.basis[0] = envelope, p.basis_slope[0] = envelope_slope;
    for (int b = 1; b < n_basis; b++) {
      p.basis[b] = now * envelope;
      p.basis_slope[b] = now_slope * s_slope * envelope + now * envelope_slope;
      const V next = T(2) * s * now - last, next_slope = T(2) * (now + s * now_slope) - last_slope;
      last = now, now = next, last_slope = now_slope, now_slope = next_slope;
    }
    for (int m = 0; m < SECOND; m++) p.monomial[m] = p.unit[RANK_2[m][0]] * p.unit[RANK_2[m][1]];
    for (int m = 0; m < THIRD; m++) p.monomial[SECOND + m] = p.unit[RANK_3[m][0]] * p.monomial[RANK_3[m][1]];

    const V close = one - r / shortest, depth = inside ? (close > zero ? close : zero) : zero;
    const V wall = depth * depth * depth * shortest * p.inverse;
    p.guard = T(0.5) * guard * wall;
    p.guard_slope = T(-0.5) * guard * (T(3) * depth * depth + wall) * p.inverse;
  }

  // Sums over neighbours; returns the guard's energy.
  V sum_neighbors(int element)
  {
    V fixed = {};
    std::fill(sums.begin(), sums.end(), V{});
    Pair p;
    for (size_t k = 0; k < x.size(); k++) {
      describe(element, k, p);
      fixed += p.guard;
      for (int e = 0; e < n_elements; e++)
        for (int b = 0; b < n_basis; b++) {
          const V f = of_element(p.basis[b], e, k);
          V *sum = &sums[(e * n_basis + b) * MONOMIALS];
          for (int m = 0; m < MONOMIALS; m++) sum[m] += f * p.monomial[m];
        }
    }
    return fixed;
  }

  // Moments and invariants of the sums.
  void contract()
  {
    for (int n = 0; n < n_radial; n++) {
      V sum[MONOMIALS] = {};
      for (int e = 0; e < n_elements; e++)
        for (int b = 0; b < n_basis; b++) {
          const T c = radial[(e * n_radial + n) * n_basis + b];
          for (int m = 0; m < MONOMIALS; m++) sum[m] += c * sums[(e * n_basis + b) * MONOMIALS + m];
        }
      std::copy(sum, sum + MONOMIALS, &moments[n * MONOMIALS]);
      zeroth[n] = sum[0] + sum[1] + sum[2];
      for (int axis = 0; axis < 3; axis++) {
        first[3 * n + axis] = V{};
        for (int part : TRACE_3[axis]) first[3 * n + axis] += sum[SECOND + part];
      }
    }
    std::copy(zeroth.begin(), zeroth.end(), raw.begin());
    V *out = &raw[n_radial];
    for (int n = 0; n < n_radial; n++)
      for (int m = n; m < n_radial; m++, out++) {
        const V *left = &moments[n * MONOMIALS], *right = &moments[m * MONOMIALS];
        V one = {}, two = {}, three = {};
        for (int axis = 0; axis < 3; axis++) one += first[3 * n + axis] * first[3 * m + axis];
        for (int c = 0; c < SECOND; c++) two += T(MULTIPLICITY[c]) * left[c] * right[c];
        for (int c = SECOND; c < MONOMIALS; c++) three += T(MULTIPLICITY[c]) * left[c] * right[c];
        out[0] = zeroth[n] * zeroth[m], out[n_pairs] = one, out[2 * n_pairs] = two, out[3 * n_pairs] = three;
      }
  }

  // Energy of the network; the slopes of the first layer become those of the energy by the invariants.
  V run_network(int element)
  {
    for (int i = 0; i < n_invariants; i++) {
      const T scale = inverse_scale[element * n_invariants + i];
      const V value = (raw[i] - mean[element * n_invariants + i]) * scale, hypotenuse = root(value * value + T(1));
      const V size = logarithm((value < V{} ? -value : value) + hypotenuse);
      layers[0][i] = value < V{} ? -size : size;
      layer_slopes[0][i] = scale / hypotenuse;
    }
    const T *weights = &theta[element * n_theta];
    for (size_t l = 1; l < sizes.size(); l++) {
      forward(l, weights);
      weights += (sizes[l - 1] + 1) * sizes[l];
    }
    V energy = {};
    for (int o = 0; o < sizes.back(); o++) {
      energy += layers.back()[o] * weights[o];
      layer_slopes.back()[o] *= weights[o];
    }
    for (size_t l = sizes.size() - 1; l > 0; l--) {
      weights -= (sizes[l - 1] + 1) * sizes[l];
      backward(l, weights);
    }
    return energy;
  }

  void forward(size_t l, const T *weights)
  {
    const int n_in = sizes[l - 1], n_out = sizes[l];
    const std::vector<V> &in = layers[l - 1];
    for (int o = 0; o < n_out; o += BLOCK) {
      const int n = std::min(BLOCK, n_out - o);
      V sum[BLOCK] = {};
      auto add = [&](int count) __attribute__((always_inline)) {
        for (int i = 0; i < n_in; i++)
          for (int j = 0; j < count; j++) sum[j] += in[i] * weights[i * n_out + o + j];
      };
      if (n == BLOCK) add(BLOCK); else add(n);    // a count that is known is unrolled
      for (int j = 0; j < n; j++) {
        const V value = T(1) - T(2) / (exponential(T(2) * (sum[j] + weights[n_in * n_out + o + j])) + T(1));    // tanh
        layers[l][o + j] = value;
        layer_slopes[l][o + j] = T(1) - value * value;
      }
    }
  }

  void backward(size_t l, const T *weights)
  {
    const int n_in = sizes[l - 1], n_out = sizes[l];
    const std::vector<V> &slopes = layer_slopes[l];
    for (int i = 0; i < n_in; i += BLOCK) {
      const int n = std::min(BLOCK, n_in - i);
      V sum[BLOCK] = {};
      auto add = [&](int count) __attribute__((always_inline)) {
        for (int o = 0; o < n_out; o++)
          for (int j = 0; j < count; j++) sum[j] += slopes[o] * weights[(i + j) * n_out + o];
      };
      if (n == BLOCK) add(BLOCK); else add(n);
      for (int j = 0; j < n; j++) layer_slopes[l - 1][i + j] *= sum[j];
    }
  }

  // Slopes by the invariants become slopes by the sums, in their place.
  void contract_back()
  {
    std::fill(moment_slopes.begin(), moment_slopes.end(), V{});
    std::fill(first_slopes.begin(), first_slopes.end(), V{});
    std::copy(layer_slopes[0].begin(), layer_slopes[0].begin() + n_radial, zeroth_slopes.begin());
    const V *slope = &layer_slopes[0][n_radial];
    for (int n = 0; n < n_radial; n++)
      for (int m = n; m < n_radial; m++, slope++) {
        const V zero = slope[0], one = slope[n_pairs], two = slope[2 * n_pairs], three = slope[3 * n_pairs];
        zeroth_slopes[n] += zero * zeroth[m], zeroth_slopes[m] += zero * zeroth[n];
        for (int axis = 0; axis < 3; axis++) {
          first_slopes[3 * n + axis] += one * first[3 * m + axis];
          first_slopes[3 * m + axis] += one * first[3 * n + axis];
        }
        for (int c = 0; c < MONOMIALS; c++) {
          const V weighted = T(MULTIPLICITY[c]) * (c < SECOND ? two : three);
          moment_slopes[n * MONOMIALS + c] += weighted * moments[m * MONOMIALS + c];
          moment_slopes[m * MONOMIALS + c] += weighted * moments[n * MONOMIALS + c];
        }
      }
    for (int n = 0; n < n_radial; n++)
      for (int axis = 0; axis < 3; axis++) {
        moment_slopes[n * MONOMIALS + axis] += zeroth_slopes[n];
        for (int part : TRACE_3[axis]) moment_slopes[n * MONOMIALS + SECOND + part] += first_slopes[3 * n + axis];
      }
    for (int e = 0; e < n_elements; e++)
      for (int b = 0; b < n_basis; b++) {
        V sum[MONOMIALS] = {};
        for (int n = 0; n < n_radial; n++) {
          const T c = radial[(e * n_radial + n) * n_basis + b];
          for (int m = 0; m < MONOMIALS; m++) sum[m] += c * moment_slopes[n * MONOMIALS + m];
        }
        std::copy(sum, sum + MONOMIALS, &sums[(e * n_basis + b) * MONOMIALS]);
      }
  }

  // Slopes by the sums become slopes by the vectors to neighbours, in their place.
  void spread_to_neighbors(int element)
  {
    Pair p;
    for (size_t k = 0; k < x.size(); k++) {
      describe(element, k, p);
      V radial_slope = p.guard_slope, slopes[MONOMIALS] = {}, unit_slopes[3] = {};
      for (int e = 0; e < n_elements; e++)
        for (int b = 0; b < n_basis; b++) {
          const V *by_sum = &sums[(e * n_basis + b) * MONOMIALS];
          const V f = of_element(p.basis[b], e, k);
          V by_basis = {};
          for (int m = 0; m < MONOMIALS; m++) by_basis += by_sum[m] * p.monomial[m], slopes[m] += by_sum[m] * f;
          radial_slope += by_basis * of_element(p.basis_slope[b], e, k);
        }
      for (int m = 0; m < THIRD; m++) {
        unit_slopes[RANK_3[m][0]] += slopes[SECOND + m] * p.monomial[RANK_3[m][1]];
        slopes[RANK_3[m][1]] += slopes[SECOND + m] * p.unit[RANK_3[m][0]];
      }
      for (int m = 0; m < SECOND; m++) {
        unit_slopes[RANK_2[m][0]] += slopes[m] * p.unit[RANK_2[m][1]];
        unit_slopes[RANK_2[m][1]] += slopes[m] * p.unit[RANK_2[m][0]];
      }
      const V along = unit_slopes[0] * p.unit[0] + unit_slopes[1] * p.unit[1] + unit_slopes[2] * p.unit[2];
      const V radially = radial_slope - along * p.inverse;
      x[k] = radially * p.unit[0] + unit_slopes[0] * p.inverse;
      y[k] = radially * p.unit[1] + unit_slopes[1] * p.inverse;
      z[k] = radially * p.unit[2] + unit_slopes[2] * p.inverse;
    }
  }
};

}    // namespace phasecal
