// Optimisers of the server: they turn the aggregated delta Δ into a step (FedOpt, Reddi 2020, 2003.00295).
//
//   none      x += η_g Δ
//   momentum  m = β1 m + Δ;               x += η_g m
//   adagrad   m = β1 m + (1−β1) Δ;  v += Δ²;                          x += η_g m / (√v + ε)
//   adam      m as above;           v = β2 v + (1−β2) Δ²;             x as above
//   yogi      m as above;           v −= (1−β2) Δ² sign(v − Δ²);      x as above
//
// No bias correction, as in the paper; v starts at ε². Only `trainable` entries pass through the optimiser;
// buffers take x += Δ.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "learning/parameters.hpp"
#include "messages/errors.hpp"

namespace fl {

enum class ServerOptimizerName : std::uint8_t { none, momentum, adagrad, adam, yogi };

Result<ServerOptimizerName> parse_server_optimizer(const std::string& name);
std::string to_string(ServerOptimizerName name);

struct ServerOptimizerOptions {
  ServerOptimizerName name = ServerOptimizerName::none;
  double beta1 = 0.9;     ///< in [0, 1)
  double beta2 = 0.99;    ///< in [0, 1)
  double epsilon = 1e-3;  ///< > 0
};

/// Owns m and v where the optimiser has them.
class ServerOptimizer {
 public:
  ServerOptimizer(const ServerOptimizerOptions& options, LayoutPtr layout);

  /// out = x + step(Δ), Δ = sum · (1 / divisor). All arrays have the layout's size; `out` may be `x` itself,
  /// not `sum`.
  void step(std::span<float> out, std::span<const float> x, std::span<const float> sum, double divisor,
            double learning_rate);

  const ServerOptimizerOptions& options() const { return options_; }

  /// First and second moments; empty where the optimiser has none. For snapshots.
  const Parameters& m() const { return m_; }
  const Parameters& v() const { return v_; }
  /// Continues from saved moments; fails with `corrupt_data` when they do not fit the optimiser.
  Result<void> restore(Parameters m, Parameters v);

 private:
  ServerOptimizerOptions options_;
  LayoutPtr layout_;
  Parameters m_;
  Parameters v_;
};

}  // namespace fl
