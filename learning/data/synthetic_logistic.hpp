// The federated classification problem synthetic(α, β) of FedProx (Li 2020, 1812.06127, section 5.1).
#pragma once

#include <cstdint>

#include "learning/data/dataset.hpp"

namespace fl {

/// For each client k, after the paper and its published generator:
///   y = argmax(softmax(W_k x + b_k))   W_k [10, 60], b_k [10], elements ~ N(u_k, 1), u_k ~ N(0, α²)
///   x ~ N(v_k, Σ)                      Σ diagonal, Σ_jj = j^−1.2; elements of v_k ~ N(B_k, 1), B_k ~ N(0,
///   β²) n_k = ⌊lognormal(4, 2)⌋ + 50, at most 5,000: the distribution's tail is so long that one client of a
///   thousand
///         would hold as much as all others together
/// α and β are standard deviations, as in the generator; the paper's text leaves that open, and for its own
/// choices, 0 and 1, it makes no difference but for 0.5. A fifth of each client's samples is kept for the
/// common test set. A client's data depend on `seed` and its index alone, not on how many `clients` there
/// are.
TrainTest make_synthetic_logistic(double alpha, double beta, std::uint32_t clients, std::uint64_t seed);

}  // namespace fl
